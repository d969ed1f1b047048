package local

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/decube/decube/api"
	"github.com/decube/decube/block"
	"github.com/decube/decube/blockstore"
	"github.com/decube/decube/snapshot"
)

// mostListed bounds the blocks and problems that a report names one by one.
const mostListed = 1000

// Verify checks a snapshot: that every block is there and that the manifest keeps
// its rules, and with ReadData that every byte is right. What it finds is in the
// report; the error is for a root that is not held, and for work that failed.
func (s *Store) Verify(ctx context.Context, root block.ID, req api.VerifyRequest, progress func(api.Progress)) (api.VerifyReport, error) {
	begun := time.Now()
	rep := api.VerifyReport{CID: root, Missing: []block.ID{}, Damaged: []block.ID{}, Problems: []string{}}
	v := verification{store: s.store, req: req, progress: progress, rep: &rep}
	if held, err := s.store.Has(ctx, []block.ID{root}); err != nil {
		return rep, fmt.Errorf("verifying snapshot %s: %w", root, err)
	} else if !held[0] {
		return rep, fmt.Errorf("%w: snapshot %s is not held here", api.ErrNotFound, root)
	}
	if err := v.run(ctx, root); err != nil && !v.found(err) {
		return rep, fmt.Errorf("verifying snapshot %s: %w", root, err)
	}
	rep.OK = len(rep.Missing)+len(rep.Damaged)+len(rep.Problems) == 0
	rep.Seconds = time.Since(begun).Seconds()
	return rep, nil
}

// verification is the state of one Verify.
type verification struct {
	store    *blockstore.Store
	req      api.VerifyRequest
	progress func(api.Progress)
	rep      *api.VerifyReport
}

func (v *verification) run(ctx context.Context, id block.ID) error {
	root, err := snapshot.LoadRoot(ctx, v.store, id)
	if err != nil {
		return err
	}
	index, err := snapshot.LoadIndex(ctx, v.store, root)
	if err != nil {
		return err
	}
	v.rep.Files = int64(root.Stats.Files)
	ids := make([]block.ID, index.Len())
	for i := range ids {
		var n int
		ids[i], n = index.At(i)
		v.rep.Blocks++
		v.rep.Bytes += int64(n)
	}
	whole := true
	err = lacking(ctx, v.store, ids, func(missing block.ID) {
		v.rep.Missing = appendBounded(v.rep.Missing, missing)
		whole = whole && missing.Codec() == block.Raw
	})
	if err != nil || !whole {
		return err // without all of its manifest the rest cannot be judged
	}
	opts := snapshot.VerifyOptions{ReadData: v.req.ReadData}
	if v.progress != nil {
		opts.Progress = func(p snapshot.Progress) {
			v.progress(api.Progress{Phase: "reading", Items: p.Files, Bytes: p.Bytes, TotalBytes: v.rep.Bytes})
		}
	}
	res, err := snapshot.Verify(ctx, v.store, id, opts)
	for _, p := range res.Problems {
		if !v.found(p) {
			v.rep.Problems = appendBounded(v.rep.Problems, p.Error())
		}
	}
	return err
}

// found takes an error into the report if it tells of the snapshot's own state.
func (v *verification) found(err error) bool {
	var damaged *blockstore.CorruptError
	switch {
	case errors.As(err, &damaged):
		v.rep.Damaged = appendBounded(v.rep.Damaged, damaged.ID)
	case errors.Is(err, block.ErrNotFound):
		if len(v.rep.Missing) == 0 { // otherwise it is listed
			v.rep.Problems = appendBounded(v.rep.Problems, err.Error())
		}
	case errors.Is(err, snapshot.ErrManifest):
		v.rep.Problems = appendBounded(v.rep.Problems, err.Error())
	default:
		return false
	}
	return true
}

func appendBounded[T any](list []T, v T) []T {
	if len(list) < mostListed {
		list = append(list, v)
	}
	return list
}
