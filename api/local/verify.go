package local

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/decube/decube/api"
	"github.com/decube/decube/blockstore"
	"github.com/decube/decube/internal/block"
	"github.com/decube/decube/snapshot"
)

// mostListed bounds the blocks and problems that a report names one by one.
const mostListed = 1000

// Verify checks a snapshot: that every block is there and, with ReadData, that
// its bytes are right. What it finds is in the report, not in the error.
func (s *Store) Verify(ctx context.Context, root block.ID, req api.VerifyRequest, progress func(api.Progress)) (api.VerifyReport, error) {
	begun := time.Now()
	rep := api.VerifyReport{CID: root, Missing: []block.ID{}, Damaged: []block.ID{}, Problems: []string{}}
	r, err := snapshot.LoadRoot(ctx, s.store, root)
	if err != nil {
		return rep, err
	}
	x, err := snapshot.LoadIndex(ctx, s.store, r)
	if err != nil {
		return rep, err
	}
	rep.Files = int64(r.Stats.Files) //nolint:gosec // bounded by the format
	ids := make([]block.ID, x.Len())
	for i := range ids {
		id, n := x.At(i)
		ids[i] = id
		rep.Blocks++
		rep.Bytes += int64(n)
	}
	if err := lacking(ctx, s.store, ids, func(id block.ID) { rep.Missing = appendBounded(rep.Missing, id) }); err != nil {
		return rep, err
	}
	if req.ReadData {
		err = s.readAll(ctx, x, progress, func(id block.ID) { rep.Damaged = appendBounded(rep.Damaged, id) })
	}
	rep.OK = len(rep.Missing)+len(rep.Damaged)+len(rep.Problems) == 0
	rep.Seconds = time.Since(begun).Seconds()
	return rep, err
}

// readAll reads every block of an index and calls damaged for those whose bytes
// are wrong.
func (s *Store) readAll(ctx context.Context, x *snapshot.Index, progress func(api.Progress), damaged func(block.ID)) error {
	buf := make([]byte, 0, block.MaxSize)
	p := api.Progress{Phase: "reading", TotalItems: int64(x.Len())}
	for i := range x.Len() {
		id, n := x.At(i)
		_, err := s.store.Get(ctx, id, buf)
		switch {
		case errors.Is(err, blockstore.ErrCorrupt):
			damaged(id)
		case errors.Is(err, blockstore.ErrNotFound): // listed as missing already
		case err != nil:
			return fmt.Errorf("reading block %s: %w", id, err)
		}
		p.Items++
		p.Bytes += int64(n)
		if progress != nil {
			progress(p)
		}
	}
	return nil
}

func appendBounded[T any](list []T, v T) []T {
	if len(list) < mostListed {
		list = append(list, v)
	}
	return list
}
