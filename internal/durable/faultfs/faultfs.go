package faultfs

import (
	"errors"
	"io/fs"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"sync"
	"syscall"

	"github.com/decube/decube/internal/durable"
)

// ErrCrashed is returned by everything after the power was lost.
var ErrCrashed = errors.New("faultfs: the power is off")

// unlimited is the capacity of a new disk, in bytes.
const unlimited = 1 << 40

// FS is the file system. It is safe for concurrent use, but a run is reproducible
// only if the workload is sequential.
type FS struct {
	mu       sync.Mutex
	chance   *rand.PCG
	rng      *rand.Rand // over chance
	ops      int
	crashAt  int
	failAt   map[int]error
	inject   func(Op) error
	crashed  bool
	lying    bool
	capacity int64

	dirs    map[string]bool  // directories; made durable at once
	names   map[string]*node // what a running program sees
	durable map[string]*node // what a crash cannot take away
	pending []nameOp         // the difference, in order
}

// nameOp is a change to a directory: name now refers to node, or to nothing. When
// it is the second half of a rename, which takes the old name away, moved is set.
type nameOp struct {
	name  string
	node  *node
	moved bool
}

var _ durable.FS = (*FS)(nil)

// OpKind says what an operation does.
type OpKind string

// The operations that change something, or make it durable.
const (
	OpCreate   OpKind = "create"
	OpRename   OpKind = "rename"
	OpRemove   OpKind = "remove"
	OpWrite    OpKind = "write"
	OpAllocate OpKind = "allocate"
	OpTruncate OpKind = "truncate"
	OpPunch    OpKind = "punch"
	OpSync     OpKind = "sync"
	OpSyncDir  OpKind = "syncdir"
	OpStep     OpKind = "step" // of something else, see FS.Step
)

// Op is an operation. WriteFile consists of several.
type Op struct {
	Number int // counted from 1
	Kind   OpKind
	Name   string // of the file or directory; of a rename, the old name
}

// New returns an empty file system whose accidents are drawn from seed.
func New(seed uint64) *FS { return newFS(rand.NewPCG(seed, 0)) }

func newFS(chance *rand.PCG) *FS {
	return &FS{
		chance:   chance,
		rng:      rand.New(chance),
		failAt:   map[int]error{},
		capacity: unlimited,
		dirs:     map[string]bool{},
		names:    map[string]*node{},
		durable:  map[string]*node{},
	}
}

// blank returns a file system without files and faults, which otherwise is like
// the receiver.
func (f *FS) blank() *FS {
	chance := *f.chance
	next := newFS(&chance)
	next.dirs, next.capacity = maps.Clone(f.dirs), f.capacity
	return next
}

// Ops returns how many operations that change something were tried so far.
func (f *FS) Ops() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.ops
}

// CrashAt makes the power fail during operation n, counted from 1.
func (f *FS) CrashAt(n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.crashAt = n
}

// FailAt makes operation n, counted from 1, return err without effect. When it is
// a Sync, some of what it should have made durable is lost for good.
func (f *FS) FailAt(n int, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.failAt[n] = err
}

// Inject makes every operation fail for which fault returns an error, as FailAt
// does; nil ends that. The function must not call the file system.
func (f *FS) Inject(fault func(Op) error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.inject = fault
}

// SetLying makes Sync and SyncDir return nil and do nothing, or ends that. What
// was written meanwhile is as if it had never been synced.
func (f *FS) SetLying(lying bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.lying = lying
}

// SetCapacity sets the size of the disk in bytes. Images and clones have it too.
func (f *FS) SetCapacity(n int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.capacity = n
}

// Crashed reports whether the power has failed.
func (f *FS) Crashed() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.crashed
}

// PowerOff loses the power now.
func (f *FS) PowerOff() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.crashed = true
}

// Flip inverts one bit of a file, synced or not: a disk that rots.
func (f *FS) Flip(name string, off int64) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := f.names[clean(name)]
	if n == nil || off < 0 || off >= n.cur.size {
		return &fs.PathError{Op: "flip", Path: name, Err: fs.ErrNotExist}
	}
	for _, c := range []*content{&n.cur, &n.synced} {
		if off < c.size {
			var b [1]byte
			c.readAt(b[:], off)
			b[0] ^= 0x10
			c.write(b[:], off)
		}
	}
	return nil
}

// Evict has programs see of everything that is not waiting for a Sync what is on
// the disk: after a Sync that failed, that is what the disk did get.
func (f *FS) Evict() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, n := range f.names {
		n.evict()
	}
}

// Reboot loses the power, if it has not failed yet, and returns the file system
// as found after it came back, with all faults cleared. The old one stays dead.
func (f *FS) Reboot() *FS {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.crashed = true
	return f.image(Model{}, Random(f.rng))
}

// Clone returns a running copy of the file system with all that is not yet synced,
// without faults. Files that are open are not open in the copy.
func (f *FS) Clone() *FS {
	f.mu.Lock()
	defer f.mu.Unlock()
	next := f.blank()
	copies := map[*node]*node{}
	copyOf := func(n *node) *node {
		if n != nil && copies[n] == nil {
			copies[n] = n.clone()
		}
		return copies[n]
	}
	for name, n := range f.names {
		next.names[name] = copyOf(n)
	}
	for name, n := range f.durable {
		next.durable[name] = copyOf(n)
	}
	next.pending = slices.Clone(f.pending)
	for i := range next.pending {
		next.pending[i].node = copyOf(next.pending[i].node)
	}
	return next
}

// Step counts one operation of something that keeps its own state but should
// crash together with the file system. It returns ErrCrashed or an injected error;
// halfway says that the power failed during this very operation, which may then
// have taken effect.
func (f *FS) Step() (halfway bool, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.step(OpStep, "")
}

// Chance draws from the file system's seed: true once in n times.
func (f *FS) Chance(n int) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.rng.IntN(n) == 0
}

// step counts an operation. When the power fails in it, halfway is true: the
// operation may still take effect on what is not synced.
func (f *FS) step(kind OpKind, name string) (halfway bool, err error) {
	if f.crashed {
		return false, ErrCrashed
	}
	f.ops++
	if f.ops == f.crashAt {
		f.crashed = true
		return true, ErrCrashed
	}
	err = f.failAt[f.ops]
	if err == nil && f.inject != nil {
		err = f.inject(Op{f.ops, kind, name})
	}
	if err != nil {
		return false, &fs.PathError{Op: string(kind), Path: name, Err: err}
	}
	return false, nil
}

// used returns the bytes that files occupy.
func (f *FS) used() int64 {
	var total int64
	for _, n := range f.names {
		total += n.cur.used()
	}
	return total
}

// room returns ENOSPC where the disk has no space for more bytes.
func (f *FS) room(kind OpKind, name string, more int64) error {
	if more > 0 && f.used()+more > f.capacity {
		return &fs.PathError{Op: string(kind), Path: name, Err: syscall.ENOSPC}
	}
	return nil
}

func clean(name string) string { return filepath.Clean(name) }
