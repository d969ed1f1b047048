package lanetest

import (
	"errors"
	"slices"
	"testing"

	"github.com/decube/decube/internal/lane"
)

const (
	plenty = 1 << 20
	each   = lane.JobBytes
)

func testOneJob(t *testing.T, w World) {
	t.Helper()
	s := newSubject(w, lane.Options[Job]{Workers: 1, Backlog: plenty})
	s.Settle()
	s.load(t, 0, 0, 0)
	s.submit(t, 7, 1)
	s.load(t, 0, 1, each)
	s.expect(t)
	s.Next()
	s.expect(t, "7")
	s.load(t, 0, 0, 0)
}

func testCollects(t *testing.T, w World) {
	t.Helper()
	s := newSubject(w, lane.Options[Job]{Workers: 1, Backlog: plenty})
	for n := range uint64(6) {
		s.submit(t, n, 1)
	}
	s.load(t, 5, 1, 6*each)
	s.Next()
	s.load(t, 0, 1, 5*each)
	s.submit(t, 6, 1)
	s.finish()
	s.expect(t, "0", "1 2 3 4 5", "6")
}

func testBounds(t *testing.T, w World) {
	t.Helper()
	for _, c := range []struct {
		bounds lane.Bounds
		want   []string
	}{
		{lane.Bounds{}, []string{"0", "1 2 3 4 5 6"}},
		{lane.Bounds{Jobs: 1}, []string{"0", "1", "2", "3", "4", "5", "6"}},
		{lane.Bounds{Jobs: 4}, []string{"0", "1 2 3 4", "5 6"}},
		// The units are the numbers.
		{lane.Bounds{Units: 6}, []string{"0", "1 2 3", "4", "5", "6"}},
		{lane.Bounds{Units: 5}, []string{"0", "1 2", "3", "4", "5", "6"}},
		{lane.Bounds{Units: 1}, []string{"0", "1", "2", "3", "4", "5", "6"}},
		// The bytes are ten times as many.
		{lane.Bounds{Bytes: 69}, []string{"0", "1 2 3", "4", "5", "6"}},
		{lane.Bounds{Bytes: 110, Jobs: 2}, []string{"0", "1 2", "3 4", "5 6"}},
	} {
		s := newSubject(w, lane.Options[Job]{Workers: 1, Backlog: plenty, Batch: c.bounds})
		for n := range uint64(7) {
			if err := s.Submit(n, Job{Number: n, Takes: 1, Cost: lane.Cost{Units: int(n), Bytes: int64(10 * n)}}); err != nil {
				t.Fatal(err)
			}
			s.Settle()
		}
		s.finish()
		if got := s.done(); !slices.Equal(got, c.want) {
			t.Errorf("%+v: %q, want %q", c.bounds, got, c.want)
		}
	}
}

func testWorkers(t *testing.T, w World) {
	t.Helper()
	s := newSubject(w, lane.Options[Job]{Workers: 3, Backlog: plenty})
	for n, takes := range []int{30, 10, 20, 5, 5} {
		s.submit(t, uint64(n), takes)
	}
	s.load(t, 2, 3, 5*each)
	s.Next() // 1, and with the worker 3 and 4 begin
	s.expect(t, "1")
	s.load(t, 0, 3, 4*each)
	s.finish()
	s.expect(t, "1", "3 4", "2", "0")
}

func testWorkersCollect(t *testing.T, w World) {
	t.Helper()
	s := newSubject(w, lane.Options[Job]{Workers: 2, Backlog: plenty, Batch: lane.Bounds{Jobs: 4}})
	s.submit(t, 0, 10)
	s.submit(t, 1, 100)
	for n := range uint64(6) {
		s.submit(t, 2+n, 1000)
	}
	s.Next() // one worker is free: four of the six
	s.load(t, 2, 2, 7*each)
	s.Next() // the other has the rest
	s.load(t, 0, 2, 6*each)
	s.finish()
	s.expect(t, "0", "1", "2 3 4 5", "6 7")
}

func testBacklog(t *testing.T, w World) {
	t.Helper()
	s := newSubject(w, lane.Options[Job]{Workers: 1, Backlog: 1000})
	large := func(n uint64, bytes int64) error {
		return s.Submit(n, Job{Number: n, Takes: 1, Cost: lane.Cost{Bytes: bytes}})
	}
	if err := large(1, 5000); err != nil {
		t.Fatalf("an empty lane refuses a large job: %v", err)
	}
	s.Settle()
	if err := large(2, 0); !errors.Is(err, lane.ErrFull) {
		t.Errorf("a job beside one that fills the lane: %v", err)
	}
	s.Next()
	rest := int64(1000 - 2*each)
	if err := errors.Join(large(3, rest-1), large(4, 1)); err != nil {
		t.Fatal(err)
	}
	if err := large(5, 0); !errors.Is(err, lane.ErrFull) {
		t.Errorf("a job beyond the backlog: %v", err)
	}
	s.Settle()
	s.finish()
	if err := large(6, 0); err != nil {
		t.Errorf("after everything was done: %v", err)
	}
	s.Settle()
	s.finish()
	if got := s.done(); got[0] != "1" || got[len(got)-1] != "6" || s.Load() != (lane.Load{}) {
		t.Errorf("completed %q, load %+v", got, s.Load())
	}
}

