package admission_test

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/decube/decube/internal/admission"
	"github.com/decube/decube/internal/limits"
)

// held is what the model knows of a stream with a place.
type held struct {
	who             admission.Holder
	prefix, address int
	moved           time.Time
	bytes           int64
}

// group returns what a stream is counted with at a level, from the prefix down.
func (h held) group(level int) string {
	return fmt.Sprint([]any{h.prefix, h.address, h.who.Peer}[:level+1]...)
}

// band returns what classes compete with each other in.
func (h held) band() admission.Class { return max(h.who.Class, admission.Known) }

// model is a table and what must be true of it.
type model struct {
	l      admission.Limits
	table  *admission.Table
	at     time.Time
	live   map[admission.Place]*held
	ending []admission.Place
}

func newModel(t *rapid.T, change func(*admission.Limits)) *model {
	l := admission.For(limits.Row{
		Streams: rapid.IntRange(2, 24).Draw(t, "places"), PerPeer: rapid.IntRange(1, 6).Draw(t, "of a peer"),
		Memory: 5 * rapid.Int64Range(1, 40).Draw(t, "memory"),
	})
	change(&l)
	table, err := admission.New(l)
	if err != nil {
		t.Fatal(err)
	}
	return &model{l: l, table: table, at: start, live: map[admission.Place]*held{}}
}

func someHolder(t *rapid.T) held {
	h := held{prefix: rapid.IntRange(1, 5).Draw(t, "prefix"), address: rapid.IntRange(1, 3).Draw(t, "address")}
	class := rapid.SampledFrom([]admission.Class{0, 0, 0, 0, 1, 1, 2, 3}).Draw(t, "class")
	// A peer may come from several places.
	h.who = admission.Holder{
		Peer:   fmt.Sprintf("%v %d", class, rapid.IntRange(1, 12).Draw(t, "peer")),
		Origin: admission.From(netip.AddrFrom4([4]byte{198, 51, byte(h.prefix), byte(h.address)})),
		Class:  class,
	}
	return h
}

// sum adds up what the streams hold that a function is true of.
func (m *model) sum(of func(held) int64, where func(held) bool) (n int64) {
	for _, h := range m.live {
		if where(*h) {
			n += of(*h)
		}
	}
	return n
}

func one(held) int64     { return 1 }
func bytes(h held) int64 { return h.bytes }

// check fails unless every bound holds.
func (m *model) check(t *rapid.T) {
	served, ending := m.table.Len()
	if served != len(m.live) || ending != len(m.ending) || served > m.l.Places || served+ending > m.l.Places+m.l.Ending {
		t.Fatalf("%d streams and %d that end, want %d and %d, at most %d and %d", served, ending, len(m.live), len(m.ending), m.l.Places, m.l.Ending)
	}
	total := m.sum(bytes, func(held) bool { return true })
	if total != m.table.Bytes() || total > m.l.Bytes {
		t.Fatalf("%d bytes, want %d, at most %d", m.table.Bytes(), total, m.l.Bytes)
	}
	if n := m.sum(one, func(h held) bool { return h.band() == admission.Known }); n > int64(m.l.Places-m.l.Reserved) {
		t.Fatalf("strangers hold %d places, %d of %d are reserved", n, m.l.Reserved, m.l.Places)
	}
	for _, h := range m.live {
		same := func(level int) int64 {
			return m.sum(one, func(o held) bool { return o.band() == h.band() && o.group(level) == h.group(level) })
		}
		if n := m.sum(one, func(o held) bool { return o.who.Peer == h.who.Peer }); n > int64(m.l.PerPeer) {
			t.Fatalf("%s holds %d places", h.who.Peer, n)
		}
		if h.who.Class != admission.Protected && (same(0) > int64(m.l.PerPrefix) || same(1) > int64(m.l.PerAddr)) {
			t.Fatalf("prefix %d holds %d places, its address %d has %d", h.prefix, same(0), h.address, same(1))
		}
	}
}

// lose takes streams out of the model, and has some of them leave.
func (m *model) lose(t *rapid.T, lost []admission.Place) {
	for _, p := range lost {
		if m.live[p] == nil {
			t.Fatalf("%d has lost a place that it did not have", p)
		}
		delete(m.live, p)
		m.ending = append(m.ending, p)
	}
	for len(m.ending) > 0 && rapid.IntRange(0, 2).Draw(t, "one leaves") > 0 {
		m.table.Leave(m.ending[0])
		m.ending = m.ending[1:]
	}
}

// most returns the most that a group at a level holds, of those in the same group above as
// a stream and of its band; without its own group, unless that is asked for.
func (m *model) most(of func(held) int64, h held, level int, own bool) (most int64) {
	sums := map[string]int64{}
	for _, o := range m.live {
		if o.band() == h.band() && (level == 0 || o.group(level-1) == h.group(level-1)) && (own || o.group(level) != h.group(level)) {
			sums[o.group(level)] += of(*o)
		}
	}
	for _, n := range sums {
		most = max(most, n)
	}
	return most
}

