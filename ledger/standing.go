package ledger

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"

	"github.com/decube/decube/ledger/codec"
	"github.com/decube/decube/ledger/follow"
	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/ledger/receipt"
)

// What peers send to one that is behind, decoded and verified. All that depends on its
// form is here.

// trust is what certificates have shown of who orders the ledger's blocks: a light
// client for each set of validators from the one in office at the head to the latest
// that is proved. What was learned once is not verified again, whoever sends it.
type trust struct {
	mu     sync.Mutex
	chains []*receipt.Chain // in the order in which they were in office; never changed
	hops   []receipt.Hop    // hops[i] leads from chains[i] to the next
	ends   []*pbft.Decision // verified last blocks of epochs, which checkpoints need
}

// trusted returns the trust that this peer's head gives: nothing before is verified
// again.
func (l *Ledger) trusted() (*trust, error) {
	tip := l.tip.Load()
	chain, err := receipt.Resume(l.network, &tip.header, tip.next, l.votes)
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

// of returns the light client of the validators that order a block, nil if they are
// not known.
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

// keepUp learns from the archive what consensus has brought, and drops what is over.
func (s *syncer) keepUp(tip *head) {
	latest := s.trust.latest()
	if latest < tip.header.Seq {
		for hop, err := range s.archive.Hops(latest + 1) {
			if err == nil {
				err = s.trust.learn(hop)
			}
			if err != nil {
				s.log.Warn("the present validators cannot be read", "err", err)
				break
			}
		}
	}
	s.trust.forget(tip.header.Seq)
}

// fetchHead asks a source for its head, and for the hops between this peer's validators
// and the head's. Those are learned as they come: who drips them gives them all the
// same.
func (s *syncer) fetchHead(ctx context.Context, source Source) ([]byte, error) {
	blob, err := source.Head(ctx)
	if err != nil {
		return nil, err
	}
	h, err := codec.DecodeHead(blob)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBadSource, err)
	}
	have, known := s.tip.Load().header.Seq, true
	for _, d := range []*pbft.Decision{h.Tip, h.Checkpoint} {
		known = known && (d == nil || d.Header.Seq <= have || s.trust.covers(&d.Header))
	}
	if known {
		return blob, nil
	}
	for b, err := range source.Hops(ctx, s.trust.latest()+1) {
		if err != nil {
			return nil, err
		}
		hop, err := codec.DecodeHop(b)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrBadSource, err)
		}
		if hop.Header.Seq > h.Tip.Header.Seq {
			break // it has gone on meanwhile
		}
		if err := s.trust.learn(*hop); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrBadSource, err)
		}
	}
	return blob, nil
}

// checkHead verifies what a source says of itself. What is below this peer's own head,
// and not stored here, proves nothing and is no lie either.
func (s *syncer) checkHead(a follow.CheckHead) follow.HeadChecked {
	out := follow.HeadChecked{Job: a.Job}
	h, err := codec.DecodeHead(a.Blob)
	if err != nil {
		out.Lie = true
		return out
	}
	out.Standing.Earliest = h.Earliest
	for _, d := range []*pbft.Decision{h.Tip, h.Checkpoint} {
		if d == nil || d.Header.Seq == 0 {
			continue // nobody signs the first block, and it proves nothing
		}
		stored, proved, err := s.committed(d)
		switch {
		case err != nil:
			s.quiet.Write(slog.LevelDebug, "", "a head proves nothing", "err", err)
			out.Lie = true
			return out
		case stored != nil:
			out.Fork = &follow.Fork{First: stored, Second: d}
			return out
		case !proved:
			if d == h.Tip && d.Header.Seq > s.tip.Load().header.Seq {
				out.Lie = true // no hop leads to who has signed it
				return out
			}
		case d == h.Tip:
			out.Standing.Tip = d
		case s.startsBehind(h):
			out.Standing.Checkpoint = d
		}
	}
	return out
}

// committed reports whether a decision is proved, which it is not while it is unknown
// who ordered it, and returns an error for one that is wrong. What is stored in its
// place is returned when that is another block.
func (s *syncer) committed(d *pbft.Decision) (stored *pbft.Decision, proved bool, err error) {
	if stored, err = s.archive.Decision(d.Header.Seq); err != nil {
		stored = nil // beyond the head, or below a state that was installed
	} else if stored.Header == d.Header && stored.Cert.Digest == d.Cert.Digest {
		return nil, true, nil
	}
	chain := s.trust.of(&d.Header)
	switch {
	case chain != nil:
	case stored != nil:
		if chain, err = s.chainTo(d.Header.Seq); err != nil {
			return nil, false, err
		}
	default:
		return nil, false, nil
	}
	return stored, true, chain.VerifyHeader(&d.Header, &d.Cert)
}

