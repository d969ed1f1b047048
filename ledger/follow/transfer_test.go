package follow

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/decube/decube/ledger/pbft"
)

func TestFarBehindFetchesTheState(t *testing.T) {
	for _, h := range hostiles {
		t.Run(h.name, func(t *testing.T) {
			w := newWorld(t, newPeer("hostile", h.answers), newPeer("honest", honest), newPeer("honest too", honest))
			w.height = fixed(5050)
			w.start(1000, 0)
			took := w.reaches(time.Minute)
			t.Logf("at block 5050 after %v, %d builds", took, w.builds)
			if w.builds == 0 {
				t.Error("all blocks were fetched, one by one")
			}
			blocks := 0
			for _, a := range w.asked {
				if r, ok := a.Request.(Blocks); ok {
					blocks += r.Count
				}
			}
			if blocks > 500 {
				t.Errorf("%d blocks were asked for, 50 are above the checkpoint", blocks)
			}
			if took > costOfOne {
				t.Errorf("it took %v", took)
			}
		})
	}
}

func TestNearEnoughFetchesBlocks(t *testing.T) {
	w := newWorld(t, newPeer("honest", honest))
	w.height = fixed(900)
	w.start(1000, 0)
	w.reaches(time.Minute)
	if w.builds > 0 {
		t.Error("the state was fetched, and the blocks given up")
	}
}

func TestPrunedBlocksMeanTheState(t *testing.T) {
	a, b := newPeer("a", honest), newPeer("b", honest)
	a.prunes, b.prunes = 300, 200
	w := newWorld(t, a, b)
	w.height = fixed(500)
	w.start(10_000, 0)
	w.reaches(time.Minute)
	if w.builds != 1 {
		t.Errorf("%d states were fetched", w.builds)
	}
}

// One who says that the blocks are gone does not make a peer give up its history while
// another has them.
func TestOneDenierDoesNotCostTheHistory(t *testing.T) {
	a, b := newPeer("a", honest), newPeer("b", honest)
	a.prunes = 400
	w := newWorld(t, a, newPeer("denier", denier), b)
	w.height = fixed(500)
	w.start(10_000, 0)
	w.reaches(time.Minute)
	if w.builds > 0 {
		t.Error("the state was fetched though one peer has the blocks")
	}
}

// A checkpoint that only one source has ends when that source does: a chunk at a time
// and then no more.
func TestTransferGoesOnFromAnother(t *testing.T) {
	given := 0
	quits := func(w *world, p *peer, a Ask) {
		if _, ok := a.Request.(Chunk); ok {
			if given++; given > 3 {
				return
			}
		}
		honest(w, p, a)
	}
	w := newWorld(t, newPeer("quits", quits), newPeer("honest", honest))
	w.height = fixed(5000)
	w.start(1000, 0)
	w.reaches(time.Minute)
	if w.builds != 1 {
		t.Errorf("%d builds: what had come was thrown away", w.builds)
	}
}

// A checkpoint that most sources serve is better than a later one that one alone has.
func TestSharedCheckpointIsPreferred(t *testing.T) {
	alone := newPeer("alone", honest)
	a, b := newPeer("a", honest), newPeer("b", honest)
	a.lags, b.lags = 150, 150
	w := newWorld(t, alone, a, b)
	w.height = fixed(5000)
	w.start(1000, 0)
	w.until(time.Minute, "a state is built", func() bool { return w.builds > 0 })
	if w.last.Header.Seq != 4800 {
		t.Errorf("the state at %d is fetched", w.last.Header.Seq)
	}
	w.reaches(time.Minute)
}

// While a state is fetched the ledger goes on, and nobody serves the old checkpoint.
func TestNewerCheckpointWhenTheOldOneIsGone(t *testing.T) {
	slow := newPeer("slow", honest)
	slow.rate = 600 << 10
	w := newWorld(t, slow)
	w.interval = 20
	w.height = func(now time.Duration) uint64 { return 5000 + uint64(now/(100*time.Millisecond)) }
	w.start(1000, 0)
	w.pass(10 * time.Second)
	slow.rate = 20 << 20
	w.pass(20 * time.Second)
	if w.builds < 2 {
		t.Errorf("%d builds", w.builds)
	}
	if lag := w.height(w.now) - w.head.Seq; lag > 20 {
		t.Errorf("%d blocks behind\n%s", lag, w.describe())
	}
}

// A replica waits for a while whether the others bring it what it lacks. Meanwhile all have
// dropped the blocks that their heads said they had, which is nobody's fault: their next
// heads say where to go on from.
func TestBlocksAreDroppedBehindAHead(t *testing.T) {
	a, b := newPeer("a", honest), newPeer("b", honest)
	w := newWorld(t, a, b)
	w.interval = 20
	w.height = fixed(50)
	w.start(1000, 0)
	w.step(Role{Voting: true})
	w.until(time.Second, "both are heard", func() bool { return w.f.Proven().Seq == 50 })
	w.at(w.now+time.Second, func() {
		w.height = fixed(500)
		a.prunes, b.prunes = 400, 400
	})
	took := w.until(10*time.Second, "it has caught up", func() bool { return w.head.Seq == 500 })
	if most := StalledAfter + MinBackoff; took > most {
		t.Errorf("it took %v, more than %v\n%s", took, most, w.describe())
	}
	if len(w.notes) > 0 {
		t.Errorf("blamed: %+v", w.notes)
	}
}

