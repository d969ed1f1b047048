package follow

import (
	"container/heap"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/decube/decube/ledger/pbft"
)

// world is a follower among sources under a clock of its own. Nothing in it is real:
// a block is its number and a mark, and verifying is looking at the mark.
type world struct {
	t     fataler
	f     *Follower
	now   time.Duration
	queue agenda
	order int

	height    func(time.Duration) uint64 // of the ledger
	blockSize int
	interval  uint64 // blocks between checkpoints
	checking  time.Duration
	applying  time.Duration
	refuses   int // how many applications fail

	peers  []*peer
	open   map[AskID]func() // what stops an answer
	credit map[AskID]*int
	asked  []Ask
	head   Place
	wake   time.Duration
	chunk  int // how many of the state are added
	builds int
	last   *pbft.Decision // whose state is built
	alarms []Fork
	notes  []Note
	most   int // bytes held at a time
}

type fataler interface {
	Helper()
	Fatalf(format string, args ...any)
	Errorf(format string, args ...any)
}

// peer is a source with its line.
type peer struct {
	name    string
	latency time.Duration
	rate    float64 // bytes a second
	free    time.Duration
	answers func(w *world, p *peer, a Ask)
	prunes  uint64        // the first block that it has
	lags    uint64        // how many blocks it is behind
	retains uint64        // how many checkpoints before its last one it has the state of
	turns   time.Duration // when it stops serving what it was asked for before
}

const (
	markGood = 0x01
	markFork = 0x02
	markEnd  = 16
	chunks   = 5 // of a state
)

func newWorld(t fataler, peers ...*peer) *world {
	w := &world{
		t: t, blockSize: 200, interval: 100, checking: time.Millisecond, applying: time.Millisecond, peers: peers,
		open: map[AskID]func(){}, credit: map[AskID]*int{},
		height: func(time.Duration) uint64 { return 0 }, head: Place{0, digestOf(0, markGood)},
	}
	return w
}

func (w *world) start(transferAfter uint64, largest int) {
	w.f = New(Config{TransferAfter: transferAfter, LargestBlock: max(largest, w.blockSize)}, w.head)
	names := make([]string, len(w.peers))
	for i, p := range w.peers {
		names[i] = p.name
	}
	w.step(Sources{names})
}

// agenda is what happens later, in order of time and then of insertion.
type agenda []*appointment

type appointment struct {
	at    time.Duration
	order int
	do    func()
}

func (a agenda) Len() int { return len(a) }
func (a agenda) Less(i, j int) bool {
	return a[i].at < a[j].at || (a[i].at == a[j].at && a[i].order < a[j].order)
}
func (a agenda) Swap(i, j int) { a[i], a[j] = a[j], a[i] }
func (a *agenda) Push(x any)   { *a = append(*a, x.(*appointment)) } //nolint:errcheck // nothing else is pushed
func (a *agenda) Pop() any {
	old := *a
	x := old[len(old)-1]
	*a = old[:len(old)-1]
	return x
}

func (w *world) at(t time.Duration, do func()) {
	w.order++
	heap.Push(&w.queue, &appointment{max(t, w.now), w.order, do})
}

func (w *world) after(d time.Duration, do func()) { w.at(w.now+d, do) }

// until runs the world until done, and fails when that takes longer than it may.
func (w *world) until(limit time.Duration, what string, done func() bool) time.Duration {
	w.t.Helper()
	for !done() {
		if len(w.queue) == 0 || w.queue[0].at > limit {
			w.t.Fatalf("not within %v: %s; head %d, proven %d of %d\n%s", limit, what, w.head.Seq, w.f.Proven().Seq, w.height(w.now), w.describe())
		}
		x, _ := heap.Pop(&w.queue).(*appointment)
		w.now = x.at
		x.do()
	}
	return w.now
}

// pass lets time go by.
func (w *world) pass(d time.Duration) {
	end, over := w.now+d, false
	w.at(end, func() { over = true })
	w.until(end, "time passes", func() bool { return over })
}

