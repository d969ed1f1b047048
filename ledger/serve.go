package ledger

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/netip"

	"github.com/decube/decube/ledger/archive"
	"github.com/decube/decube/ledger/intake"
	"github.com/decube/decube/ledger/tx"
)

// What this peer serves to others. Whoever asks verifies what it gets.

// ServeHead returns how far this peer is, as a [codec.Head].
func (l *Ledger) ServeHead(context.Context) ([]byte, error) { return l.shell.Head() }

// ServeBlocks yields blocks from a sequence number on, as [codec.Block] each,
// and ends at the tip; with follow it waits there for new ones.
func (l *Ledger) ServeBlocks(ctx context.Context, from uint64, follow bool) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		for seq := max(from, 1); ; {
			moved := l.callers.moved.wait()
			for ; seq <= l.head().Header.Seq; seq++ {
				b, err := l.shell.Block(seq)
				if !yield(b, stored(seq, err)) || err != nil {
					return
				}
			}
			if !follow {
				return
			}
			select {
			case <-moved:
			case <-l.closing.begun:
				return
			case <-ctx.Done():
				return
			}
		}
	}
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
	b, err := l.shell.Chunk(seq, start)
	return b, stored(seq, err)
}

// ServeHops yields the changes of the validators from a block on, as codec.AppendHop
// writes each.
func (l *Ledger) ServeHops(_ context.Context, from uint64) iter.Seq2[[]byte, error] {
	return l.shell.Hops(from)
}

// ServeSubmit takes a transaction from a peer at an address, which may be the zero one
// where that is not known, and returns nil once it is committed, else why not.
func (l *Ledger) ServeSubmit(ctx context.Context, from netip.Addr, raw []byte) error {
	t, err := tx.Decode(raw)
	if err != nil {
		return err
	}
	source := intake.Local()
	if !from.Unmap().IsLoopback() {
		source = intake.Follower(from)
	}
	_, err = l.submit(ctx, source, t)
	return err
}
