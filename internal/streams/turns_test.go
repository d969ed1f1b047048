package streams_test

import (
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/decube/decube/internal/admission"
	"github.com/decube/decube/internal/streams"
)

func turns(t *testing.T, p admission.Pace) *streams.Turns {
	t.Helper()
	turns, err := streams.NewTurns(p)
	if err != nil {
		t.Fatal(err)
	}
	return turns
}

// roomy has places and memory for everybody.
func roomy() admission.Limits {
	l := someLimits()
	l.Places, l.PerPeer, l.PerAddr, l.PerPrefix, l.Bytes = 64, 32, 32, 32, 1<<30
	return l
}

func TestRateIsOfAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pace := admission.PaceFor(1, 4*unit)
		s := serve(t, roomy(), streams.Options{Turns: turns(t, pace)})
		began := time.Now()
		var all sync.WaitGroup
		for i := range 4 {
			c := s.open(t, fmt.Sprint(i), at(1+i, 1))
			all.Go(func() { c.ask(10) })
		}
		all.Wait()
		// The last step is sent before its time has passed.
		if took := time.Since(began); took < 9*time.Second || took > 10*time.Second {
			t.Errorf("40 units at 4 a second took %v", took)
		}
		s.shut(t)
	})
}

// One peer with one stream is sent as much as another with ten, and a reader who does not
// read takes nobody's turn.
func TestTurnsAreFair(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := serve(t, roomy(), streams.Options{Turns: turns(t, admission.PaceFor(1, 4*unit))})
		for i := range 4 {
			s.open(t, fmt.Sprint("stalled ", i), at(50+i, 1)).write(100)
		}
		synctest.Wait()
		time.Sleep(time.Second)
		var all sync.WaitGroup
		for range 10 {
			c := s.open(t, "greedy", at(1, 1))
			all.Go(func() { c.ask(8) })
		}
		c := s.open(t, "modest", at(2, 1))
		began := time.Now()
		c.ask(16)
		if took := time.Since(began); took < 6*time.Second || took > 9*time.Second {
			t.Errorf("16 of 32 units at 4 a second took %v", took)
		}
		all.Wait()
		s.shut(t)
	})
}

// A stream that loses its place while it waits for its turn does not keep it.
func TestWhoIsGoneHasNoTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := serve(t, roomy(), streams.Options{Turns: turns(t, admission.Pace{Step: unit, Under: 1, Hold: time.Hour, Rate: admission.Unbounded})})
		holds, waits := s.open(t, "a", at(1, 1)), s.open(t, "b", at(2, 1))
		holds.write(1)
		synctest.Wait()
		waits.write(1)
		synctest.Wait()
		time.Sleep(10 * time.Second) // for its turn, which is ours to give: no clock runs
		synctest.Wait()
		s.counts.want(t, map[string]int{"served": 2})
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		s.counts.want(t, map[string]int{"served": 2, "ended stopping": 2})
	})
}

func TestTurnsOfNoPace(t *testing.T) {
	if _, err := streams.NewTurns(admission.Pace{}); err == nil {
		t.Error("a pace of nothing is taken")
	}
}
