package exchange

import (
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"pgregory.net/rapid"

	"github.com/decube/decube/block"
)

// sizes is an Index whose blocks have sizes and no content.
type sizes []int

func (x sizes) Len() int                 { return len(x) }
func (x sizes) At(i int) (block.ID, int) { return block.ID{}, x[i] }

// Any order of leases, arrivals, losses, departures and failures ends with every
// ordinal done exactly once, as long as somebody holds it.
func TestScheduleBringsEverythingOnce(t *testing.T) {
	for range 10 { // a hundred runs each
		rapid.Check(t, bringEverythingOnce)
	}
}

func bringEverythingOnce(t *rapid.T) {
	n := rapid.IntRange(1, 200).Draw(t, "ordinals")
	index := make(sizes, n)
	for i := range index {
		index[i] = rapid.IntRange(0, 100).Draw(t, "size")
	}
	limits := DefaultLimits()
	limits.LeaseMin, limits.LeaseMax = 50, int64(rapid.IntRange(50, 2000).Draw(t, "lease"))
	held := newBitmap(n)
	for i := range n {
		if rapid.IntRange(0, 9).Draw(t, "held") == 0 {
			held.set(i)
		}
	}
	done := make([]int, n)
	s := newSchedule(index, held, limits)
	m := &model{t: t, s: s, done: done, now: time.Unix(1e9, 0)}
	for i := range n {
		if held.has(i) {
			done[i] = 1
		}
	}
	m.joinOne() // the anchor, which stays
	for range rapid.IntRange(0, 400).Draw(t, "steps") {
		m.step()
		m.check()
	}
	m.finish()
	for i, times := range done {
		if times != 1 {
			t.Fatalf("ordinal %d was done %d times", i, times)
		}
	}
}

// A provider that sends on beyond what it was to keep, because KEEP came too
// late, and then falls silent has nothing left that could be fetched twice.
func TestScheduleKeepThatCameTooLate(t *testing.T) {
	index := sizes{10, 10, 10, 10, 10, 10, 10, 10}
	limits := DefaultLimits()
	limits.LeaseMin, limits.LeaseMax = 80, 80
	s := newSchedule(index, newBitmap(8), limits)
	all := func() bitmap {
		b := newBitmap(8)
		b.fill(8)
		return b
	}
	slow, fast := s.join("slow", all(), 1), s.join("fast", all(), 1)
	now := time.Unix(1e9, 0)
	if req, ok := s.lease(slow, block.ID{}, now); !ok || req.spans[0].count != 8 {
		t.Fatalf("first lease %+v, %v", req, ok)
	}
	now = now.Add(time.Minute)
	taken, ok := s.lease(fast, block.ID{}, now)
	if keeps := s.takeKeeps(slow); !ok || len(keeps) != 1 || keeps[0].keep != taken.spans[0].from {
		t.Fatalf("taken over %+v, %v, told %+v", taken, ok, keeps)
	}
	for o := range taken.spans[0].from + 1 { // one more than it was to keep
		if needed, err := s.arrive(slow, 1, o, 10, now); !needed || err != nil {
			t.Fatalf("ordinal %d: %v, %v", o, needed, err)
		}
	}
	s.leave(fast)
	third := s.join("third", all(), 1)
	if req, ok := s.lease(third, block.ID{}, now.Add(time.Hour)); !ok || req.spans[0].from != taken.spans[0].from+1 {
		t.Errorf("what was given back is leased as %+v, %v", req, ok)
	}
	if req, ok := s.lease(s.join("fourth", all(), 1), block.ID{}, now.Add(2*time.Hour)); !ok {
		t.Errorf("nothing to take over from the third: %+v", req)
	}
}

// Two providers that bring the same block and do not get on with it keep it from a third
// one only as long as there is hope.
func TestScheduleTwoThatDrip(t *testing.T) {
	s := newSchedule(sizes{1 << 20}, newBitmap(1), DefaultLimits())
	all := func() bitmap { return bitmap{1} }
	now := time.Unix(1e9, 0)
	for _, name := range []peer.ID{"first", "second"} {
		h := s.join(name, all(), 1)
		if _, ok := s.lease(h, block.ID{}, now); !ok {
			t.Fatalf("no lease for the %s", name)
		}
		if _, err := s.announce(h, 1, 0, 1<<20); err != nil {
			t.Fatal(err)
		}
		now = now.Add(time.Second)
	}
	third := s.join("third", all(), 1)
	if req, ok := s.lease(third, block.ID{}, now); ok {
		t.Fatalf("a third copy at once: %+v", req)
	}
	now = now.Add(hopeless)
	if _, ok := s.lease(third, block.ID{}, now); !ok {
		t.Fatal("nothing for the third")
	}
	if needed, err := s.arrive(third, 1, 0, 1<<20, now); !needed || err != nil {
		t.Fatalf("needed: %v, %v", needed, err)
	}
	s.verified(0, true)
	if _, done := s.wait(); !done {
		t.Error("something is left")
	}
}