// failing submits jobs of which one fails while others wait.
func failing(t *testing.T, s *subject) {
	t.Helper()
	s.submit(t, 1, 1)
	if err := s.Submit(2, Job{Number: 2, Takes: 1, Fails: true}); err != nil {
		t.Fatal(err)
	}
	s.Settle()
	for n := range uint64(3) {
		s.submit(t, 3+n, 1)
	}
	s.finish()
}

func testFailure(t *testing.T, w World) {
	t.Helper()
	s := newSubject(w, lane.Options[Job]{Workers: 1, Backlog: plenty, Batch: lane.Bounds{Jobs: 2}})
	failing(t, s)
	s.submit(t, 6, 1)
	s.finish()
	s.expect(t, "1", "2:failed 3:failed", "4 5", "6")
}

func testHalt(t *testing.T, w World) {
	t.Helper()
	s := newSubject(w, lane.Options[Job]{Workers: 1, Backlog: plenty, Batch: lane.Bounds{Jobs: 2}, Halts: true})
	failing(t, s)
	s.expect(t, "1", "2:failed 3:failed 4:halted 5:halted")
	if err := s.Submit(6, Job{Number: 6}); !errors.Is(err, lane.ErrHalted) || !errors.Is(err, errWork) {
		t.Errorf("Submit after a failure: %v", err)
	}
	s.Settle()
	s.load(t, 0, 0, 0)
}

func testHaltWithWorkers(t *testing.T, w World) {
	t.Helper()
	s := newSubject(w, lane.Options[Job]{Workers: 2, Backlog: plenty, Halts: true})
	s.submit(t, 1, 100)
	if err := s.Submit(2, Job{Number: 2, Takes: 1, Fails: true}); err != nil {
		t.Fatal(err)
	}
	s.Settle()
	s.submit(t, 3, 1)
	s.finish()
	s.expect(t, "2:failed 3:halted", "1")
}

func testCancelWaiting(t *testing.T, w World) {
	t.Helper()
	s := newSubject(w, lane.Options[Job]{Workers: 1, Backlog: plenty})
	for n := range uint64(4) {
		s.submit(t, n, 1)
	}
	if !s.Cancel(2) {
		t.Error("a waiting job was not canceled")
	}
	if s.Cancel(2) || s.Cancel(9) {
		t.Error("a job was canceled that is not there")
	}
	s.Settle()
	s.load(t, 2, 1, 3*each)
	s.finish()
	s.expect(t, "0", "1 3")
	if s.Cancel(1) {
		t.Error("a job was canceled that is done")
	}
}

func testCancelRunning(t *testing.T, w World) {
	t.Helper()
	s := newSubject(w, lane.Options[Job]{Workers: 1, Backlog: plenty})
	s.submit(t, 0, 1000)
	for n := range uint64(3) {
		s.submit(t, 1+n, 1000)
	}
	if s.Cancel(0) {
		t.Error("Cancel says that a running job was waiting")
	}
	s.Settle()
	s.expect(t, "0:canceled") // and the others begin
	s.Cancel(1)
	s.Cancel(1)
	s.Cancel(3)
	s.Settle()
	s.load(t, 0, 1, 3*each) // somebody wants 2
	s.submit(t, 4, 1000)
	s.submit(t, 5, 1000)
	s.Next()
	s.expect(t, "0:canceled", "1 2 3")
	s.Cancel(4)
	s.Cancel(5)
	s.Settle()
	s.expect(t, "0:canceled", "1 2 3", "4:canceled 5:canceled")
}

func testClose(t *testing.T, w World) {
	t.Helper()
	s := newSubject(w, lane.Options[Job]{Workers: 2, Backlog: plenty})
	for n := range uint64(5) {
		s.submit(t, n, 1000)
	}
	s.Close()
	got := s.done()
	slices.Sort(got) // both end at once
	if !slices.Equal(got, []string{"0:canceled", "1:canceled"}) {
		t.Errorf("completed %q", got)
	}
	if err := s.Submit(9, Job{Number: 9}); !errors.Is(err, lane.ErrClosed) {
		t.Errorf("Submit after Close: %v", err)
	}
	s.Close()
	s.Settle()
	s.load(t, 0, 0, 0)
	if n := len(s.done()); n != 2 || s.Next() {
		t.Errorf("%d batches completed", n)
	}
}

func testSubmitFromDeliver(t *testing.T, w World) {
	t.Helper()
	s := &subject{World: w}
	s.Lane = w.New(lane.Options[Job]{Workers: 1, Backlog: plenty}, work, func(done []lane.Completion[uint64]) {
		s.deliver(done)
		if done[0].Number != 1 {
			return
		}
		for _, n := range []uint64{11, 21} {
			if err := s.Submit(n, Job{Number: n, Takes: 1}); err != nil {
				t.Error(err)
			}
		}
		if !s.Cancel(21) {
			t.Error("a job that was just submitted does not wait")
		}
	})
	s.submit(t, 1, 1)
	s.submit(t, 2, 1)
	s.finish()
	s.load(t, 0, 0, 0)
	s.expect(t, "1", "2 11")
}