func (w *world) describe() string {
	var b strings.Builder
	for _, s := range w.f.sources {
		fmt.Fprintf(&b, "%s: tip %d earliest %d rate %.0f failures %d lies %d until %v\n", s.name, s.tip.Seq, s.first(), s.rate, s.failures, s.lies, s.until)
	}
	for _, a := range w.f.asks {
		fmt.Fprintf(&b, "ask %d of %s: %+v started %v received %d ended %v\n", a.id, a.source.name, a.request, a.started, a.received, a.ended)
	}
	return b.String()
}

// step has the follower take an event, and does what it asks for.
func (w *world) step(e Event) {
	for _, a := range w.f.Step(w.now, e) {
		w.do(a)
	}
	w.holds()
	if d := w.f.Deadline(); d <= w.now {
		w.t.Fatalf("a deadline that is not in the future: %v at %v", d, w.now)
	} else if d < w.wake || w.wake <= w.now {
		w.wake = d
		w.at(d, func() {
			if w.wake == d {
				w.step(nil)
			}
		})
	}
}

// holds checks what must hold after each step.
func (w *world) holds() {
	n, chunkBytes := 0, 0
	for _, a := range w.f.asks {
		for _, item := range a.items {
			if _, ok := a.request.(Chunk); ok {
				chunkBytes += len(item)
			} else {
				n += len(item)
			}
		}
	}
	for _, v := range w.f.ready {
		n += v.bytes
	}
	if c := w.f.checking; c != nil {
		n += c.bytes
	}
	if x := w.f.applying; x != nil {
		n += x.bytes
	}
	w.most = max(w.most, n)
	if n > w.f.fetched() || w.f.fetched() > Fetched {
		w.t.Fatalf("%d bytes of blocks are held, %d are accounted for, %d may be", n, w.f.fetched(), Fetched)
	}
	if chunkBytes > StateInFlight {
		w.t.Fatalf("%d bytes of chunks are held", chunkBytes)
	}
	if s := w.f.stripes; len(s) > 0 {
		for i := 1; i < len(s); i++ {
			if s[i].from != s[i-1].to+1 {
				w.t.Fatalf("stripe %d to %d after one to %d", s[i].from, s[i].to, s[i-1].to)
			}
		}
	}
	together := map[string]int{}
	for _, a := range w.f.asks {
		if !a.ended {
			together[a.source.name]++
		}
	}
	for name, n := range together {
		if n > 8 {
			w.t.Fatalf("%d questions to %s at a time", n, name)
		}
	}
}

func (w *world) do(a Action) {
	switch a := a.(type) {
	case Ask:
		w.asked = append(w.asked, a)
		for _, p := range w.peers {
			if p.name == a.Source {
				w.open[a.Ask] = func() {}
				p.answers(w, p, a)
				return
			}
		}
		w.t.Fatalf("a question to %q, who is not there", a.Source)
	case Stop:
		if stop := w.open[a.Ask]; stop != nil {
			delete(w.open, a.Ask)
			stop()
		}
	case Credit:
		if c := w.credit[a.Ask]; c != nil {
			*c += a.Bytes
		}
	case CheckHead:
		w.after(w.checking, func() { w.step(w.checkHead(a)) })
	case CheckBlocks:
		w.after(w.checking, func() { w.step(w.checkBlocks(a)) })
	case Apply:
		w.after(w.applying, func() { w.apply(a) })
	case Build:
		w.builds++
		w.last = a.Checkpoint
		w.chunk = 0
		w.after(w.checking, func() { w.step(Building{Job: a.Job, Next: path(0), More: true}) })
	case AddChunk:
		w.after(w.checking, func() { w.step(w.addChunk(a)) })
	case Install:
		w.after(w.applying, func() {
			w.head = placeOf(w.last)
			w.step(Installed{Job: a.Job, Head: w.head})
		})
	case Alarm:
		w.alarms = append(w.alarms, a.Fork)
	case Note:
		w.notes = append(w.notes, a)
	default:
		w.t.Fatalf("an action %T", a)
	}
}

// item delivers an item of an answer, unless it was stopped.
func (w *world) item(ask AskID, blob []byte) {
	if w.open[ask] != nil {
		w.step(Item{Ask: ask, Blob: blob})
	}
}

