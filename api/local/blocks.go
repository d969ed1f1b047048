package local

import (
	"context"

	"github.com/decube/decube/block"
	"github.com/decube/decube/blockstore"
)

// NewWriter begins a write session of the store, for a block session or a snapshot.
func NewWriter(ctx context.Context, store *blockstore.Store) (*blockstore.Writer, error) {
	return store.NewWriter(ctx)
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
