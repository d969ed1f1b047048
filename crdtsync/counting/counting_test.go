package counting_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/decube/decube/crdtsync/bundle"
	"github.com/decube/decube/crdtsync/counting"
	"github.com/decube/decube/crdtsync/crdt"
	"github.com/decube/decube/crdtsync/crdttest"
	"github.com/decube/decube/crdtsync/fault"
	"github.com/decube/decube/internal/capability"
	"github.com/decube/decube/internal/sig"
)

var key = crdttest.Key

// chain is headers in memory.
type chain []*bundle.Header

func (c chain) Len() int64                      { return int64(len(c)) }
func (c chain) Header(seq int64) *bundle.Header { return c[seq] }

// swarm is a swarm of one root, w, who writes under a capability that it gave itself.
type swarm struct {
	set    *capability.Set
	leaf   *capability.Capability
	faults fault.Set
}

func newSwarm(tb testing.TB, from, until int64) *swarm {
	tb.Helper()
	root := []sig.PublicKey{key("w").Public()}
	doc := &capability.Document{Name: "s", Roots: root, Threshold: 1, Certifiers: root}
	first, err := capability.NewSuccession(doc.ID(), doc, sig.NewVerifier(0))
	if err != nil {
		tb.Fatal(err)
	}
	s := &swarm{set: capability.NewSet(first, capability.DefaultLimits, sig.NewVerifier(0))}
	s.leaf = &capability.Capability{
		Swarm: first.Swarm(), Audience: key("w").Public(), NotBefore: from, Expires: until,
		Grants: []capability.Grant{{Verbs: capability.Write, Scope: "notes/"}},
	}
	s.leaf.Sign(key("w"))
	if _, err := s.set.Add(s.leaf); err != nil {
		tb.Fatal(err)
	}
	return s
}

// writes returns a chain of bundles at some times, in nanoseconds.
func (s *swarm) writes(incarnation uint64, at ...int64) chain {
	var c chain
	for i, wall := range at {
		h := &bundle.Header{
			Swarm: s.leaf.Swarm, Origin: bundle.Origin{Writer: key("w").Public(), Incarnation: incarnation}, Sequence: int64(i),
			Time: crdt.Time{Wall: wall}, Capability: s.leaf.ID(), Length: 1, Count: 1,
		}
		if i > 0 {
			h.Previous = c[i-1].ID()
		}
		h.Charge = 5<<10 + int64(i)<<10
		h.Sign(key("w"))
		c = append(c, h)
	}
	return c
}

func (s *swarm) rules() *counting.Rules {
	return &counting.Rules{Capabilities: s.set, Faults: &s.faults}
}

// forks takes in a fault of the writer at a time.
func (s *swarm) forks(tb testing.TB, at int64) {
	tb.Helper()
	f, err := fault.OfTwo(s.writes(1<<40, at)[0], s.writes(1<<40, at+1)[0])
	if err != nil {
		tb.Fatal(err)
	}
	s.faults.Add(f)
}

func (s *swarm) revokes(tb testing.TB, heads ...capability.Head) {
	tb.Helper()
	r := &capability.Revocation{Swarm: s.leaf.Swarm, Capability: s.leaf.ID(), Heads: heads}
	r.Sign(key("w"))
	if _, err := s.set.Revoke(r); err != nil {
		tb.Fatal(err)
	}
}

func headOf(h *bundle.Header) capability.Head {
	return capability.Head{Writer: h.Writer, Incarnation: h.Incarnation, Sequence: h.Sequence, Bundle: capability.ID(h.ID())}
}

