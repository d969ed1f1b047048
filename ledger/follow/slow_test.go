package follow

import (
	"fmt"
	"testing"
	"time"
)

// While others bring their stripes in no time, nobody is waited for for long.
func TestLateOnAFastLineIsNoticedAtOnce(t *testing.T) {
	w := newWorld(t, newPeer("boaster", boaster), newPeer("honest", honest))
	w.height = fixed(1000)
	w.start(10_000, 0)
	if took := w.reaches(time.Minute); took > SlowAfter {
		t.Errorf("1000 blocks took %v", took)
	}
}

// A source that sends what is right, and just fast enough not to be slow, is given
// Patience and not more: with nobody measured there is nothing to compare it with.
func TestPatienceEnds(t *testing.T) {
	plods := newPeer("plods", honest)
	plods.rate = 90 << 10
	other := newPeer("honest", honest)
	other.latency = 300 * time.Millisecond // it is heard later
	w := newWorld(t, plods, other)
	w.blockSize = 40 << 10
	w.height = fixed(StripeBlocks) // one stripe, of 14 s
	w.start(10_000, 0)
	if took := w.reaches(time.Minute); took < SlowAfter || took > Patience+2*time.Second {
		t.Errorf("it took %v", took)
	}
}

// One that answers in parts, as it must where blocks are large, is not held up at each
// part by those that answer nothing.
func TestPartsAreNotHeldUp(t *testing.T) {
	w := newWorld(t, newPeer("a", boaster), newPeer("b", boaster), newPeer("honest", honest))
	w.blockSize = 400_000
	w.height = fixed(180) // 7 s on the honest line
	w.start(10_000, 1<<20)
	if took := w.reaches(5 * time.Minute); took > 20*time.Second {
		t.Errorf("it took %v", took)
	}
}

// Sources that are slow, all of them and on large blocks, are not given up for ever.
func TestManySlowLinesGetThere(t *testing.T) {
	var peers []*peer
	for i := range 6 {
		p := newPeer(fmt.Sprint(i), honest)
		p.rate = 30 << 10
		peers = append(peers, p)
	}
	w := newWorld(t, peers...)
	w.blockSize = 1 << 20 // 34 s
	w.height = fixed(3)
	w.start(10_000, 0)
	w.reaches(10 * time.Minute)
}

// A connection that is dead at one end says nothing. The same source answers when it is
// asked anew.
func TestOnlySourceIsAskedAnew(t *testing.T) {
	asked := 0
	w := newWorld(t, newPeer("only", func(w *world, p *peer, a Ask) {
		if _, ok := a.Request.(Blocks); ok {
			if asked++; asked == 1 {
				return
			}
		}
		honest(w, p, a)
	}))
	w.height = fixed(20)
	w.start(10_000, 0)
	w.reaches(Patience + 10*time.Second)
}

func TestLargeBlocksAreAskedForInSmallStripes(t *testing.T) {
	w := newWorld(t, newPeer("a", honest), newPeer("b", honest))
	w.blockSize = 1 << 20
	w.height = fixed(100)
	w.start(10_000, 0)
	w.reaches(time.Minute)
	blocks := 0
	for _, a := range w.asked {
		if r, ok := a.Request.(Blocks); ok {
			blocks += r.Count
		}
	}
	if blocks > 300 {
		t.Errorf("%d blocks were asked for, there are 100", blocks)
	}
}
