package content

import (
	"context"
	"errors"
	"iter"
	"log/slog"

	"github.com/decube/decube/block"
	"github.com/decube/decube/blockstore"
	"github.com/decube/decube/dht"
	"github.com/decube/decube/snapshot"
)

const (
	announceQueue = 256      // snapshots whose blocks wait to be announced
	announceBatch = 16 << 10 // blocks handed to the DHT at a time
)

// announcer tells the DHT about the blocks of new snapshots, in the background:
// a snapshot may have a million of them.
type announcer struct {
	dht   *dht.DHT
	store *blockstore.Store
	log   *slog.Logger
	roots chan block.ID
}

func newAnnouncer(d *dht.DHT, store *blockstore.Store, log *slog.Logger) *announcer {
	return &announcer{dht: d, store: store, log: log, roots: make(chan block.ID, announceQueue)}
}

// root announces a root at once, for the snapshot or a part of it: who holds the root says which
// of its blocks it has. Failing to is no failure of whoever stored it: it is logged, and made up
// for by a later sweep.
func (a *announcer) root(ctx context.Context, root block.ID) {
	if err := a.dht.Announce(ctx, dht.Root, root); err != nil {
		a.log.Warn("a snapshot was not announced", "root", root, "err", err)
	}
}

// snapshot announces a root at once and queues its blocks, if they are announced. It waits while
// the queue is full.
func (a *announcer) snapshot(ctx context.Context, root block.ID) {
	a.root(ctx, root)
	if !a.dht.Covers(dht.PinnedBlock) {
		return
	}
	select {
	case a.roots <- root:
	case <-ctx.Done():
	}
}

// forget stops announcing a root; its blocks may belong to other snapshots.
func (a *announcer) forget(ctx context.Context, root block.ID) {
	if err := a.dht.Forget(ctx, root); err != nil {
		a.log.Warn("a forgotten snapshot is still announced", "root", root, "err", err)
	}
}

// removed stops announcing blocks that a collection removed, except those that
// were stored again since.
func (a *announcer) removed(ctx context.Context, ids []block.ID) {
	if !a.dht.Covers(dht.PinnedBlock) {
		return // only roots are announced, and those are forgotten when they are unpinned
	}
	err := a.dht.Forget(ctx, ids...)
	if err == nil {
		var again []block.ID
		again, err = a.held(ctx, ids)
		err = errors.Join(err, a.dht.Announce(ctx, dht.PinnedBlock, again...))
	}
	if err != nil && ctx.Err() == nil {
		a.log.Warn("removed blocks are still announced", "blocks", len(ids), "err", err)
	}
}

// held returns those of ids that are in the store.
func (a *announcer) held(ctx context.Context, ids []block.ID) ([]block.ID, error) {
	has, err := a.store.Has(ctx, ids)
	if err != nil {
		return nil, err
	}
	var in []block.ID
	for i, id := range ids {
		if has[i] {
			in = append(in, id)
		}
	}
	return in, nil
}

// run announces the blocks of queued snapshots until ctx is done.
func (a *announcer) run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case root := <-a.roots:
			if err := a.blocks(ctx, root); err != nil && ctx.Err() == nil {
				a.log.Warn("a snapshot's blocks were not all announced", "root", root, "err", err)
			}
		}
	}
}

func (a *announcer) blocks(ctx context.Context, root block.ID) error {
	batch := make([]block.ID, 0, 1024)
	var failed error
	flush := func() bool {
		failed = a.dht.Announce(ctx, dht.PinnedBlock, batch...)
		batch = batch[:0]
		return failed == nil
	}
	err := snapshot.Refs(ctx, a.store, root, func(id block.ID) bool {
		batch = append(batch, id)
		return len(batch) < announceBatch || flush()
	})
	if err == nil && failed == nil {
		flush()
	}
	return errors.Join(err, failed)
}

// pinnedRoots yields the roots of pinned snapshots: of complete ones, or of those too of which
// the blocks may be missing, but the root and the index are there.
func pinnedRoots(ctx context.Context, store *blockstore.Store, partial bool) iter.Seq2[block.ID, error] {
	return func(yield func(block.ID, error) bool) {
		for pin, err := range store.Pins(ctx) {
			if err == nil && pin.Partial && !partial {
				continue
			}
			if !yield(pin.Root, err) {
				return
			}
		}
	}
}

// pinnedBlocks yields the blocks of complete pinned snapshots, those that they
// share once for each.
func pinnedBlocks(ctx context.Context, store *blockstore.Store) iter.Seq2[block.ID, error] {
	return func(yield func(block.ID, error) bool) {
		for root, err := range pinnedRoots(ctx, store, false) {
			more := true
			if err == nil {
				err = snapshot.Refs(ctx, store, root, func(id block.ID) bool {
					more = yield(id, nil)
					return more
				})
			}
			if !more || (err != nil && !yield(block.ID{}, err)) {
				return
			}
		}
	}
}
