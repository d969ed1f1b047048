package lane_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/decube/decube/internal/lane"
)

// Workers that are free share what waits, so that none is idle; what is left over by
// bounds waits for the next.
func TestFreeWorkersShare(t *testing.T) {
	for _, c := range []struct {
		workers, bound int
		want           string
	}{
		{1, 0, "[[0 1 2 3 4 5 6 7 8 9]]"},
		{2, 0, "[[0 1 2 3 4] [5 6 7 8 9]]"},
		{4, 0, "[[0 1 2] [3 4 5] [6 7] [8 9]]"},
		{4, 2, "[[0 1] [2 3] [4 5] [6 7]]"},
		{20, 0, "[[0] [1] [2] [3] [4] [5] [6] [7] [8] [9]]"},
	} {
		q := lane.NewQueue[int, int](lane.Options[int]{Workers: c.workers, Backlog: 1 << 20, Batch: lane.Bounds{Jobs: c.bound}})
		for n := range 10 {
			if err := q.Submit(uint64(n), n); err != nil {
				t.Fatal(err)
			}
		}
		var got [][]int
		for b := q.Start(); b != nil; b = q.Start() {
			got = append(got, b.Jobs)
		}
		if fmt.Sprint(got) != c.want {
			t.Errorf("%d workers, bound %d: %v, want %v", c.workers, c.bound, got, c.want)
		}
	}
}

// A lane that has halted says why for good, whatever else fails later.
func TestTheFirstFailureIsTheCause(t *testing.T) {
	first, second := errors.New("first"), errors.New("second")
	q := lane.NewQueue[int, int](lane.Options[int]{Workers: 2, Backlog: 1 << 20, Halts: true})
	if err := errors.Join(q.Submit(1, 0), q.Submit(2, 0)); err != nil {
		t.Fatal(err)
	}
	a, b := q.Start(), q.Start()
	q.Finish(b, first)
	if done := q.Finish(a, second); len(done) != 1 || !errors.Is(done[0].Err, second) {
		t.Errorf("completed %v", done)
	}
	if err := q.Submit(3, 0); !errors.Is(err, first) || errors.Is(err, second) {
		t.Errorf("Submit: %v", err)
	}
}
