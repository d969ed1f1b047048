package kernel

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

type arrival struct {
	at       Time
	from, to int
	frame    int
}

// wire is a network of three nodes and what has arrived.
type wire struct {
	Scheduler
	*Network[int]
	got []arrival
}

func newWire(seed uint64, c Conditions) *wire {
	w := &wire{}
	w.Network = NewNetwork(&w.Scheduler, Stream(seed, "net"), 3, c, func(from, to, frame int) {
		w.got = append(w.got, arrival{w.Now(), from, to, frame})
	})
	return w
}

// times returns when frames arrived.
func (w *wire) times() []Time {
	w.RunUntil(1000 * Second)
	out := make([]Time, len(w.got))
	for i, a := range w.got {
		out[i] = a.at
	}
	return out
}

func TestDelays(t *testing.T) {
	w := newWire(1, Conditions{Min: 5, Max: 9, Tail: 0.1, TailTimes: 10})
	for i := range 2000 {
		w.Send(0, 1, i, 10)
	}
	late, overtaken := 0, 0
	for i, at := range w.times() {
		if at < 5 || at > 90 {
			t.Fatalf("a frame took %v", at)
		}
		if at > 9 {
			late++
		}
		if i > 0 && w.got[i].frame < w.got[i-1].frame {
			overtaken++
		}
	}
	if len(w.got) != 2000 || late < 120 || late > 240 || overtaken == 0 {
		t.Errorf("%d arrived, %d late, %d overtaken", len(w.got), late, overtaken)
	}
}

func TestLossAndDuplicates(t *testing.T) {
	w := newWire(1, Conditions{Drop: 0.25, Duplicate: 0.5})
	for i := range 4000 {
		w.Send(0, 1, i, 10)
	}
	copies := map[int]int{}
	w.times()
	for _, a := range w.got {
		copies[a.frame]++
	}
	lost, twice := 4000-len(copies), len(w.got)-len(copies)
	if traffic := w.Traffic(); traffic != (Traffic{4000, lost, 40_000, int64(10 * lost)}) {
		t.Errorf("%+v, but %d were lost", traffic, lost)
	}
	if lost < 900 || lost > 1100 || twice < 1400 || twice > 1600 {
		t.Errorf("%d lost, %d arrived twice", lost, twice)
	}
}

// Frames leave one after the other, at the link's rate; links do not share it.
func TestRate(t *testing.T) {
	w := newWire(1, Conditions{Min: 100, Max: 100, Rate: 1_000_000}) // a byte per microsecond
	w.Send(0, 1, 0, 500)
	w.Send(0, 1, 1, 500)
	w.Send(1, 0, 2, 500)
	w.RunUntil(700)
	w.Send(0, 1, 3, 1) // the link is idle until 1000: it has been free since
	w.Send(0, 2, 4, 300)
	if got, want := w.times(), []Time{600, 600, 1100, 1101, 1100}; !slices.Equal(sorted(got), sorted(want)) {
		t.Errorf("arrived at %v, want %v", got, want)
	}
}

func sorted(times []Time) []Time {
	slices.Sort(times)
	return times
}

// Small frames cannot get through faster than a large one of as many bytes.
func TestNoFrameIsFree(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rate := rapid.Int64Range(1, 1<<40).Draw(t, "rate")
		w := newWire(1, Conditions{Rate: rate})
		total := int64(0)
		for i := range rapid.IntRange(1, 30).Draw(t, "frames") {
			size := rapid.IntRange(1, 1000).Draw(t, "size")
			total += int64(size)
			w.Send(0, 1, i, size)
		}
		for w.Step() {
			continue
		}
		if least := Time(total * int64(Second) / rate); w.Now() < least {
			t.Fatalf("%d bytes at %d a second took %v, want at least %v", total, rate, w.Now(), least)
		}
	})
}

