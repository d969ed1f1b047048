package intake_test

import (
	"cmp"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/decube/decube/ledger/intake"
	"github.com/decube/decube/ledger/tx"
)

// model is a pool that is a list: slow, and plain to see.
type model struct {
	t       *rapid.T
	p       *intake.Pool
	all     []*tx.Transaction
	now     time.Duration
	seq     uint64
	number  int
	waiting []*entry
	done    []tx.ID // committed, in order
	flights []intake.Block
	last    uint64            // committed block
	decided map[string]uint64 // the last block with a name
	asked   []asked           // not judged yet
}

// entry is a waiting transaction.
type entry struct {
	t      *tx.Transaction
	since  time.Duration
	after  uint64
	places []*spot

	valid     bool
	at, from  time.Duration
	seq       uint64
	askedAt   time.Duration
	wasAsked  bool
	wasBefore bool // there was one before it when it was asked for
}

// spot is a place in an origin's queue.
type spot struct {
	origin, number int
	waited         time.Duration
}

type asked struct {
	ts  []*tx.Transaction
	seq uint64
}

const (
	origins   = 3
	committed = 8
)

// universe are the transactions that there are: few slots, and several for each.
func universe(t *testing.T) []*tx.Transaction {
	t.Helper()
	var ts []*tx.Transaction
	for o := range 3 {
		for nonce := range uint64(5) {
			ts = append(ts,
				make1(t, key(o), nonce, tx.RecordPut{Key: "k"}),
				make1(t, key(o), nonce, tx.RecordPut{Key: "k", Value: make([]byte, 3000)}))
			if nonce < 2 {
				ts = append(ts, claim(t, key(o), nonce, "a"), claim(t, key(o), nonce, "b"))
			}
		}
	}
	return ts
}

// modelShare has room for some of the large transactions.
const modelShare = 3*(72<<10+4+intake.Overhead) + 10

func name(t *tx.Transaction) string {
	if c, ok := t.Op.(tx.NameClaim); ok {
		return c.Name
	}
	return ""
}

func (m *model) find(id tx.ID) *entry {
	for _, e := range m.waiting {
		if e.t.ID() == id {
			return e
		}
	}
	return nil
}

func (m *model) inFlight(same func(*tx.Transaction) bool) bool {
	return slices.ContainsFunc(m.flights, func(b intake.Block) bool { return slices.ContainsFunc(b.Transactions, same) })
}

func (m *model) slotInFlight(s intake.Slot) bool {
	return m.inFlight(func(t *tx.Transaction) bool { return intake.SlotOf(t) == s })
}

func (m *model) nameInFlight(n string) bool {
	return n != "" && m.inFlight(func(t *tx.Transaction) bool { return name(t) == n })
}

// queue returns what of an origin may be offered, in order.
func (m *model) queue(origin int) []*entry {
	type at struct {
		e      *entry
		number int
	}
	var q []at
	for _, e := range m.waiting {
		if m.slotInFlight(intake.SlotOf(e.t)) {
			continue
		}
		for _, s := range e.places {
			if s.origin == origin {
				q = append(q, at{e, s.number})
			}
		}
	}
	slices.SortFunc(q, func(a, b at) int { return cmp.Compare(a.number, b.number) })
	es := make([]*entry, len(q))
	for i := range q {
		es[i] = q[i].e
	}
	return es
}

func (m *model) bytes(origin int) int {
	n := 0
	for _, e := range m.waiting {
		for _, s := range e.places {
			if s.origin == origin {
				n += cost(e.t)
			}
		}
	}
	return n
}

func (m *model) before(t *tx.Transaction) bool {
	s := intake.SlotOf(t)
	if s.Nonce == 0 {
		return false
	}
	s.Nonce--
	return m.slotInFlight(s) || slices.ContainsFunc(m.waiting, func(e *entry) bool { return intake.SlotOf(e.t) == s })
}

