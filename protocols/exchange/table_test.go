package exchange

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
)

// scene is a table with a clock, for tables of events.
type scene struct {
	t     *testing.T
	table *table
	now   time.Time
}

func newScene(t *testing.T, mods ...func(*Limits)) *scene {
	t.Helper()
	l := DefaultLimits()
	for _, mod := range mods {
		mod(&l)
	}
	return &scene{t: t, table: newTable(l, newConduct()), now: time.Unix(1e9, 0)}
}

// offer adds a peer, whose prefix is the first letter of its name.
func (s *scene) offer(name string, r rank) *member {
	s.t.Helper()
	return s.table.offer(peer.AddrInfo{ID: peer.ID(name)}, at(11, 0, int(name[0]), int(name[len(name)-1])), r, s.now)
}

// decide decides and checks who begins, and who ends.
func (s *scene) decide(begin, end string) {
	s.t.Helper()
	got := s.table.decide(s.now)
	names := func(n int, of func(int) *member) string {
		all := make([]string, n)
		for i := range all {
			all[i] = string(of(i).info.ID)
		}
		return strings.Join(all, " ")
	}
	begun := names(len(got.begin), func(i int) *member { return got.begin[i] })
	ended := names(len(got.end), func(i int) *member { return got.end[i].m })
	if begun != begin || ended != end {
		s.t.Errorf("begins %q and ends %q, want %q and %q", begun, ended, begin, end)
	}
}

func (s *scene) of(name string) *member { return s.table.members[peer.ID(name)] }

// hold has probes end in that their peers hold the root, and reports who has a place.
func (s *scene) hold(names ...string) {
	s.t.Helper()
	for _, name := range names {
		m := s.of(name)
		s.table.located(m, m.at, s.now)
		if !s.table.admit(m, s.now) {
			s.table.leave(m, held, errHeld, s.now)
		}
	}
}

// end has a session end that was told to, for what it was told.
func (s *scene) end(names ...string) {
	for _, name := range names {
		m := s.of(name)
		s.leave(name, outcomeOf(s.t.Context(), m.cause), m.cause)
	}
}

func (s *scene) leave(name string, how outcome, err error) {
	m := s.of(name)
	if how == lied || how == stuck {
		s.table.ban(m, how, err, s.now)
	}
	s.table.leave(m, how, err, s.now)
}

// pass lets time pass, a look each 100 ms, while those named send so many bytes a second.
func (s *scene) pass(d time.Duration, sends map[string]int64) {
	for range d / graceStep {
		s.now = s.now.Add(graceStep)
		for name, rate := range sends {
			s.of(name).sent.Add(rate / int64(time.Second/graceStep))
		}
		s.table.look(s.now)
	}
}

