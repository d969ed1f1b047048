// Package catalogtest is a catalog in memory, for tests of what stands above one. It is of one
// peer alone, so that nothing in it is concurrent unless a test says so; what operations leave
// of a document is as simple as that allows.
package catalogtest

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/decube/decube/crdtsync"
	"github.com/decube/decube/crdtsync/bundle"
	"github.com/decube/decube/crdtsync/query"
	"github.com/decube/decube/internal/capability"
	"github.com/decube/decube/internal/sig"
)

// Start is the time of the first bundle; the others follow by a second each.
var Start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// Catalog is a catalog in memory. It implements [crdtsync.API] and may be used concurrently.
type Catalog struct {
	own sig.PublicKey // whose space is written, zero in a private swarm

	mu        sync.Mutex
	written   int
	failure   error
	documents map[string]*crdtsync.Document
	peers     []crdtsync.Peer
}

var _ crdtsync.API = (*Catalog)(nil)

// New returns an empty catalog: of a public swarm with a key, of a private one without.
func New(own sig.PublicKey) *Catalog {
	return &Catalog{own: own, documents: map[string]*crdtsync.Document{}}
}

// Fail has every method return an error, or none any more for nil.
func (c *Catalog) Fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.failure = err
}

// Put has the catalog hold a document, as if others had written it.
func (c *Catalog) Put(d crdtsync.Document) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.documents[d.Path] = &d
}

// Peers says which peers the status has.
func (c *Catalog) Peers(all ...crdtsync.Peer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.peers = all
}

func (c *Catalog) exact(path string) string {
	if c.own.IsZero() || strings.HasPrefix(path, "~") {
		return path
	}
	return capability.Space(c.own) + path
}

// Write implements [crdtsync.API]. A document in the space of somebody else is
// [crdtsync.ErrDenied].
func (c *Catalog) Write(_ context.Context, operations []bundle.Operation) (crdtsync.Written, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.failure != nil {
		return crdtsync.Written{}, c.failure
	}
	for i := range operations {
		if o := &operations[i]; !o.Known() {
			return crdtsync.Written{}, fmt.Errorf("%w: %+v", crdtsync.ErrInvalid, *o)
		} else if path := c.exact(o.Document); strings.HasPrefix(path, "~") && !strings.HasPrefix(path, capability.Space(c.own)) {
			return crdtsync.Written{}, fmt.Errorf("%w: %s", crdtsync.ErrDenied, path)
		}
	}
	out := crdtsync.Written{Bundle: bundle.ID{byte(c.written)}, Time: Start.Add(time.Duration(c.written) * time.Second)}
	c.written++
	for i := range operations {
		path := c.exact(operations[i].Document)
		if !slices.Contains(out.Paths, path) {
			out.Paths = append(out.Paths, path)
		}
		c.apply(path, &operations[i], out.Time)
	}
	return out, nil
}

func (c *Catalog) apply(path string, o *bundle.Operation, at time.Time) {
	d := c.documents[path]
	if d == nil {
		d = &crdtsync.Document{Path: path}
		if strings.HasPrefix(path, "~") {
			d.Space = c.own
		}
		c.documents[path] = d
	}
	d.Time = at
	i, found := slices.BinarySearchFunc(d.Fields, o.Field, func(f crdtsync.Field, name string) int { return cmp.Compare(f.Name, name) })
	if !found && (o.Kind == bundle.Set || o.Kind == bundle.Add || o.Kind == bundle.Count) {
		d.Fields = slices.Insert(d.Fields, i, crdtsync.Field{Name: o.Field})
		found = true
	}
	switch {
	case o.Kind == bundle.Delete:
		d.Fields = nil
	case !found:
	case o.Kind == bundle.Clear:
		d.Fields = slices.Delete(d.Fields, i, i+1)
	default:
		change(&d.Fields[i], o)
		if f := &d.Fields[i]; len(f.Values)+len(f.Elements) == 0 && f.Sum == nil {
			d.Fields = slices.Delete(d.Fields, i, i+1)
		}
	}
	if len(d.Fields) == 0 {
		delete(c.documents, path)
	}
}

