package local

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/decube/decube/api"
	"github.com/decube/decube/block"
	"github.com/decube/decube/blockstore"
	"github.com/decube/decube/snapshot"
)

// Store answers for the block store of one repo. A snapshot that is kept is a pin
// of its root, with the summary beside it, so that listing reads no blocks. The
// methods may be called concurrently.
type Store struct {
	store   *blockstore.Store
	dir     string
	lacks   func(block.ID)
	removed func(context.Context, []block.ID)
}

// Options are what a Store may be given and does not need.
type Options struct {
	// Lacks is told of each block that a collection needed and that is not there, or
	// not sound. It must return at once.
	Lacks func(block.ID)
	// Removed is told what a collection removed, as blockstore.GCOptions.Removed is.
	Removed func(context.Context, []block.ID)
}

// New returns a Store for the open block store of the repo in dir.
func New(store *blockstore.Store, dir string, opts Options) *Store {
	s := &Store{store: store, dir: dir, lacks: opts.Lacks, removed: opts.Removed}
	if s.lacks == nil {
		s.lacks = func(block.ID) {}
	}
	return s
}

// List yields the kept snapshots, the oldest first.
func (s *Store) List(ctx context.Context) iter.Seq2[api.Snapshot, error] {
	return func(yield func(api.Snapshot, error) bool) {
		var all []api.Snapshot
		for pin, err := range s.store.Pins(ctx) {
			if err != nil {
				yield(api.Snapshot{}, fmt.Errorf("listing snapshots: %w", err))
				return
			}
			all = append(all, s.ofPin(ctx, pin))
		}
		slices.SortStableFunc(all, func(a, b api.Snapshot) int { return a.Created.Compare(b.Created) })
		for _, snap := range all {
			if !yield(snap, nil) {
				return
			}
		}
	}
}

// Get reads the summary of a snapshot whose root is held, kept or not, and finds
// out whether it is complete. It returns api.ErrNotFound without the root.
func (s *Store) Get(ctx context.Context, root block.ID) (api.Snapshot, error) {
	snap, err := s.read(ctx, root)
	if err != nil {
		return api.Snapshot{}, err
	}
	if pin, ok, err := s.pin(ctx, root); err != nil {
		return api.Snapshot{}, err
	} else if ok {
		kept := s.ofPin(ctx, pin)
		snap.Label, snap.Tags, snap.Partial = kept.Label, kept.Tags, kept.Partial
		snap.Pinned, snap.PinnedAt = true, kept.PinnedAt
	}
	missing, err := s.Missing(ctx, root)
	if err != nil && !errors.Is(err, block.ErrNotFound) {
		return api.Snapshot{}, err
	}
	complete := err == nil && len(missing) == 0
	snap.Complete = &complete
	return snap, nil
}

// Keep keeps a snapshot, durably. Of a snapshot that lacks blocks it returns
// api.ErrIncomplete. Repeating it changes label and tags where they are given. The
// caller announces the snapshot, and keeps its blocks from being collected until
// Keep has returned.
func (s *Store) Keep(ctx context.Context, root block.ID, req api.KeepRequest) (api.Snapshot, error) {
	snap, err := s.read(ctx, root)
	if err != nil {
		return api.Snapshot{}, err
	}
	missing, err := s.Missing(ctx, root)
	if err != nil {
		return api.Snapshot{}, err
	}
	if len(missing) > 0 {
		return api.Snapshot{}, fmt.Errorf("%w: snapshot %s lacks %d of its blocks, the first is %s", api.ErrIncomplete, root, len(missing), missing[0])
	}
	now := time.Now().UTC()
	snap.Pinned, snap.PinnedAt = true, &now
	before, kept, err := s.pin(ctx, root)
	if err != nil {
		return api.Snapshot{}, err
	}
	if kept {
		old := s.ofPin(ctx, before)
		snap.Label, snap.Tags, snap.PinnedAt = old.Label, old.Tags, old.PinnedAt
	}
	snap.Label = cmp.Or(req.Label, snap.Label)
	if len(req.Tags) > 0 {
		snap.Tags = req.Tags
	}
	snap.Partial = req.Partial
	if err := s.keep(ctx, snap, before); err != nil {
		return api.Snapshot{}, err
	}
	complete := true
	snap.Complete = &complete
	return snap, nil
}

