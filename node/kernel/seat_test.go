package kernel

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/decube/decube/api"
	"github.com/decube/decube/api/server"
)

// diary is what happened, in order.
type diary struct {
	mu      sync.Mutex
	entries []string
}

func (d *diary) note(format string, args ...any) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.entries = append(d.entries, fmt.Sprintf(format, args...))
}

func (d *diary) all() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.entries)
}

// fake is a part whose functions a test replaces.
type fake struct {
	name    string
	running Running
	err     error // of Open
}

func (f *fake) Name() string                                   { return f.name }
func (f *fake) Open(context.Context, *Kernel) (Running, error) { return f.running, f.err }

// noted returns a part that notes what is done with it.
func noted(d *diary, name string) *fake {
	return &fake{name: name, running: Running{
		Run: func(ctx context.Context) error {
			<-ctx.Done()
			d.note("%s ends", name)
			return nil
		},
		Drain: func(context.Context) error { d.note("%s drains", name); return nil },
		Close: func() error { d.note("%s closes", name); return nil },
	}}
}

// begun opens and starts parts.
func begun(t *testing.T, parts ...Part) []*seat {
	t.Helper()
	var seats []*seat
	for _, p := range parts {
		s := newSeat(p, &Kernel{Log: slog.New(slog.DiscardHandler)})
		if err := s.open(t.Context()); err != nil {
			t.Fatal(err)
		}
		s.start(context.Background())
		seats = append(seats, s)
	}
	return seats
}

func TestPartsStopUpTheList(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d diary
		seats := begun(t, noted(&d, "a"), noted(&d, "b"), noted(&d, "c"))
		if err := drain(t.Context(), seats); err != nil {
			t.Error(err)
		}
		drained := d.all()
		slices.Sort(drained)
		if stuck, err := stop(seats); stuck || err != nil {
			t.Errorf("stuck %v, %v", stuck, err)
		}
		want := []string{"a drains", "b drains", "c drains", "c ends", "c closes", "b ends", "b closes", "a ends", "a closes"}
		if got := append(drained, d.all()[3:]...); !slices.Equal(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
	})
}

func TestDrainingIsBounded(t *testing.T) {
	for name, endless := range map[string]func(context.Context) error{
		"until its context is done": func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() },
		"twice as long":             func(context.Context) error { time.Sleep(2 * drainWithin); return nil },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				begin := time.Now()
				seats := begun(t, &fake{name: "slow", running: Running{Drain: endless}}, &fake{name: "bad", running: Running{
					Drain: func(context.Context) error { return errors.New("it is too much") },
				}})
				if err := drain(t.Context(), seats); time.Since(begin) != drainWithin {
					t.Errorf("after %v: %v", time.Since(begin), err)
				}
				hurried, cancel := context.WithCancel(t.Context())
				cancel()
				begin = time.Now()
				if err := drain(hurried, seats); err != nil || time.Since(begin) != 0 {
					t.Errorf("in a hurry after %v: %v", time.Since(begin), err)
				}
				// Nothing is closed while somebody drains it.
				late := name == "twice as long"
				if stuck, err := stop(seats); stuck != late || errors.Is(err, errStuck) != late {
					t.Errorf("stuck %v, %v", stuck, err)
				}
				time.Sleep(3 * drainWithin) // all have come back
			})
		})
	}
	synctest.Test(t, func(t *testing.T) {
		seats := begun(t, &fake{name: "bad", running: Running{Drain: func(context.Context) error { return errors.New("it is too much") }}})
		if err := drain(t.Context(), seats); err == nil || err.Error() != "bad: it is too much" {
			t.Errorf("%v", err)
		}
	})
}

// A part that does not stop is named, and nothing is closed that it may use.
func TestStuckPartIsNamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d diary
		release := make(chan struct{})
		stuck := noted(&d, "stuck")
		stuck.running.Run = func(context.Context) error { <-release; return nil }
		begin := time.Now()
		seats := begun(t, noted(&d, "below"), stuck, noted(&d, "above"))
		is, err := stop(seats)
		if !is || !errors.Is(err, errStuck) || !strings.HasPrefix(err.Error(), "stuck: it does not stop") {
			t.Errorf("stuck %v: %v", is, err)
		}
		if took := time.Since(begin); took != stopWithin {
			t.Errorf("it took %v", took)
		}
		if got, want := d.all(), []string{"above ends", "above closes", "below ends"}; !slices.Equal(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
		close(release)
	})
}