func change(f *crdtsync.Field, o *bundle.Operation) {
	switch o.Kind {
	case bundle.Set:
		f.Values = []bundle.Value{o.Value}
	case bundle.Count:
		sum := o.Value.Whole()
		if f.Sum != nil {
			sum += *f.Sum
		}
		f.Sum = &sum
	default:
		f.Elements = slices.DeleteFunc(f.Elements, func(e crdtsync.Element) bool { return e.Name == o.Element })
		if o.Kind != bundle.Add {
			return
		}
		e := crdtsync.Element{Name: o.Element}
		if o.Value.Type() != bundle.None {
			e.Values = []bundle.Value{o.Value}
		}
		f.Elements = append(f.Elements, e)
		slices.SortFunc(f.Elements, func(a, b crdtsync.Element) int { return cmp.Compare(a.Name, b.Name) })
	}
}

// Documents implements [crdtsync.API].
func (c *Catalog) Documents(_ context.Context, path string) ([]crdtsync.Document, error) {
	all, err := c.matching(func(d *crdtsync.Document) bool {
		return d.Path == path || !d.Space.IsZero() && strings.TrimPrefix(d.Path, capability.Space(d.Space)) == path
	})
	if err == nil && len(all) == 0 {
		err = crdtsync.ErrNotFound
	}
	return all, err
}

// List implements [crdtsync.API].
func (c *Catalog) List(_ context.Context, o crdtsync.ListOptions) ([]crdtsync.Document, error) {
	within := strings.TrimSuffix(o.Collection, "/") + "/"
	all, err := c.matching(func(d *crdtsync.Document) bool {
		rest := d.Path
		if !d.Space.IsZero() && !strings.HasPrefix(within, "~") {
			rest = strings.TrimPrefix(rest, capability.Space(d.Space))
		}
		return d.Path > o.After && (o.Collection == "" || strings.HasPrefix(rest, within))
	})
	if o.Limit > 0 && len(all) > o.Limit {
		all = all[:o.Limit]
	}
	return all, err
}

// Query implements [crdtsync.API]. What is no query or order is refused; all documents of the
// collection match any, in order of their paths, and the cursor is the last one's path.
func (c *Catalog) Query(ctx context.Context, o crdtsync.QueryOptions) (crdtsync.QueryResult, error) {
	if _, err := query.Parse(o.Expression); err != nil {
		return crdtsync.QueryResult{}, err
	}
	if _, err := query.ParseOrder(o.Order); err != nil {
		return crdtsync.QueryResult{}, err
	}
	all, err := c.List(ctx, crdtsync.ListOptions{Collection: o.Collection})
	res := crdtsync.QueryResult{Matched: len(all), Looked: len(all)}
	for _, d := range all {
		if d.Path <= o.After {
			continue
		}
		if len(res.Documents) == o.Limit {
			res.Next = res.Documents[o.Limit-1].Path
			break
		}
		res.Documents = append(res.Documents, d)
	}
	return res, err
}

// matching returns documents in order of their paths.
func (c *Catalog) matching(wanted func(*crdtsync.Document) bool) ([]crdtsync.Document, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []crdtsync.Document
	for _, path := range slices.Sorted(maps.Keys(c.documents)) {
		if d := c.documents[path]; wanted(d) {
			copied := *d
			copied.Fields = slices.Clone(d.Fields)
			for i := range copied.Fields {
				copied.Fields[i].Elements = slices.Clone(copied.Fields[i].Elements)
			}
			out = append(out, copied)
		}
	}
	return out, c.failure
}

// Status implements [crdtsync.API].
func (c *Catalog) Status(context.Context) (crdtsync.Status, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return crdtsync.Status{
		Swarm: capability.ID{1}, Name: "test", Public: !c.own.IsZero(), Root: [32]byte{2},
		Documents: len(c.documents), Bundles: int64(c.written), Peers: slices.Clone(c.peers),
	}, c.failure
}
