package blocksession

import (
	"context"
	"fmt"
	"time"

	"github.com/decube/decube/block"
)

const (
	// farewellTime is how long a client that cannot send any more waits for the
	// node to say why.
	farewellTime = 5 * time.Second
	// maxQuestions are TOUCHes of the sender on their way at a time: while one is
	// answered the next is asked, and blocks that come meanwhile share the third.
	maxQuestions = 2
	// maxBatch bounds the blocks of one question.
	maxBatch = 512
	// minWeight is what a block weighs in the window at least, so that empty
	// blocks are bounded too.
	minWeight = 1 << 10
	// keepControl bounds what is kept of the buffer for small frames.
	keepControl = 64 << 10
)

// item is an element of the ordered line of writes: a block, or the mark of a
// Flush, which comes after every block added before it.
type item struct {
	b       block.Block
	release func()
	flush   *call
}

func (it item) weight() int64 { return max(int64(it.b.Len()), minWeight) }

// Touch reports which of the blocks the node holds. Those are safe from garbage
// collection until the session ends.
func (s *Session) Touch(ctx context.Context, ids []block.ID) ([]bool, error) {
	held := make([]bool, 0, len(ids))
	for len(ids) > 0 {
		n := min(len(ids), maxTouch)
		c := &call{want: frameHeld, n: n}
		if err := s.do(ctx, header{kind: frameTouch}, c, appendIDs(nil, ids[:n])); err != nil {
			return nil, fmt.Errorf("asking for %d blocks: %w", n, err)
		}
		held = append(held, c.held...)
		ids = ids[n:]
	}
	return held, nil
}

// Add sends b unless the node holds it. It returns as soon as there is room for b
// in the window: whether the node has it is asked for many blocks at once. A
// failure of the node, such as a full disk, is returned by a later Add or Flush.
// release, which may be nil, is called exactly once, when b's bytes are no longer
// needed, also when Add fails. Nothing is durable before Flush.
func (s *Session) Add(ctx context.Context, b block.Block, release func()) error {
	if release == nil {
		release = func() {}
	}
	it := item{b: b, release: release}
	if err := s.window.Acquire(ctx, it.weight()); err != nil {
		release()
		return err
	}
	s.mu.Lock()
	err := s.writeErr()
	_, twice := s.pending[b.ID()]
	if err == nil {
		s.added.Blocks++
		s.added.Bytes += int64(b.Len())
		if !twice {
			s.pending[b.ID()] = struct{}{}
			s.asking = append(s.asking, it)
			s.wake.Signal()
		}
	}
	s.mu.Unlock()
	if err != nil || twice {
		s.settle(it)
	}
	return err
}

// writeErr returns why nothing can be written, or nil. s.mu is held.
func (s *Session) writeErr() error {
	if s.err != nil {
		return s.err
	}
	return s.putErr
}

// Flush returns when every block added before is durable at the node. The counts
// are of the whole session; NewBlocks, NewBytes and NewRaw are of those the node stored.
func (s *Session) Flush(ctx context.Context) (Stats, error) {
	c := &call{want: frameFlushed, done: make(chan struct{})}
	s.mu.Lock()
	if err := s.writeErr(); err != nil {
		s.mu.Unlock()
		return Stats{}, err
	}
	total := s.added
	s.asking = append(s.asking, item{flush: c})
	s.wake.Signal()
	s.mu.Unlock()
	select {
	case <-c.done:
	case <-ctx.Done():
		return Stats{}, ctx.Err() // the answer finds nobody waiting, and a channel to close
	}
	if c.err != nil {
		return Stats{}, c.err
	}
	total.NewBlocks, total.NewBytes, total.NewRaw = c.stats.NewBlocks, c.stats.NewBytes, c.stats.NewRaw
	return total, nil
}

// settle gives a block back. s.mu is not held, as release is not ours.
func (s *Session) settle(it item) {
	it.release()
	s.window.Release(it.weight())
}

// drop gives up writes. s.mu is held, so the blocks are released elsewhere.
func (s *Session) drop(items []item, err error) {
	var blocks []item
	for _, it := range items {
		if it.flush != nil {
			it.flush.fail(err)
			continue
		}
		delete(s.pending, it.b.ID())
		blocks = append(blocks, it)
	}
	if len(blocks) > 0 {
		s.done.Go(func() {
			for _, it := range blocks {
				s.settle(it)
			}
		})
	}
}

