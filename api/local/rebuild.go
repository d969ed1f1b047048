package local

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/decube/decube/api"
	"github.com/decube/decube/block"
	"github.com/decube/decube/blockstore"
	"github.com/decube/decube/snapshot"
)

// rebuildPins keeps every snapshot whose root the store holds, beside those that
// are known to be kept. Some of them may have been given up before: no block says
// so, and keeping too much can be mended.
func (s *Store) rebuildPins(ctx context.Context, rep *api.FsckReport) error {
	var found []blockstore.Pin
	for id, err := range s.store.IDs(ctx) {
		if err != nil {
			return fmt.Errorf("looking for snapshots: %w", err)
		}
		pin, ok, err := s.pinOfRoot(ctx, id)
		if err != nil {
			return fmt.Errorf("looking for snapshots: %w", err)
		}
		if ok {
			found = append(found, pin)
		}
	}
	if err := s.store.RebuildPins(ctx, found); err != nil {
		return err
	}
	rep.Repaired += int64(len(found))
	rep.Findings = append(rep.Findings, fmt.Sprintf("pins: rebuilt: every snapshot is kept again whose root is here, %d of which it was not known; forget those that you had given up", len(found)))
	return nil
}

// pinOfRoot returns a pin for a block that is a snapshot's root and has none. Of a
// snapshot that is not whole it is a partial one: what is here is kept until a fetch
// completes it.
func (s *Store) pinOfRoot(ctx context.Context, id block.ID) (pin blockstore.Pin, ok bool, err error) {
	if id.Codec() != block.DagCBOR {
		return pin, false, nil
	}
	if _, kept, err := s.pin(ctx, id); err != nil || kept {
		return pin, false, err
	}
	r, err := snapshot.LoadRoot(ctx, s.store, id)
	if isLost(err) || errors.Is(err, snapshot.ErrManifest) {
		return pin, false, nil
	}
	if err != nil {
		return pin, false, err
	}
	now := time.Now().UTC()
	snap := Summary(id, r)
	snap.Pinned, snap.PinnedAt = true, &now
	missing, err := s.Missing(ctx, id)
	if err != nil && !isLost(err) && !errors.Is(err, snapshot.ErrManifest) {
		return pin, false, err
	}
	pin = blockstore.Pin{Root: id, Name: snap.Label, Created: now, Partial: err != nil || len(missing) > 0}
	if pin.Meta, err = json.Marshal(snap); err != nil {
		return pin, false, fmt.Errorf("encoding the summary of snapshot %s: %w", id, err)
	}
	if len(pin.Meta) > blockstore.MaxPinMeta {
		pin.Meta = nil // it is read from the root each time
	}
	return pin, true, nil
}
