// Package faultfs is a file system in memory for tests of durability. It knows
// which bytes and names were synced, can lose power at any operation, and can
// make any operation fail.
//
// A test runs a workload once to learn how many operations it takes (Ops), then
// again with CrashAt(n) for every n: operation n and all after it fail with
// ErrCrashed. Reboot then returns the file system as a disk might hold it after
// the power came back. What was not synced is there, gone, or torn in sectors of
// 512 bytes or pages of 4 KiB, as the seed decides; names that were not synced
// survive up to a point chosen by the seed, in order, as a journal keeps them.
package faultfs

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"

	"github.com/decube/decube/internal/durable"
)

// ErrCrashed is returned by everything after the power was lost.
var ErrCrashed = errors.New("faultfs: the power is off")

// FS is the file system. It is safe for concurrent use, but a crash point is
// reproducible only if the workload is sequential.
type FS struct {
	mu       sync.Mutex
	rng      *rand.Rand
	ops      int
	crashAt  int
	failAt   map[int]error
	crashed  bool
	capacity int64

	dirs    map[string]bool  // directories; made durable at once
	names   map[string]*node // what a running program sees
	durable map[string]*node // what a crash cannot take away
	pending []nameOp         // the difference, in order
}

// nameOp is a change to a directory: name now refers to node, or to nothing.
type nameOp struct {
	name string
	node *node
}

var _ durable.FS = (*FS)(nil)

// New returns an empty file system whose accidents are drawn from seed.
func New(seed uint64) *FS {
	return &FS{
		rng:      rand.New(rand.NewPCG(seed, 0)), //nolint:gosec // reproducible on purpose
		failAt:   map[int]error{},
		capacity: 1 << 40,
		dirs:     map[string]bool{},
		names:    map[string]*node{},
		durable:  map[string]*node{},
	}
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

// FailAt makes operation n, counted from 1, return err without effect. When it
// is a Sync, what it should have made durable is lost for good.
func (f *FS) FailAt(n int, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.failAt[n] = err
}

// SetCapacity sets the size of the disk in bytes.
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
	if n == nil || off >= int64(len(n.cur)) {
		return &fs.PathError{Op: "flip", Path: name, Err: fs.ErrNotExist}
	}
	n.cur[off] ^= 0x10
	if off < int64(len(n.synced)) {
		n.synced[off] ^= 0x10
	}
	return nil
}

// Reboot returns the file system as found after the power came back, with all
// faults cleared. The old one stays dead.
func (f *FS) Reboot() *FS {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.crashed = true
	next := New(f.rng.Uint64())
	next.dirs = maps.Clone(f.dirs)
	survive := 0
	if len(f.pending) > 0 {
		survive = f.rng.IntN(len(f.pending) + 1)
	}
	for _, op := range f.pending[:survive] {
		apply(f.durable, op)
	}
	after := map[*node]*node{}
	for name, n := range f.durable {
		if after[n] == nil {
			after[n] = n.afterCrash(f.rng)
		}
		next.names[name] = after[n]
	}
	next.durable = maps.Clone(next.names)
	return next
}

// Step counts one operation of something that keeps its own state but should
// crash together with the file system. It returns ErrCrashed or an injected error;
// halfway says that the power failed during this very operation, which may then
// have taken effect.
func (f *FS) Step() (halfway bool, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.step("step", "")
}

// Chance draws from the file system's seed: true once in n times.
func (f *FS) Chance(n int) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.rng.IntN(n) == 0
}

// step counts an operation. When the power fails in it, halfway is true: the
// operation may still take effect on what is not synced.
func (f *FS) step(op, name string) (halfway bool, err error) {
	if f.crashed {
		return false, ErrCrashed
	}
	f.ops++
	if f.ops == f.crashAt {
		f.crashed = true
		return true, ErrCrashed
	}
	if err := f.failAt[f.ops]; err != nil {
		return false, &fs.PathError{Op: op, Path: name, Err: err}
	}
	return false, nil
}

// used returns the bytes that files occupy.
func (f *FS) used() int64 {
	var total int64
	for _, n := range f.names {
		total += int64(len(n.cur)) - n.punched
	}
	return total
}

func (f *FS) room(name string, grow int64) error {
	if grow > 0 && f.used()+grow > f.capacity {
		return &fs.PathError{Op: "write", Path: name, Err: syscall.ENOSPC}
	}
	return nil
}