// own returns what a stream's group at a level holds.
func (m *model) own(of func(held) int64, h held, level int) int64 {
	return m.sum(of, func(o held) bool { return o.band() == h.band() && o.group(level) == h.group(level) })
}

// named fails unless a loser is one that the rule names: at the first level from the given
// one where somebody holds more than the newcomer would, it is of who holds most, and so
// on down; and of its peer's streams, the idlest.
func (m *model) named(t *rapid.T, of func(held) int64, newcomer, loser held, level int, more int64) {
	if loser.band() > newcomer.band() {
		t.Fatalf("%+v displaces %+v", newcomer, loser)
	}
	down := 0
	if loser.band() == newcomer.band() {
		for ; level <= 2 && loser.group(level) == newcomer.group(level); level++ {
			if n := m.most(of, newcomer, level, false); n > m.own(of, newcomer, level)+more {
				t.Fatalf("at level %d another holds %d, and %+v displaces %+v", level, n, newcomer, loser)
			}
		}
		if level > 2 {
			t.Fatalf("%+v displaces itself", newcomer)
		}
		theirs, would := m.own(of, loser, level), m.own(of, newcomer, level)+more
		preferred := newcomer.who.Class == admission.Known && loser.who.Class == admission.Stranger
		if theirs < would || theirs == would && !preferred {
			t.Fatalf("%+v, who holds %d, is displaced by %+v, who would hold %d", loser, theirs, newcomer, would)
		}
		if n := m.most(of, newcomer, level, false); n != theirs {
			t.Fatalf("another than %+v, who holds %d, holds %d", loser, theirs, n)
		}
		down = level + 1
	}
	for ; down <= 2; down++ {
		if n, theirs := m.most(of, loser, down, true), m.own(of, loser, down); n != theirs {
			t.Fatalf("at level %d %+v holds %d, and another %d", down, loser, theirs, n)
		}
	}
	for _, o := range m.live {
		if o.band() == loser.band() && o.group(2) == loser.group(2) && (of(*o) > of(loser) || of(*o) == of(loser) && o.moved.Before(loser.moved)) {
			t.Fatalf("%+v goes before %+v", loser, *o)
		}
	}
}

// full returns the first level at which the table is full for a newcomer: 2 when its
// address is, 1 when its prefix is, 0 when there is no place at all; and -1 otherwise.
func (m *model) full(h held) int {
	prefix, address := m.own(one, h, 0), m.own(one, h, 1)
	commons := m.sum(one, func(o held) bool { return o.band() == admission.Known })
	switch {
	case h.who.Class != admission.Protected && address >= int64(m.l.PerAddr):
		return 2
	case h.who.Class != admission.Protected && prefix >= int64(m.l.PerPrefix):
		return 1
	case len(m.live) >= m.l.Places, h.band() == admission.Known && commons >= int64(m.l.Places-m.l.Reserved):
		return 0
	}
	return -1
}

// gives reports whether a loser, who holds no more than anybody, may have given way to somebody
// who holds nothing, because it has held its place for longer.
func (m *model) gives(newcomer, loser held, full int) bool {
	return full == 0 && newcomer.band() == admission.Known && loser.band() == admission.Known &&
		m.own(one, newcomer, 0) == 0 && m.most(one, newcomer, 0, false) == 1 && m.at.Sub(start) >= 2*time.Second
}

func (m *model) enter(t *rapid.T) {
	h := someHolder(t)
	h.moved = m.at
	full := m.full(h)
	p, lost, code := m.table.Enter(m.at, h.who)
	switch {
	case !code.OK() && (p != 0 || lost != nil):
		t.Fatalf("%v, with place %d and %d lost", code, p, len(lost))
	case code.Reason == admission.Peer:
		if m.sum(one, func(o held) bool { return o.who.Peer == h.who.Peer }) < int64(m.l.PerPeer) {
			t.Fatalf("%+v is refused for its peer", h)
		}
	case !code.OK() && len(m.live)+len(m.ending) >= m.l.Places+m.l.Ending:
	case !code.OK():
		if full < 0 {
			t.Fatalf("%+v is refused with %v, and there is room", h, code)
		}
		for level := full; level <= 2; level++ {
			if n, would := m.most(one, h, level, false), m.own(one, h, level)+1; n > would {
				t.Fatalf("%+v is refused with %v, and would hold %d where another holds %d", h, code, would, n)
			}
		}
		if lower := m.sum(one, func(o held) bool { return o.band() < h.band() }); lower > 0 && full == 0 {
			t.Fatalf("%+v is refused with %v, and %d of lower bands are not", h, code, lower)
		}
	case full < 0 && len(lost) > 0, full >= 0 && len(lost) != 1:
		t.Fatalf("%+v displaces %d at level %d", h, len(lost), full)
	default:
		if len(lost) == 1 && !m.gives(h, *m.live[lost[0]], full) {
			m.named(t, one, h, *m.live[lost[0]], full, 1)
		}
		m.lose(t, lost)
		m.live[p] = &h
	}
}

