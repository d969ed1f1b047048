package ledger

import (
	"context"
	"fmt"

	"github.com/decube/decube/ledger/codec"
	"github.com/decube/decube/ledger/receipt"
	"github.com/decube/decube/ledger/smt"
)

// transfer fetches the state at a peer's checkpoint, part by part. Nothing of it is
// taken on the peer's word: the committees between genesis and the checkpoint are
// proved by the transitions, the checkpoint by its certificate, and each part by
// the state root in it. A transfer that was interrupted goes on where it ended.
func (l *Ledger) transfer(ctx context.Context, s *standing) error {
	d := s.head.Checkpoint
	if d.Header.Seq <= l.tip.Load().header.Seq {
		return nil
	}
	chain, err := receipt.NewChain(l.genesis, l.votes)
	if err != nil {
		return err
	}
	transitions, err := l.fetchTransitions(ctx, s, chain, d.Header.Epoch)
	if err != nil {
		return err
	}
	verified, errs := chain.Verify(d)
	if errs[0] != nil {
		return fmt.Errorf("%w: checkpoint %d: %w", errBadSource, d.Header.Seq, errs[0])
	}
	if d.Header.Last() {
		last, err := l.fetchTransition(ctx, s, d.Header.Epoch)
		if err != nil {
			return err
		}
		if last.Header != d.Header {
			return fmt.Errorf("%w: checkpoint %d ends its epoch, and its transition is another", errBadSource, d.Header.Seq)
		}
		if err := chain.Advance(*last); err != nil {
			return fmt.Errorf("%w: %w", errBadSource, err)
		}
		transitions = append(transitions, *last)
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
	l.exec.box.put(install{t, transitions, verified[0], done})
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// fetchTransitions takes a chain from the first epoch to another.
func (l *Ledger) fetchTransitions(ctx context.Context, s *standing, chain *receipt.Chain, to uint64) ([]receipt.Transition, error) {
	var all []receipt.Transition
	if to == 0 {
		return nil, nil
	}
	for b, err := range s.Epochs(ctx, 0) {
		if err != nil {
			return nil, err
		}
		t, err := codec.DecodeTransition(b)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", errBadSource, err)
		}
		if err := chain.Advance(*t); err != nil {
			return nil, fmt.Errorf("%w: %w", errBadSource, err)
		}
		if all = append(all, *t); uint64(len(all)) == to {
			return all, nil
		}
	}
	return nil, fmt.Errorf("%w: %d of %d changes of the committee", errBadSource, len(all), to)
}

// fetchTransition returns how one epoch ended, as a peer says.
func (l *Ledger) fetchTransition(ctx context.Context, s *standing, epoch uint64) (*receipt.Transition, error) {
	for b, err := range s.Epochs(ctx, epoch) {
		if err != nil {
			return nil, err
		}
		return codec.DecodeTransition(b)
	}
	return nil, fmt.Errorf("%w: the end of epoch %d is missing", errBadSource, epoch)
}