func (s *scene) placed() string {
	var all []string
	for _, m := range s.table.order {
		if m.phase == placed {
			all = append(all, string(m.info.ID))
		}
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}

func places(n int) func(*Limits) { return func(l *Limits) { l.Peers = n } }
func probes(n int) func(*Limits) { return func(l *Limits) { l.Probes = n } }

// Probes are dealt by prefix, and those who delivered or are named come first of all.
func TestProbesAreDealtByPrefix(t *testing.T) {
	s := newScene(t, probes(5))
	s.table.conduct.delivered("a9", at(11, 0, 'a', 9), s.now)
	for _, name := range []string{"a1", "a2", "a3", "a4", "b1", "b2"} {
		s.offer(name, found)
	}
	s.offer("c1", connected)
	s.offer("a8", named)
	s.offer("a9", found)
	s.decide("a8 a9 c1 b1 b2", "")
}

// Within a prefix addresses take turns.
func TestProbesAreDealtByAddress(t *testing.T) {
	s := newScene(t, probes(3))
	for _, name := range []string{"a-1", "a+1", "a*1", "a/2"} {
		s.offer(name, found)
	}
	s.decide("a-1 a/2 a+1", "")
}

// Whoever waits for a probe gets that of a prefix with more, at once, and that of one who
// does not answer after a while.
func TestProbesGiveWay(t *testing.T) {
	s := newScene(t, probes(3))
	for _, name := range []string{"a1", "a2", "a3", "a4"} {
		s.offer(name, found)
	}
	s.decide("a1 a2 a3", "")
	s.offer("b1", found)
	s.decide("", "a1")
	s.decide("", "") // it is about to end
	s.end("a1")
	s.decide("b1", "")
	s.table.located(s.of("a2"), s.of("a2").at, s.now)
	s.pass(s.table.limits.HavePatience-graceStep, nil)
	s.decide("", "")
	s.pass(graceStep, nil)
	s.decide("", "a2") // is connected, and has not answered
	s.end("a2")
	s.decide("a1", "")
	s.pass(s.table.limits.DialPatience-s.table.limits.HavePatience, nil)
	s.decide("", "a3") // is not even connected
	if s.of("a2").shunned.IsZero() || s.of("a1").shunned != (time.Time{}) {
		t.Errorf("shunned until %v and %v", s.of("a2").shunned, s.of("a1").shunned)
	}
}

// As long as nobody waits for its turn, a slow one has its time.
func TestProbesHaveTimeWhileNobodyWaits(t *testing.T) {
	s := newScene(t, probes(2))
	s.offer("a1", found)
	s.offer("a2", found)
	s.decide("a1 a2", "")
	s.pass(20*time.Second, nil)
	s.decide("", "")
}

// A peer that is somewhere else than it said counts where it is.
func TestProbesCountWherePeersAre(t *testing.T) {
	s := newScene(t, probes(3))
	for _, name := range []string{"a1", "b1", "c1", "d1"} {
		s.offer(name, found)
	}
	s.decide("a1 b1 c1", "")
	for _, name := range []string{"a1", "b1", "c1"} {
		s.table.located(s.of(name), at(11, 0, 'z', 1), s.now)
	}
	s.decide("", "a1")
}

// Liars are not asked, even when there is nobody else; those that stalled are then.
func TestShunned(t *testing.T) {
	s := newScene(t)
	s.offer("a1", found)
	s.offer("b1", found)
	s.offer("c1", found)
	s.decide("a1 b1 c1", "")
	s.leave("a1", lied, hostile("wrong bytes"))
	s.leave("b1", stuck, errStalled)
	s.hold("c1")
	s.table.credit(s.of("c1"), 1, s.now)
	s.pass(2*time.Second, map[string]int64{"c1": 1 << 20})
	s.decide("", "") // one serves
	s.leave("c1", lacked, codeNoRoot)
	s.decide("b1", "")
	s.leave("b1", failed, errNobody)
	s.pass(61*time.Minute, nil)
	s.decide("c1 a1 b1", "")
}

// What is remembered counts in the next fetch too.
func TestShunnedInTheNextFetch(t *testing.T) {
	s := newScene(t)
	for _, name := range []string{"a1", "b1"} {
		s.offer(name, found)
	}
	s.decide("a1 b1", "")
	s.leave("a1", lied, hostile("wrong bytes"))
	s.leave("b1", stuck, errStalled)
	s.table = newTable(s.table.limits, s.table.conduct)
	for _, name := range []string{"a1", "b1", "b2", "c1"} {
		s.offer(name, found)
	}
	s.decide("c1 b2", "") // and the prefix of one that stalled comes last
}

// While others wait a prefix has two places.
func TestPlacesByPrefix(t *testing.T) {
	s := newScene(t, places(4))
	for _, name := range []string{"a1", "a2", "a3", "a4", "a5"} {
		s.offer(name, found)
	}
	s.decide("a1 a2 a3 a4 a5", "")
	s.hold("a1", "a2", "a3", "a4", "a5")
	s.decide("", "") // one of the same prefix waits
	s.offer("b1", found)
	s.offer("c1", found)
	s.decide("b1 c1", "")
	s.hold("b1", "c1")
	s.decide("", "a4")
	s.end("a4")
	s.decide("b1", "a3")
	s.end("a3")
	s.decide("c1", "")
	if got := s.placed(); got != "a1 a2 b1 c1" {
		t.Errorf("places of %s", got)
	}
}

// Whoever delivered before does not wait for those who were quicker to answer.
func TestPlacesOfThoseWhoDeliveredBefore(t *testing.T) {
	s := newScene(t, places(2))
	for _, name := range []string{"a1", "b1"} {
		s.offer(name, connected)
	}
	s.decide("a1 b1", "")
	s.hold("a1", "b1")
	s.table.conduct.delivered("c1", at(11, 0, 'c', 1), s.now)
	s.table.conduct.delivered("d1", at(11, 0, 'd', 1), s.now)
	s.offer("c1", found)
	s.offer("d1", found)
	s.decide("c1 d1", "")
	s.table.credit(s.of("a1"), 1, s.now)
	s.hold("c1", "d1")
	s.decide("", "b1")
	s.end("b1")
	s.decide("c1", "")
	if got := s.placed(); got != "a1 c1" { // and a1 has brought a block meanwhile
		t.Errorf("places of %s", got)
	}
}

// Somebody who waits gets the place of one who is silent, of one who is far slower than the
// others, and of one who brings no block for long, but not that of the fastest.
func TestPlacesOfTheSlow(t *testing.T) {
	for name, c := range map[string]struct {
		sends map[string]int64
		after time.Duration
		want  string
		err   error
	}{
		"nothing comes at all":   {nil, time.Second, "a1", errTooSlow},
		"one is silent":          {map[string]int64{"b1": 1 << 20, "c1": 1 << 20}, 3 * time.Second, "a1", errQuiet},
		"one drips":              {map[string]int64{"a1": 10, "b1": 1 << 20, "c1": 1 << 20}, 3 * time.Second, "a1", errQuiet},
		"all drip but one":       {map[string]int64{"a1": 10, "b1": 10, "c1": 1 << 20}, 3 * time.Second, "a1", errQuiet},
		"one is slow":            {map[string]int64{"a1": 1 << 20, "b1": 1<<17 - 1000, "c1": 1 << 20}, 3 * time.Second, "b1", errSlow},
		"all are slow":           {map[string]int64{"a1": 3000, "b1": 3000, "c1": 3100}, 10 * time.Second, "", nil},
		"none brings a block":    {map[string]int64{"a1": 3000, "b1": 3000, "c1": 3100}, 30 * time.Second, "a1", errTooSlow},
		"all send a byte":        {map[string]int64{"a1": 10, "b1": 10, "c1": 20}, 3 * time.Second, "a1", errTooSlow},
		"the only one that does": {map[string]int64{"b1": 10}, 3 * time.Second, "a1", errQuiet},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t, places(3))
			for _, name := range []string{"a1", "b1", "c1", "d1"} {
				s.offer(name, found)
			}
			s.decide("a1 b1 c1 d1", "")
			s.hold("a1", "b1", "c1", "d1")
			if c.after > time.Second {
				s.table.credit(s.of("c1"), 1, s.now) // else it is the first block that is waited for
			}
			s.pass(c.after-graceStep, c.sends)
			if early := s.table.decide(s.now); len(early.end) > 0 {
				t.Fatalf("%s ends too early: %v", early.end[0].m.info.ID, early.end[0].err)
			}
			s.pass(graceStep, c.sends)
			s.decide("", c.want)
			if c.want == "" {
				return
			}
			if m := s.of(c.want); !errors.Is(m.cause, c.err) {
				t.Errorf("it ends since it %v, want %v", m.cause, c.err)
			}
			s.end(c.want)
			s.decide("d1", "")
		})
	}
}