// The only one that has a block still sends it byte by byte. The others have a state, and
// this peer need not wait for as long as it pleases him.
func TestWhoDripsDoesNotHoldATransfer(t *testing.T) {
	a, b := newPeer("a", honest), newPeer("b", honest)
	a.prunes, b.prunes = 400, 400
	w := newWorld(t, newPeer("drips", trickler), newPeer("drips too", trickler), a, b)
	w.interval = 20
	w.height = fixed(500)
	w.start(1000, 0)
	took := w.until(time.Minute, "it has caught up", func() bool { return w.head.Seq == 500 })
	if most := 2*SlowAfter + MinBackoff + time.Second; took > most {
		t.Errorf("it took %v, more than %v\n%s", took, most, w.describe())
	}
}

// A state that takes longer than the ledger needs for the next one is not begun anew as
// long as somebody has it, though heads show later ones.
func TestLargeStateIsFetchedWhileTheLedgerGoesOn(t *testing.T) {
	a, b := newPeer("a", honest), newPeer("b", honest)
	for _, p := range []*peer{a, b} {
		p.rate, p.retains = 1<<20, 20
	}
	w := newWorld(t, a, b)
	w.interval = 5
	w.height = func(now time.Duration) uint64 { return 5000 + uint64(now/(100*time.Millisecond)) }
	w.start(1000, 0)
	took := w.until(40*time.Second, "a state is installed", func() bool { return w.head.Seq > 0 })
	if w.builds != 1 {
		t.Errorf("%d builds: what had come was thrown away", w.builds)
	}
	if next := 500 * time.Millisecond; took < 4*next {
		t.Errorf("the state came within %v: nothing is shown", took)
	}
}

// One source alone serves a checkpoint, and does not: it has begun when nobody else was
// heard, and the others have gone on to later ones.
func TestLoneSourceDoesNotHoldATransfer(t *testing.T) {
	late := func(w *world, p *peer, a Ask) {
		if w.now > 5*time.Second {
			honest(w, p, a)
		}
	}
	w := newWorld(t, newPeer("boaster", boaster), newPeer("late", late), newPeer("late too", late))
	w.interval = 20
	w.height = func(now time.Duration) uint64 { return 5000 + uint64(now/(100*time.Millisecond)) }
	w.start(1000, 0)
	w.until(time.Minute, "the follower is at the head", func() bool { return w.head.Seq+20 >= w.height(w.now) })
}

// Several that show a state and do not give it, which the others have no more, do not hold
// one either, nor longer the more of them there are.
func TestBoastersDoNotHoldATransferTogether(t *testing.T) {
	late := func(w *world, p *peer, a Ask) {
		if w.now > 30*time.Second {
			honest(w, p, a)
		}
	}
	a, b := newPeer("late", late), newPeer("late too", late)
	a.retains, b.retains = 8, 8
	w := newWorld(t, newPeer("boaster", boaster), newPeer("boaster too", boaster), newPeer("a third", boaster), a, b)
	w.interval = 20
	w.height = func(now time.Duration) uint64 { return 5000 + uint64(now/(100*time.Millisecond)) }
	w.start(1000, 0)
	w.until(45*time.Second, "the follower is at the head", func() bool { return w.head.Seq+20 >= w.height(w.now) })
}

func TestHostileSourcesDoNotHoldATransfer(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		hostile := rapid.IntRange(0, 6).Draw(rt, "hostile")
		peers := []*peer{newPeer("honest 0", honest)}
		for i := range hostile {
			h := rapid.SampledFrom(hostiles).Draw(rt, "kind")
			peers = append(peers, newPeer(fmt.Sprintf("%s %d", h.name, i), h.answers))
		}
		w := newWorld(rt, rapid.Permutation(peers).Draw(rt, "order")...)
		w.height = fixed(rapid.Uint64Range(2000, 2200).Draw(rt, "height"))
		w.start(1000, 0)
		w.until(10*time.Second+time.Duration(hostile)*costOfOne, "the follower has all blocks", func() bool { return w.head.Seq >= w.height(w.now) })
	})
}

// A swarm in which nobody has dropped anything may be too busy to answer for a while.
// That costs time, and not the history.
func TestBusySourcesDoNotCostTheHistory(t *testing.T) {
	busy := true
	serving := func(w *world, p *peer, a Ask) {
		if _, blocks := a.Request.(Blocks); busy && blocks {
			w.after(p.latency, func() { w.end(a.Ask, Broken) })
			return
		}
		honest(w, p, a)
	}
	w := newWorld(t, newPeer("a", serving), newPeer("b", serving), newPeer("c", serving))
	w.height = fixed(500)
	w.start(10_000, 0)
	w.pass(5 * time.Minute)
	busy = false
	w.reaches(w.now + time.Minute)
	if w.builds > 0 {
		t.Error("the state was fetched though all peers have the blocks")
	}
}

// A source turns out to be a liar while the chunk that it has sent is being added: that one
// is as good as anybody's.
func TestLiarWhoseChunkIsBeingAdded(t *testing.T) {
	f := New(Config{TransferAfter: 10, LargestBlock: 1 << 20}, Place{})
	s := &source{name: "liar"}
	f.sources = []*source{s}
	f.transfer = &transfer{checkpoint: &pbft.Decision{Header: pbft.Header{Seq: 100}}, job: f.job()}
	a := f.open(s, Chunk{Seq: 100}, 0, MaxChunk)
	a.items, a.ended = [][]byte{{1}}, true
	f.transfer.asks, f.transfer.adding = []*ask{a}, a
	f.fail(s, true)
	f.built(Building{Job: f.transfer.job, Next: [32]byte{1}, More: true})
	if f.transfer == nil || f.transfer.job != 0 || f.transfer.adding != nil || s.good > 0 {
		t.Errorf("%+v, %+v", f.transfer, s)
	}
}
