package blockstore

import (
	"errors"
	"io/fs"
	"log/slog"
	"path/filepath"
	"sync"

	"github.com/decube/decube/internal/durable"
)

// mostBallast is enough to delete the entries of some hundred thousand blocks.
const mostBallast = 64 << 20

// What must be free for Badger, in bytes. It turns a full log of 8 MiB into a table
// of about the same size, when it likes.
const (
	openNeeds    = 32 << 20 // to replay three logs
	indexNeeds   = 16 << 20 // to begin anything that changes the index much
	deletesNeed  = 10 << 20 // to go on with it
	leastToOpen  = 8 << 20  // it is one log at most, as a rule
	leastBallast = 1 << 20  // less is not worth a file
)

// ballast is a file whose space is allocated for bad times. Badger writes through
// memory maps, so on a full disk it can be neither opened nor changed: the process
// would be killed. When whoever shares the disk has filled it, the file is given
// up for as long as it takes to open the store, to collect, or to close it, and
// what is left of its space is regained. It is part of what MinFree keeps free.
//
// The space may be taken by others while it is given up. Nothing can be done about
// that, and the refusals of space.go go on to hold.
type ballast struct {
	fs      durable.FS
	name    string
	want    int64
	minFree int64
	log     *slog.Logger

	mu    sync.Mutex
	held  int64
	given int64 // given up, to be regained
}

// openBallast learns what there is, and gives it its space again where a copy of the
// directory left holes in its place. It makes nothing else.
func openBallast(fsys durable.FS, dir string, minFree int64, log *slog.Logger) (*ballast, error) {
	b := &ballast{fs: fsys, name: filepath.Join(dir, ballastFile), want: min(minFree/2, mostBallast), minFree: minFree, log: log}
	f, err := fsys.OpenWrite(b.name)
	if errors.Is(err, fs.ErrNotExist) {
		return b, nil
	}
	if err != nil {
		return nil, err
	}
	size, err := f.Size()
	if err == nil && size > 0 {
		err = f.Allocate(0, size)
	}
	if isFull(err) {
		size, err = 0, nil // nothing that release could give
	}
	b.held = size
	return b, errors.Join(err, f.Close())
}

func (b *ballast) dir() string { return filepath.Dir(b.name) }

// size returns the bytes that are held.
func (b *ballast) size() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.held
}

// release gives the ballast up when less than need is free, until regain.
func (b *ballast) release(need int64) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	free, err := b.fs.Free(b.dir())
	if err != nil || free >= need || b.held == 0 {
		return err
	}
	if err := b.fs.Remove(b.name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	b.log.Warn("the disk is full: working with what was set aside for that", "free", free, "bytes", b.held)
	b.given, b.held = b.held, 0
	// File systems give the space of a file away again when they have made its
	// removal durable.
	return b.fs.SyncDir(b.dir())
}

// regain takes back as much as was given up, as far as it is left. A store without
// ballast works, so that there is none is no more than logged.
func (b *ballast) regain() {
	b.mu.Lock()
	defer b.mu.Unlock()
	given := b.given
	b.given = 0
	if given == 0 {
		return
	}
	if err := b.allocate(given, 0); err != nil {
		b.log.Warn("no space is set aside for a full disk", "error", err)
	}
}

// refill makes the ballast where there is none, when the disk is as free as it is
// to be.
func (b *ballast) refill() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.allocate(b.want, b.minFree); err != nil {
		b.log.Warn("no space is set aside for a full disk", "error", err)
	}
}

// allocate makes a ballast of at most so many bytes, when at least least are free. A
// file system that cannot allocate has none. One that is nearly full may need some
// of its free space to keep account of the rest; so the attempts become smaller. mu
// is held.
func (b *ballast) allocate(most, least int64) error {
	free, err := b.fs.Free(b.dir())
	if err != nil || b.held > 0 || free < least {
		return err
	}
	for n := min(most, free); n >= leastBallast; n -= n / 8 {
		b.held, err = b.make(n / durable.Align * durable.Align)
		if !isFull(err) {
			return err
		}
	}
	return nil
}

// make writes a file of n bytes and returns how many it got.
func (b *ballast) make(n int64) (held int64, err error) {
	if err := b.fs.Remove(b.name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return 0, err
	}
	f, err := b.fs.Create(b.name, 0o600)
	if err != nil {
		return 0, err
	}
	if err = f.Allocate(0, n); err == nil {
		held, err = f.Size()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = b.fs.SyncDir(b.dir())
	}
	if err != nil || held == 0 {
		return 0, errors.Join(err, b.fs.Remove(b.name))
	}
	return held, nil
}
