package lanetest

import (
	"errors"
	"testing"

	"pgregory.net/rapid"

	"github.com/decube/decube/internal/lane"
)

// model is what must become of the jobs that a lane was given.
type model struct {
	*subject
	options  lane.Options[Job]
	accepted map[uint64]Job
	taken    map[uint64]bool // canceled while they waited
	next     uint64
}

// testAnyOrder submits, cancels and ends in any order, and compares what came of it
// with the contract.
func testAnyOrder(t *testing.T, w World) {
	t.Helper()
	rapid.Check(t, func(t *rapid.T) {
		o := lane.Options[Job]{
			Workers: rapid.IntRange(1, 3).Draw(t, "workers"),
			Backlog: int64(rapid.IntRange(300, 3000).Draw(t, "backlog")),
			Halts:   rapid.Bool().Draw(t, "halts"),
			Batch: lane.Bounds{
				Jobs: rapid.IntRange(0, 4).Draw(t, "jobs"), Units: rapid.IntRange(0, 6).Draw(t, "units"), Bytes: int64(rapid.IntRange(0, 300).Draw(t, "bytes")),
			},
		}
		m := &model{subject: newSubject(w, o), options: o, accepted: map[uint64]Job{}, taken: map[uint64]bool{}}
		t.Repeat(map[string]func(*rapid.T){
			"submit": m.submitAny,
			"cancel": m.cancelAny,
			"next":   func(*rapid.T) { m.Next() },
			"":       m.check,
		})
		if rapid.Bool().Draw(t, "close") {
			m.Close()
			m.check(t)
			return
		}
		m.finish()
		m.check(t)
		if missing := len(m.accepted) - len(m.taken) - m.completed(); missing != 0 || m.Load() != (lane.Load{}) {
			t.Fatalf("%d jobs have no completion, load %+v", missing, m.Load())
		}
	})
}

func (m *model) submitAny(t *rapid.T) {
	j := Job{
		Number: m.next, Takes: rapid.IntRange(1, 50).Draw(t, "takes"), Fails: rapid.IntRange(0, 9).Draw(t, "fails") == 0,
		Cost: lane.Cost{Units: rapid.IntRange(0, 4).Draw(t, "units"), Bytes: int64(rapid.IntRange(0, 300).Draw(t, "bytes"))},
	}
	m.next++
	before := m.Load().Bytes
	err := m.Submit(j.Number, j)
	m.Settle()
	full := before > 0 && before+j.Cost.Bytes+lane.JobBytes > m.options.Backlog
	switch {
	case err == nil && !full:
		m.accepted[j.Number] = j
	case errors.Is(err, lane.ErrFull) && full:
	case errors.Is(err, lane.ErrHalted) && m.options.Halts && m.failures() > 0:
	default:
		t.Fatalf("submit beside %d bytes: %v", before, err)
	}
}

func (m *model) cancelAny(t *rapid.T) {
	if m.next == 0 {
		return
	}
	n := rapid.Uint64Range(0, m.next-1).Draw(t, "number")
	if m.Cancel(n) {
		if _, ok := m.accepted[n]; !ok || m.taken[n] {
			t.Fatalf("job %d was canceled, and is not there", n)
		}
		m.taken[n] = true
	}
	m.Settle()
}

func (m *model) completed() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := 0
	for _, batch := range m.finished {
		n += len(batch)
	}
	return n
}

// failures returns how many batches have failed: any failure halts a lane that halts.
func (m *model) failures() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := 0
	for _, batch := range m.finished {
		if batch[0].Err != nil {
			n++
		}
	}
	return n
}

// check examines all completions so far.
func (m *model) check(t *rapid.T) {
	m.mu.Lock()
	defer m.mu.Unlock()
	seen := map[uint64]bool{}
	last, begun := -1, false
	for _, batch := range m.finished {
		var sum lane.Cost
		started := 0 // jobs that ran, before those that were refused by a halt
		for _, c := range batch {
			j, ok := m.accepted[c.Number]
			if !ok || seen[c.Number] || m.taken[c.Number] {
				t.Fatalf("job %d is completed: accepted %v, completed before %v, canceled %v", c.Number, ok, seen[c.Number], m.taken[c.Number])
			}
			seen[c.Number] = true
			if m.options.Workers == 1 && begun && int(c.Number) < last {
				t.Fatalf("job %d after %d", c.Number, last)
			}
			last, begun = int(c.Number), true
			if c.Err == nil && (c.Result != c.Number || j.Fails) {
				t.Fatalf("job %d has result %d, fails %v", c.Number, c.Result, j.Fails)
			}
			if !errors.Is(c.Err, lane.ErrHalted) {
				started++
				sum.Units += j.Cost.Units
				sum.Bytes += j.Cost.Bytes
			}
		}
		b := m.options.Batch
		if b.Jobs > 0 && started > b.Jobs || started > 1 && (b.Units > 0 && sum.Units > b.Units || b.Bytes > 0 && sum.Bytes > b.Bytes) {
			t.Fatalf("a batch of %d jobs, %+v, bounds %+v", started, sum, b)
		}
	}
}