// Forget stops keeping a snapshot, durably; its blocks stay until the next
// collection. A snapshot that is not kept is api.ErrNotFound.
func (s *Store) Forget(ctx context.Context, root block.ID) error {
	err := s.store.RemovePin(ctx, root)
	if errors.Is(err, block.ErrNotFound) {
		return fmt.Errorf("%w: snapshot %s is not kept here", api.ErrNotFound, root)
	}
	return err
}

// Missing returns the blocks of a snapshot that the store lacks. Without the root
// or a page of the index the error wraps block.ErrNotFound.
func (s *Store) Missing(ctx context.Context, root block.ID) ([]block.ID, error) {
	var ids, missing []block.ID
	err := snapshot.Refs(ctx, s.store, root, func(id block.ID) bool {
		ids = append(ids, id)
		return true
	})
	if err != nil {
		return nil, fmt.Errorf("reading the block list of snapshot %s: %w", root, err)
	}
	err = lacking(ctx, s.store, ids, func(id block.ID) { missing = append(missing, id) })
	return missing, err
}

// keep pins a snapshot. Where that would change nothing, nothing is written: on a
// disk without free space, what is kept can still be fetched and restored.
func (s *Store) keep(ctx context.Context, snap api.Snapshot, before blockstore.Pin) error {
	meta, err := json.Marshal(snap)
	if err != nil {
		return fmt.Errorf("encoding the summary of snapshot %s: %w", snap.CID, err)
	}
	pin := blockstore.Pin{Root: snap.CID, Name: snap.Label, Created: *snap.PinnedAt, Meta: meta}
	if pin.Root == before.Root && pin.Name == before.Name && !before.Partial && bytes.Equal(pin.Meta, before.Meta) {
		return nil
	}
	if err := s.store.SetPin(ctx, pin); err != nil {
		return fmt.Errorf("keeping snapshot %s: %w", snap.CID, err)
	}
	return nil
}

// pin finds the pin of a root, and reports whether there is one.
func (s *Store) pin(ctx context.Context, root block.ID) (blockstore.Pin, bool, error) {
	pin, err := s.store.Pin(ctx, root)
	switch {
	case errors.Is(err, block.ErrNotFound):
		return blockstore.Pin{}, false, nil
	case err != nil:
		return blockstore.Pin{}, false, fmt.Errorf("looking up snapshot %s: %w", root, err)
	}
	return pin, true, nil
}

// ofPin returns the summary that lies beside a pin. A pin that somebody else set
// is summed up from its root, as far as that can be read.
func (s *Store) ofPin(ctx context.Context, pin blockstore.Pin) api.Snapshot {
	var snap api.Snapshot
	if json.Unmarshal(pin.Meta, &snap) != nil || snap.CID != pin.Root {
		var err error
		if snap, err = s.read(ctx, pin.Root); err != nil {
			snap = api.Snapshot{CID: pin.Root, Created: pin.Created, Label: pin.Name}
		}
	}
	snap.Pinned, snap.PinnedAt, snap.Complete = true, &pin.Created, nil
	snap.Partial = snap.Partial || pin.Partial
	return snap
}

// read sums a snapshot up from its root.
func (s *Store) read(ctx context.Context, root block.ID) (api.Snapshot, error) {
	r, err := snapshot.LoadRoot(ctx, s.store, root)
	if err != nil {
		return api.Snapshot{}, err
	}
	return Summary(root, r), nil
}

// Summary returns what a root says, without what a node knows of it.
func Summary(id block.ID, r *snapshot.Root) api.Snapshot {
	snap := api.Snapshot{
		CID:     id,
		Created: r.Created.Time(),
		Host:    r.Source.Host,
		Source:  strings.ToValidUTF8(string(r.Source.Path), "\uFFFD"),
		Label:   r.Label,
		Tags:    r.Tags,
		Files:   int64(r.Stats.Files),
		Dirs:    int64(r.Stats.Dirs),
		Bytes:   int64(r.Stats.Bytes),
		Chunks:  int64(r.Stats.Chunks),
	}
	if parent := r.ParentID(); !parent.IsZero() {
		snap.Parent = &parent
	}
	return snap
}
