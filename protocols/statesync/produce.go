package statesync

import (
	"context"
	"fmt"
	"iter"
	"strings"
	"sync"
	"time"

	"github.com/decube/decube/internal/streams"
)

// piece is a message on its way to the writer. The last one of an answer is an END,
// an ERROR or a VERDICT.
type piece struct {
	head answer
	tail []byte
}

// producer asks the source for an answer. The writer takes one piece after the
// other from out and says when it has written each.
type producer struct {
	s       *Sync
	stream  *streams.Stream
	out     chan piece
	written chan struct{}
}

// send hands a piece over and returns when it was written.
func (p *producer) send(ctx context.Context, c piece) error {
	select {
	case p.out <- c:
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case <-p.written:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// answer produces the answer to a request.
func (p *producer) answer(ctx context.Context, r request) {
	last := piece{head: answer{kind: tellEnd}}
	var err error
	switch r.kind {
	case askHead:
		err = p.one(ctx, r, p.s.source.Head)
	case askChunk:
		err = p.one(ctx, r, func(ctx context.Context) ([]byte, error) { return p.s.source.Chunk(ctx, r.from, r.data) })
	case askBlocks:
		most := min(int(r.max), p.s.o.Limits.Blocks)
		last.head.more, err = p.some(ctx, r, most, p.s.source.Blocks(ctx, r.from, false))
	case askHops:
		last.head.more, err = p.some(ctx, r, p.s.o.Limits.Blocks, p.s.source.Hops(ctx, r.from))
	case askFollow:
		err = p.follow(ctx, r)
	case askBodies:
		err = p.all(ctx, r, p.s.source.Bodies(ctx, r.digest, r.ids))
	case askSubmit:
		last, err = p.submit(ctx, r)
	}
	if ctx.Err() != nil {
		return
	}
	if err != nil {
		p.s.o.Log.Debug("request refused", "peer", p.stream.Peer().String(), "err", err)
		p.s.o.Observer.Refused(p.stream.Peer(), err)
		last = piece{head: answer{kind: tellError, code: byte(codeOf(err))}}
	}
	_ = p.send(ctx, last) // it fails with ctx, and then nobody is there to be told
}

// item sends one item.
func (p *producer) item(ctx context.Context, r request, blob []byte) error {
	if len(blob) > r.kind.maxItem() {
		return fmt.Errorf("%w: an item of %d bytes, at most %d", ErrFailed, len(blob), r.kind.maxItem())
	}
	if len(blob) > small {
		if err := p.stream.Reserve(ctx, len(blob)); err != nil {
			return busy(err)
		}
		defer p.stream.Release(len(blob))
	}
	return p.send(ctx, piece{head: answer{kind: tellItem, length: len(blob)}, tail: blob})
}

func (p *producer) one(ctx context.Context, r request, get func(context.Context) ([]byte, error)) error {
	blob, err := get(ctx)
	if err != nil {
		return err
	}
	return p.item(ctx, r, blob)
}

// some sends items until there are no more or a limit is met, and reports whether
// that was it.
func (p *producer) some(ctx context.Context, r request, most int, items iter.Seq2[[]byte, error]) (more bool, err error) {
	sent, bytes := 0, int64(0)
	for blob, err := range items {
		if err != nil {
			return false, err
		}
		if sent > 0 && (sent == most || bytes+int64(len(blob)) > p.s.o.Limits.Bytes) {
			return true, nil
		}
		if err := p.item(ctx, r, blob); err != nil {
			return false, err
		}
		sent++
		bytes += int64(len(blob))
	}
	return false, nil
}

// all sends items until there are no more.
func (p *producer) all(ctx context.Context, r request, items iter.Seq2[[]byte, error]) error {
	for blob, err := range items {
		if err != nil {
			return err
		}
		if err := p.item(ctx, r, blob); err != nil {
			return err
		}
	}
	return nil
}

// follow sends blocks as they come, until this peer is about to stop or the source does. A
// block that has begun is sent to its end.
func (p *producer) follow(ctx context.Context, r request) error {
	following, cancel := context.WithCancel(ctx)
	defer cancel()
	var watch sync.WaitGroup
	defer watch.Wait()
	over := make(chan struct{})
	defer close(over)
	watch.Go(func() {
		select {
		case <-p.stream.Stopping():
			cancel()
		case <-over:
		}
	})
	for blob, err := range p.s.source.Blocks(following, r.from, true) {
		if following.Err() != nil {
			break // also where there is more to send at once
		}
		if err != nil {
			return err
		}
		if err := p.item(ctx, r, blob); err != nil {
			return err
		}
	}
	return fmt.Errorf("%w: the source stops", ErrBusy)
}

func (p *producer) submit(ctx context.Context, r request) (piece, error) {
	wait := p.s.o.Limits.SubmitTimeout
	if ms := uint64(wait / time.Millisecond); r.wait < ms {
		wait = time.Duration(r.wait) * time.Millisecond
	}
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	verdict, err := p.s.source.Submit(ctx, p.stream.Address(), r.data)
	if err != nil {
		return piece{}, err
	}
	detail := []byte(strings.ToValidUTF8(verdict.Detail[:min(len(verdict.Detail), MaxDetail)], ""))
	return piece{head: answer{kind: tellVerdict, code: verdict.Code, length: len(detail)}, tail: detail}, nil
}
