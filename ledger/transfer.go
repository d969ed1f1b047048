package ledger

import (
	"context"
	"errors"
	"fmt"

	"github.com/decube/decube/ledger/archive"
	"github.com/decube/decube/ledger/codec"
	"github.com/decube/decube/ledger/genesis"
	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/ledger/receipt"
	"github.com/decube/decube/ledger/smt"
)

// transfer fetches the state at a peer's checkpoint, part by part. Nothing of it is
// believed on the peer's word: the validators between this peer's and the checkpoint's
// are proved by hops, the checkpoint by its certificate, and each part by the state root
// in it. A transfer that was interrupted goes on where it ended.
func (l *Ledger) transfer(ctx context.Context, s *standing) error {
	d := s.head.Checkpoint
	if d.Header.Seq <= l.tip.Load().header.Seq {
		return nil
	}
	chain, err := l.chain()
	if err != nil {
		return err
	}
	known, err := l.hopsUpTo(chain.Seq())
	if err != nil {
		return err
	}
	hops, last, err := fetchHops(ctx, s, chain, d.Header.Seq)
	if err != nil {
		return err
	}
	verified, errs := chain.Verify(d)
	if errs[0] != nil {
		return fmt.Errorf("%w: checkpoint %d: %w", errBadSource, d.Header.Seq, errs[0])
	}
	end, err := l.epochBefore(s.head, chain, hops)
	if err != nil {
		return fmt.Errorf("%w: before checkpoint %d: %w", errBadSource, d.Header.Seq, err)
	}
	if receipt.Leads(&d.Header) {
		// The certificate that was verified is the checkpoint's own.
		hop := receipt.Hop{Header: d.Header, Cert: d.Cert, Validators: last}
		if err := chain.Advance(hop); err != nil {
			return fmt.Errorf("%w: %w", errBadSource, err)
		}
		hops = append(hops, hop)
	}
	t, err := l.archive.Transfer(d)
	if err != nil {
		return err
	}
	l.log.Info("fetching the state", "block", d.Header.Seq, "peer", s.Name())
	for next, more := t.Next(); more; next, more = t.Next() {
		b, err := s.Chunk(ctx, d.Header.Seq, next[:])
		if err != nil {
			return err
		}
		c, err := smt.ParseChunk(b)
		if err != nil {
			return fmt.Errorf("%w: %w", errBadSource, err)
		}
		if err := t.Add(c); err != nil {
			return fmt.Errorf("%w: %w", errBadSource, err)
		}
	}
	done := make(chan error, 1)
	l.exec.box.put(install{t, append(known, hops...), end, verified[0], done})
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// fetchHops fetches the hops that lead from the chain to the validators who order a
// block, and has the chain go them. It also returns the validators that a peer says
// come after the block, if it is a hop itself.
func fetchHops(ctx context.Context, s *standing, chain *receipt.Chain, seq uint64) (hops []receipt.Hop, last genesis.ValidatorSet, err error) {
	for b, err := range s.Hops(ctx, chain.Seq()+1) {
		if err != nil {
			return nil, nil, err
		}
		hop, err := codec.DecodeHop(b)
		if err != nil {
			return nil, nil, fmt.Errorf("%w: %w", errBadSource, err)
		}
		if hop.Header.Seq == seq {
			last = hop.Validators
		}
		if hop.Header.Seq >= seq {
			break
		}
		if err := chain.Advance(*hop); err != nil {
			return nil, nil, fmt.Errorf("%w: %w", errBadSource, err)
		}
		hops = append(hops, *hop)
	}
	return hops, last, nil
}

// epochBefore returns the last block of the epoch before a peer's checkpoint, which
// whoever votes behind the checkpoint begins with. It is nil where it is not needed.
// The chain is with those who order the checkpoint, behind the hops that led there.
func (l *Ledger) epochBefore(head *codec.Head, chain *receipt.Chain, hops []receipt.Hop) (*pbft.Decision, error) {
	h := &head.Checkpoint.Header
	if h.Epoch == 0 || h.Last() {
		return nil, nil //nolint:nilnil // it is not needed
	}
	if n := len(hops); n > 0 && hops[n-1].Header.Epoch == h.Epoch-1 {
		return &pbft.Decision{Header: hops[n-1].Header, Cert: hops[n-1].Cert}, nil
	}
	// This peer may be in the checkpoint's epoch already.
	if d, err := l.archive.EpochEnd(h.Epoch - 1); err == nil || !errors.Is(err, archive.ErrNotFound) {
		return d, err
	}
	// No hop leads there: the same validators began the epoch by renewing one of them.
	if head.End == nil || head.End.Header.Epoch != h.Epoch-1 || head.End.Header.Following() != h.Committee {
		return nil, fmt.Errorf("the end of epoch %d is missing", h.Epoch-1)
	}
	return head.End, chain.VerifyHeader(&head.End.Header, &head.End.Cert)
}

// hopsUpTo returns the hops that this peer has, up to a block.
func (l *Ledger) hopsUpTo(seq uint64) ([]receipt.Hop, error) {
	var hops []receipt.Hop
	for hop, err := range l.archive.Hops(0) {
		if err != nil {
			return nil, err
		}
		if hop.Header.Seq > seq {
			break
		}
		hops = append(hops, hop)
	}
	return hops, nil
}
