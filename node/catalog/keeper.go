package catalog

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/decube/decube/api"
	"github.com/decube/decube/block"
	"github.com/decube/decube/crdtsync"
	"github.com/decube/decube/crdtsync/bundle"
	"github.com/decube/decube/internal/capability"
)

const (
	// snapshots is the collection of what nodes keep: one document a snapshot in the space of
	// each node that keeps it, so that the spaces that have it say who that is.
	snapshots = "snapshots"
	// keepEvery is how often the collection is compared with what is kept, whatever was heard.
	keepEvery = 10 * time.Minute
	// keepSoon is how long it takes until that is tried again where it has failed.
	keepSoon = time.Second
	// keepTogether is how many operations are one change.
	keepTogether = 200
)

// keeper has the collection of snapshots say what this node keeps.
type keeper struct {
	catalog  *crdtsync.Catalog
	list     func(context.Context) iter.Seq2[api.Snapshot, error] // of what is kept
	partial  func(context.Context) (map[block.ID]bool, error)     // roots of which not all is here
	named    bool                                                 // hosts and paths are said too
	log      *slog.Logger
	changed  chan struct{}
	interval time.Duration
}

// kept is called when other snapshots are kept than before. It does not block.
func (k *keeper) kept() {
	select {
	case k.changed <- struct{}{}:
	default:
	}
}

// run keeps the collection until ctx is done.
func (k *keeper) run(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-k.changed:
		case <-timer.C:
		}
		next := k.interval
		if err := k.compare(ctx); err != nil && ctx.Err() == nil {
			next = keepSoon
			if !errors.Is(err, crdtsync.ErrQuota) { // which is so for a moment after each start
				k.log.Warn("the catalog does not say what is kept", "err", err)
				next = time.Minute
			}
		}
		timer.Reset(next)
	}
}

// compare writes what the collection does not say, or says and is not so any more.
func (k *keeper) compare(ctx context.Context) error {
	own := capability.Space(k.catalog.Own()) + snapshots + "/"
	partial, err := k.partial(ctx)
	if err != nil {
		return err
	}
	said := map[string]crdtsync.Document{}
	docs, err := k.catalog.List(ctx, crdtsync.ListOptions{Collection: own})
	if err != nil {
		return err
	}
	for _, d := range docs {
		said[d.Path] = d
	}
	var ops []bundle.Operation
	for snap, err := range k.list(ctx) {
		if err != nil {
			return err
		}
		if partial[snap.CID] {
			continue
		}
		path := own + snap.CID.String()
		ops = append(ops, k.entry(path, &snap, said[path])...)
		delete(said, path)
	}
	for _, d := range docs {
		if _, gone := said[d.Path]; gone {
			ops = append(ops, bundle.Operation{Kind: bundle.Delete, Document: d.Path})
		}
	}
	for some := range slices.Chunk(ops, keepTogether) {
		if _, err := k.catalog.Write(ctx, some); err != nil {
			return fmt.Errorf("writing the collection %s: %w", snapshots, err)
		}
	}
	return nil
}

// entry returns the operations after which a document says what a snapshot is.
func (k *keeper) entry(path string, s *api.Snapshot, said crdtsync.Document) []bundle.Operation {
	want := map[string]bundle.Value{
		"name":    bundle.TextValue(s.Label),
		"size":    bundle.SizeValue(s.Bytes),
		"files":   bundle.WholeValue(s.Files),
		"created": bundle.InstantValue(s.Created),
	}
	if k.named {
		want["host"], want["path"] = bundle.TextValue(s.Host), bundle.TextValue(s.Source)
	}
	var ops []bundle.Operation
	fields := map[string]crdtsync.Field{}
	for _, f := range said.Fields {
		fields[f.Name] = f
	}
	for _, name := range []string{"name", "size", "files", "created", "host", "path"} {
		value, is := want[name]
		if is = is && value.String() != ""; !is && len(fields[name].Values) > 0 {
			ops = append(ops, bundle.Operation{Kind: bundle.Clear, Document: path, Field: name})
		}
		if is && !slices.Equal(fields[name].Values, []bundle.Value{value}) {
			ops = append(ops, bundle.Operation{Kind: bundle.Set, Document: path, Field: name, Value: value})
		}
	}
	var tags []string
	for _, e := range fields["tags"].Elements {
		if tags = append(tags, e.Name); !slices.Contains(s.Tags, e.Name) {
			ops = append(ops, bundle.Operation{Kind: bundle.Remove, Document: path, Field: "tags", Element: e.Name})
		}
	}
	for _, tag := range s.Tags {
		if !slices.Contains(tags, tag) && len(tag) <= bundle.MaxElement && !strings.ContainsRune(tag, 0) {
			ops = append(ops, bundle.Operation{Kind: bundle.Add, Document: path, Field: "tags", Element: tag})
		}
	}
	return ops
}
