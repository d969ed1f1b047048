package statesync

import (
	"bufio"
	"context"
	"fmt"
	"time"

	"github.com/decube/decube/internal/streams"
)

// writer writes an answer.
type writer struct {
	s      *Sync
	stream *streams.Stream
	alive  bool // say so while there is nothing to say
}

// write writes what is produced. What may be followed by a long wait leaves at
// once; else small pieces leave together.
func (w *writer) write(ctx context.Context, p *producer) error {
	out := bufio.NewWriterSize(w.stream, writeBuffer)
	var alive <-chan time.Time
	if w.alive {
		ticker := time.NewTicker(w.s.o.Limits.AliveInterval)
		defer ticker.Stop()
		alive = ticker.C
	}
	for {
		if w.alive {
			if err := out.Flush(); err != nil {
				return fmt.Errorf("write answer: %w", err)
			}
		}
		var c piece
		select {
		case next, more := <-p.out:
			if !more {
				return ctx.Err()
			}
			c = next
		case <-alive:
			c.head.kind = tellAlive
		case <-ctx.Done():
			return ctx.Err()
		}
		last, err := w.piece(ctx, out, p, c)
		if last || err != nil {
			return err
		}
	}
}

// piece writes one piece, and reports whether it is the last.
func (w *writer) piece(ctx context.Context, out *bufio.Writer, p *producer, c piece) (last bool, err error) {
	var head [16]byte
	if _, err := out.Write(appendAnswer(head[:0], c.head)); err != nil {
		return false, fmt.Errorf("write answer: %w", err)
	}
	if _, err := out.Write(c.tail); err != nil {
		return false, fmt.Errorf("write answer: %w", err)
	}
	switch c.head.kind {
	case tellAlive:
		return false, nil
	case tellItem:
		w.s.o.Observer.Served(w.stream.Peer(), c.head.length)
	case tellEnd, tellError, tellVerdict:
		last = true
		if err := out.Flush(); err != nil {
			return true, fmt.Errorf("write answer: %w", err)
		}
	}
	select {
	case p.written <- struct{}{}:
	case <-ctx.Done():
		return last, ctx.Err()
	}
	return last, nil
}