// While nothing is asked for, or this peer itself holds things up, nobody loses a place.
func TestPlacesOfThoseWhoOweNothing(t *testing.T) {
	s := newScene(t, places(1))
	s.offer("a1", found)
	s.offer("b1", found)
	s.decide("a1 b1", "")
	s.hold("a1", "b1")
	s.of("a1").owes.Store(false)
	s.pass(29*time.Second, nil)
	s.decide("", "")
}

// Before a block has come, another has its turn each HedgeDelay.
func TestPlacesUntilABlockComes(t *testing.T) {
	s := newScene(t, places(2))
	for _, name := range []string{"a1", "b1", "c1", "d1"} {
		s.offer(name, found)
	}
	s.decide("a1 b1 c1 d1", "")
	s.hold("a1", "b1", "c1", "d1")
	s.pass(time.Second, nil)
	s.decide("", "a1")
	s.end("a1")
	s.decide("c1", "")
	s.pass(3*graceStep, nil)
	s.decide("", "b1")
	s.end("b1")
	s.decide("d1", "")
	s.table.credit(s.of("d1"), 1, s.now)
	s.pass(2*time.Second, map[string]int64{"d1": 1 << 20})
	s.decide("", "") // now three seconds count
}

// A full roster drops the worst of who has most, and has room for whoever is new.
func TestRosterHasRoomForAnother(t *testing.T) {
	s := newScene(t)
	s.offer("a1", found)
	s.offer("b1", found)
	s.decide("a1 b1", "")
	s.hold("a1", "b1")
	s.table.credit(s.of("a1"), 1, s.now)
	s.leave("a1", over, nil)
	for i := range 3 * maxMembers {
		if s.offer(fmt.Sprint("z", i), found) == nil {
			t.Fatalf("no room for peer %d", i)
		}
	}
	if len(s.table.order) != maxMembers || len(s.table.members) != maxMembers {
		t.Errorf("%d peers are remembered, want %d", len(s.table.order), maxMembers)
	}
	if s.of("a1") == nil || s.of("b1") == nil {
		t.Error("a peer that brought something, or has a place, was forgotten")
	}
	s.offer("c1", found)
	for i := range maxMembers {
		s.offer(fmt.Sprint("y", i), found)
	}
	if s.of("c1") == nil {
		t.Error("the only one of its prefix was forgotten")
	}
}

