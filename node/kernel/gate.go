package kernel

import (
	"context"
	"sync"
)

// gate lets requests into a part while it runs, and knows when the last has left.
type gate struct {
	name string // of the part

	mu     sync.Mutex
	shut   error                              // why nobody is let in
	ended  bool                               // it opens no more
	inside map[uint64]context.CancelCauseFunc // what ends each request that is inside
	next   uint64                             // number of a request
	left   chan struct{}                      // closed when it has ended and nobody is inside; nil before close
}

// newGate returns a gate that is shut.
func newGate(name string) *gate {
	return &gate{name: name, shut: errNotOpen, inside: map[uint64]context.CancelCauseFunc{}}
}

// open lets requests in from now on, unless close was called.
func (g *gate) open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.ended {
		g.shut = nil
	}
}

// pause lets nobody in until open is called, and cuts off who is inside.
func (g *gate) pause(reason error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.keepOut(reason)
}

// close lets nobody in any more, for a reason, and cuts off who is inside. The channel is
// closed when all have left. Of a gate that is shut already the reason stays.
func (g *gate) close(reason error) (left <-chan struct{}) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.ended = true
	g.keepOut(reason)
	if g.left == nil {
		g.left = make(chan struct{})
		if len(g.inside) == 0 {
			close(g.left)
		}
	}
	return g.left
}

func (g *gate) keepOut(reason error) {
	if g.shut != nil {
		return
	}
	g.shut = reason
	for _, cut := range g.inside {
		cut(unavailable(g.name, reason))
	}
}

// err returns why nobody is let in, an ErrUnavailable, or nil.
func (g *gate) err() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.shut == nil {
		return nil
	}
	return unavailable(g.name, g.shut)
}

// enter is a server.Gate.
func (g *gate) enter(ctx context.Context) (inner context.Context, leave func(), err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.shut != nil {
		return nil, nil, unavailable(g.name, g.shut)
	}
	inner, cut := context.WithCancelCause(ctx)
	number := g.next
	g.next++
	g.inside[number] = cut
	return inner, func() { g.leave(number) }, nil
}

// leave says that a request has ended.
func (g *gate) leave(number uint64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.inside[number](nil)
	if delete(g.inside, number); len(g.inside) == 0 && g.left != nil {
		close(g.left)
	}
}