// Each bundle for itself: it counts if its capability stands at its time and nothing cuts it
// off.
func TestWhatCountsIsASpan(t *testing.T) {
	const ms = int64(time.Millisecond)
	rapid.Check(t, func(rt *rapid.T) {
		from := rapid.Int64Range(0, 10).Draw(rt, "from")
		until := rapid.Int64Range(from+1, 20).Draw(rt, "until")
		s := newSwarm(t, from, until)
		var times []int64
		for range rapid.IntRange(1, 8).Draw(rt, "bundles") {
			last := int64(-1)
			if len(times) > 0 {
				last = times[len(times)-1]
			}
			times = append(times, last+rapid.SampledFrom([]int64{1, ms / 2, ms, 4 * ms}).Draw(rt, "later"))
		}
		c := s.writes(1, times...)
		cut := int64(1) << 62
		if rapid.Bool().Draw(rt, "fault") {
			cut = rapid.Int64Range(0, 25*ms).Draw(rt, "cut")
			s.forks(t, cut)
		}
		seen := len(c)
		switch rapid.IntRange(0, 4).Draw(rt, "revocation") {
		case 0: // that has seen some of it
			i := rapid.IntRange(0, len(c)-1).Draw(rt, "seen")
			seen = i + 1
			s.revokes(t, headOf(c[i]), headOf(s.writes(2, 5)[0]))
		case 1: // that has seen more than is held
			h := headOf(c[len(c)-1])
			h.Sequence += 3
			s.revokes(t, h)
		case 2: // that has seen another bundle there
			h := headOf(c[0])
			h.Bundle[0] ^= 1
			seen = 0
			s.revokes(t, h)
		case 3: // that has seen nothing
			seen = 0
			s.revokes(t)
		}
		span, err := s.rules().Span(c)
		if err != nil {
			rt.Fatal(err)
		}
		for i, h := range c {
			want := h.Time.Wall >= from*ms && h.Time.Wall < until*ms && h.Time.Wall < cut && i < seen
			if span.Has(int64(i)) != want {
				rt.Fatalf("bundle %d at %d counts: %t, want %t; %+v", i, h.Time.Wall, span.Has(int64(i)), want, span)
			}
		}
		if span.From < 0 || span.To > c.Len() || span.From > span.To {
			rt.Fatalf("%+v of %d", span, c.Len())
		}
	})
}

// Where the capability says nothing nothing counts, and it is said why.
func TestWhatHasNoCapability(t *testing.T) {
	s := newSwarm(t, 0, 10)
	if span, err := s.rules().Span(chain{}); err != nil || span != (counting.Span{}) {
		t.Errorf("of nothing %+v, %v", span, err)
	}
	unknown, foreign := s.writes(1, 5), s.writes(1, 5)
	unknown[0].Capability = capability.ID{1}
	foreign[0].Writer = key("x").Public()
	for name, tc := range map[string]struct {
		c    chain
		want error
	}{
		"unknown":     {unknown, capability.ErrUnknown},
		"another's":   {foreign, capability.ErrDenied},
		"in its time": {s.writes(1, 5), nil},
	} {
		span, err := s.rules().Span(tc.c)
		if !errors.Is(err, tc.want) || span.Has(0) != (tc.want == nil) {
			t.Errorf("%s: %+v, %v", name, span, err)
		}
	}
}

// It makes no difference in what order faults and revocations come.
func TestNothingDependsOnWhatCameFirst(t *testing.T) {
	var all []counting.Span
	for _, order := range [][]int{{0, 1, 2, 3}, {3, 2, 1, 0}, {2, 0, 3, 1}, {1, 3, 0, 2}} {
		s := newSwarm(t, 0, 1<<40)
		c := s.writes(1, 10, 20, 30, 40, 50, 60)
		do := []func(){
			func() { s.forks(t, 45) },
			func() { s.forks(t, 55) },
			func() { s.revokes(t, headOf(c[4])) },
			func() { s.forks(t, 51) },
		}
		for _, i := range order {
			do[i]()
		}
		span, err := s.rules().Span(c)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, span)
	}
	if len(slices.Compact(all)) != 1 || all[0] != (counting.Span{From: 0, To: 4}) {
		t.Errorf("%+v", all)
	}
}