func (m *model) some(t *rapid.T) (admission.Place, *held) {
	if len(m.live) == 0 {
		t.Skip("nobody is there")
	}
	p := rapid.SampledFrom(slices.Sorted(maps.Keys(m.live))).Draw(t, "place")
	return p, m.live[p]
}

func (m *model) reserve(t *rapid.T) {
	p, h := m.some(t)
	n := rapid.Int64Range(1, max(1, m.l.Bytes/3)).Draw(t, "bytes")
	served, ending := m.table.Len()
	spares := m.table.Spares(m.at, h.who, n)
	if s, e := m.table.Len(); s != served || e != ending {
		t.Fatalf("who asks whether there is memory has %d served and %d ending, of %d and %d", s, e, served, ending)
	}
	lost, code := m.table.Reserve(m.at, p, n)
	if n <= m.l.Most(h.who.Class) && spares != code.OK() {
		t.Fatalf("%d bytes are spared: %v, and then: %v", n, spares, code)
	}
	if !code.OK() {
		if lost != nil || code.Reason != admission.Memory {
			t.Fatalf("%v, and %d lost", code, len(lost))
		}
		return
	}
	for _, l := range lost { // one after the other
		m.named(t, bytes, *h, *m.live[l], 0, n)
		m.ending = append(m.ending, l)
		delete(m.live, l)
	}
	m.lose(t, nil)
	if h.bytes += n; h.band() == admission.Known && m.table.Bytes() > m.l.Bytes*153/256 {
		t.Fatalf("a stranger brings memory to %d of %d", m.table.Bytes(), m.l.Bytes)
	}
}

// yield asks for memory for somebody in another table.
func (m *model) yield(t *rapid.T) {
	h, n := someHolder(t), rapid.Int64Range(1, max(1, m.l.Bytes/3)).Draw(t, "bytes")
	before := m.table.Bytes()
	lost := m.table.Yield(h.who, n)
	for _, l := range lost {
		m.named(t, bytes, h, *m.live[l], 0, n)
		m.ending = append(m.ending, l)
		delete(m.live, l)
	}
	m.lose(t, nil)
	if after := m.table.Bytes(); len(lost) > 0 && after > max(0, before-n) {
		t.Fatalf("%d streams yield %d bytes of %d to one who needs %d", len(lost), before-after, before, n)
	}
}

// Whatever happens, no bound is passed, and who loses is who the rule names.
func TestModelOfPlaces(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := newModel(t, func(l *admission.Limits) { // no clock runs out
			l.FirstByte, l.Request, l.Standstill, l.Idle, l.LeastTime, l.Leisure = 1e15, 1e15, 1e15, 1e15, 1e15, 1e15
		})
		t.Repeat(map[string]func(*rapid.T){
			"":       m.check,
			"enter":  m.enter,
			"enter2": m.enter,
			"wait":   func(t *rapid.T) { m.at = m.at.Add(time.Duration(rapid.IntRange(1, 3).Draw(t, "time"))) },
			"longer": func(t *rapid.T) {
				m.at = m.at.Add(time.Duration(rapid.IntRange(1, 3).Draw(t, "seconds")) * time.Second)
			},
			"moved": func(t *rapid.T) {
				p, h := m.some(t)
				h.moved = m.at
				m.table.Moved(m.at, p, 1)
			},
			"leave": func(t *rapid.T) {
				p, _ := m.some(t)
				m.table.Leave(p)
				delete(m.live, p)
			},
			"reserve": m.reserve,
			"yield":   m.yield,
			"release": func(t *rapid.T) {
				p, h := m.some(t)
				n := rapid.Int64Range(1, 20).Draw(t, "bytes")
				m.table.Release(p, n)
				h.bytes = max(0, h.bytes-n)
			},
			"somebody new": func(t *rapid.T) {
				// Who holds nothing is served at once as long as anybody holds two.
				if len(m.ending) > 0 {
					t.Skip("streams are ending")
				}
				h := held{prefix: 99, address: 1}
				h.who = admission.Holder{Peer: "new", Origin: admission.From(netip.AddrFrom4([4]byte{198, 51, 99, 1}))}
				most := m.most(one, h, 0, true)
				p, lost, code := m.table.Enter(m.at, h.who)
				if !code.OK() && most > 1 {
					t.Fatalf("%v, and a prefix holds %d places", code, most)
				}
				for _, l := range lost {
					m.table.Leave(l)
					delete(m.live, l)
				}
				m.table.Leave(p)
			},
		})
	})
}

