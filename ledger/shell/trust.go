package shell

import (
	"slices"
	"sync"

	"github.com/decube/decube/internal/sig"
	"github.com/decube/decube/ledger/driver"
	"github.com/decube/decube/ledger/follow"
	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/ledger/receipt"
)

// trust is what certificates have shown of who orders the ledger's blocks: a light
// client for each set of validators from the one in office at the head to the latest
// that is proved. What was learned once is not verified again, whoever sends it. It is
// safe for concurrent use.
type trust struct {
	mu     sync.Mutex
	chains []*receipt.Chain // in the order in which they were in office; never changed
	hops   []receipt.Hop    // hops[i] leads from chains[i] to the next
	ends   []*pbft.Decision // verified last blocks of epochs, which checkpoints need
}

// trustIn returns the trust that this peer's head gives: nothing before is verified
// again.
func trustIn(head *driver.Head, network [32]byte, ballots sig.Checker) (*trust, error) {
	chain, err := receipt.Resume(network, &head.Header, head.Next, ballots)
	if err != nil {
		return nil, err
	}
	return &trust{chains: []*receipt.Chain{chain}}, nil
}

// latest returns the block that made the latest set the one in office.
func (t *trust) latest() uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.chains[len(t.chains)-1].Seq()
}

// of returns the light client of the validators that order a block, nil if they are not
// known.
func (t *trust) of(h *pbft.Header) *receipt.Chain {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, c := range slices.Backward(t.chains) {
		if c.Set() == h.Committee && c.Seq() < h.Seq {
			return c
		}
	}
	return nil
}

// covers reports whether it is known who orders a block, and who the one after it.
func (t *trust) covers(h *pbft.Header) bool {
	if t.of(h) == nil {
		return false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return !receipt.Leads(h) || slices.ContainsFunc(t.hops, func(hop receipt.Hop) bool { return hop.Header == *h })
}

// learn takes up a hop from the latest set, once it is verified. What is known is not
// looked at.
func (t *trust) learn(hop receipt.Hop) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	last := t.chains[len(t.chains)-1]
	if hop.Header.Seq <= last.Seq() {
		return nil
	}
	next := *last
	if err := next.Advance(hop); err != nil {
		return err
	}
	t.chains, t.hops = append(t.chains, &next), append(t.hops, hop)
	return nil
}

// forget drops the sets that are not in office any more after a block.
func (t *trust) forget(seq uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for len(t.chains) > 1 && t.chains[1].Seq() <= seq {
		t.chains, t.hops = t.chains[1:], t.hops[1:]
	}
}

// between returns the hops that were learned above a block, up to another.
func (t *trust) between(above, upTo uint64) []receipt.Hop {
	t.mu.Lock()
	defer t.mu.Unlock()
	var out []receipt.Hop
	for _, hop := range t.hops {
		if hop.Header.Seq > above && hop.Header.Seq <= upTo {
			out = append(out, hop)
		}
	}
	return out
}

// keepEnd remembers the verified last block of an epoch, for a few epochs.
func (t *trust) keepEnd(d *pbft.Decision) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ends = append(t.ends, d)
	if len(t.ends) > follow.MaxSources {
		t.ends = t.ends[1:]
	}
}

// end returns the last block of an epoch if it is remembered, or was a hop.
func (t *trust) end(epoch uint64) *pbft.Decision {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i := range t.hops {
		if hop := &t.hops[i]; hop.Header.Epoch == epoch {
			return &pbft.Decision{Header: hop.Header, Cert: hop.Cert}
		}
	}
	for _, d := range t.ends {
		if d.Header.Epoch == epoch {
			return d
		}
	}
	return nil
}

// keepUp learns from the archive which sets its blocks have led to, up to the head, and
// drops those whose time is over.
func (s *Shell) keepUp(head uint64, leads bool) {
	if latest := s.trust.latest(); leads && latest < head {
		for hop, err := range s.archive.Hops(latest + 1) {
			if err == nil {
				err = s.trust.learn(hop)
			}
			if err != nil {
				s.o.Log.Warn("the present validators cannot be read", "err", err)
				break
			}
		}
	}
	s.trust.forget(head)
}
