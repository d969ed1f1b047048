package crdtsync

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/decube/decube/crdtsync/bundle"
)

const (
	// mostTogether is how many operations of different writes share a bundle, and mostBytes how
	// many bytes they have about, so that there is room for all else in it.
	mostTogether = bundle.MaxOperations / 2
	mostBytes    = bundle.MaxBundle / 2
	// mostRequests is how many writes wait; who comes then waits for one of them to end.
	mostRequests = 4096
)

// request is a write that waits. It is in a bundle with others that came while the disk was
// being written: what one writes at a time is in one at once, and what many write at a time
// costs one signature.
type request struct {
	operations []bundle.Operation
	paths      []string
	bytes      int

	placed chan struct{} // closed when what follows is set
	done   *batch
	of     Written
	err    error
}

// place says what became of a request, which is durable with a batch.
func (r *request) place(w Written, b *batch, err error) {
	r.of, r.done, r.err = w, b, err
	close(r.placed)
}

// Write implements API.
func (c *Catalog) Write(ctx context.Context, operations []bundle.Operation) (Written, error) {
	r, err := c.request(ctx, operations)
	if err != nil {
		return Written{}, err
	}
	late := func() (Written, error) {
		return Written{}, fmt.Errorf("it may be written nevertheless: %w", ctx.Err())
	}
	select {
	case <-r.placed:
	case <-ctx.Done():
		return late()
	}
	if r.err != nil {
		return Written{}, r.err
	}
	select {
	case <-r.done.over:
		return r.of, r.done.err
	case <-ctx.Done():
		return late()
	}
}

// request has a write wait for its bundle.
func (c *Catalog) request(ctx context.Context, operations []bundle.Operation) (*request, error) {
	r := &request{operations: slices.Clone(operations), placed: make(chan struct{})}
	for {
		c.mu.Lock()
		if c.failed != nil || len(c.requests) < mostRequests {
			break
		}
		first := c.requests[0].placed
		c.mu.Unlock()
		select {
		case <-first:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	defer c.mu.Unlock()
	if c.failed != nil {
		return nil, c.failed
	}
	for i := range r.operations {
		o := &r.operations[i]
		exact, err := c.driver.Exact(o.Document)
		if err != nil {
			return nil, err
		}
		if o.Document = exact; !slices.Contains(r.paths, exact) {
			r.paths = append(r.paths, exact)
		}
		r.bytes += len(o.Document) + len(o.Field) + len(o.Element) + len(o.Value.Text()) + 24
	}
	c.requests = append(c.requests, r)
	c.batch.wake()
	return r, nil
}

// gather makes bundles of the writes that wait. The caller holds the lock.
func (c *Catalog) gather() {
	waiting := c.requests
	c.requests = nil
	for len(waiting) > 0 {
		n, ops, bytes := 0, 0, 0
		for n < len(waiting) && (n == 0 || ops+len(waiting[n].operations) <= mostTogether && bytes+waiting[n].bytes <= mostBytes) {
			ops, bytes = ops+len(waiting[n].operations), bytes+waiting[n].bytes
			n++
		}
		c.together(waiting[:n])
		waiting = waiting[n:]
	}
}

// together makes one bundle of some writes, or, where that cannot be, one of each.
func (c *Catalog) together(some []*request) {
	var all []bundle.Operation
	for _, r := range some {
		all = append(all, r.operations...)
	}
	made, err := c.driver.Write(time.Now().UnixNano(), all)
	if err != nil && len(some) > 1 { // which of them it is, and the others can be written
		for i := range some {
			c.together(some[i : i+1])
		}
		return
	}
	if err != nil {
		some[0].place(Written{}, nil, err)
		return
	}
	last, b := made[len(made)-1], c.queue()
	for _, r := range some {
		r.place(Written{Paths: r.paths, Bundle: last.ID(), Time: time.Unix(0, last.Time.Wall)}, b, nil)
	}
}
