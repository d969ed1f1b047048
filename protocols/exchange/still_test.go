package exchange

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"
)

// The stall clock runs while the fetch waits for others, and at no other time.
func TestStallClock(t *testing.T) {
	f := &fetch{started: time.Now().Add(-time.Hour)}
	d := &download{}
	early, late := &waiter{since: f.started}, &waiter{since: time.Now().Add(-time.Minute)}
	check := func(when string, of time.Duration, least, most time.Duration) {
		t.Helper()
		if of < least || of > most {
			t.Errorf("%s: %v, want %v to %v", when, of, least, most)
		}
	}
	check("while it waits for its turn", d.still(early), 0, 0)
	d.runs(f)
	check("before anybody is asked", d.still(early), 0, 0)
	f.waiting.Store(true)
	check("when nothing has come since the start", d.still(early), time.Hour, 2*time.Hour)
	check("for one who came a minute ago", d.still(late), time.Minute, 59*time.Minute)
	err := f.ourselves(func() error {
		check("while the store is at work", d.still(early), 0, 0)
		return io.ErrShortWrite
	})
	if !errors.Is(err, io.ErrShortWrite) {
		t.Errorf("got %v", err)
	}
	check("after that", d.still(early), 0, time.Minute)
	f.moved.Store(0)
	check("long after", d.still(early), time.Hour, 2*time.Hour)
	f.progressed()
	check("when something has come", d.still(early), 0, time.Minute)
}

// impatient checks the error of a call whose patience ran out.
func impatient(t *testing.T, err error, patience string) {
	t.Helper()
	var none *NoProvidersError
	if !errors.As(err, &none) || !errors.As(err, new(impatience)) || !strings.Contains(err.Error(), "nothing came for "+patience) {
		t.Errorf("got %v", err)
	}
}

// Each call for a download has its own patience; the last that runs out ends it.
func TestEachCallHasItsPatience(t *testing.T) {
	t.Parallel()
	f := newFinder()
	s := build(110, uniform(4, 40<<10)...)
	f.add(s.root, serveHostile(t, s, func(w io.Writer, _ request, _ *sample) error { return hang(w) }))
	p := join(t, newHost(t), f, func(c *Config) { c.Limits.OfflineGrace, c.Limits.Patience = time.Minute, 900*time.Millisecond })
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	patient := p.call(ctx, s)
	p.waiters(t, s, 1)
	_, err := p.x.Fetch(ctx, s.root, FetchOptions{Patience: 300 * time.Millisecond})
	impatient(t, err, "300ms")
	p.waiters(t, s, 1) // the other goes on
	<-patient.done
	impatient(t, patient.err, "900ms")
	p.waiters(t, s, 0)
}

// Bytes of a block are progress, however long the block takes.
func TestSlowBytesAreProgress(t *testing.T) {
	t.Parallel()
	f := newFinder()
	s := build(111, uniform(1, 96<<10)...)
	f.add(s.root, serveHostile(t, s, honestly(func(w io.Writer, a answer, data []byte) error {
		if err := tell(w, a, nil); err != nil {
			return err
		}
		for at := 0; at < len(data); at += 8 << 10 { // 12 pieces, 60 ms apart
			if _, err := w.Write(data[at:min(at+8<<10, len(data))]); err != nil {
				return err
			}
			if err := pauseUnlessClosed(w); err != nil {
				return err
			}
		}
		return nil
	})))
	p := join(t, newHost(t), f)
	res, err := p.x.Fetch(t.Context(), s.root, FetchOptions{Patience: 400 * time.Millisecond})
	if err != nil || res.Seconds < 0.5 {
		t.Errorf("%+v, %v", res, err)
	}
	p.mustHold(t, s)
}

// Answers without a block are not: nor what a provider says that it has, again and
// again, nor that it lacks it.
func TestAnswersAreNoProgress(t *testing.T) {
	t.Parallel()
	f := newFinder()
	s := build(112, uniform(4, 40<<10)...)
	asked := make(chan struct{}, 1000)
	f.add(s.root, serveHostile(t, s, func(w io.Writer, req request, s *sample) error {
		switch req.kind {
		case askHave:
			asked <- struct{}{}
			return tell(w, answer{kind: tellHave, id: req.id, total: len(s.blocks), form: formNone}, nil)
		case askBlocks:
			return honestBlocks(w, req, s)
		case askRanges, askKeep:
		}
		return nil
	}))
	p := join(t, newHost(t), f)
	_, err := p.x.Fetch(t.Context(), s.root, FetchOptions{Patience: 500 * time.Millisecond})
	impatient(t, err, "500ms")
	if len(asked) < 3 {
		t.Errorf("it was asked %d times what it holds", len(asked))
	}
}