func apply(names map[string]*node, op nameOp) {
	if op.node == nil {
		delete(names, op.name)
	} else {
		names[op.name] = op.node
	}
}

func clean(name string) string { return filepath.Clean(name) }

// MkdirAll implements durable.FS.
func (f *FS) MkdirAll(dir string, _ fs.FileMode) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.crashed {
		return ErrCrashed
	}
	for d := clean(dir); !f.dirs[d]; d = filepath.Dir(d) {
		f.dirs[d] = true
	}
	return nil
}

// ReadDir implements durable.FS.
func (f *FS) ReadDir(dir string) ([]string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.crashed {
		return nil, ErrCrashed
	}
	dir = clean(dir)
	if !f.dirs[dir] {
		return nil, &fs.PathError{Op: "readdir", Path: dir, Err: fs.ErrNotExist}
	}
	var out []string
	for name := range f.names {
		if filepath.Dir(name) == dir {
			out = append(out, filepath.Base(name))
		}
	}
	for name := range f.dirs {
		if name != dir && filepath.Dir(name) == dir {
			out = append(out, filepath.Base(name))
		}
	}
	slices.SortFunc(out, strings.Compare)
	return out, nil
}

// ReadFile implements durable.FS.
func (f *FS) ReadFile(name string) ([]byte, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	n, err := f.lookup(name)
	if err != nil {
		return nil, err
	}
	return slices.Clone(n.cur), nil
}

// lookup finds an existing file. f.mu is held.
func (f *FS) lookup(name string) (*node, error) {
	if f.crashed {
		return nil, ErrCrashed
	}
	n := f.names[clean(name)]
	if n == nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return n, nil
}

// WriteFile implements durable.FS in the usual steps, each of which can fail.
func (f *FS) WriteFile(name string, data []byte, perm fs.FileMode) error {
	tmp := filepath.Join(filepath.Dir(name), "."+filepath.Base(name)+".tmp")
	if err := f.Remove(tmp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	file, err := f.Create(tmp, perm)
	if err != nil {
		return err
	}
	if err := errors.Join(file.(*handle).write(data, 0), file.Sync(), file.Close()); err != nil { //nolint:errcheck,forcetypeassert // Create returns handles
		return fmt.Errorf("replace %s: %w", name, err)
	}
	if err := f.Rename(tmp, name); err != nil {
		return err
	}
	return f.SyncDir(filepath.Dir(name))
}

// Rename implements durable.FS.
func (f *FS) Rename(from, to string) error {
	from, to = clean(from), clean(to)
	return f.change("rename", from, func(n *node) []nameOp { return []nameOp{{to, n}, {from, nil}} })
}

// Remove implements durable.FS.
func (f *FS) Remove(name string) error {
	name = clean(name)
	return f.change("remove", name, func(*node) []nameOp { return []nameOp{{name, nil}} })
}

// change makes changes to names that belong together: a crash keeps all or none.
func (f *FS) change(op, name string, ops func(*node) []nameOp) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := f.names[name]
	if n == nil && !f.crashed {
		return &fs.PathError{Op: op, Path: name, Err: fs.ErrNotExist}
	}
	halfway, err := f.step(op, name)
	if err != nil && !halfway {
		return err
	}
	changes := ops(n)
	for _, c := range changes {
		apply(f.names, c)
	}
	// Reboot cuts the list anywhere; a rename whose second half is cut leaves
	// both names, which a program must tolerate after a crash in any case.
	f.pending = append(f.pending, changes...)
	return err
}

// SyncDir implements durable.FS.
func (f *FS) SyncDir(dir string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	halfway, err := f.step("syncdir", dir)
	if err != nil && (!halfway || f.rng.IntN(2) == 0) {
		return err
	}
	dir = clean(dir)
	rest := f.pending[:0:0]
	for _, op := range f.pending {
		if filepath.Dir(op.name) == dir {
			apply(f.durable, op)
		} else {
			rest = append(rest, op)
		}
	}
	f.pending = rest
	return err
}

// Free implements durable.FS.
func (f *FS) Free(string) (int64, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.crashed {
		return 0, ErrCrashed
	}
	return max(0, f.capacity-f.used()), nil
}
