package follow

import (
	"fmt"
	"testing"
	"time"
)

func TestBackoffDoublesAndLiesWeighMore(t *testing.T) {
	s := &source{}
	var waits []time.Duration
	for range 11 {
		s.failures++
		waits = append(waits, s.backoff())
	}
	if waits[0] != MinBackoff || waits[1] != 2*MinBackoff || waits[10] != MaxBackoff {
		t.Errorf("backoffs %v", waits)
	}
	s = &source{lies: 1}
	if s.backoff() != LieBackoff {
		t.Errorf("after a lie: %v", s.backoff())
	}
	if s.lies = 20; s.backoff() != MaxBackoff {
		t.Errorf("after 20 lies: %v", s.backoff())
	}
}

// Serving one in two does not make up for the other.
func TestGoodAnswersMakeUpSlowly(t *testing.T) {
	f := New(Config{LargestBlock: 1000}, Place{})
	s := &source{name: "x"}
	f.sources = []*source{s}
	for range 8 {
		s.succeed(1000, time.Second)
		f.fail(s, false)
	}
	if s.failures != 8 {
		t.Errorf("%d failures are remembered of 8", s.failures)
	}
	for range forgiven {
		s.succeed(1000, time.Second)
	}
	if s.failures != 7 {
		t.Errorf("%d failures after %d good answers", s.failures, forgiven)
	}
}

func TestLiarsAreRememberedWhenTheyComeBack(t *testing.T) {
	w := newWorld(t, newPeer("liar", liar), newPeer("failing", silent), newPeer("honest", honest))
	w.height = fixed(10)
	w.start(10_000, 0)
	w.pass(5 * time.Second)
	w.step(Sources{[]string{"honest"}})
	before := len(w.asked)
	w.step(Sources{[]string{"liar", "failing", "honest"}})
	w.pass(time.Second)
	asked := map[string]bool{}
	for _, a := range w.asked[before:] {
		asked[a.Source] = true
	}
	if asked["liar"] || !asked["failing"] {
		t.Errorf("asked after coming back: %v", asked)
	}
}

func TestSourcesAreBounded(t *testing.T) {
	f := New(Config{LargestBlock: 1000}, Place{})
	for round := range 100 {
		var names []string
		for i := range 100 {
			names = append(names, fmt.Sprint(round, "-", i))
		}
		f.Step(time.Duration(round)*time.Second, Sources{names})
		if len(f.sources) > MaxSources || len(f.away) > 4*MaxSources {
			t.Fatalf("%d sources, %d away", len(f.sources), len(f.away))
		}
	}
}

// A source that is gone in the middle of all it was asked for leaves nothing behind.
func TestSourceGoesInTheMiddle(t *testing.T) {
	w := newWorld(t, newPeer("a", honest), newPeer("b", honest))
	w.height = fixed(2000)
	w.blockSize = 50_000
	w.start(10_000, 0)
	for i := range 20 {
		w.pass(200 * time.Millisecond)
		w.step(Sources{[]string{[]string{"a", "b"}[i%2]}})
	}
	w.step(Sources{[]string{"a", "b"}})
	w.reaches(2 * time.Minute)
}

// A swarm in which all were out of reach for long is not left alone for minutes.
func TestOutageEnds(t *testing.T) {
	down := true
	flaky := func(w *world, p *peer, a Ask) {
		if down {
			w.after(p.latency, func() { w.end(a.Ask, Broken) })
			return
		}
		honest(w, p, a)
	}
	w := newWorld(t, newPeer("a", flaky), newPeer("b", flaky))
	w.height = fixed(100)
	w.start(10_000, 0)
	w.pass(30 * time.Minute)
	down = false
	w.reaches(w.now + 10*time.Second)
}

func TestBothSourcesAreUsed(t *testing.T) {
	w := newWorld(t, newPeer("a", honest), newPeer("b", honest))
	w.height = fixed(4000)
	w.blockSize = 20_000
	w.start(10_000, 0)
	took := w.reaches(2 * time.Minute)
	bytes := map[string]int{}
	for _, a := range w.asked {
		if r, ok := a.Request.(Blocks); ok {
			bytes[a.Source] += r.Count
		}
	}
	if bytes["a"] < 1000 || bytes["b"] < 1000 {
		t.Errorf("blocks asked for: %v", bytes)
	}
	if bytes["a"]+bytes["b"] > 4200 {
		t.Errorf("%v blocks asked for, there are 4000", bytes)
	}
	alone := newWorld(t, newPeer("a", honest))
	alone.height, alone.blockSize = w.height, w.blockSize
	alone.start(10_000, 0)
	if one := alone.reaches(2 * time.Minute); took > one*6/10 {
		t.Errorf("two sources gave 80 MB in %v, one in %v", took, one)
	}
}

func BenchmarkFollowing(b *testing.B) {
	for b.Loop() {
		w := newWorld(b, newPeer("a", honest), newPeer("b", honest))
		w.height = fixed(10_000)
		w.start(100_000, 0)
		w.reaches(time.Hour)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/10_000, "ns/block")
}