// An idle provider takes over from the slowest one that has something left: not from one that
// has still to send what others have brought already.
func TestSchedulePassesOverWhatHasCome(t *testing.T) {
	limits := DefaultLimits()
	limits.LeaseMin, limits.LeaseMax = 4<<20, 4<<20
	s := newSchedule(sizes{1 << 20, 1 << 20, 1 << 20, 1 << 20, 1 << 20, 1 << 20}, newBitmap(6), limits)
	all := func() bitmap { return bitmap{0x3f} }
	now := time.Unix(1e9, 0)
	first, second := s.join("first", all(), 1), s.join("second", all(), 1)
	for _, h := range []*holder{first, second} {
		if _, ok := s.lease(h, block.ID{}, now); !ok {
			t.Fatalf("no lease for the %s", h.peer)
		}
	}
	for o := range 4 { // which the first was to send, and does not
		s.copies[o]++
		s.done.set(o)
		s.left--
	}
	now = now.Add(time.Second)
	if req, ok := s.lease(s.join("third", all(), 1), block.ID{}, now); !ok || req.spans[0].from < 4 {
		t.Errorf("the third is to bring %+v, %v", req.spans, ok)
	}
}

// Providers that take turns at holding the last block do not keep it from one that has brought
// far more, and from one that has brought as much only for a moment.
func TestScheduleCrowdThatHoldsTheLastBlock(t *testing.T) {
	const size = 1 << 20
	s := newSchedule(sizes{size, size}, newBitmap(2), DefaultLimits())
	all := func() bitmap { return bitmap{3} }
	now := time.Unix(1e9, 0)
	fast := s.join("fast", all(), 1)
	s.take(1) // not yet
	if _, ok := s.lease(fast, block.ID{}, now); !ok {
		t.Fatal("no lease")
	}
	now = now.Add(100 * time.Millisecond)
	if needed, err := s.arrive(fast, 1, 0, size, now); !needed || err != nil {
		t.Fatalf("needed: %v, %v", needed, err)
	}
	s.verified(0, true)
	if err := s.end(fast, 1); err != nil {
		t.Fatal(err)
	}
	s.release(1, false)
	one, other := s.join("one", all(), 1), s.join("other", all(), 1)
	for _, h := range []*holder{one, other} {
		h.brought = size
		if _, ok := s.lease(h, block.ID{}, now); !ok {
			t.Fatalf("no lease for the %s", h.peer)
		}
		now = now.Add(100 * time.Millisecond)
	}
	slow := s.join("slow", all(), 1)
	may := func(h *holder) bool { return s.mayCopy(h, 1, now) }
	if may(fast) || may(slow) {
		t.Error("a third copy at once")
	}
	other.brought = size/2 - 1
	if !may(fast) || may(slow) {
		t.Error("one that has brought far less keeps it from the fast one, or lets the slow one have it")
	}
	other.brought = size
	now = now.Add(400 * time.Millisecond)
	if !may(fast) || may(slow) {
		t.Error("two that are silent keep it from the fast one, or let the slow one have it")
	}
	if _, ok := s.lease(fast, block.ID{}, now); !ok {
		t.Error("nothing for the fast one")
	}
}

// One that was fast and of whom not a byte comes any more is taken over from, although a block
// would not have taken it long.
func TestScheduleSilenceCounts(t *testing.T) {
	var m meter
	now := time.Unix(1e9, 0)
	m.begin(now)
	now = now.Add(meterStep)
	m.add(10<<20, now)
	for _, c := range []struct {
		after time.Duration
		least time.Duration
	}{{0, 0}, {briefly - 1, 0}, {briefly, briefly}, {time.Second, time.Second}} {
		if eta := m.eta(1<<20, now.Add(c.after)); eta < c.least || c.least == 0 && eta >= worthTaking {
			t.Errorf("silent for %v: a block in %v", c.after, eta)
		}
	}
	m.heard = now.Add(briefly)
	if eta := m.eta(1<<20, now.Add(briefly)); eta >= worthTaking {
		t.Errorf("bytes have come: a block in %v", eta)
	}
}

// model plays providers and verifiers.
type model struct {
	t       *rapid.T
	s       *schedule
	now     time.Time
	holders []*holder
	pending []int // being verified
	done    []int
}

