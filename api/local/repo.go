package local

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/decube/decube/api"
	"github.com/decube/decube/blockstore"
	"github.com/decube/decube/internal/repo"
)

// Stat returns the state of the block store.
func (s *Store) Stat(ctx context.Context) (api.RepoStat, error) {
	st, err := s.store.Stat(ctx)
	if err != nil {
		return api.RepoStat{}, fmt.Errorf("reading the state of the block store: %w", err)
	}
	return api.RepoStat{
		Path: s.dir, Version: repo.Version,
		Blocks: st.Blocks, Bytes: st.Bytes,
		DiskBytes: st.DiskBytes, IndexBytes: st.IndexBytes, Packs: int64(st.Packs),
		Quota: st.Quota, FreeBytes: st.Free, MinFree: st.MinFree,
		Pins: int64(st.Pins), Quarantined: int64(st.Quarantined), Problem: strings.Join(Problems(ctx, s.store), "; "),
	}, nil
}

// Problems says what is wrong with a block store as a whole, and what to do.
func Problems(ctx context.Context, store *blockstore.Store) []string {
	var list []string
	if err := store.PinsDamage(); err != nil {
		list = append(list, fmt.Sprintf("%v: snapshots may be missing from the list, and nothing is collected; "+
			"\"decubectl repo fsck --repair\" keeps again every snapshot that is here", err))
	}
	if err := store.CheckWritable(ctx); errors.Is(err, blockstore.ErrNoSpace) {
		list = append(list, err.Error())
	} else if errors.Is(err, blockstore.ErrReadOnly) {
		list = append(list, err.Error()+": nothing can be added, forgotten or collected; free space on its disk, or make it writable, and start again")
	}
	return list
}

// GC removes what no kept snapshot and no open session needs. It returns
// api.ErrConflict while another collection or check runs, and an error that names
// the snapshot, without having removed anything, when the block list of one that
// was complete cannot be read.
func (s *Store) GC(ctx context.Context, req api.GCRequest, progress func(api.Progress)) (api.GCResult, error) {
	res, err := s.store.GC(ctx, blockstore.GCOptions{
		DryRun:   req.DryRun,
		Mark:     s.mark,
		Removed:  s.removed,
		Progress: storeProgress(progress),
	})
	if err != nil {
		return api.GCResult{}, err
	}
	return api.GCResult{
		DryRun: res.DryRun,
		Kept:   res.KeptBlocks, KeptBytes: res.KeptBytes,
		Removed: res.SweptBlocks, RemovedBytes: res.SweptBytes,
		FreedBytes: res.FreedBytes, Seconds: res.Took.Seconds(),
	}, nil
}

// storeProgress turns the store's progress into the API's; nil stays nil.
func storeProgress(progress func(api.Progress)) func(blockstore.Progress) {
	if progress == nil {
		return nil
	}
	return func(p blockstore.Progress) {
		progress(api.Progress{Phase: p.Stage, Items: p.Done, TotalItems: p.Total})
	}
}