// Those who only happen to be connected hear of a fetch that is served no more than is
// needed, and those of them who do not answer do not count.
func TestAcquaintances(t *testing.T) {
	s := newScene(t, func(l *Limits) { l.ConnectedPeers = 2 })
	s.offer("a1", found)
	for _, name := range []string{"b1", "c1", "d1", "e1"} {
		s.offer(name, connected)
	}
	s.decide("b1 c1 d1 e1 a1", "")
	s.hold("a1")
	s.table.credit(s.of("a1"), 1, s.now)
	s.leave("b1", lacked, codeNoRoot)
	s.leave("c1", lacked, codeNoRoot)
	s.offer("f1", connected)
	s.offer("b2", connected)
	s.offer("f2", found)
	s.pass(time.Second, map[string]int64{"a1": 1 << 20})
	s.decide("b2 f2", "")
	s.leave("a1", failed, errNobody)
	s.decide("f1", "") // nobody serves any more
}

// One good block is cheap: many names at one place that have delivered have no more places
// than others while somebody waits, and no more probes.
func TestOneGoodBlockIsCheap(t *testing.T) {
	s := newScene(t, places(4), probes(4))
	all := []string{"a1", "a2", "a3", "a4", "a5", "a6"}
	for _, name := range all {
		s.table.conduct.delivered(peer.ID(name), at(11, 0, 'a', int(name[1])), s.now)
		s.offer(name, connected)
	}
	s.decide("a1 a2 a3 a4", "")
	s.offer("b1", found)
	s.decide("", "a1")
	s.end("a1")
	s.decide("b1", "")
	s.hold("a2", "a3", "a4")
	s.decide("a1 a5 a6", "")
	s.hold("a1", "b1")
	s.decide("", "a4")
	s.end("a4")
	s.decide("b1", "")
	if got := s.placed(); got != "a1 a2 a3 b1" {
		t.Errorf("places of %s", got)
	}
}
