package archive

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/dgraph-io/badger/v4"

	"github.com/decube/decube/internal/durable"
)

var (
	// ErrNotFound is returned for what the archive does not have.
	ErrNotFound = errors.New("not in the archive")
	// ErrPruned is returned for what the archive no longer has, or never had because
	// its history begins later.
	ErrPruned = errors.New("no longer in the archive")
	// ErrCorrupt is returned for what was read and is not what was written.
	ErrCorrupt = errors.New("the archive is damaged")
	// ErrOrder is returned for a block that does not come next.
	ErrOrder = errors.New("block is not the next one")
	// ErrFormat is returned for a directory of another version.
	ErrFormat = errors.New("unknown format of the archive")
)

// Options say where an archive is.
type Options struct {
	// Dir is the archive's own directory. It is made when it is missing.
	Dir string
	// InMemory is for tests: nothing is written to Dir, and all is lost with Close.
	InMemory bool
	// CheckpointInterval is the number of blocks between checkpoints; with 0 only the
	// last blocks of epochs are some.
	CheckpointInterval uint64
	// MinFree is how many bytes of the disk must stay free. 0 means 128 MiB.
	MinFree int64
	// Log may be nil.
	Log *slog.Logger
}

// Archive is an open archive. Append, Sync, the methods that put, and those of a
// Transfer are for one writer at a time, except that Sync may run beside Append. All
// others are safe for concurrent use with those and with each other.
type Archive struct {
	opts Options
	log  *slog.Logger
	db   *badger.DB

	chain   atomic.Pointer[chain]
	pruned  atomic.Uint64         // state versions below are not kept
	durable atomic.Uint64         // the head that is known to be durable, plus 1
	failed  atomic.Pointer[error] // why nothing can be appended any more

	syncMu  sync.Mutex
	synced  []string // the names in Dir that are known to be durable
	lastLog string   // the log of values that was the last one then

	evidence *ring
	views    *ring
}

// Open opens or creates the archive in a directory. Only one process may have it
// open.
func Open(o Options) (*Archive, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if !o.InMemory {
		if err := durable.OS.MkdirAll(o.Dir, 0o700); err != nil {
			return nil, fmt.Errorf("open the archive: %w", err)
		}
	}
	if err := o.room(); err != nil {
		return nil, fmt.Errorf("open the archive: %w", err)
	}
	db, err := badger.OpenManaged(tuned(&o))
	if err != nil {
		return nil, fmt.Errorf("open the archive in %s: %w", o.Dir, err)
	}
	a := &Archive{opts: o, log: o.Log, db: db}
	if err := a.restore(); err != nil {
		return nil, errors.Join(fmt.Errorf("open the archive in %s: %w", o.Dir, err), db.Close())
	}
	return a, nil
}

// Close syncs and closes the archive. Nothing may use it any more, maps included.
func (a *Archive) Close() error {
	if err := errors.Join(a.Sync(), a.db.Close()); err != nil {
		return fmt.Errorf("close the archive in %s: %w", a.opts.Dir, err)
	}
	if a.opts.InMemory {
		return nil
	}
	return durable.SyncDir(a.opts.Dir)
}

// fail notes that the store is in a state that memory does not know, and returns why.
func (a *Archive) fail(err error) error {
	a.failed.CompareAndSwap(nil, &err)
	return err
}

// broken returns why nothing can be appended, or nil.
func (a *Archive) broken() error {
	if err := a.failed.Load(); err != nil {
		return fmt.Errorf("the archive failed before and must be opened again: %w", *err)
	}
	return nil
}