func (m *model) add(*rapid.T) {
	t, origin := m.all[rapid.IntRange(0, len(m.all)-1).Draw(m.t, "transaction")], rapid.IntRange(0, origins-1).Draw(m.t, "origin")
	err := m.p.Add(m.now, t, origin)
	code, _ := tx.CodeOf(err)
	room := m.bytes(origin)+cost(t) <= modelShare
	e := m.find(t.ID())
	at := slices.Index(m.done, t.ID())
	taken := slices.ContainsFunc(m.waiting, func(e *entry) bool { return intake.SlotOf(e.t) == intake.SlotOf(t) })
	want := tx.CodeOK
	switch {
	case e != nil:
		want = tx.CodeDuplicate
		if room && !slices.ContainsFunc(e.places, func(s *spot) bool { return s.origin == origin }) {
			m.number++
			e.places = append(e.places, &spot{origin: origin, number: m.number})
		}
	case at >= 0 && at >= len(m.done)-committed, code == tx.CodeDuplicate && at >= 0: // remembered for longer than it must be
		want = tx.CodeDuplicate
	case taken:
		want = tx.CodeNonceUsed
	case !room:
		want = tx.CodeQueueFull
	default:
		m.number++
		m.waiting = append(m.waiting, &entry{t: t, since: m.now, after: m.last, places: []*spot{{origin: origin, number: m.number}}})
	}
	if code != want {
		m.t.Fatalf("Add says %v, want %v", code, want)
	}
}

func (m *model) gone(same func(*tx.Transaction) bool) {
	m.waiting = slices.DeleteFunc(m.waiting, func(e *entry) bool { return same(e.t) })
}

// some returns transactions no two of which use one slot.
func (m *model) some(label string) []*tx.Transaction {
	slot := func(i int) intake.Slot { return intake.SlotOf(m.all[i]) }
	var ts []*tx.Transaction
	for _, i := range rapid.SliceOfNDistinct(rapid.IntRange(0, len(m.all)-1), 0, 4, slot).Draw(m.t, label) {
		ts = append(ts, m.all[i])
	}
	return ts
}

func (m *model) fly(*rapid.T) {
	var blocks []intake.Block
	for _, b := range m.flights {
		if rapid.Bool().Draw(m.t, "stays") {
			blocks = append(blocks, b)
		}
	}
	for range rapid.IntRange(0, 2).Draw(m.t, "new") {
		m.seq++
		blocks = append(blocks, block(byte(m.seq), m.some("block")...))
	}
	m.p.InFlight(m.now, blocks)
	m.flights = blocks
}

func (m *model) commit(*rapid.T) {
	m.seq++
	b := block(byte(m.seq), m.some("committed")...)
	if len(m.flights) > 0 && rapid.Bool().Draw(m.t, "from flight") {
		b = m.flights[0]
		m.flights = m.flights[1:]
	}
	m.last = m.seq
	lost := m.p.Committed(m.now, m.seq, b)
	var want []*tx.Transaction
	for _, t := range b.Transactions {
		m.gone(func(other *tx.Transaction) bool {
			same := intake.SlotOf(other) == intake.SlotOf(t)
			if same && other != t {
				want = append(want, other)
			}
			return same
		})
		m.done = append(slices.DeleteFunc(m.done, func(d tx.ID) bool { return d == t.ID() }), t.ID())
		if n := name(t); n != "" {
			m.decided[n] = m.seq
		}
	}
	if !slices.Equal(lost, want) {
		m.t.Fatalf("%d lost their slots, want %d", len(lost), len(want))
	}
}

func (m *model) drop(*rapid.T) {
	for _, t := range m.some("dropped") {
		m.p.Drop(m.now, []tx.ID{t.ID()})
		m.gone(func(other *tx.Transaction) bool { return other == t })
	}
}

