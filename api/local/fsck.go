package local

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/decube/decube/api"
	"github.com/decube/decube/blockstore"
	"github.com/decube/decube/internal/block"
)

// Fsck checks the block store and that every kept snapshot has its blocks. What it
// finds is in the report, not in the error.
func (s *Store) Fsck(ctx context.Context, req api.FsckRequest, progress func(api.Progress)) (api.FsckReport, error) {
	begun := time.Now()
	rep := api.FsckReport{Damaged: []block.ID{}, Findings: []string{}, Snapshots: []api.Affected{}}
	if err := s.checkBlocks(ctx, req, &rep, progress); err != nil {
		return rep, err
	}
	if err := s.checkSnapshots(ctx, &rep); err != nil {
		return rep, err
	}
	rep.OK = len(rep.Damaged)+len(rep.Findings)+len(rep.Snapshots) == 0
	rep.Seconds = time.Since(begun).Seconds()
	return rep, nil
}

func (s *Store) checkBlocks(ctx context.Context, req api.FsckRequest, rep *api.FsckReport, progress func(api.Progress)) error {
	buf := make([]byte, 0, block.MaxSize)
	p := api.Progress{Phase: "reading blocks"}
	for id, err := range s.store.IDs(ctx) {
		if err != nil {
			return fmt.Errorf("listing blocks: %w", err)
		}
		n, err := s.store.Size(ctx, id)
		if err == nil && req.ReadData {
			_, err = s.store.Get(ctx, id, buf)
		}
		switch {
		case errors.Is(err, blockstore.ErrCorrupt):
			rep.Damaged = appendBounded(rep.Damaged, id)
		case err != nil && !errors.Is(err, blockstore.ErrNotFound): // collected meanwhile
			return fmt.Errorf("reading block %s: %w", id, err)
		}
		rep.Blocks++
		rep.Bytes += int64(n)
		p.Items, p.Bytes = rep.Blocks, rep.Bytes
		if progress != nil {
			progress(p)
		}
	}
	return nil
}

// checkSnapshots reports kept snapshots that lack blocks.
func (s *Store) checkSnapshots(ctx context.Context, rep *api.FsckReport) error {
	for pin, err := range s.store.Pins(ctx) {
		if err != nil {
			return fmt.Errorf("listing snapshots: %w", err)
		}
		missing, err := s.Missing(ctx, pin.Root)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			rep.Snapshots = append(rep.Snapshots, api.Affected{CID: pin.Root, Detail: err.Error()})
		case len(missing) > 0:
			rep.Snapshots = append(rep.Snapshots, api.Affected{CID: pin.Root, Missing: int64(len(missing))})
		}
	}
	return nil
}
