package ledger

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/decube/decube/ledger/archive"
	"github.com/decube/decube/ledger/codec"
	"github.com/decube/decube/ledger/genesis"
	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/ledger/receipt"
	"github.com/decube/decube/ledger/tx"
)

// What this peer serves to others. Whoever asks verifies what it gets.

// ServeHead returns how far this peer is, as a [codec.Head].
func (l *Ledger) ServeHead(context.Context) ([]byte, error) {
	tip, err := l.archive.Decision(l.tip.Load().header.Seq)
	if err != nil {
		return nil, err
	}
	h := codec.Head{Tip: tip, Earliest: l.archive.Earliest()}
	stable, err := l.archive.Stable()
	if err != nil {
		return nil, err
	}
	if stable != nil {
		// A checkpoint that this peer has only heard of is none that it can serve.
		h.Checkpoint, err = l.archive.Decision(stable.Seq)
		if err != nil && !errors.Is(err, archive.ErrNotFound) && !errors.Is(err, archive.ErrPruned) {
			return nil, err
		}
		if h.End, err = l.endBefore(h.Checkpoint); err != nil {
			return nil, err
		}
	}
	return codec.AppendHead(nil, &h), nil
}

// endBefore returns the last block of the epoch before a checkpoint's, or nil.
func (l *Ledger) endBefore(checkpoint *pbft.Decision) (*pbft.Decision, error) {
	if checkpoint == nil || checkpoint.Header.Epoch == 0 {
		return nil, nil // there is none
	}
	d, err := l.archive.EpochEnd(checkpoint.Header.Epoch - 1)
	if errors.Is(err, archive.ErrNotFound) {
		return nil, nil // the checkpoint ends its own epoch, and was installed here itself
	}
	return d, err
}

// ServeBlocks yields blocks from a sequence number on, as [codec.Block] each,
// and ends at the tip; with follow it waits there for new ones.
func (l *Ledger) ServeBlocks(ctx context.Context, from uint64, follow bool) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		for seq := max(from, 1); ; {
			moved := l.moved.wait()
			for ; seq <= l.tip.Load().header.Seq; seq++ {
				b, err := l.serveBlock(seq)
				if !yield(b, err) || err != nil {
					return
				}
			}
			if !follow {
				return
			}
			select {
			case <-moved:
			case <-l.closing:
				return
			case <-ctx.Done():
				return
			}
		}
	}
}

func (l *Ledger) serveBlock(seq uint64) ([]byte, error) {
	d, err := l.archive.Decision(seq)
	if err != nil {
		return nil, stored(seq, err)
	}
	body, err := l.archive.Body(seq)
	if err != nil {
		return nil, stored(seq, err)
	}
	var next genesis.ValidatorSet
	if receipt.Leads(&d.Header) {
		hop, err := l.archive.Hop(seq)
		if err != nil {
			return nil, err
		}
		next = hop.Validators
	}
	return codec.AppendBlock(nil, &codec.Block{Decision: d, Body: body, Next: next}), nil
}

// stored turns the archive's errors into this package's.
func stored(seq uint64, err error) error {
	switch {
	case errors.Is(err, archive.ErrPruned):
		return fmt.Errorf("%w: block %d", ErrPruned, seq)
	case errors.Is(err, archive.ErrNotFound):
		return fmt.Errorf("%w: block %d", ErrNotFound, seq)
	}
	return err
}

// ServeChunk returns a part of the state at a checkpoint.
func (l *Ledger) ServeChunk(_ context.Context, seq uint64, start []byte) ([]byte, error) {
	m, err := l.archive.StateAt(seq)
	if err != nil {
		return nil, stored(seq, err)
	}
	var path [32]byte
	if len(start) > len(path) {
		return nil, fmt.Errorf("%w: a path of %d bytes", ErrNotFound, len(start))
	}
	copy(path[:], start)
	c, err := m.Chunk(path, chunkSize)
	if err != nil {
		return nil, err
	}
	return c.AppendBinary(nil)
}

// chunkSize is about how large a part of the state is that is served at a time.
const chunkSize = 1 << 20

// ServeHops yields the changes of the validators from a block on, as codec.AppendHop
// writes each.
func (l *Ledger) ServeHops(_ context.Context, from uint64) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		for hop, err := range l.archive.Hops(from) {
			if err != nil {
				yield(nil, err)
				return
			}
			if !yield(codec.AppendHop(nil, &hop), nil) {
				return
			}
		}
	}
}

// ServeSubmit takes a transaction from a peer and returns nil once it is
// committed, else why not.
func (l *Ledger) ServeSubmit(ctx context.Context, raw []byte) error {
	t, err := tx.Decode(raw)
	if err != nil {
		return err
	}
	_, err = l.Submit(ctx, t)
	return err
}
