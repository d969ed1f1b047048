package follow

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// What one hostile source can cost in all: it is asked a few times between its
// backoffs, and each time for at most Patience.
const costOfOne = 2 * Patience

func TestOneHostileSourceAndOneHonest(t *testing.T) {
	for _, h := range hostiles {
		for _, first := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s first=%v", h.name, first), func(t *testing.T) {
				peers := []*peer{newPeer("hostile", h.answers), newPeer("honest", honest)}
				if !first {
					peers[0], peers[1] = peers[1], peers[0]
				}
				w := newWorld(t, peers...)
				w.height = fixed(1000)
				w.start(10_000, 0)
				took := w.reaches(time.Minute)
				t.Logf("1000 blocks after %v", took)
				if took > costOfOne {
					t.Errorf("1000 blocks took %v, want at most %v", took, costOfOne)
				}
			})
		}
	}
}

// However many of the sources are hostile, and in whichever ways, one honest source
// that can be reached is enough, within a time that is stated.
func TestHostileSourcesDoNotHoldAFollower(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		hostile := rapid.IntRange(0, 7).Draw(rt, "hostile")
		good := rapid.IntRange(1, 3).Draw(rt, "honest")
		var peers []*peer
		for i := range hostile {
			h := rapid.SampledFrom(hostiles).Draw(rt, "kind")
			p := newPeer(fmt.Sprintf("%s %d", h.name, i), h.answers)
			p.rate = rapid.Float64Range(64<<10, 100<<20).Draw(rt, "hostile rate")
			peers = append(peers, p)
		}
		rate := 0.0
		for i := range good {
			p := newPeer(fmt.Sprintf("honest %d", i), honest)
			p.rate = rapid.Float64Range(256<<10, 100<<20).Draw(rt, "rate")
			p.latency = time.Duration(rapid.IntRange(1, 300).Draw(rt, "latency in ms")) * time.Millisecond
			if rate = max(rate, p.rate); i == 0 {
				rate = p.rate
			}
			peers = append(peers, p)
		}
		w := newWorld(rt, rapid.Permutation(peers).Draw(rt, "order")...)
		w.height = fixed(rapid.Uint64Range(0, 600).Draw(rt, "height"))
		w.blockSize = rapid.SampledFrom([]int{100, 10_000, 100_000, 400_000}).Draw(rt, "block size")
		voting := rapid.Bool().Draw(rt, "voting")
		w.start(10_000, rapid.SampledFrom([]int{0, 1 << 20, 8<<20 + 64<<10}).Draw(rt, "largest"))
		if voting {
			w.step(Role{Voting: true})
		}
		limit := w.bound(peers, hostile)
		w.until(limit, "the follower has all blocks", func() bool { return w.head.Seq >= w.height(w.now) })
	})
}

// bound is how long a follower needs at most: what the slowest honest source alone
// needs, several times over since what is asked for twice shares its line, and what
// each hostile one can cost.
func (w *world) bound(peers []*peer, hostile int) time.Duration {
	slowest := 100e6
	latency := time.Duration(0)
	for _, p := range peers {
		if p.name[:4] == "hone" {
			slowest = min(slowest, p.rate)
			latency = max(latency, p.latency)
		}
	}
	blocks := float64(w.height(0))
	line := time.Duration(blocks * float64(w.blockSize) / slowest * float64(time.Second))
	trips := time.Duration(blocks/StripeBlocks+blocks*float64(w.blockSize)/(2<<20)+4) * 4 * latency
	return 10*time.Second + 4*line + trips + time.Duration(hostile)*costOfOne
}

func TestBlocksLargerThanMayBeAreALie(t *testing.T) {
	w := newWorld(t, newPeer("bloated", bloated), newPeer("honest", honest))
	w.height = fixed(100)
	w.start(10_000, 0)
	w.reaches(time.Minute)
	if len(w.notes) == 0 || !w.notes[0].Lied {
		t.Errorf("notes: %+v", w.notes)
	}
}

func TestUnprovedClaimsDoNotCount(t *testing.T) {
	w := newWorld(t, newPeer("liar", liar), newPeer("honest", honest))
	w.height = fixed(10)
	w.start(10_000, 0)
	w.reaches(10 * time.Second)
	w.pass(10 * time.Second)
	if w.f.Proven().Seq != 10 || !w.f.AtHead() {
		t.Errorf("%d is proved, at the head: %v", w.f.Proven().Seq, w.f.AtHead())
	}
	for _, a := range w.asked {
		if _, ok := a.Request.(Head); !ok && a.Source == "liar" {
			t.Errorf("the liar was asked %+v", a.Request)
		}
	}
}

func TestVoterAsksOnlyWhenConsensusDoesNotBringIt(t *testing.T) {
	w := newWorld(t, newPeer("a", honest))
	w.head = Place{5, digestOf(5, markGood)}
	w.height = func(now time.Duration) uint64 { return 5 + uint64(now/time.Second) }
	w.start(10_000, 0)
	w.step(Role{Voting: true})
	for range 100 {
		w.pass(100 * time.Millisecond)
		w.head = Place{w.height(w.now), digestOf(w.height(w.now), markGood)}
		w.step(Advanced{Head: w.head})
	}
	for _, a := range w.asked {
		if _, ok := a.Request.(Head); !ok {
			t.Errorf("a question %+v of a voter that moves", a.Request)
		}
	}
	if n := len(w.asked); n > 2 {
		t.Errorf("%d heads were asked for", n)
	}
	// Consensus goes on without it. Somebody's certificate says so at once.
	w.pass(500 * time.Millisecond)
	before := w.now
	w.step(Behind{Seq: w.height(w.now) + 1})
	w.until(before+time.Second+500*time.Millisecond, "the voter has caught up", func() bool { return w.head.Seq >= w.height(before)+1 })
}

