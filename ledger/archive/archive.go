package archive

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
)

var (
	// ErrPruned is returned for what the archive no longer has, or never had because
	// its history begins later.
	ErrPruned = errors.New("no longer in the archive")
	// ErrOrder is returned for a block that does not come next.
	ErrOrder = errors.New("block is not the next one")
	// ErrFormat is returned for a directory of another version.
	ErrFormat = errors.New("unknown format of the archive")
)

// Options say what an archive is made of.
type Options struct {
	// Store holds the records. It belongs to the archive, which closes it, also when
	// Open fails.
	Store Store
	// CheckpointInterval is the number of blocks between checkpoints; with 0 only the
	// last blocks of epochs are some.
	CheckpointInterval uint64
	// Log may be nil.
	Log *slog.Logger
}

// Archive is an open archive. Append, Sync, the methods that put, and those of a
// Transfer are for one writer at a time, except that Sync may run beside Append. All
// others are safe for concurrent use with those and with each other, as far as the
// store is.
type Archive struct {
	interval uint64 // between checkpoints
	log      *slog.Logger
	store    Store

	chain   atomic.Pointer[chain]
	pruned  atomic.Uint64         // state versions below are not kept
	durable atomic.Uint64         // the head that is known to be durable, plus 1
	failed  atomic.Pointer[error] // why nothing can be appended any more

	syncing sync.Mutex
	pruning sync.Mutex // held by PruneBodies
	linking sync.Mutex // held by who makes another chain of the present one

	evidence *ring
	convicts []convict // whom the evidence is about, in its order
	views    *ring
}

// Open opens the archive in a store, or creates it.
func Open(o Options) (*Archive, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	a := &Archive{interval: o.CheckpointInterval, log: o.Log, store: o.Store}
	if err := a.restore(); err != nil {
		return nil, errors.Join(err, o.Store.Close())
	}
	return a, nil
}

// Sync makes durable what was appended and put before. After an error nothing more
// can be appended: the archive must be opened again.
func (a *Archive) Sync() error {
	head := a.chain.Load().head
	a.syncing.Lock()
	defer a.syncing.Unlock()
	if err := a.broken(); err != nil {
		return err
	}
	if err := a.store.Sync(); err != nil {
		return a.fail(fmt.Errorf("sync the archive: %w", err))
	}
	// A Sync that had to wait may know of an older head than the one before it.
	if head != nil && head.Header.Seq >= a.durable.Load() {
		a.durable.Store(head.Header.Seq + 1)
	}
	return nil
}

// Close syncs and closes the archive. Nothing may use it any more, maps included.
func (a *Archive) Close() error {
	if err := errors.Join(a.Sync(), a.store.Close()); err != nil {
		return fmt.Errorf("close the archive: %w", err)
	}
	return nil
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
