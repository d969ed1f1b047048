package driver

import (
	"github.com/decube/decube/crdtsync/bundle"
	"github.com/decube/decube/internal/capability"
	"github.com/decube/decube/internal/sig"
)

const (
	// pendingOfOrigin is how many bundles of an origin wait, and how far ahead they may be.
	pendingOfOrigin = 64
	// pendingOfWriter and pendingOfAll bound their bytes.
	pendingOfWriter = 1 << 20
	pendingOfAll    = 64 << 20
)

// pending is bundles that wait for what comes before them in their origins. The zero value
// holds none.
type pending struct {
	of      map[bundle.Origin]map[int64]*bundle.Bundle
	writers map[sig.PublicKey]int64 // bytes
	bytes   int64
	count   int
}

// decoded is what an operation that waits takes in memory beside its bytes.
const decoded = 128

// sizeOf returns how many bytes a bundle is, about.
func sizeOf(b *bundle.Bundle) int64 { return bundle.MaxHeader + b.Length }

// costOf returns how many bytes of memory one takes that waits.
func costOf(b *bundle.Bundle) int64 { return sizeOf(b) + decoded*int64(b.Count) }

// keep keeps a bundle of which the next in its origin is missing, and reports whether there was
// room.
func (p *pending) keep(b *bundle.Bundle, next int64) bool {
	of, size := p.of[b.Origin], costOf(b)
	switch {
	case of[b.Sequence] != nil:
		return true
	case b.Sequence > next+pendingOfOrigin, len(of) >= pendingOfOrigin,
		p.writers[b.Writer]+size > pendingOfWriter, p.bytes+size > pendingOfAll:
		return false
	}
	if of == nil {
		if p.of == nil {
			p.of, p.writers = map[bundle.Origin]map[int64]*bundle.Bundle{}, map[sig.PublicKey]int64{}
		}
		of = map[int64]*bundle.Bundle{}
		p.of[b.Origin] = of
	}
	of[b.Sequence] = b
	p.writers[b.Writer] += size
	p.bytes += size
	p.count++
	return true
}

// take takes out the bundle that waits for a place, nil for none, and drops what waits for
// places before it.
func (p *pending) take(o bundle.Origin, sequence int64) *bundle.Bundle {
	of := p.of[o]
	b := of[sequence]
	for at, old := range of {
		if at <= sequence {
			delete(of, at)
			p.gone(old)
		}
	}
	if of != nil && len(of) == 0 {
		delete(p.of, o)
	}
	return b
}

// drop drops all that waits in an origin.
func (p *pending) drop(o bundle.Origin) {
	for _, b := range p.of[o] {
		p.gone(b)
	}
	delete(p.of, o)
}

// under drops all that waits in origins of which something is written under a capability.
func (p *pending) under(c capability.ID) {
	for o, of := range p.of {
		for _, b := range of {
			if b.Capability == c {
				p.drop(o)
				break
			}
		}
	}
}

func (p *pending) gone(b *bundle.Bundle) {
	size := costOf(b)
	if p.writers[b.Writer] -= size; p.writers[b.Writer] == 0 {
		delete(p.writers, b.Writer)
	}
	p.bytes -= size
	p.count--
}