// timed is what the model knows of a stream's clocks.
type timed struct {
	stage        admission.Stage
	since, moved time.Time
	spent        time.Duration
	taken        int64
}

// late reports whether a clock of a stream has run out.
func (s *timed) late(l admission.Limits, now time.Time, waiting bool) bool {
	past := func(from time.Time, d time.Duration) bool { return now.Sub(from) >= d }
	switch s.stage {
	case admission.Opening:
		return past(s.since, l.FirstByte)
	case admission.Reading:
		return past(s.since, l.Request) || waiting && past(s.moved, l.Leisure)
	case admission.Writing:
		return past(s.moved, l.Standstill) || waiting && past(s.since, l.LeastTime-s.spent)
	case admission.Resting:
		return past(s.since, l.Idle) || waiting && past(s.since, l.Leisure)
	case admission.Working:
	}
	return false
}

// Exactly those streams are late whose clocks have run out, and Due says when the next will
// be, so that somebody who asks then misses none.
func TestModelOfClocks(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := admission.For(limits.Row{Streams: 5, PerPeer: 5, Memory: 100})
		l.Reserved, l.PerAddr, l.PerPrefix = 1, 5, 5
		table, err := admission.New(l)
		if err != nil {
			t.Fatal(err)
		}
		now, waited := start, time.Time{}
		live := map[admission.Place]*timed{}
		some := func(t *rapid.T) (admission.Place, *timed) {
			if len(live) == 0 {
				t.Skip("nobody is there")
			}
			p := rapid.SampledFrom(slices.Sorted(maps.Keys(live))).Draw(t, "place")
			return p, live[p]
		}
		t.Repeat(map[string]func(*rapid.T){
			"": func(t *rapid.T) {
				late, next := table.Due(now)
				waiting := !waited.IsZero() && now.Sub(waited) < l.LeastTime
				want := 0
				for p, s := range live {
					if !s.late(l, now, waiting) {
						if soon := next.Add(-1); !next.IsZero() && s.late(l, soon, waiting) {
							t.Fatalf("%+v is late before %v", s, next)
						}
						continue
					}
					if want++; !slices.Contains(late, p) {
						t.Fatalf("%+v is late, and not told", s)
					}
				}
				if len(late) != want {
					t.Fatalf("%d are late, want %d", len(late), want)
				}
				for _, p := range late {
					delete(live, p)
					table.Leave(p)
				}
			},
			"enter": func(t *rapid.T) {
				p, lost, code := table.Enter(now, admission.Holder{Peer: "a"})
				for _, other := range lost { // the newcomer waits, if nobody did before
					if !live[other].late(l, now, true) {
						t.Fatalf("%+v is displaced and not late", live[other])
					}
					delete(live, other)
					table.Leave(other)
				}
				switch {
				case code.OK() && len(live) < 4:
					live[p] = &timed{since: now, moved: now}
				case len(live) == 4 && code.Reason == admission.Unknown:
					waited = now
					for _, s := range live {
						if s.late(l, now, true) {
							t.Fatalf("somebody is refused while %+v is late", s)
						}
					}
				default:
					t.Fatalf("%v, %d lost, with %d there", code, len(lost), len(live))
				}
			},
			"wait": func(t *rapid.T) {
				now = now.Add(time.Duration(rapid.SampledFrom([]int{1, 500, 1000, 3000, 5000, 20000}).Draw(t, "time")) * time.Millisecond)
			},
			"moved": func(t *rapid.T) {
				p, s := some(t)
				n := rapid.SampledFrom([]int64{1, 65535, 65536}).Draw(t, "bytes")
				table.Moved(now, p, n)
				s.moved = now
				if s.stage == admission.Opening || s.stage == admission.Resting {
					s.stage, s.since = admission.Reading, now
				} else if s.taken += n; s.stage != admission.Writing {
					s.taken -= n
				} else if s.taken >= l.LeastBytes {
					s.taken, s.spent, s.since = 0, 0, now
				}
			},
			"turn": func(t *rapid.T) {
				p, s := some(t)
				stage := rapid.SampledFrom([]admission.Stage{admission.Working, admission.Writing, admission.Resting}).Draw(t, "stage")
				table.Turn(now, p, stage)
				if stage == s.stage {
					return
				}
				if s.stage == admission.Writing {
					s.spent += now.Sub(s.since)
				}
				if stage == admission.Resting {
					s.spent, s.taken = 0, 0
				}
				s.stage, s.since, s.moved = stage, now, now
			},
			"leave": func(t *rapid.T) {
				p, _ := some(t)
				table.Leave(p)
				delete(live, p)
			},
		})
	})
}