func (w *world) end(ask AskID, why End) {
	if w.open[ask] != nil {
		delete(w.open, ask)
		w.step(Ended{Ask: ask, Why: why})
	}
}

func digestOf(seq uint64, mark byte) pbft.Digest {
	return sha256.Sum256(binary.BigEndian.AppendUint64([]byte{mark}, seq))
}

func decision(seq uint64, mark byte) *pbft.Decision {
	d := &pbft.Decision{Header: pbft.Header{Seq: seq}}
	d.Cert.Seq, d.Cert.Digest = seq, digestOf(seq, mark)
	return d
}

// blob is a block of so many bytes: good, forked, or neither.
func blob(seq uint64, mark byte, size int) []byte {
	b := make([]byte, max(size, markEnd))
	b[0] = mark
	binary.BigEndian.PutUint64(b[1:], seq)
	return b
}

// certified is a verified block.
type certified struct{ d *pbft.Decision }

func (c certified) Decision() *pbft.Decision { return c.d }

func (w *world) checkBlocks(c CheckBlocks) BlocksChecked {
	out := BlocksChecked{Job: c.Job}
	for i, b := range c.Blobs {
		want := c.After.Seq + 1 + uint64(i)
		switch {
		case len(b) < markEnd, binary.BigEndian.Uint64(b[1:]) != want:
			out.Lie = true
			return out
		case b[0] == markFork:
			out.Fork = &Fork{First: decision(want-1, markGood), Second: decision(want, markFork)}
			return out
		case b[0] != markGood:
			out.Lie = true
			return out
		}
		out.Blocks = append(out.Blocks, certified{decision(want, markGood)})
	}
	return out
}

// headBlob is: mark | tip | checkpoint | earliest.
func headBlob(mark byte, tip, checkpoint, earliest uint64) []byte {
	b := []byte{mark}
	for _, n := range []uint64{tip, checkpoint, earliest} {
		b = binary.BigEndian.AppendUint64(b, n)
	}
	return b
}

func (w *world) checkHead(c CheckHead) HeadChecked {
	out := HeadChecked{Job: c.Job}
	if len(c.Blob) != 25 || c.Blob[0] != markGood {
		out.Lie = true
		return out
	}
	n := func(i int) uint64 { return binary.BigEndian.Uint64(c.Blob[1+8*i:]) }
	if n(0) > 0 {
		out.Standing.Tip = decision(n(0), markGood)
	}
	if n(1) > 0 {
		out.Standing.Checkpoint = decision(n(1), markGood)
	}
	out.Standing.Earliest = n(2)
	return out
}

func (w *world) apply(a Apply) {
	if w.refuses > 0 {
		w.refuses--
		w.step(Failed{a.Job})
		return
	}
	for _, b := range a.Blocks {
		p := placeOf(b.Decision())
		if p.Seq <= w.head.Seq {
			continue
		}
		if p.Seq != w.head.Seq+1 || p.Digest != digestOf(p.Seq, markGood) {
			w.t.Fatalf("block %d is applied on top of %d", p.Seq, w.head.Seq)
		}
		w.head = p
	}
	w.step(Applied{Job: a.Job, Head: w.head})
}

func path(n int) (p [32]byte) {
	p[0] = byte(n)
	return p
}

// addChunk takes a chunk that names its checkpoint and its place.
func (w *world) addChunk(a AddChunk) Event {
	want := append(binary.BigEndian.AppendUint64([]byte{markGood}, w.last.Header.Seq), byte(w.chunk))
	if len(a.Blob) < len(want) || string(a.Blob[:len(want)]) != string(want) {
		return ChunkRefused{a.Job}
	}
	w.chunk++
	return Building{Job: a.Job, Next: path(w.chunk), More: w.chunk < chunks}
}

// reaches runs the world until the follower has as much as there is.
func (w *world) reaches(limit time.Duration) time.Duration {
	w.t.Helper()
	return w.until(limit, "the follower has all blocks", func() bool { return w.head.Seq >= w.height(w.now) })
}

func fixed(n uint64) func(time.Duration) uint64 { return func(time.Duration) uint64 { return n } }

var _ fataler = (*testing.T)(nil)
