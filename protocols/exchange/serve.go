package exchange

import (
	"context"
	"errors"
	"fmt"
	"math/bits"

	pool "github.com/libp2p/go-buffer-pool"

	"github.com/decube/decube/block"
	"github.com/decube/decube/internal/streams"
)

const (
	// writeStep is the most bytes written at a time: each step has its own turn and its
	// own share of the upload rate.
	writeStep = 256 << 10
	// minWriteStep is the least bytes written at a time.
	minWriteStep = 8 << 10
	// minUploadRate lets a step pass well before the other side sees a stall.
	minUploadRate = 64 << 10
)

// outgoing is a piece of an answer on its way to the writer.
type outgoing struct {
	head answer
	tail []byte // a bitmap, or a block's bytes
	buf  []byte // from the pool and reserved, or nil; tail may lie in it
	last bool   // the request is answered
}

// reserve takes a buffer for a block, accounted for as large as the pool will make it.
func (v *serving) reserve(ctx context.Context, size int) ([]byte, error) {
	size = 1 << bits.Len(uint(size-1))
	if err := v.stream.Reserve(ctx, size); errors.Is(err, streams.ErrMemory) {
		return nil, fmt.Errorf("%w: %w", codeBusy, err)
	} else if err != nil {
		return nil, err
	}
	return pool.Get(size), nil
}

func (v *serving) release(buf []byte) {
	if buf != nil {
		v.stream.Release(cap(buf))
		pool.Put(buf)
	}
}

// produce turns requests into answers.
func (v *serving) produce(ctx context.Context) error {
	defer close(v.answers)
	for req := range v.requests {
		err := v.answer(ctx, req)
		if c, ok := errors.AsType[code](err); ok {
			v.x.log.Debug("request refused", "peer", v.stream.Peer().String(), "err", err)
			err = v.send(ctx, &outgoing{head: answer{kind: tellError, id: req.id, code: c}, last: true})
		}
		if err != nil {
			return err
		}
		v.answered(req.id)
	}
	return nil
}

func (v *serving) answer(ctx context.Context, req request) error {
	switch req.kind {
	case askHave:
		return v.answerHave(ctx, req)
	case askRanges:
		return v.answerRanges(ctx, req)
	case askBlocks:
		return v.answerBlocks(ctx, req)
	case askKeep:
	}
	return codeBadRequest
}

func (v *serving) answerHave(ctx context.Context, req request) error {
	held, total, err := v.manifests.holdings(ctx, req.root)
	if err != nil {
		return err
	}
	o := &outgoing{head: answer{kind: tellHave, id: req.id, total: total}, last: true}
	switch held.count() {
	case total:
		o.head.form = formAll
	case 0:
		o.head.form = formNone
	default:
		o.head.form = formSome
		o.tail = appendBitmap(nil, held, total)
	}
	return v.send(ctx, o)
}

func (v *serving) answerRanges(ctx context.Context, req request) error {
	index, err := v.manifests.index(ctx, req.root)
	if err != nil {
		return err
	}
	if last := req.spans[len(req.spans)-1]; last.from+last.count > index.Len() {
		return fmt.Errorf("%w: ordinal %d of %d", codeBadRequest, last.from+last.count-1, index.Len())
	}
	run := run{serving: v, id: req.id}
	for _, s := range req.spans {
		for i := s.from; i < s.from+s.count; i++ {
			id, size := index.At(i)
			if more, err := run.next(ctx, i, id, size); err != nil {
				return err
			} else if !more {
				return run.end(ctx)
			}
		}
	}
	return run.end(ctx)
}

func (v *serving) answerBlocks(ctx context.Context, req request) error {
	run := run{serving: v, id: req.id}
	for i, id := range req.ids {
		if more, err := run.next(ctx, i, id, block.MaxSize); err != nil {
			return err
		} else if !more {
			break
		}
	}
	return run.end(ctx)
}

// run is the answer to one request for blocks. Blocks that are missing are told
// together, before the next that is not.
type run struct {
	*serving
	id      uint64
	done    int
	missing span
}

// next answers one position, and reports whether the client wants more.
func (r *run) next(ctx context.Context, position int, id block.ID, size int) (bool, error) {
	if r.done >= r.kept(r.id) {
		return false, nil
	}
	r.done++
	o, err := r.read(ctx, position, id, size)
	switch {
	case ctx.Err() != nil:
		return false, ctx.Err()
	case err == nil:
		return true, errors.Join(r.tellMissing(ctx), r.send(ctx, o))
	case isCode(err):
		return false, err
	case !errors.Is(err, block.ErrNotFound):
		r.x.log.Debug("block not served", "id", id.String(), "err", err)
	}
	if r.missing.count > 0 && r.missing.from+r.missing.count != position {
		if err := r.tellMissing(ctx); err != nil {
			return false, err
		}
	}
	if r.missing.count == 0 {
		r.missing.from = position
	}
	r.missing.count++
	return true, nil
}

// read reads a block to where its header fits in front of it. It is not hashed, only
// compared with a checksum: the client hashes it, whoever it came from.
func (r *run) read(ctx context.Context, position int, id block.ID, size int) (*outgoing, error) {
	buf, err := r.reserve(ctx, maxHeader+min(size, block.MaxSize))
	if err != nil {
		return nil, err
	}
	data, err := r.x.store.GetSummed(ctx, id, buf[maxHeader:maxHeader])
	if err != nil {
		r.release(buf)
		return nil, err
	}
	head := answer{kind: tellBlock, id: r.id, position: position, length: len(data)}
	return &outgoing{head: head, tail: data, buf: buf}, nil
}

func isCode(err error) bool {
	_, ok := errors.AsType[code](err)
	return ok
}

func (r *run) tellMissing(ctx context.Context) error {
	if r.missing.count == 0 {
		return nil
	}
	m := r.missing
	r.missing = span{}
	return r.send(ctx, &outgoing{head: answer{kind: tellMissing, id: r.id, position: m.from, count: m.count}})
}

func (r *run) end(ctx context.Context) error {
	if err := r.tellMissing(ctx); err != nil {
		return err
	}
	return r.send(ctx, &outgoing{head: answer{kind: tellEnd, id: r.id}, last: true})
}

func (v *serving) send(ctx context.Context, o *outgoing) error {
	select {
	case v.answers <- o:
		return nil
	case <-ctx.Done():
		v.release(o.buf)
		return ctx.Err()
	}
}

// write writes answers until there are no more.
func (v *serving) write(context.Context) error {
	var head [maxHeader]byte
	for o := range v.answers {
		err := v.writeAnswer(appendAnswer(head[:0], o.head), o)
		v.release(o.buf)
		if err != nil { // what is queued is left to the collector
			return fmt.Errorf("write answer: %w", err)
		}
		if o.head.kind == tellBlock {
			v.x.observer.Served(v.stream.Peer(), o.head.length)
		}
		if o.last {
			v.stream.Answered()
		}
	}
	return nil
}

// writeAnswer writes head and tail, in one piece when the tail lies behind room
// for the head.
func (v *serving) writeAnswer(head []byte, o *outgoing) error {
	if len(o.tail) > 0 && o.buf != nil && &o.tail[0] == &o.buf[maxHeader] {
		at := maxHeader - len(head)
		copy(o.buf[at:], head)
		_, err := v.stream.Write(o.buf[at : maxHeader+len(o.tail)])
		return err
	}
	if _, err := v.stream.Write(head); err != nil {
		return err
	}
	_, err := v.stream.Write(o.tail)
	return err
}