// answered sorts the blocks of a question: what the node holds is given back,
// what is missing gets in line to be sent.
func (s *Session) answered(c *call) {
	s.mu.Lock()
	s.questions--
	if c.err != nil && s.putErr == nil {
		s.putErr = c.err
	}
	var held []item
	next := 0
	for _, it := range c.batch {
		if it.flush == nil && c.err == nil {
			next++
			if c.held[next-1] {
				delete(s.pending, it.b.ID())
				held = append(held, it)
				continue
			}
		}
		s.sending = append(s.sending, it)
	}
	if s.err != nil {
		s.drop(s.sending, s.err)
		s.sending = nil
	}
	s.wake.Signal()
	s.mu.Unlock()
	for _, it := range held {
		s.settle(it)
	}
}

// send is the only writer of the connection.
func (s *Session) send() {
	out := &frameWriter{conn: s.conn}
	for {
		control, next := s.nextWork()
		var err error
		switch {
		case control != nil:
			_, err = s.conn.Write(control)
			s.recycle(control)
		case next.flush != nil:
			err = s.sendFlush(out, next.flush)
		case next.release != nil:
			err = s.sendBlock(out, next)
		default:
			return
		}
		if err != nil {
			s.stopSending(err)
			return
		}
	}
}

// stopSending leaves the end of the session to the reader: a node that stops says
// why before it closes the connection.
func (s *Session) stopSending(err error) {
	s.mu.Lock()
	s.sendErr = err
	s.mu.Unlock()
	if err := s.conn.SetReadDeadline(time.Now().Add(farewellTime)); err != nil {
		s.end(fmt.Errorf("%w: %w", ErrClosed, err))
	}
}

// nextWork waits for something to send. Small frames come first, as somebody
// waits for their answers, and among them questions, so that they are answered
// while blocks are sent; then a block or a flush. It returns nothing when the
// session is over.
func (s *Session) nextWork() (control []byte, next item) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		if s.err != nil {
			return nil, item{}
		}
		if len(s.asking) > 0 && s.questions < maxQuestions {
			s.ask()
		}
		if len(s.control) > 0 {
			control, s.control = s.control, nil
			return control, item{}
		}
		if len(s.sending) > 0 {
			next, s.sending[0] = s.sending[0], item{}
			s.sending = s.sending[1:]
			return nil, next
		}
		s.wake.Wait()
	}
}

// ask queues a question about the blocks that wait for one. A Flush alone asks
// too, about nothing, to keep its place behind the questions before it. s.mu is
// held.
func (s *Session) ask() {
	n := min(len(s.asking), maxBatch)
	c := &call{want: frameHeld, batch: s.asking[:n:n]}
	s.asking = s.asking[n:]
	s.questions++
	ids := make([]byte, 0, n*block.IDSize)
	for _, it := range c.batch {
		if it.flush == nil {
			ids = it.b.ID().AppendBytes(ids)
			c.n++
		}
	}
	s.request(header{kind: frameTouch}, c, ids)
}

// recycle keeps the buffer of small frames for the next ones.
func (s *Session) recycle(control []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.control == nil && cap(control) <= keepControl {
		s.control = control[:0]
	}
}

func (s *Session) sendBlock(out *frameWriter, it item) error {
	defer s.settle(it)
	s.mu.Lock()
	drop := s.writeErr() != nil
	s.mu.Unlock()
	var err error
	if !drop {
		s.id = it.b.ID().AppendBytes(s.id[:0])
		err = out.write(header{kind: framePut}, s.id, it.b.Data())
	}
	s.mu.Lock()
	delete(s.pending, it.b.ID())
	s.mu.Unlock()
	return err
}

func (s *Session) sendFlush(out *frameWriter, c *call) error {
	s.mu.Lock()
	if err := s.writeErr(); err != nil {
		c.fail(err)
		s.mu.Unlock()
		return nil
	}
	s.nextID++
	h := header{kind: frameFlush, request: s.nextID}
	s.calls[h.request] = c
	s.mu.Unlock()
	return out.write(h)
}
