package local

import (
	"context"

	"github.com/decube/decube/api/blocksession"
	"github.com/decube/decube/blockstore"
	"github.com/decube/decube/internal/block"
)

// Writer is a blockstore.Writer as block sessions and the snapshot package take
// it: it is a blocksession.Writer and a snapshot.Sink.
type Writer struct{ *blockstore.Writer }

// NewWriter begins a write session of the store.
func NewWriter(ctx context.Context, store *blockstore.Store) (Writer, error) {
	w, err := store.NewWriter(ctx)
	return Writer{w}, err
}

// Flush makes everything added so far durable and returns the figures of the
// whole session.
func (w Writer) Flush(ctx context.Context) (blocksession.Stats, error) {
	stats, err := w.Writer.Flush(ctx)
	return blocksession.Stats(stats), err
}

// batch is how many blocks are looked up at a time.
const batch = 4096

// lacking calls missing for each of ids that the store does not hold.
func lacking(ctx context.Context, store *blockstore.Store, ids []block.ID, missing func(block.ID)) error {
	for len(ids) > 0 {
		n := min(len(ids), batch)
		held, err := store.Has(ctx, ids[:n])
		if err != nil {
			return err
		}
		for i, ok := range held {
			if !ok {
				missing(ids[i])
			}
		}
		ids = ids[n:]
	}
	return nil
}