// wait lets time pass, in which fronts that nothing in flight races with age.
func (m *model) wait(*rapid.T) {
	dt := time.Duration(rapid.IntRange(1, 600).Draw(m.t, "milliseconds")) * ms
	for origin := range origins {
		if q := m.queue(origin); len(q) > 0 && !m.nameInFlight(name(q[0].t)) {
			for _, s := range q[0].places {
				if s.origin == origin {
					s.waited += dt
				}
			}
		}
	}
	m.now += dt
}

func (m *model) expire(*rapid.T) {
	age := time.Duration(rapid.IntRange(0, 3000).Draw(m.t, "age")) * ms
	got := m.p.Expire(m.now, age)
	var want []*tx.Transaction
	for _, e := range slices.Clone(m.waiting) {
		if m.now-e.since > age && !m.slotInFlight(intake.SlotOf(e.t)) {
			want = append(want, e.t)
			m.gone(func(t *tx.Transaction) bool { return t == e.t })
		}
	}
	if !slices.Equal(got, want) {
		m.t.Fatalf("expired are %d, want %d", nonces(got), nonces(want))
	}
}

// ask has the pool say what is to be judged: each front that needs it, and nothing that
// was given out within a quarter of a second.
func (m *model) ask(*rapid.T) {
	ts := m.p.ToJudge(m.now, all)
	for _, t := range ts {
		e := m.find(t.ID())
		if e == nil || m.slotInFlight(intake.SlotOf(t)) || e.wasAsked && m.now-e.askedAt < intake.Fresh/4 {
			m.t.Fatalf("%s is not to be judged", t.Summary())
		}
		e.askedAt, e.wasAsked, e.wasBefore = m.now, true, m.before(t)
	}
	for origin := range origins {
		if q := m.queue(origin); len(q) > 0 && (!q[0].wasAsked || m.now-q[0].askedAt >= intake.Fresh/4) {
			m.t.Fatalf("the front of %d is not judged", origin)
		}
	}
	m.asked = append(m.asked, asked{ts, m.seq})
}

func (m *model) judge(*rapid.T) {
	if len(m.asked) == 0 {
		return
	}
	a := m.asked[0]
	m.asked = m.asked[1:]
	var verdicts []intake.Verdict
	want := 0
	for _, t := range a.ts {
		code := rapid.SampledFrom([]tx.Code{tx.CodeOK, tx.CodeOK, tx.CodeNotFound, tx.CodeNonceUsed}).Draw(m.t, "verdict")
		v := intake.Verdict{ID: t.ID()}
		if code != tx.CodeOK {
			v.Err = tx.Reject(code, "so")
		}
		verdicts = append(verdicts, v)
		e := m.find(t.ID())
		switch {
		case e == nil || m.slotInFlight(intake.SlotOf(t)) || a.seq < e.after || a.seq < m.decided[name(t)] && name(t) != "":
		case code == tx.CodeOK:
			if !e.valid || m.now-e.at > intake.Fresh {
				e.from = m.now - intake.Fresh
			}
			e.valid, e.at, e.seq, e.askedAt, e.wasAsked = true, m.now, a.seq, m.now, true
		case code == tx.CodeNotFound && (e.wasBefore || m.before(t)):
			e.valid, e.askedAt, e.wasAsked = false, m.now, true
			for _, s := range e.places {
				m.number++
				s.number, s.waited = m.number, 0
			}
		default:
			want++
			m.gone(func(other *tx.Transaction) bool { return other == t })
		}
		// One at a time, so that what each changes is seen by the next in both.
		left := m.p.Judged(m.now, a.seq, verdicts[len(verdicts)-1:])
		want -= len(left)
	}
	if want != 0 {
		m.t.Fatalf("%d more than these should have left", want)
	}
}

