package shell

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/decube/decube/ledger/body"
	"github.com/decube/decube/ledger/codec"
	"github.com/decube/decube/ledger/driver"
	"github.com/decube/decube/ledger/exec"
	"github.com/decube/decube/ledger/follow"
	"github.com/decube/decube/ledger/genesis"
	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/ledger/receipt"
)

// errNoHop is why a block proves nothing yet.
var errNoHop = errors.New("no hop leads to the validators of this block")

// checkChain verifies what sources have sent, in order. All that depends on its form is
// in this file.
func (s *Shell) checkChain(_ context.Context, jobs []Job, results [][]driver.Event) error {
	for i := range jobs {
		e, _ := jobs[i].Effect.(driver.CheckChain)
		var out follow.Event
		switch a := e.Action.(type) {
		case follow.CheckHead:
			out = s.checkHead(a)
		case follow.CheckBlocks:
			out = s.checkBlocks(a)
		case follow.Build:
			out = s.build(a)
		case follow.AddChunk:
			out = s.addChunk(a)
		default:
			return fmt.Errorf("%T is not for checking", e.Action)
		}
		results[i] = []driver.Event{driver.ChainChecked{Event: out}}
	}
	return nil
}

// chainUnchecked answers what there was no room for.
func chainUnchecked(why error, refused driver.Effect) []driver.Event {
	e, ok := refused.(driver.CheckChain)
	if !ok || closed(why) {
		return nil
	}
	var job follow.JobID
	switch a := e.Action.(type) {
	case follow.CheckHead:
		job = a.Job
	case follow.CheckBlocks:
		job = a.Job
	case follow.Build:
		job = a.Job
	case follow.AddChunk:
		job = a.Job
	default:
		return nil
	}
	return []driver.Event{driver.ChainChecked{Event: follow.Failed{Job: job}}}
}

// checkHead verifies what a source says of itself. What is below this peer's own head,
// and not stored here, proves nothing and is no lie either.
func (s *Shell) checkHead(a follow.CheckHead) follow.HeadChecked {
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
			if head, _ := s.archive.Head(); d == h.Tip && d.Header.Seq > head {
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
func (s *Shell) committed(d *pbft.Decision) (stored *pbft.Decision, proved bool, err error) {
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
func (s *Shell) chainTo(seq uint64) (*receipt.Chain, error) {
	c, err := receipt.NewChain(s.o.Genesis, s.o.Ballots)
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
func (s *Shell) hopsBelow(seq uint64) ([]receipt.Hop, error) {
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
func (s *Shell) startsBehind(head *codec.Head) bool {
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
func (s *Shell) endBeforeState(h *pbft.Header) (*pbft.Decision, error) {
	if h.Epoch == 0 || h.Last() {
		return nil, nil // it is not needed
	}
	if d := s.trust.end(h.Epoch - 1); d != nil {
		return d, nil
	}
	return s.archive.EpochEnd(h.Epoch - 1)
}

// checkBlocks verifies blocks that follow one another, up to the first that is wrong.
func (s *Shell) checkBlocks(a follow.CheckBlocks) follow.BlocksChecked {
	out := follow.BlocksChecked{Job: a.Job}
	after := a.After
	for blobs := a.Blobs; len(blobs) > 0; {
		blocks, lie := decodeRun(blobs, after)
		good, err := s.verifyRun(blocks)
		for _, f := range good {
			d := f.Decision()
			if d.Header.Parent != after.Digest {
				first, _ := s.archive.Decision(after.Seq) // what is not stored yet is not shown
				if n := len(out.Blocks); n > 0 {
					first = out.Blocks[n-1].Decision()
				}
				out.Fork = &follow.Fork{First: first, Second: d}
				return out
			}
			out.Blocks = append(out.Blocks, f)
			after = follow.Place{Seq: d.Header.Seq, Digest: d.Cert.Digest}
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

// decoded is a block from a source whose certificate was not looked at.
type decoded struct {
	decision *pbft.Decision
	content  *body.Content
	next     genesis.ValidatorSet
}

// decodeRun decodes blocks up to a change of the validators, or the first that is
// malformed or has other transactions than its header says.
func decodeRun(blobs [][]byte, after follow.Place) (blocks []decoded, lie bool) {
	for i, b := range blobs {
		x, err := codec.DecodeBlock(b, codec.Limits{})
		if err != nil || x.Decision.Header.Seq != after.Seq+1+uint64(i) {
			return blocks, true
		}
		c, err := contentOf(&x.Decision.Header, x.Body)
		if err != nil {
			return blocks, true
		}
		blocks = append(blocks, decoded{x.Decision, c, x.Next})
		if x.Next != nil {
			break // by whom the next one is signed, this one has to show first
		}
	}
	return blocks, false
}

// verifyRun verifies the certificates of blocks that one set has ordered, and returns
// those before the first that is wrong.
func (s *Shell) verifyRun(blocks []decoded) ([]*driver.Fetched, error) {
	if len(blocks) == 0 {
		return nil, nil
	}
	chain, err := s.chainOf(&blocks[0].decision.Header)
	if err != nil {
		return nil, err
	}
	decisions := make([]*pbft.Decision, len(blocks))
	for i := range blocks {
		decisions[i] = blocks[i].decision
	}
	verified, errs := chain.Verify(decisions...)
	good := make([]*driver.Fetched, 0, len(blocks))
	for i, err := range errs {
		if err != nil {
			return good, err
		}
		good = append(good, &driver.Fetched{Verified: verified[i], Content: blocks[i].content, Next: blocks[i].next})
	}
	if last := &blocks[len(blocks)-1]; last.next != nil {
		hop := receipt.Hop{Header: last.decision.Header, Cert: last.decision.Cert, Validators: last.next}
		if err := s.trust.learn(hop); err != nil {
			return good[:len(good)-1], err
		}
	}
	return good, nil
}

// chainOf returns a light client of the validators that order a block. Those of a block
// that consensus has brought here while a source was sending it may be out of office by
// now: the source is not to blame for that.
func (s *Shell) chainOf(h *pbft.Header) (*receipt.Chain, error) {
	if chain := s.trust.of(h); chain != nil {
		return chain, nil
	}
	if head, _ := s.archive.Head(); h.Seq <= head {
		return s.chainTo(h.Seq)
	}
	return nil, fmt.Errorf("%w: %v", errNoHop, h)
}

// contentOf decodes the body of a committed block. The error wraps exec.ErrBody when it
// is not the one that the header names.
func contentOf(h *pbft.Header, encoded []byte) (*body.Content, error) {
	c, err := body.Decode(encoded)
	if err != nil {
		return nil, err
	}
	if c.Root() != h.Body {
		return nil, fmt.Errorf("%w: block %d", exec.ErrBody, h.Seq)
	}
	return c, nil
}
