package local

import (
	"context"
	"fmt"
	"time"

	"github.com/decube/decube/api"
	"github.com/decube/decube/block"
	"github.com/decube/decube/blockstore"
)

// Fsck checks the block store, and that every kept snapshot has its blocks. What it
// finds is in the report, not in the error. When it is not known any more what is
// kept, a repair keeps every snapshot whose root the store holds. It returns api.ErrConflict while another
// check or a collection runs.
func (s *Store) Fsck(ctx context.Context, req api.FsckRequest, progress func(api.Progress)) (api.FsckReport, error) {
	begun := time.Now()
	found, err := s.store.Fsck(ctx, blockstore.FsckOptions{
		ReadData: req.ReadData,
		Repair:   req.Repair,
		Progress: storeProgress(progress),
	})
	if err != nil {
		return api.FsckReport{}, err
	}
	rep := api.FsckReport{
		Blocks: found.Blocks, Bytes: found.Bytes,
		Repaired: found.Quarantined + found.Adopted,
		Damaged:  []block.ID{}, Findings: []string{}, Snapshots: []api.Affected{}, Interrupted: []api.Affected{},
	}
	for _, f := range found.Findings {
		if f.ID.IsZero() {
			rep.Findings = append(rep.Findings, fmt.Sprintf("%s: %s", f.Kind, f.Detail))
			continue
		}
		rep.Damaged = append(rep.Damaged, f.ID)
		rep.Findings = append(rep.Findings, fmt.Sprintf("%s: block %s in pack %d at %d: %s", f.Kind, f.ID, f.Pack, f.Offset, f.Detail))
	}
	if found.PinsDamaged && req.Repair {
		if err := s.rebuildPins(ctx, &rep); err != nil {
			return rep, err
		}
		found.PinsDamaged = false
	}
	if err := s.checkSnapshots(ctx, &rep); err != nil {
		return rep, err
	}
	rep.OK = found.OK() && len(rep.Snapshots) == 0
	rep.Seconds = time.Since(begun).Seconds()
	return rep, nil
}

// checkSnapshots reports kept snapshots that lack blocks. One whose fetch was
// interrupted lacks them without anything being damaged.
func (s *Store) checkSnapshots(ctx context.Context, rep *api.FsckReport) error {
	for pin, err := range s.store.Pins(ctx) {
		if err != nil {
			return fmt.Errorf("listing snapshots: %w", err)
		}
		missing, err := s.Missing(ctx, pin.Root)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case pin.Partial && (isLost(err) || err == nil && len(missing) > 0):
			rep.Interrupted = append(rep.Interrupted, api.Affected{CID: pin.Root, Missing: int64(len(missing))})
		case err != nil:
			rep.Snapshots = append(rep.Snapshots, api.Affected{CID: pin.Root, Detail: err.Error()})
		case len(missing) > 0:
			rep.Snapshots = append(rep.Snapshots, api.Affected{CID: pin.Root, Missing: int64(len(missing))})
		}
	}
	return nil
}
