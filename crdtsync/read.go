package crdtsync

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/decube/decube/crdtsync/driver"
	"github.com/decube/decube/crdtsync/fold"
	"github.com/decube/decube/internal/sig"
)

var _ API = (*Catalog)(nil)

// Documents implements API.
func (c *Catalog) Documents(_ context.Context, path string) ([]Document, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, err := c.driver.Exact(path); err != nil {
		return nil, err
	}
	var out []Document
	for _, found := range c.driver.Documents(path) {
		out = append(out, documentOf(found))
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%w: %s", ErrNotFound, path)
	}
	return out, nil
}

// List implements API.
func (c *Catalog) List(_ context.Context, o ListOptions) ([]Document, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []Document
	for found := range c.driver.Range(prefixOf(o.Collection), o.After) {
		if o.Limit > 0 && len(out) == o.Limit {
			break
		}
		out = append(out, documentOf(found))
	}
	return out, nil
}

// prefixOf returns how the paths of a collection begin.
func prefixOf(collection string) string {
	if collection != "" && !strings.HasSuffix(collection, "/") {
		collection += "/"
	}
	return collection
}

// Status implements API.
func (c *Catalog) Status(context.Context) (Status, error) {
	peers := c.sync.states()
	c.mu.Lock()
	defer c.mu.Unlock()
	doc, st := c.o.Document.Current(), c.driver.Stats()
	return Status{
		Swarm: c.o.Document.Swarm(), Name: doc.Name, Public: doc.Public, Root: c.driver.Root(),
		Spaces: st.Spaces, Documents: st.Documents, Origins: st.Origins, Bundles: st.Bundles, Bytes: st.Bytes,
		Waiting: st.Waiting, Faults: st.Faults, Dropped: st.Dropped, Peers: peers,
	}, nil
}

// documentOf returns what a reader is shown of a document.
func documentOf(f driver.Found) Document {
	d := Document{Path: f.Path, Space: f.Space}
	for name := range f.Document.Fields() {
		d.Fields = append(d.Fields, fieldOf(f.Document, name))
	}
	for l := range f.Document.Live() {
		if at := time.Unix(0, l.Time.Wall); at.After(d.Time) {
			d.Time = at
		}
	}
	return d
}

func fieldOf(d *fold.Document, name string) Field {
	f := Field{Name: name, Values: d.Values(name)}
	for e := range d.Elements(name) {
		f.Elements = append(f.Elements, Element{Name: e, Values: d.At(name, e)})
	}
	if sum, ok := d.Sum(name); ok {
		f.Sum = &sum
	}
	return f
}

// Own returns whose space this peer writes in.
func (c *Catalog) Own() sig.PublicKey { return c.o.Key.Public() }