func TestForkIsToldAndNothingReplaced(t *testing.T) {
	w := newWorld(t, newPeer("other chain", splitter), newPeer("honest", honest))
	w.height = fixed(50)
	w.start(10_000, 0)
	w.reaches(30 * time.Second)
	w.pass(time.Minute)
	if len(w.alarms) == 0 {
		t.Fatal("no alarm")
	}
	for _, fork := range w.alarms {
		if fork.First == nil || fork.First.Cert.Digest == fork.Second.Cert.Digest {
			t.Errorf("an alarm about %+v", fork)
		}
	}
	if w.head.Digest != digestOf(50, markGood) {
		t.Errorf("the head is another chain's: %+v", w.head)
	}
}

func TestTwoCertifiedTipsAreAFork(t *testing.T) {
	f := New(Config{TransferAfter: 100, LargestBlock: 1000}, Place{})
	f.Step(0, Sources{[]string{"a", "b"}})
	heads := 0
	var alarms []Fork
	run := func(actions []Action) {
		for _, a := range actions {
			if fork, ok := a.(Alarm); ok {
				alarms = append(alarms, fork.Fork)
			}
		}
	}
	for _, mark := range []byte{markGood, markFork} {
		heads++
		run(f.Step(0, Item{Ask: AskID(heads), Blob: headBlob(mark, 9, 0, 0)}))
		run(f.Step(0, HeadChecked{Job: JobID(heads), Standing: Standing{Tip: decision(9, mark)}}))
	}
	if len(alarms) != 1 || alarms[0].First.Cert.Digest == alarms[0].Second.Cert.Digest {
		t.Fatalf("alarms: %+v", alarms)
	}
}

// A source that has stopped on the other side of a fork shows the same head for ever. When
// this peer has come past it by itself, that head is looked at once more, and not again.
func TestStoppedSourceIsComparedOnce(t *testing.T) {
	f := New(Config{TransferAfter: 100, LargestBlock: 1000}, Place{})
	var asked AskID
	var checks []JobID
	run := func(now time.Duration, e Event) {
		for _, a := range f.Step(now, e) {
			switch a := a.(type) {
			case Ask:
				if _, head := a.Request.(Head); head {
					asked = a.Ask
				}
			case CheckHead:
				checks = append(checks, a.Job)
			}
		}
	}
	run(0, Role{Voting: true})
	run(0, Sources{[]string{"a"}})
	run(0, Item{Ask: asked, Blob: headBlob(markFork, 3, 0, 0)})
	run(0, HeadChecked{Job: checks[0], Standing: Standing{Tip: decision(3, markFork)}})
	run(0, Advanced{Head: Place{5, digestOf(5, markGood)}})
	for now := time.Second; now < 30*time.Second; now += 100 * time.Millisecond {
		before := asked
		run(now, nil)
		if asked == before {
			continue
		}
		seen := len(checks)
		run(now, Item{Ask: asked, Blob: headBlob(markFork, 3, 0, 0)})
		if len(checks) > seen { // the shell would say that it is a fork; this one lets it pass
			run(now, HeadChecked{Job: checks[seen], Standing: Standing{Tip: decision(3, markFork)}})
		}
	}
	if len(checks) != 2 {
		t.Errorf("the head is checked %d times, not when it comes and when it can be compared", len(checks))
	}
}

func TestFailedApplicationIsTriedAgain(t *testing.T) {
	w := newWorld(t, newPeer("a", honest))
	w.height = fixed(100)
	w.refuses = 2
	w.start(10_000, 0)
	w.reaches(10 * time.Second)
	if len(w.notes) > 0 {
		t.Errorf("a source was blamed for this peer's own fault: %+v", w.notes)
	}
}

func TestLateCompletionsAreIgnored(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(rt, newPeer("a", honest), newPeer("b", honest))
		w.height = fixed(200)
		w.start(10_000, 0)
		for range rapid.IntRange(0, 40).Draw(rt, "noise") {
			w.pass(time.Duration(rapid.IntRange(0, 50).Draw(rt, "ms")) * time.Millisecond)
			id := rapid.Uint64Range(1000, 2000).Draw(rt, "number")
			w.step(rapid.SampledFrom([]Event{
				Item{Ask: AskID(id), Blob: []byte{1}},
				Ended{Ask: AskID(id)},
				HeadChecked{Job: JobID(id), Lie: true},
				BlocksChecked{Job: JobID(id), Lie: true},
				Building{Job: JobID(id)},
				ChunkRefused{JobID(id)},
				Installed{Job: JobID(id), Head: Place{Seq: 1 << 40}},
				Failed{JobID(id)},
				Behind{Seq: 1},
				nil,
			}).Draw(rt, "event"))
		}
		w.reaches(w.now + 10*time.Second)
		if len(w.notes) > 0 {
			rt.Errorf("sources were blamed: %+v", w.notes)
		}
	})
}

// Two runs that are the same in are the same out: nothing hangs on the order of a map.
func TestRunsAreRepeated(t *testing.T) {
	run := func() string {
		var peers []*peer
		for i, h := range hostiles {
			peers = append(peers, newPeer(fmt.Sprint(h.name, i), h.answers))
		}
		peers = append(peers[:8], newPeer("honest", honest), newPeer("honest too", honest))
		w := newWorld(t, peers...)
		w.height = func(now time.Duration) uint64 { return 300 + uint64(now/time.Second) }
		w.start(10_000, 0)
		w.pass(90 * time.Second)
		return fmt.Sprintf("%+v\n%s", w.asked, w.describe())
	}
	if a, b := run(), run(); a != b {
		t.Error("two runs differ")
	}
}
