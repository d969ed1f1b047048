package kernel

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/decube/decube/internal/durable"
	"github.com/decube/decube/internal/durable/faultfs"
	"github.com/decube/decube/internal/lane"
	"github.com/decube/decube/internal/lane/lanetest"
)

func TestLane(t *testing.T) {
	lanetest.Run(t, func(*testing.T) lanetest.World { return &laneWorld{} })
}

// laneWorld runs lanes in virtual time.
type laneWorld struct {
	s    *Scheduler
	ends int // deliveries
}

func (w *laneWorld) New(o lane.Options[lanetest.Job], work lane.Work[lanetest.Job, uint64], deliver func([]lane.Completion[uint64])) lanetest.Lane {
	w.s = &Scheduler{}
	h := NewHost(w.s)
	h.Start()
	return NewLane(h, o, work, func(jobs []lanetest.Job) Time { return Time(jobs[0].Takes) }, func(done []lane.Completion[uint64]) {
		w.ends++
		deliver(done)
	})
}

// Settle has everything happen that is due now.
func (w *laneWorld) Settle() { w.s.RunUntil(w.s.Now()) }

// Next goes on to the next delivery.
func (w *laneWorld) Next() bool {
	for ends := w.ends; w.ends == ends; {
		if !w.s.Step() {
			return false
		}
	}
	w.Settle()
	return true
}

// newHosted returns a lane on a running host whose batches take 100 each.
func newHosted(work lane.Work[int, int], deliver func([]lane.Completion[int])) (*Scheduler, *Host, *Lane[int, int]) {
	s := &Scheduler{}
	h := NewHost(s)
	h.Start()
	return s, h, NewLane(h, lane.Options[int]{Workers: 1, Backlog: 1 << 20}, work, func([]int) Time { return 100 }, deliver)
}

func nothing(context.Context, []int, []int) error { return nil }

// What is submitted at one instant to an idle lane is one batch, and its end is when
// its time has passed.
func TestLaneTakesTime(t *testing.T) {
	var got []string
	var s *Scheduler
	s, _, l := newHosted(nothing, func(done []lane.Completion[int]) {
		got = append(got, fmt.Sprintf("%d at %d", len(done), s.Now()))
	})
	submit := func(numbers ...uint64) {
		for _, n := range numbers {
			if err := l.Submit(n, 0); err != nil {
				t.Error(err)
			}
		}
	}
	submit(1, 2)
	s.After(50, func() { submit(3) })
	s.After(60, func() { submit(4) })
	s.RunUntil(1000)
	if want := []string{"2 at 100", "2 at 200"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// A pause holds completions up.
func TestLaneOfAPausedHost(t *testing.T) {
	var ended Time
	var s *Scheduler
	s, h, l := newHosted(nothing, func([]lane.Completion[int]) { ended = s.Now() })
	if err := l.Submit(1, 0); err != nil {
		t.Fatal(err)
	}
	s.RunUntil(10)
	h.Pause()
	s.RunUntil(500)
	if ended != 0 {
		t.Errorf("ended at %v, in a pause", ended)
	}
	if h.Resume(); ended != 500 {
		t.Errorf("ended at %v", ended)
	}
}

// A crash in the middle of a write leaves on the disk what the file system says, and
// the program learns nothing.
func TestLaneCrashes(t *testing.T) {
	seen := map[string]bool{}
	for seed := range uint64(200) {
		rnd := Stream(seed, "crash")
		fsys := faultfs.New(seed)
		pool := durable.NewAlignedPool(durable.Align, 1)
		buf, err := pool.Get()
		if err != nil {
			t.Fatal(err)
		}
		buf[0] = 'x'
		f, err := create(fsys)
		if err != nil {
			t.Fatal(err)
		}
		write := func(context.Context, []int, []int) error {
			_, err := f.WriteAt(buf, 0)
			return errors.Join(err, f.Sync())
		}
		s, _, l := newHosted(write, func([]lane.Completion[int]) { t.Error("delivered") })
		if err := l.Submit(1, 0); err != nil {
			t.Fatal(err)
		}
		s.RunUntil(50)
		fsys.CrashAt(fsys.Ops() + 1 + rnd.IntN(2))
		l.Crash(func(jobs []int) {
			if err := write(t.Context(), jobs, nil); !errors.Is(err, faultfs.ErrCrashed) {
				t.Errorf("writing while the power fails: %v", err)
			}
		})
		s.RunUntil(1000)
		b, err := fsys.Image(faultfs.Model{}, faultfs.Random(rnd)).ReadFile("/d/f")
		if err != nil {
			t.Fatal(err)
		}
		seen[string(b[:1])] = true
		if err := errors.Join(pool.Put(buf), pool.Trim()); err != nil {
			t.Error(err)
		}
	}
	if !seen["x"] || !seen["\x00"] || len(seen) != 2 {
		t.Errorf("on the disks: %v", seen)
	}
}

// create makes a file of one block that is durable.
func create(fsys *faultfs.FS) (durable.File, error) {
	if err := fsys.MkdirAll("/d", 0o700); err != nil {
		return nil, err
	}
	f, err := fsys.Create("/d/f", 0o600)
	if err != nil {
		return nil, err
	}
	return f, errors.Join(f.Truncate(durable.Align), f.Sync(), fsys.SyncDir("/d"))
}
