package sim

import (
	"slices"

	"github.com/decube/decube/ledger/pbft"
)

// pool is what waits at a node to be ordered, longest waiting first. The clients'
// windows of nonces bound it.
type pool struct {
	waiting []waiting
	known   map[request]bool
}

type waiting struct {
	tx    tx
	since uint64 // tick of the node
}

// add takes a request up, unless it is not to be executed or waits already.
func (p *pool) add(t *tx, now uint64, s *state) bool {
	if s.check(t) != nil || p.known[t.request()] {
		return false
	}
	if p.known == nil {
		p.known = map[request]bool{}
	}
	p.known[t.request()] = true
	p.waiting = append(p.waiting, waiting{*t, now})
	return true
}

// executed drops what the state has executed.
func (p *pool) executed(s *state) {
	p.waiting = slices.DeleteFunc(p.waiting, func(w waiting) bool {
		if s.check(&w.tx) == nil {
			return false
		}
		delete(p.known, w.tx.request())
		return true
	})
}

// oldest returns for how many ticks the longest waiting request has been waiting.
func (p *pool) oldest(now uint64) uint64 {
	if len(p.waiting) == 0 {
		return 0
	}
	return max(1, now-p.waiting[0].since)
}

// pick returns up to limit requests that can be executed on a state, in order; with
// again, also those that have been.
func (p *pool) pick(s state, limit int, skip func(client uint8) bool, again bool) body {
	var b body
	for i := range p.waiting {
		t := &p.waiting[i].tx
		if len(b) == limit {
			break
		}
		if skip(t.Client) {
			continue
		}
		if s.apply(t) == nil || again {
			b = append(b, *t)
		}
	}
	return b
}

// maxBodies is how many bodies a node keeps beside its store.
const maxBodies = 256

// bodies are the bodies of blocks that are not committed yet, the oldest of which
// are given up when there are too many.
type bodies struct {
	held  map[pbft.Digest]body
	order []pbft.Digest
}

func (b *bodies) add(x body) pbft.Digest {
	d := x.digest()
	if _, have := b.held[d]; have {
		return d
	}
	if b.held == nil {
		b.held = map[pbft.Digest]body{}
	}
	b.held[d] = x
	b.order = append(b.order, d)
	if len(b.order) > maxBodies {
		delete(b.held, b.order[0])
		b.order = b.order[1:]
	}
	return d
}

func (b *bodies) get(d pbft.Digest) (body, bool) {
	x, ok := b.held[d]
	return x, ok
}
