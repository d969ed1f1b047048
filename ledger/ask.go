package ledger

import (
	"context"
	"errors"
	"iter"
	"sync"

	"github.com/decube/decube/ledger/follow"
)

// ask has a goroutine ask a source. What comes goes to the loop item by item: the next
// one is read when the loop has the one before.
func (s *syncer) ask(ctx context.Context, a follow.Ask) {
	ctx, stop := context.WithCancel(ctx)
	q := &question{stop: stop}
	s.asks[a.Ask] = q
	source := s.sources[a.Source]
	if r, ok := a.Request.(follow.Stream); ok {
		q.credit = &credit{left: r.Bytes, more: make(chan struct{}, 1)}
	}
	s.work.Go(func() {
		why := follow.Broken
		if source != nil {
			why = s.answer(ctx, source, a, q.credit)
		}
		s.tell(ctx, follow.Ended{Ask: a.Ask, Why: why})
	})
}

// stop ends a question.
func (s *syncer) stop(id follow.AskID) {
	if q := s.asks[id]; q != nil {
		q.stop()
		delete(s.asks, id)
	}
}

// answer passes a source's answer on and returns why it ended.
func (s *syncer) answer(ctx context.Context, source Source, a follow.Ask, c *credit) follow.End {
	item := func(blob []byte) bool { return s.tell(ctx, follow.Item{Ask: a.Ask, Blob: blob}) }
	switch r := a.Request.(type) {
	case follow.Head:
		blob, err := s.fetchHead(ctx, source)
		if err != nil || !item(blob) {
			return endOf(err)
		}
	case follow.Blocks:
		return passBlocks(source.Blocks(ctx, Range{From: r.From, Count: r.Count, Largest: r.Largest}), r.Count, r.Bytes, item)
	case follow.Stream:
		return passStream(ctx, source.Blocks(ctx, Range{From: r.From, Largest: r.Largest}), c, item)
	case follow.Chunk:
		blob, err := source.Chunk(ctx, r.Seq, r.Start[:])
		if err != nil || !item(blob) {
			return endOf(err)
		}
	}
	return follow.Complete
}

// passBlocks passes on as many blocks, or bytes, as were asked for.
func passBlocks(blocks iter.Seq2[[]byte, error], count, bytes int, item func([]byte) bool) follow.End {
	for blob, err := range blocks {
		if err != nil || !item(blob) {
			return endOf(err)
		}
		if bytes -= len(blob); bytes <= 0 {
			return follow.Full
		}
		if count--; count == 0 {
			return follow.Complete
		}
	}
	return follow.Complete
}

// passStream passes blocks on as long as there is credit, and waits for more.
func passStream(ctx context.Context, blocks iter.Seq2[[]byte, error], c *credit, item func([]byte) bool) follow.End {
	for blob, err := range blocks {
		if err != nil || !item(blob) {
			return endOf(err)
		}
		if !c.spend(ctx, len(blob)) {
			break
		}
	}
	return follow.Broken // it is not for the source to end
}

// endOf returns what an error of a source means to the follower. Without an error the
// loop has gone.
func endOf(err error) follow.End {
	switch {
	case errors.Is(err, ErrPruned), errors.Is(err, ErrNotFound):
		return follow.Absent
	case errors.Is(err, ErrOversize):
		return follow.Oversize
	case errors.Is(err, ErrBadSource):
		return follow.Malformed
	default:
		return follow.Broken
	}
}

// credit is how many more bytes of a stream may be read.
type credit struct {
	mu   sync.Mutex
	left int
	more chan struct{}
}

func (c *credit) add(bytes int) {
	c.mu.Lock()
	c.left += bytes
	c.mu.Unlock()
	select {
	case c.more <- struct{}{}:
	default:
	}
}

// spend uses credit up and waits until there is some again.
func (c *credit) spend(ctx context.Context, bytes int) bool {
	c.mu.Lock()
	c.left -= bytes
	left := c.left
	c.mu.Unlock()
	for left <= 0 {
		select {
		case <-c.more:
		case <-ctx.Done():
			return false
		}
		c.mu.Lock()
		left = c.left
		c.mu.Unlock()
	}
	return true
}
