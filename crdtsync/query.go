package crdtsync

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/decube/decube/crdtsync/bundle"
	"github.com/decube/decube/crdtsync/driver"
	"github.com/decube/decube/crdtsync/fold"
	"github.com/decube/decube/crdtsync/query"
)

// Query implements API. It looks at all documents of the collection.
func (c *Catalog) Query(_ context.Context, o QueryOptions) (QueryResult, error) {
	q, err := query.Parse(o.Expression)
	if err != nil {
		return QueryResult{}, err
	}
	order, err := query.ParseOrder(o.Order)
	if err != nil {
		return QueryResult{}, err
	}
	var after *query.Place
	if o.After != "" {
		place, err := order.ParseCursor(o.After)
		if err != nil {
			return QueryResult{}, err
		}
		after = &place
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	var res QueryResult
	var page []hit
	byPlace := func(a, b hit) int { return order.Compare(a.place, b.place) }
	for found := range c.driver.Range(prefixOf(o.Collection), "") {
		res.Looked++
		d := document{found.Document, found}
		if !q.Matches(d) {
			continue
		}
		res.Matched++
		h := hit{order.Place(d, found.Path), found}
		if after != nil && order.Compare(h.place, *after) <= 0 {
			continue
		}
		page = append(page, h)
		if o.Limit > 0 && len(page) >= 2*o.Limit+64 { // the first ones are enough
			slices.SortFunc(page, byPlace)
			page = slices.Delete(page, o.Limit+1, len(page))
		}
	}
	if err := q.Doubts(); err != nil {
		return QueryResult{}, err
	}
	slices.SortFunc(page, byPlace)
	if o.Limit > 0 && len(page) > o.Limit {
		page = page[:o.Limit]
		res.Next = order.Cursor(page[o.Limit-1].place)
	}
	for _, h := range page {
		res.Documents = append(res.Documents, documentOf(h.found))
	}
	return res, nil
}

// hit is a document that matches, with where it comes.
type hit struct {
	place query.Place
	found driver.Found
}

// document is a document as a query looks at it.
type document struct {
	*fold.Document

	found driver.Found
}

// Path implements query.Document.
func (d document) Path() string {
	if strings.HasPrefix(d.found.Path, "~") {
		_, rest, _ := strings.Cut(d.found.Path, "/")
		return rest
	}
	return d.found.Path
}

// Space implements query.Document.
func (d document) Space() string {
	if d.found.Space.IsZero() {
		return ""
	}
	return d.found.Space.String()
}

// Time implements query.Document.
func (d document) Time() bundle.Value {
	var last int64
	for l := range d.Live() {
		last = max(last, l.Time.Wall)
	}
	return bundle.InstantValue(time.Unix(0, last))
}