func (m *model) joinOne() {
	have := newBitmap(len(m.done))
	have.fill(len(m.done))
	often := 1 // the anchor lacks little
	if len(m.holders) > 0 {
		often = 5
	}
	for i := range m.done {
		if rapid.IntRange(0, 9).Draw(m.t, "lacks") < often {
			have.clear(i)
		}
	}
	m.holders = append(m.holders, m.s.join("", have, 1))
}

func (m *model) step() {
	m.now = m.now.Add(time.Duration(rapid.IntRange(0, 400).Draw(m.t, "ms")) * time.Millisecond)
	i := rapid.IntRange(0, len(m.holders)-1).Draw(m.t, "provider")
	h := m.holders[i]
	switch rapid.IntRange(0, 11).Draw(m.t, "event") {
	case 0:
		if len(m.holders) < 5 {
			m.joinOne()
		}
	case 1:
		if i > 0 {
			m.s.leave(h)
			m.holders = append(m.holders[:i], m.holders[i+1:]...)
		}
	case 2:
		if i > 0 {
			m.answer(h, true)
		}
	case 3, 4:
		m.verify(rapid.IntRange(0, 4).Draw(m.t, "good") > 0)
	case 5:
		for _, o := range m.s.claimOrphans(3) {
			good := rapid.Bool().Draw(m.t, "found")
			if good {
				m.done[o]++
			}
			m.s.release(o, good)
		}
	case 6, 7:
		m.s.lease(h, block.ID{}, m.now)
	default:
		m.answer(h, false)
	}
}

// answer sends h's next answer: a block or a loss, or the end.
func (m *model) answer(h *holder, lost bool) {
	if len(h.leases) == 0 {
		return
	}
	l := h.leases[0]
	if l.next == len(l.ordinals) || l.next >= l.keep && rapid.Bool().Draw(m.t, "KEEP was seen") {
		m.must(m.s.end(h, l.id))
		return
	}
	o := l.ordinals[l.next]
	if lost && !l.underWay {
		m.must(m.s.missing(h, l.id, o, 1))
		return
	}
	_, size := m.s.index.At(o)
	if !l.underWay {
		_, err := m.s.announce(h, l.id, o, size)
		m.must(err)
		if rapid.Bool().Draw(m.t, "the block takes its time") {
			return
		}
	}
	needed, err := m.s.arrive(h, l.id, o, size, m.now)
	m.must(err)
	if needed {
		m.pending = append(m.pending, o)
	}
}

func (m *model) verify(good bool) {
	if len(m.pending) == 0 {
		return
	}
	o := m.pending[0]
	m.pending = m.pending[1:]
	if good {
		m.done[o]++
	}
	m.s.verified(o, good)
}

// finish lets the anchor do the rest.
func (m *model) finish() {
	for _, h := range m.holders[1:] {
		m.s.leave(h)
	}
	h := m.holders[0]
	for range 10 * len(m.done) {
		if _, complete := m.s.wait(); complete {
			return
		}
		m.s.lease(h, block.ID{}, m.now)
		m.answer(h, false)
		m.verify(true)
		for _, o := range m.s.claimOrphans(3) {
			m.done[o]++
			m.s.release(o, true)
		}
	}
	m.t.Fatalf("%d left", m.s.left)
}

// check compares what the schedule keeps with what follows from the leases.
func (m *model) check() {
	copies := make([]int, len(m.done))
	for _, h := range m.s.holders {
		for _, l := range h.leases {
			for _, o := range l.rest() {
				copies[o]++
			}
		}
	}
	var free int64
	for o, times := range m.done {
		if int(m.s.copies[o]) != copies[o] || copies[o] > len(m.holders) {
			m.t.Fatalf("ordinal %d has %d copies of %d providers, counted %d", o, copies[o], len(m.holders), m.s.copies[o])
		}
		want := copies[o] == 0 && times == 0 && !m.s.verifying.has(o)
		if m.s.free.has(o) != want {
			m.t.Fatalf("ordinal %d free: %v, want %v", o, m.s.free.has(o), want)
		}
		if want {
			free += m.s.size(o)
		}
		if m.s.done.has(o) != (times > 0) {
			m.t.Fatalf("ordinal %d done: %v, want %d", o, m.s.done.has(o), times)
		}
	}
	if free != m.s.freeBytes {
		m.t.Fatalf("%d bytes free, counted %d", free, m.s.freeBytes)
	}
}

func (m *model) must(err error) {
	if err != nil {
		m.t.Fatal(err)
	}
}
