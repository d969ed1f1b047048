package exchange

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync/atomic"
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
	const patience = 2 * time.Hour
	if left := d.patient(early, patience); left != patience {
		t.Errorf("while it waits for its turn: %v left", left)
	}
	d.runs(f)
	still := func(w *waiter) time.Duration { return f.still(w, patience) }
	check("before anybody is asked", still(early), 0, 0)
	f.waiting.Store(true)
	check("when nothing has come since the start", still(early), time.Hour, 2*time.Hour)
	check("for one who came a minute ago", still(late), time.Minute, 59*time.Minute)
	err := f.ourselves(func() error {
		check("while the store is at work", still(early), 0, 0)
		return io.ErrShortWrite
	})
	if !errors.Is(err, io.ErrShortWrite) {
		t.Errorf("got %v", err)
	}
	check("after that", still(early), 0, time.Minute)
	f.moved.Store(0)
	early.since = f.started
	check("long after", still(early), time.Hour, 2*time.Hour)
	f.progressed()
	check("when something has come", still(early), 0, time.Minute)
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

// What a call needs within its patience is in proportion to it, and bounded.
func TestNeededWithinPatience(t *testing.T) {
	for patience, want := range map[time.Duration]int64{
		time.Second: 4369, 15 * time.Second: 64 << 10, time.Minute: 256 << 10, time.Hour: 256 << 10,
	} {
		if got := needed(patience); got != want {
			t.Errorf("%d bytes within %v, want %d", got, patience, want)
		}
	}
}

// Too few bytes are as good as none, and those of blocks that are begun anew do not add up.
func TestStallClockAmongThoseWhoDrip(t *testing.T) {
	const patience = time.Hour
	f := &fetch{started: time.Now().Add(-2 * time.Hour)}
	f.waiting.Store(true)
	w := &waiter{}
	since := func(d time.Duration) { w.since = time.Now().Add(-d) }
	f.still(w, patience)
	since(30 * time.Minute)
	f.held.Add(mostNeeded - 1)
	if got := f.still(w, patience); got < 30*time.Minute || w.came != mostNeeded-1 {
		t.Errorf("still for %v, %d bytes came", got, w.came)
	}
	f.held.Add(1)
	if got := f.still(w, patience); got > time.Minute {
		t.Errorf("enough came, still for %v", got)
	}
	since(30 * time.Minute)
	f.held.Add(-mostNeeded) // whoever dripped is gone
	f.held.Add(mostNeeded)  // another one does
	if got := f.still(w, patience); got < 30*time.Minute || w.came != 0 {
		t.Errorf("the same again, still for %v, %d bytes came", got, w.came)
	}
	f.progressed()
	if got := f.still(w, patience); got > time.Minute {
		t.Errorf("a block came, still for %v", got)
	}
}

// A fetch whose only providers drip ends, says so, and continues where it was once somebody
// better is there.
func TestFetchFromThoseWhoDripEnds(t *testing.T) {
	t.Parallel()
	f := newFinder()
	s := build(113, uniform(6, 256<<10)...)
	var served atomic.Int32
	f.add(s.root, serveHostile(t, s, honestly(func(w io.Writer, a answer, data []byte) error {
		if a.kind == tellBlock && served.Add(1) > 2 {
			if err := tell(w, a, nil); err != nil {
				return err
			}
			for _, b := range data {
				if _, err := w.Write([]byte{b}); err != nil {
					return err
				}
				if err := pauseUnlessClosed(w); err != nil {
					return err
				}
			}
		}
		return tell(w, a, data)
	})))
	p := join(t, newHost(t), f, func(c *Config) { c.Limits.MinProgress = 1 })
	_, err := p.x.Fetch(t.Context(), s.root, FetchOptions{Patience: time.Second})
	var none *NoProvidersError
	var few impatience
	if !errors.As(err, &none) || !errors.As(err, &few) || few.came == 0 || few.came > needed(time.Second) {
		t.Fatalf("got %v", err)
	}
	if len(none.Failures) != 1 || !strings.Contains(none.Failures[0].Err.Error(), "brought 2 blocks") {
		t.Errorf("failures %+v", none.Failures)
	}
	join(t, newHost(t), f).provide(s)
	if res := p.fetch(t, s); res.Reused != 2 {
		t.Errorf("%d blocks were there already, want 2", res.Reused)
	}
}

// A call waits longer while somebody who brought blocks may bring more, but not for ever.
func TestPatienceWithThoseWhoDelivered(t *testing.T) {
	const patience = time.Minute
	s := newScene(t)
	s.now = time.Now()
	f := &fetch{started: s.now.Add(-time.Hour), roster: newRoster(DefaultLimits(), s.table.conduct)}
	f.roster.table = s.table
	f.waiting.Store(true)
	d := &download{}
	d.runs(f)
	w := &waiter{since: s.now}
	late := func() time.Duration {
		f.moved.Store(0)
		w.since = time.Now().Add(-patience)
		return d.patient(w, patience)
	}
	s.offer("a1", found)
	s.decide("a1", "")
	s.hold("a1")
	if left := late(); left != 0 {
		t.Errorf("it has brought nothing, and %v are left", left)
	}
	s.table.credit(s.of("a1"), 1, s.now)
	s.leave("a1", refused, codeBusy)
	for range extensions {
		if left := late(); left != patience {
			t.Errorf("it is busy, and %v are left", left)
		}
	}
	if left := late(); left != 0 {
		t.Errorf("it is busy for ever, and %v are left", left)
	}
	w.extended = 0
	s.leave("a1", stuck, errStalled)
	if left := late(); left != 0 {
		t.Errorf("it has stalled, and %v are left", left)
	}
}