// What does not fit into the backlog is lost, and what does is not.
func TestBacklog(t *testing.T) {
	w := newWire(1, Conditions{Rate: 1_000_000, Backlog: 1000})
	for i := range 5 {
		w.Send(0, 1, i, 400)
	}
	w.RunUntil(400)
	w.Send(0, 1, 5, 400)
	w.Send(0, 1, 6, 1001)
	w.times()
	var frames []int
	for _, a := range w.got {
		frames = append(frames, a.frame)
	}
	if !slices.Equal(frames, []int{0, 1, 5}) || w.Traffic().Dropped != 4 {
		t.Errorf("%v arrived, %+v", frames, w.Traffic())
	}
}

func TestInOrder(t *testing.T) {
	w := newWire(1, Conditions{Min: 1, Max: 1000, Duplicate: 0.2, InOrder: true})
	for i := range 200 {
		w.Send(0, 1, i, 1)
		w.RunUntil(Time(i))
	}
	w.times()
	for i := 1; i < len(w.got); i++ {
		if w.got[i].frame < w.got[i-1].frame {
			t.Fatalf("frame %d after %d", w.got[i].frame, w.got[i-1].frame)
		}
	}
	if len(w.got) < 210 {
		t.Errorf("%d frames", len(w.got))
	}
}

// Cuts are of one direction and add up. What is on the way arrives, unless the link
// is one that a cut severs.
func TestCuts(t *testing.T) {
	for _, severs := range []bool{false, true} {
		w := newWire(1, Conditions{Min: 10, Max: 10, Severs: severs})
		w.Send(0, 1, 0, 7) // on the way at the first cut
		w.Cut(0, 1)
		w.Cut(0, 1)
		w.Send(0, 1, 1, 7)
		w.Send(1, 0, 2, 7)
		w.Mend(0, 1)
		if w.Connected(0, 1) || !w.Connected(1, 0) {
			t.Error("one of two cuts was taken back, and there is none; or the other direction is cut")
		}
		w.Send(0, 1, 3, 7)
		w.Mend(0, 1)
		w.Send(0, 1, 4, 7)
		w.Cut(1, 2)
		w.MendAll()
		w.Mend(1, 2) // has been mended
		w.Cut(1, 2)
		w.Send(1, 2, 5, 7)
		w.times()
		var got []int
		for _, a := range w.got {
			got = append(got, a.frame)
		}
		want, lost := []int{0, 2, 4}, 3
		if severs {
			want, lost = []int{2, 4}, 4
		}
		if traffic := w.Traffic(); !slices.Equal(got, want) || traffic.Dropped != lost || traffic.DroppedBytes != int64(7*lost) {
			t.Errorf("severs %v: %v arrived, want %v; %+v", severs, got, want, traffic)
		}
	}
}

func TestLinksOfTheirOwn(t *testing.T) {
	w := newWire(1, Conditions{Min: 10, Max: 10})
	w.SetLink(0, 1, &Conditions{Min: 50, Max: 50})
	w.Send(0, 1, 0, 1)
	w.Send(1, 0, 1, 1)
	w.SetConditions(Conditions{Min: 20, Max: 20})
	w.Send(1, 0, 2, 1)
	w.Send(0, 1, 3, 1)
	w.SetLink(0, 1, nil)
	w.Send(0, 1, 4, 1)
	if got := w.times(); !slices.Equal(got, []Time{10, 20, 20, 50, 50}) {
		t.Errorf("arrived at %v", got)
	}
}

// The same seed gives the same network, another one another.
func TestSameSeedSameNetwork(t *testing.T) {
	run := func(seed uint64) string {
		w := newWire(seed, Conditions{Min: 1, Max: 100, Tail: 0.2, TailTimes: 4, Drop: 0.2, Duplicate: 0.2, Rate: 1000, Backlog: 100_000})
		for i := range 300 {
			w.Send(i%3, (i+1)%3, i, i)
		}
		w.times()
		return fmt.Sprint(w.got)
	}
	first := run(1)
	if again, other := run(1), run(2); first != again || first == other {
		t.Error("a run does not depend on its seed, or not on it alone")
	}
}
