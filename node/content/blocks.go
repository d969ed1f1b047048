package content

import (
	"context"
	"errors"
	"fmt"

	"github.com/decube/decube/api/blocksession"
	"github.com/decube/decube/api/local"
	"github.com/decube/decube/block"
	"github.com/decube/decube/blockstore"
	"github.com/decube/decube/protocols/exchange"
)

// blocks serves block sessions: the store, with the swarm behind it.
type blocks struct{ part *Part }

// NewWriter implements blocksession.Store.
func (b blocks) NewWriter(ctx context.Context) (blocksession.Writer, error) {
	w, err := local.NewWriter(ctx, b.part.store)
	if err != nil {
		return nil, err // not w: it holds a nil pointer
	}
	return w, nil
}

// GetUnverified implements blocksession.Store.
func (b blocks) GetUnverified(ctx context.Context, id block.ID, network bool, buf []byte) ([]byte, error) {
	data, err := b.part.store.GetUnverified(ctx, id, buf)
	if !network || !errors.Is(err, block.ErrNotFound) {
		return data, err
	}
	if err := b.part.exchange.FetchBlocks(ctx, []block.ID{id}); err != nil {
		return nil, fmt.Errorf("%w: %s is not held here: %w", block.ErrNotFound, id, err)
	}
	return b.part.store.GetUnverified(ctx, id, buf)
}

// Heal implements blocksession.Store. Reading a damaged block puts it aside,
// after which it counts as one that is not held.
func (b blocks) Heal(ctx context.Context, id block.ID) error {
	_, err := b.part.store.Get(ctx, id, nil)
	if err == nil {
		return nil
	}
	if !errors.Is(err, blockstore.ErrCorrupt) && !errors.Is(err, block.ErrNotFound) {
		return err
	}
	if fetchErr := b.part.mend(ctx, []block.ID{id}); fetchErr != nil {
		return fmt.Errorf("%w; fetching it again: %w", err, fetchErr)
	}
	return nil
}

// exchangeStore is an exchange.Store over the block store.
type exchangeStore struct {
	*blockstore.Store

	announce *announcer
}

// NewWriter implements exchange.Store.
func (s exchangeStore) NewWriter(ctx context.Context) (exchange.Writer, error) {
	w, err := s.Store.NewWriter(ctx)
	if err != nil {
		return nil, err
	}
	return exchangeWriter{w}, nil
}

// Pin implements exchange.Store. A pin that is there already keeps its name and
// what else belongs to it; a complete one stays complete. A new one is announced, for others to
// find what has come of the snapshot while the rest does.
func (s exchangeStore) Pin(ctx context.Context, root block.ID, partial bool) error {
	pin, err := s.Store.Pin(ctx, root)
	switch {
	case errors.Is(err, block.ErrNotFound):
		pin = blockstore.Pin{Root: root, Partial: partial}
	case err != nil:
		return err
	case !pin.Partial || partial:
		return nil // there is nothing to change
	default:
		pin.Partial = false
	}
	if err := s.SetPin(ctx, pin); err != nil {
		return err
	}
	s.announce.root(ctx, root)
	return nil
}

// exchangeWriter is a write session without statistics.
type exchangeWriter struct{ *blockstore.Writer }

// Flush implements exchange.Writer.
func (w exchangeWriter) Flush(ctx context.Context) error {
	_, err := w.Writer.Flush(ctx)
	return err
}