// ask asks a part's first group, and returns what an operation is done with.
func ask(ctx context.Context, s *seat) (context.Context, func(), error) {
	return s.running.Routes[0].Gate(ctx)
}

func TestPartThatFailsIsStoppedAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d diary
		broken, failure := noted(&d, "broken"), errors.New("the disk is gone")
		fail := make(chan struct{})
		broken.running.Run = func(context.Context) error { <-fail; return failure }
		broken.running.Routes = []server.Group{{Name: "broken"}}
		broken.running.Warnings = func(context.Context) []string { return []string{"all is well"} }
		seats := begun(t, broken, noted(&d, "other"))
		s := seats[0]
		ctx, leave, err := ask(t.Context(), s)
		if err != nil || s.kernel.Available() != nil {
			t.Fatalf("%v, %v", err, s.kernel.Available())
		}
		if got := s.warnings(t.Context()); !slices.Equal(got, []string{"all is well"}) {
			t.Errorf("warnings %q", got)
		}
		close(fail)
		<-ctx.Done() // who is inside is told to come out
		if cause := context.Cause(ctx); !errors.Is(cause, failure) {
			t.Errorf("the cause is %v", cause)
		}
		synctest.Wait()
		if got := d.all(); len(got) > 0 {
			t.Errorf("%q while somebody is inside", got)
		}
		leave()
		synctest.Wait()
		if got := d.all(); !slices.Equal(got, []string{"broken closes"}) {
			t.Errorf("%q", got)
		}
		for _, err := range []error{s.kernel.Available(), func() error { _, _, err := ask(t.Context(), s); return err }()} {
			if !errors.Is(err, ErrUnavailable) || !errors.Is(err, api.ErrUnavailable) || !errors.Is(err, failure) {
				t.Errorf("%v", err)
			}
		}
		if got := s.warnings(t.Context()); len(got) != 1 || !strings.HasPrefix(got[0], "broken: it has stopped, and the node goes on without it: the disk is gone") {
			t.Errorf("warnings %q", got)
		}
		if seats[1].gate.err() != nil {
			t.Error("the other has stopped too")
		}
		if stuck, err := stop(seats); stuck || err != nil {
			t.Errorf("stuck %v, %v", stuck, err)
		}
		if got, want := d.all(), []string{"broken closes", "other ends", "other closes"}; !slices.Equal(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
	})
}

// Somebody who does not come out keeps a part that has failed open, and not the node.
func TestPartThatFailsIsNotClosedUnderWhoUsesIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d diary
		broken := noted(&d, "broken")
		broken.running.Run = func(context.Context) error { return errors.New("at once") }
		broken.running.Routes = []server.Group{{Name: "broken"}}
		s := newSeat(broken, &Kernel{Log: slog.New(slog.DiscardHandler)})
		if err := s.open(t.Context()); err != nil {
			t.Fatal(err)
		}
		_, leave, err := ask(t.Context(), s)
		if err != nil {
			t.Fatal(err)
		}
		s.start(context.Background())
		time.Sleep(2 * stopWithin)
		if stuck, _ := stop([]*seat{s}); !stuck || len(d.all()) > 0 {
			t.Errorf("stuck %v, %q", stuck, d.all())
		}
		leave()
		if stuck, err := stop([]*seat{s}); stuck || err != nil || !slices.Equal(d.all(), []string{"broken closes"}) {
			t.Errorf("stuck %v, %v, %q", stuck, err, d.all())
		}
	})
}

func TestPartThatKeepsNothingRunsAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var begun []time.Duration
		start := time.Now()
		p := &fake{name: "again", running: Running{Again: true, Run: func(ctx context.Context) error {
			begun = append(begun, time.Since(start))
			switch len(begun) {
			case 11: // it works for long
				time.Sleep(time.Hour)
			case 13:
				<-ctx.Done()
				return nil
			}
			return errors.New("not yet")
		}}}
		s := newSeat(p, &Kernel{Log: slog.New(slog.DiscardHandler)})
		if err := s.open(t.Context()); err != nil {
			t.Fatal(err)
		}
		s.start(context.Background())
		time.Sleep(500 * time.Millisecond)
		if err := s.kernel.Available(); !errors.Is(err, ErrUnavailable) {
			t.Errorf("while it waits: %v", err)
		}
		time.Sleep(3 * time.Hour)
		if err := s.kernel.Available(); err != nil {
			t.Errorf("while it works: %v", err)
		}
		if stuck, err := stop([]*seat{s}); stuck || err != nil {
			t.Errorf("stuck %v, %v", stuck, err)
		}
		var pauses []time.Duration
		for i := range begun[1:] {
			pauses = append(pauses, begun[i+1]-begun[i])
		}
		s1 := time.Second
		want := []time.Duration{s1, 2 * s1, 4 * s1, 8 * s1, 16 * s1, 32 * s1, 64 * s1, 128 * s1, 256 * s1, againSlowest, time.Hour + s1, 2 * s1}
		if !slices.Equal(pauses, want) {
			t.Errorf("pauses %v, want %v", pauses, want)
		}
	})
}

// What a part returns while it stops as it was told is no failure of it, and not lost either.
func TestErrorsOfAStopAreReported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		run, closing := errors.New("not all was sent"), errors.New("not all was written")
		seats := begun(t, &fake{name: "a", running: Running{
			Run:   func(ctx context.Context) error { <-ctx.Done(); return run },
			Close: func() error { return closing },
		}})
		stuck, err := stop(seats)
		if stuck || !errors.Is(err, run) || !errors.Is(err, closing) || seats[0].failure() != nil {
			t.Errorf("stuck %v, %v", stuck, err)
		}
	})
}

// A part that has nothing to do is done, and still answers.
func TestPartWithoutRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		done := &fake{name: "done", running: Running{Run: func(context.Context) error { return nil }}}
		seats := begun(t, &fake{name: "none"}, done)
		synctest.Wait()
		for _, s := range seats {
			if err := s.kernel.Available(); err != nil {
				t.Error(err)
			}
		}
		if stuck, err := stop(seats); stuck || err != nil {
			t.Errorf("stuck %v, %v", stuck, err)
		}
		for _, s := range seats {
			if err := s.kernel.Available(); !errors.Is(err, ErrUnavailable) {
				t.Errorf("after the end: %v", err)
			}
		}
	})
}

// A part that is stopped at the moment at which it would run again lets nobody in any more.
func TestStoppedPartOpensNoMore(t *testing.T) {
	for range 50 { // which of the two comes first is chance
		synctest.Test(t, func(t *testing.T) {
			p := &fake{name: "again", running: Running{
				Again: true, Run: func(context.Context) error { return errors.New("not yet") },
				Routes: []server.Group{{Name: "again"}},
			}}
			s := begun(t, p)[0]
			time.Sleep(againFirst)
			if !s.stop() {
				t.Error("it does not stop")
			}
			if _, _, err := ask(t.Context(), s); !errors.Is(err, ErrUnavailable) {
				t.Errorf("after it was stopped: %v", err)
			}
		})
	}
}

// Nobody closes a part that tells its status.
func TestStatusOfAPartIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d diary
		asked, release := make(chan struct{}), make(chan struct{})
		p := noted(&d, "slow")
		p.running.Status = func(*api.Status) {
			close(asked)
			<-release
			d.note("slow told its status")
		}
		seats := begun(t, p)
		go seats[0].describe(t.Context(), new(api.Status))
		<-asked
		go func() {
			time.Sleep(stopWithin / 2)
			close(release)
		}()
		if stuck, err := stop(seats); stuck || err != nil {
			t.Errorf("stuck %v, %v", stuck, err)
		}
		if got, want := d.all(), []string{"slow ends", "slow told its status", "slow closes"}; !slices.Equal(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
	})
}