// chainTo returns a light client of the validators that order a stored block.
func (s *syncer) chainTo(seq uint64) (*receipt.Chain, error) {
	c, err := receipt.NewChain(s.genesis, s.votes)
	if err != nil {
		return nil, err
	}
	hops, err := s.hopsBelow(seq)
	if err != nil {
		return nil, err
	}
	return c, c.Advance(hops...)
}

// hopsBelow returns the hops that this peer has stored below a block.
func (s *syncer) hopsBelow(seq uint64) ([]receipt.Hop, error) {
	var hops []receipt.Hop
	for hop, err := range s.archive.Hops(0) {
		if err != nil {
			return nil, err
		}
		if hop.Header.Seq >= seq {
			break
		}
		hops = append(hops, hop)
	}
	return hops, nil
}

// startsBehind reports whether whoever votes behind a head's checkpoint can know what
// its epoch begins with. The end of the epoch before comes with the head where no hop
// leads there: the same validators began the epoch by renewing one of them.
func (s *syncer) startsBehind(head *codec.Head) bool {
	h := &head.Checkpoint.Header
	if _, err := s.endBeforeState(h); err == nil {
		return true
	}
	end := head.End
	if end == nil || end.Header.Epoch != h.Epoch-1 || end.Header.Following() != h.Committee {
		return false
	}
	if _, proved, err := s.committed(end); err != nil || !proved {
		return false
	}
	s.trust.keepEnd(end)
	return true
}

// endBeforeState returns the last block of the epoch before a checkpoint's, nil where it
// is not needed.
func (s *syncer) endBeforeState(h *pbft.Header) (*pbft.Decision, error) {
	if h.Epoch == 0 || h.Last() {
		return nil, nil // it is not needed
	}
	if d := s.trust.end(h.Epoch - 1); d != nil {
		return d, nil
	}
	return s.archive.EpochEnd(h.Epoch - 1)
}

// checkBlocks verifies blocks that follow one another, up to the first that is wrong.
func (s *syncer) checkBlocks(a follow.CheckBlocks) follow.BlocksChecked {
	out := follow.BlocksChecked{Job: a.Job}
	after := a.After
	for blobs := a.Blobs; len(blobs) > 0; {
		blocks, lie := decodeRun(blobs, after)
		good, err := s.verifyRun(blocks)
		for _, f := range good {
			if f.decision.Header.Parent != after.Digest {
				first, _ := s.archive.Decision(after.Seq) // what is not stored yet is not shown
				if n := len(out.Blocks); n > 0 {
					first = out.Blocks[n-1].Decision()
				}
				out.Fork = &follow.Fork{First: first, Second: f.decision}
				return out
			}
			out.Blocks = append(out.Blocks, f)
			after = follow.Place{Seq: f.decision.Header.Seq, Digest: f.decision.Cert.Digest}
		}
		if err != nil {
			s.quiet.Write(slog.LevelDebug, "", "a block is not the ledger's", "err", err)
		}
		if lie || err != nil {
			out.Lie = true
			return out
		}
		blobs = blobs[len(good):]
	}
	return out
}

// decodeRun decodes blocks up to a change of the validators, or the first that is malformed or
// has other transactions than its header says.
func decodeRun(blobs [][]byte, after follow.Place) (blocks []*fetched, lie bool) {
	for i, b := range blobs {
		x, err := codec.DecodeBlock(b, codec.Limits{})
		if err != nil || x.Decision.Header.Seq != after.Seq+1+uint64(i) {
			return blocks, true
		}
		c, err := contentOf(&x.Decision.Header, x.Body)
		if err != nil {
			return blocks, true
		}
		blocks = append(blocks, &fetched{decision: x.Decision, content: c, next: x.Next})
		if x.Next != nil {
			break // by whom the next one is signed, this one has to show first
		}
	}
	return blocks, false
}

// verifyRun verifies the certificates of blocks that one set has ordered, and returns those before
// the first that is wrong.
func (s *syncer) verifyRun(blocks []*fetched) ([]*fetched, error) {
	if len(blocks) == 0 {
		return nil, nil
	}
	chain := s.trust.of(&blocks[0].decision.Header)
	if chain == nil {
		return nil, fmt.Errorf("%w: no hop leads to the validators of %v", ErrBadSource, &blocks[0].decision.Header)
	}
	decisions := make([]*pbft.Decision, len(blocks))
	for i, f := range blocks {
		decisions[i] = f.decision
	}
	verified, errs := chain.Verify(decisions...)
	for i, err := range errs {
		if err != nil {
			return blocks[:i], err
		}
		blocks[i].verified = verified[i]
	}
	if last := blocks[len(blocks)-1]; last.next != nil {
		hop := receipt.Hop{Header: last.decision.Header, Cert: last.decision.Cert, Validators: last.next}
		if err := s.trust.learn(hop); err != nil {
			return blocks[:len(blocks)-1], err
		}
	}
	return blocks, nil
}
