package local

import (
	"context"
	"errors"
	"fmt"

	"github.com/decube/decube/block"
	"github.com/decube/decube/blockstore"
	"github.com/decube/decube/snapshot"
	"github.com/decube/decube/snapshot/manifest"
)

// mark yields what a kept snapshot consists of, for a collection.
//
// Of a partial pin that is what the blocks that are here tell; what comes beyond
// them is safe in the session that brings it. The block list of a complete pin must
// be readable as a whole, for what is not on it will be deleted: all its blocks that
// are not are reported to whoever can get them again.
func (s *Store) mark(ctx context.Context, pin blockstore.Pin, yield func(block.ID) bool) error {
	lost, err := s.refs(ctx, pin.Root, yield)
	switch {
	case err != nil:
		return fmt.Errorf("reading the block list of snapshot %s: %w", pin.Root, err)
	case len(lost) == 0 || pin.Partial:
		return nil
	}
	for _, l := range lost {
		s.lacks(l.id)
	}
	return fmt.Errorf("%d blocks of the block list of snapshot %s %q cannot be read: %w; \"snapshot fetch\" completes the snapshot, \"snapshot forget\" gives it up",
		len(lost), pin.Root, pin.Name, lost[0].err)
}

// unread is a block that is not held, or not as it was stored.
type unread struct {
	id  block.ID
	err error
}

// refs yields what snapshot.Refs does, and goes on behind a block that cannot be
// read. The error is any other trouble of the store.
func (s *Store) refs(ctx context.Context, root block.ID, yield func(block.ID) bool) (lost []unread, err error) {
	if !yield(root) {
		return nil, nil
	}
	r, err := snapshot.LoadRoot(ctx, s.store, root)
	if isLost(err) {
		return []unread{{root, err}}, nil
	}
	if err != nil {
		return nil, err
	}
	for _, ref := range r.Index {
		id := ref.Page.ID
		if !yield(id) {
			return lost, nil
		}
		page, err := s.page(ctx, id)
		if isLost(err) {
			lost = append(lost, unread{id, err})
			continue
		}
		if err != nil {
			return lost, err
		}
		for i := range page.Len() {
			if id, _ := page.At(i); !yield(id) {
				return lost, nil
			}
		}
	}
	return lost, nil
}

func isLost(err error) bool {
	return errors.Is(err, block.ErrNotFound) || errors.Is(err, blockstore.ErrCorrupt)
}

func (s *Store) page(ctx context.Context, id block.ID) (*manifest.IndexPage, error) {
	b, err := s.store.Get(ctx, id, nil)
	if err != nil {
		return nil, fmt.Errorf("read index page %s: %w", id, err)
	}
	page := new(manifest.IndexPage)
	return page, manifest.Decode(b, page)
}
