package statesync

import (
	"context"
	"fmt"
	"iter"
	"time"
	"unicode/utf8"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/decube/decube/internal/wire"
)

// Peer is a peer to ask. Every method ends with its context. Errors of the peer
// wrap ErrRefused, ErrNotFound, ErrPruned, ErrBusy or ErrFailed, a breach of the
// protocol wraps ErrMalformed, and one that stands still ErrStalled. Blobs are the
// caller's; nothing about them is verified but their size.
type Peer struct {
	s  *Sync
	id peer.ID
}

// Name returns the peer's ID.
func (p *Peer) Name() string { return p.id.String() }

// ID returns the peer's ID.
func (p *Peer) ID() peer.ID { return p.id }

// Head returns how far the peer's ledger is.
func (p *Peer) Head(ctx context.Context) ([]byte, error) {
	return p.one(ctx, request{kind: askHead})
}

// Chunk returns the part of the state at checkpoint seq that begins at start, which
// is at most MaxStart bytes.
func (p *Peer) Chunk(ctx context.Context, seq uint64, start []byte) ([]byte, error) {
	return p.one(ctx, request{kind: askChunk, from: seq, data: start})
}

// Blocks yields up to count blocks from a sequence number on, in order and without
// gaps, as the peer sends them: it asks again while there are more, and ends at the
// peer's tip. A block of more than largest bytes, or MaxBlock if that is less, is not
// read: the error is ErrOversize.
func (p *Peer) Blocks(ctx context.Context, from uint64, count, largest int) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		r := request{kind: askBlocks, from: from, max: uint64(min(count, MaxRun)), largest: largest}
		for blob, err := range p.run(ctx, r, r.max) {
			if count--; !yield(blob, err) || err != nil || count == 0 {
				return
			}
		}
	}
}

// Follow yields the blocks from a sequence number on, and goes on with new ones as they
// are committed. Largest is as for Blocks.
func (p *Peer) Follow(ctx context.Context, from uint64, largest int) iter.Seq2[[]byte, error] {
	return p.run(ctx, request{kind: askFollow, from: from, largest: largest}, wire.MaxUvarint)
}

// Hops yields the changes of the validators from a block on.
func (p *Peer) Hops(ctx context.Context, from uint64) iter.Seq2[[]byte, error] {
	return p.run(ctx, request{kind: askHops, from: from}, wire.MaxUvarint)
}

// Bodies yields the transactions of a proposal that ids name, in their order, empty
// where the peer does not hold it. At most MaxRun may be asked for.
func (p *Peer) Bodies(ctx context.Context, digest [32]byte, ids [][32]byte) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		n := uint64(0)
		for blob, err := range p.run(ctx, request{kind: askBodies, digest: digest, ids: ids}, uint64(len(ids))) {
			n++
			if !yield(blob, err) || err != nil {
				return
			}
		}
		if n != uint64(len(ids)) {
			yield(nil, p.failed("bodies", malformed("%d items for %d IDs", n, len(ids))))
		}
	}
}

// Submit hands a transaction of at most MaxTransaction bytes in and returns what
// became of it. The peer is given until shortly before ctx ends to tell.
func (p *Peer) Submit(ctx context.Context, transaction []byte) (Verdict, error) {
	wait := p.s.o.Limits.SubmitTimeout
	if deadline, ok := ctx.Deadline(); ok {
		left := time.Until(deadline)
		wait = min(wait, left-left/16)
	}
	r := request{kind: askSubmit, wait: uint64(max(0, wait.Milliseconds())), data: transaction}
	if err := r.check(); err != nil {
		return Verdict{}, p.failed("submit", err)
	}
	c, err := p.s.open(ctx, p.id, r)
	if err != nil {
		return Verdict{}, p.failed("submit", err)
	}
	defer c.close()
	a, detail, err := c.next(ctx)
	switch {
	case err != nil:
		return Verdict{}, p.failed("submit", err)
	case a.kind != tellVerdict || !utf8.Valid(detail):
		return Verdict{}, p.failed("submit", malformed("a message of kind 0x%02x instead of a verdict in UTF-8", byte(a.kind)))
	}
	return Verdict{Code: a.code, Detail: string(detail)}, nil
}

// check returns ErrRefused for a request that every peer would refuse.
func (r *request) check() error {
	switch {
	case r.from > wire.MaxUvarint, len(r.ids) > MaxRun,
		r.kind == askChunk && len(r.data) > MaxStart,
		r.kind == askSubmit && (len(r.data) == 0 || len(r.data) > MaxTransaction):
		return fmt.Errorf("%w: out of range", ErrRefused)
	}
	return nil
}

func (p *Peer) failed(what string, err error) error {
	return fmt.Errorf("%s from %s: %w", what, p.id, err)
}

// one returns the only item of an answer.
func (p *Peer) one(ctx context.Context, r request) ([]byte, error) {
	var got []byte
	n := 0
	for blob, err := range p.run(ctx, r, 1) {
		if err != nil {
			return nil, err
		}
		got = blob
		n++
	}
	if n != 1 {
		return nil, p.failed(r.kind.String(), malformed("no item"))
	}
	return got, nil
}

// run yields the items of an answer, at most limit of each request, and asks for
// more while the peer says that there are.
func (p *Peer) run(ctx context.Context, r request, limit uint64) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		if r.kind == askBodies && len(r.ids) == 0 {
			return
		}
		for r := r; ; {
			n, more, goOn, err := p.items(ctx, r, limit, yield)
			switch {
			case !goOn:
				return
			case err == nil && more && n == 0:
				err = malformed("no items, but more")
			case err == nil && more && r.kind != askBlocks && r.kind != askHops:
				err = malformed("more than was asked for")
			}
			if err != nil {
				yield(nil, p.failed(r.kind.String(), err))
				return
			}
			if !more {
				return
			}
			r.from += n
		}
	}
}

// items yields the items of one request. It reports how many there were, whether
// the peer has more, and whether the caller wants more.
func (p *Peer) items(ctx context.Context, r request, limit uint64, yield func([]byte, error) bool) (n uint64, more, goOn bool, err error) {
	if err := r.check(); err != nil {
		return 0, false, true, err
	}
	c, err := p.s.open(ctx, p.id, r)
	if err != nil {
		return 0, false, true, err
	}
	defer c.close()
	for {
		a, blob, err := c.next(ctx)
		switch {
		case err != nil:
			return n, false, true, err
		case a.kind == tellEnd && r.kind == askFollow:
			return n, false, true, malformed("an end of what goes on")
		case a.kind == tellEnd:
			return n, a.more, true, nil
		case a.kind != tellItem || n == limit:
			return n, false, true, malformed("a message of kind 0x%02x after %d items", byte(a.kind), n)
		}
		n++
		if !yield(blob, nil) {
			return n, false, false, nil
		}
	}
}

// String returns the kind's name.
func (a ask) String() string {
	switch a {
	case askHead:
		return "head"
	case askBlocks:
		return "blocks"
	case askFollow:
		return "follow"
	case askChunk:
		return "chunk"
	case askHops:
		return "hops"
	case askSubmit:
		return "submit"
	case askBodies:
		return "bodies"
	default:
		return fmt.Sprintf("request of kind 0x%02x", byte(a))
	}
}
