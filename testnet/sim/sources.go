package sim

import (
	"slices"

	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/testnet/sim/adversary"
)

// badSource is honest among validators, and a bad source to those who follow.
type badSource struct {
	name string
	free Time // when the last answer has left
}

const (
	dripping = "drip-source"     // it answers a little too slowly
	stalling = "stalling-source" // it begins to answer, and stops
	lying    = "lying-source"    // it answers with what is not so
)

func badSources() []string { return []string{dripping, stalling, lying} }

// Send implements adversary.Strategy.
func (*badSource) Send(_ *adversary.Replica, envelopes []pbft.Envelope) []adversary.Packet {
	return asTheyAre(envelopes)
}

func asTheyAre(envelopes []pbft.Envelope) []adversary.Packet {
	out := make([]adversary.Packet, 0, len(envelopes))
	for _, e := range envelopes {
		out = append(out, adversary.Packet{Envelope: e})
	}
	return out
}

// dripRate is how many bytes a second come from a source that drips: half as many as
// another one is asked for.
const dripRate = 32 << 10

// source returns what kind of source a node is, nil for a good one.
func (c *corrupted) source() *badSource {
	if c == nil {
		return nil
	}
	s, _ := c.strategy.(*badSource)
	return s
}

// serves returns how long a reply of some bytes takes to leave a source, and whether it
// does at all.
func (c *corrupted) serves(a *ask, size int) (wait Time, ever bool) {
	s := c.source()
	a.given++
	switch {
	case s == nil:
	case s.name == stalling:
		return 0, a.given <= int(a.id%4)
	case s.name == dripping:
		now := c.n.w.now()
		s.free = max(s.free, now) + Time(size)*Second/dripRate
		return s.free - now, true
	}
	return 0, true
}

// bends returns what a source sends in place of an item.
func (c *corrupted) bends(blob []byte) []byte {
	s := c.source()
	if s == nil || s.name != lying || len(blob) == 0 || c.n.w.rnd.adversary.IntN(3) == 0 {
		return blob
	}
	bent, rnd := slices.Clone(blob), c.n.w.rnd.adversary
	switch rnd.IntN(3) {
	case 0:
		return bent[:rnd.IntN(len(bent))]
	case 1:
		return append(bent, bent...)
	default:
		bent[rnd.IntN(len(bent))] ^= 1 << rnd.IntN(8)
		return bent
	}
}

// swallows reports whether a source says of transactions that it has taken them, and drops
// them.
func (c *corrupted) swallows() bool {
	s := c.source()
	return s != nil && s.name == lying
}
