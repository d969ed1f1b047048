package follow

import (
	"testing"
	"time"
)

func TestFollowerIsAtTheTipWhateverOneSourceLeavesOut(t *testing.T) {
	for _, h := range hostiles {
		t.Run(h.name, func(t *testing.T) {
			w := newWorld(t, newPeer("hostile", h.answers), newPeer("honest", honest), newPeer("honest too", honest))
			w.height = func(now time.Duration) uint64 { return 1 + uint64(now/(200*time.Millisecond)) }
			w.start(10_000, 0)
			w.pass(3 * time.Second)
			worst := uint64(0)
			for range 800 {
				w.pass(100 * time.Millisecond)
				worst = max(worst, w.height(w.now)-w.head.Seq)
			}
			t.Logf("at most %d blocks behind", worst)
			// A header is shown within Poll times the sources, its block is due within
			// TipAfter, and another brings it.
			limit := uint64((3*Poll + TipAfter + time.Second) / (200 * time.Millisecond))
			if worst > limit {
				t.Errorf("%d blocks behind, want at most %d", worst, limit)
			}
		})
	}
}

// A source that has streamed well and then leaves blocks out, in whichever way, is found
// out and gives its place to another.
func TestStreamingSourceTurns(t *testing.T) {
	for _, h := range hostiles {
		t.Run(h.name, func(t *testing.T) {
			const turn = 10 * time.Second
			p := newPeer("turns", func(w *world, p *peer, a Ask) {
				if w.now < turn {
					honest(w, p, a)
				} else {
					h.answers(w, p, a)
				}
			})
			p.turns, p.rate = turn, 100<<20 // it is the fastest, and streams
			w := newWorld(t, newPeer("honest", honest), newPeer("honest too", honest), p)
			w.height = func(now time.Duration) uint64 { return 300 + uint64(now/(200*time.Millisecond)) }
			w.blockSize = 20_000
			w.start(10_000, 0)
			w.pass(turn - time.Second)
			if w.f.stream == nil || w.f.stream.source.name != "turns" {
				t.Fatalf("it does not stream\n%s", w.describe())
			}
			worst := uint64(0)
			for range 100 {
				w.pass(100 * time.Millisecond)
				worst = max(worst, w.height(w.now)-w.head.Seq)
			}
			t.Logf("at most %d blocks behind", worst)
			if limit := uint64((3*Poll + TipAfter + time.Second/2) / (200 * time.Millisecond)); worst > limit {
				t.Errorf("%d blocks behind, want at most %d", worst, limit)
			}
			if w.f.stream == nil || w.f.stream.source.name == "turns" {
				t.Errorf("it still streams\n%s", w.describe())
			}
		})
	}
}

// A stream that pauses when as much as may be has come goes on once it is applied.
func TestStreamGoesOnAfterPauses(t *testing.T) {
	w := newWorld(t, newPeer("a", honest))
	w.blockSize, w.applying = 500<<10, 100*time.Millisecond
	w.height = func(now time.Duration) uint64 { return uint64(now / (100 * time.Millisecond)) }
	w.start(10_000, 1<<20)
	w.pass(30 * time.Second)
	if lag := w.height(w.now) - w.head.Seq; lag > 5 || len(w.notes) > 0 {
		t.Errorf("%d blocks behind a source that streams; notes %+v", lag, w.notes)
	}
}

func TestStreamBringsBlocksAtOnce(t *testing.T) {
	w := newWorld(t, newPeer("a", honest), newPeer("b", honest))
	w.height = func(now time.Duration) uint64 { return uint64(now / (100 * time.Millisecond)) }
	w.start(10_000, 0)
	w.pass(5 * time.Second)
	before := len(w.asked)
	w.pass(10 * time.Second)
	for _, a := range w.asked[before:] {
		if _, ok := a.Request.(Head); !ok {
			t.Errorf("a question %+v while a stream brings everything", a.Request)
		}
	}
	if lag := w.height(w.now) - w.head.Seq; lag > 2 {
		t.Errorf("%d blocks behind a source that streams", lag)
	}
	if len(w.notes) > 0 {
		t.Errorf("an honest source was given up: %+v", w.notes)
	}
}

// On a line that is slow for all, going from one source to the next would bring
// nothing: the stream goes on beside the question to another.
func TestSlowLinesDoNotThrash(t *testing.T) {
	w := newWorld(t, newPeer("a", honest), newPeer("b", honest))
	for _, p := range w.peers {
		p.rate = 80 << 10
	}
	w.blockSize = 400 << 10 // 5 s a block
	w.height = func(now time.Duration) uint64 { return uint64(now / (20 * time.Second)) }
	w.start(10_000, 1<<20)
	w.pass(5 * time.Minute)
	if lag := w.height(w.now) - w.head.Seq; lag > 1 {
		t.Errorf("%d blocks behind\n%s", lag, w.describe())
	}
}

// A replica at the head of an idle ledger knows it by the certified tip alone.
func TestAtHeadOfAnIdleLedger(t *testing.T) {
	for _, voting := range []bool{false, true} {
		w := newWorld(t, newPeer("a", honest), newPeer("b", honest))
		w.head = Place{7, digestOf(7, markGood)}
		w.height = fixed(7)
		w.start(10_000, 0)
		w.step(Role{Voting: voting})
		if w.f.AtHead() {
			t.Error("at the head before anybody was heard")
		}
		w.until(time.Second, "at the head", w.f.AtHead)
	}
}