// check compares all that can be asked.
func (m *model) check(t *rapid.T) {
	if m.p.Len() != len(m.waiting) {
		t.Fatalf("%d wait, want %d", m.p.Len(), len(m.waiting))
	}
	s := m.p.Stats()
	ready := map[tx.ID]bool{}
	var oldest time.Duration
	for origin := range origins {
		q := m.queue(origin)
		for _, e := range q {
			ready[e.t.ID()] = true
		}
		if s.Origins[origin] != m.bytes(origin) || s.Origins[origin] > modelShare {
			t.Fatalf("origin %d has %d bytes, want %d", origin, s.Origins[origin], m.bytes(origin))
		}
		if len(q) == 0 {
			continue
		}
		e := q[0]
		if n := name(e.t); e.valid && m.now-e.at < intake.Fresh && !m.nameInFlight(n) && (n == "" || e.seq >= m.decided[n]) {
			for _, place := range e.places {
				if place.origin == origin {
					oldest = max(oldest, 1, min(place.waited, m.now-e.from))
				}
			}
		}
	}
	if got := m.p.Oldest(m.now); got != oldest {
		t.Fatalf("the oldest waits for %v, want %v", got, oldest)
	}
	if s.Ready != len(ready) {
		t.Fatalf("%d are ready, want %d", s.Ready, len(ready))
	}
	m.checkNext(t, ready)
}

// checkNext demands all that is ready, once, and in its origin's order where it came
// through one only.
func (m *model) checkNext(t *rapid.T, ready map[tx.ID]bool) {
	got := m.p.Next(all, all)
	last := map[int]int{}
	for _, x := range got {
		if !ready[x.ID()] {
			t.Fatalf("%s is offered, again or in flight", x.Summary())
		}
		delete(ready, x.ID())
		e := m.find(x.ID())
		if len(e.places) > 1 {
			continue
		}
		place := e.places[0]
		if place.number < last[place.origin] {
			t.Fatalf("%s is offered after what came later", x.Summary())
		}
		last[place.origin] = place.number
	}
	if len(ready) > 0 {
		t.Fatalf("%d are not offered", len(ready))
	}
}

func TestModel(t *testing.T) {
	transactions := universe(t)
	rapid.Check(t, func(t *rapid.T) {
		m := &model{
			t: t, p: newPool(origins, intake.Limits{Bytes: origins * modelShare, Committed: committed}),
			all: transactions, decided: map[string]uint64{},
		}
		t.Repeat(map[string]func(*rapid.T){
			"add": m.add, "commit": m.commit, "drop": m.drop, "fly": m.fly, "wait": m.wait,
			"ask": m.ask, "judge": m.judge, "expire": m.expire, "": m.check,
		})
	})
}

// Whatever is asked for, a block keeps its limits, and each origin's order.
func TestBlocksKeepLimits(t *testing.T) {
	sizes := []int{0, 100, 3000, 20_000, tx.MaxValue}
	rapid.Check(t, func(t *rapid.T) {
		p := newPool(origins, intake.Limits{})
		origin := map[uint64]int{}
		for i := range rapid.IntRange(0, 60).Draw(t, "transactions") {
			at := rapid.IntRange(0, origins-1).Draw(t, "origin")
			x, err := tx.New([32]byte{'n'}, owner, uint64(i), tx.RecordPut{Key: "k", Value: make([]byte, rapid.SampledFrom(sizes).Draw(t, "size"))}, [64]byte{})
			if err == nil {
				err = p.Add(0, x, at)
			}
			if err != nil {
				t.Fatal(err)
			}
			origin[x.Nonce] = at
		}
		for range 3 {
			maxTx, maxBytes := rapid.IntRange(0, 80).Draw(t, "most"), rapid.IntRange(0, 300_000).Draw(t, "bytes")
			ts := p.Next(maxTx, maxBytes)
			last, bytes := map[int]uint64{}, 0
			for _, x := range ts {
				if before, ok := last[origin[x.Nonce]]; ok && x.Nonce <= before {
					t.Fatalf("%d after %d", x.Nonce, before)
				}
				last[origin[x.Nonce]] = x.Nonce
				bytes += tx.EncodedSize(x)
			}
			if len(ts) > maxTx || bytes > maxBytes {
				t.Fatalf("%d transactions of %d bytes, at most %d of %d", len(ts), bytes, maxTx, maxBytes)
			}
		}
	})
}
