package replica

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
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

var verifier = crdttest.Verifier

// start is when capabilities begin.
const start = int64(1_000 * time.Hour)

// swarm is a swarm of one root, who lets others write.
type swarm struct {
	tb    testing.TB
	first *capability.Succession
	all   []*capability.Capability
}

func newSwarm(tb testing.TB) *swarm {
	tb.Helper()
	roots := []sig.PublicKey{key("root").Public()}
	doc := &capability.Document{Name: "s", Roots: roots, Threshold: 1, Certifiers: roots}
	first, err := capability.NewSuccession(doc.ID(), doc, verifier)
	if err != nil {
		tb.Fatal(err)
	}
	return &swarm{tb: tb, first: first}
}

// lets returns a capability of a writer with a quota.
func (s *swarm) lets(writer string, q capability.Quota) *capability.Capability {
	c := &capability.Capability{
		Swarm: s.first.Swarm(), Audience: key(writer).Public(), NotBefore: start / int64(time.Millisecond), Expires: 1 << 42, Quota: q,
		Grants: []capability.Grant{{Verbs: capability.Write, Scope: "notes/"}},
	}
	c.Sign(key("root"))
	s.all = append(s.all, c)
	return c
}

// replica returns one that knows all capabilities.
func (s *swarm) replica() *Replica {
	s.tb.Helper()
	set := capability.NewSet(s.first, capability.DefaultLimits, verifier)
	for _, c := range s.all {
		if _, err := set.Add(c); err != nil {
			s.tb.Fatal(err)
		}
	}
	return New(set, verifier)
}

// first returns the header of a writer's next origin.
func begins(c *capability.Capability, incarnation uint64, at time.Duration) bundle.Header {
	return bundle.Header{
		Swarm: c.Swarm, Origin: bundle.Origin{Writer: c.Audience, Incarnation: incarnation},
		Time: crdt.Time{Wall: start + int64(at)}, Capability: c.ID(),
	}
}

// follows returns the header of what comes after a bundle.
func follows(b *bundle.Bundle, at time.Duration) bundle.Header {
	h := b.Header
	h.Sequence, h.Previous, h.Time = b.Sequence+1, b.ID(), crdt.Time{Wall: start + int64(at)}
	return h
}

func (s *swarm) makes(writer string, h bundle.Header, charged int64, refs []bundle.Reference, ops ...bundle.Operation) *bundle.Bundle {
	s.tb.Helper()
	b, err := bundle.New(h, bundle.Body{References: refs, Operations: ops}, charged, key(writer))
	if err != nil {
		s.tb.Fatal(err)
	}
	return b
}

func text(document, value string) bundle.Operation {
	return bundle.Operation{Kind: bundle.Set, Document: document, Field: "text", Value: bundle.TextValue(value)}
}

// live returns what is live, and what is cut off.
func live(r *Replica) string {
	out := ""
	for path := range r.State().Paths() {
		for l := range r.State().Document(path).Live() {
			out += fmt.Sprintln(path, l)
		}
	}
	for cut := range r.Faults().Cuts() {
		out += fmt.Sprintln(cut)
	}
	return out
}

// heads returns the last header that counts of each origin.
func heads(r *Replica) map[bundle.Origin]bundle.ID {
	heads := map[bundle.Origin]bundle.ID{}
	for o := range r.origins {
		if h := r.Head(o); h != nil {
			heads[o] = h.ID()
		}
	}
	return heads
}

// give hands bundles in until nobody takes any more.
func give(t *testing.T, r *Replica, all []*bundle.Bundle) {
	t.Helper()
	for again := true; again; {
		again = false
		for _, b := range all {
			news, err := r.Add(b)
			if err != nil && !errors.Is(err, ErrGap) && !errors.Is(err, ErrCut) {
				t.Fatal(err)
			}
			again = again || news
		}
	}
}

func TestForksAndWhatComesAfter(t *testing.T) {
	s := newSwarm(t)
	a, b := s.lets("a", capability.Quota{Burst: 1 << 30, Total: 1 << 30}), s.lets("b", capability.Quota{Burst: 1 << 30, Total: 1 << 30})
	x := s.makes("a", begins(a, 1, time.Second), 0, nil, text("notes/a", "x"))
	y := s.makes("a", follows(x, 2*time.Second), x.Charge, nil, text("notes/b", "y"))
	z := s.makes("a", follows(x, 3*time.Second), x.Charge, nil, text("notes/b", "z"))
	over := s.makes("b", begins(b, 1, 4*time.Second), 0,
		[]bundle.Reference{{Origin: x.Origin, Sequence: 1, ID: y.ID()}}, bundle.Operation{Kind: bundle.Delete, Document: "notes/a"})
	one, two := s.replica(), s.replica()
	give(t, one, []*bundle.Bundle{x, y, over})
	give(t, two, []*bundle.Bundle{x, z, over})
	if one.State().Document("notes/a") != nil || two.State().Document("notes/a") == nil {
		t.Error("who has seen what was deleted, and who has not, do not differ")
	}
	if news, err := one.Add(z); !news || err != nil {
		t.Errorf("another bundle for a place: %t, %v", news, err)
	}
	if convicted := one.Convicted(); len(convicted) != 1 || convicted[0].Kind != fault.Fork || len(one.Convicted()) > 0 {
		t.Errorf("convicted by %v", convicted)
	}
	for _, f := range one.Faults().Cuts() {
		again, err := fault.Decode(f.Encode())
		if err != nil {
			t.Fatal(err)
		}
		if news, err := two.Convict(again); !news || err != nil {
			t.Errorf("the fault is told: %t, %v", news, err)
		}
	}
	// What was before the fork stays, and what was deleted through it is there again.
	if got := live(one); got != live(two) || one.State().Document("notes/a") == nil || one.State().Document("notes/b") != nil {
		t.Errorf("%s and %s", got, live(two))
	}
}

func TestWhatIsNotTaken(t *testing.T) {
	s := newSwarm(t)
	a := s.lets("a", capability.Quota{Burst: 1 << 30, Total: 1 << 30})
	r := s.replica()
	unknown := s.lets("a", capability.Quota{Total: 7})
	x := s.makes("a", begins(a, 1, time.Second), 0, nil, text("notes/a", "x"))
	y := s.makes("a", follows(x, time.Minute), x.Charge, nil, text("notes/a", "y"))
	elsewhere := begins(a, 1, time.Second)
	elsewhere.Swarm = capability.ID{1}
	forged := *x
	forged.Signature[0] ^= 1
	for name, tc := range map[string]struct {
		b    *bundle.Bundle
		want error
	}{
		"the second first":      {y, ErrGap},
		"of another swarm":      {s.makes("a", elsewhere, 0, nil, text("notes/a", "x")), ErrInvalid},
		"not signed":            {&forged, ErrInvalid},
		"under what is unknown": {s.makes("a", begins(unknown, 2, 0), 0, nil, text("notes/a", "x")), capability.ErrUnknown},
	} {
		if news, err := r.Add(tc.b); news || !errors.Is(err, tc.want) {
			t.Errorf("%s: %t, %v", name, news, err)
		}
	}
	for _, news := range []bool{true, false} {
		if got, err := r.Add(x); got != news || err != nil {
			t.Errorf("the first: %t, %v", got, err)
		}
	}
	// What a capability does not cover has no effect, and no harm is done by it.
	beside := s.makes("a", follows(x, time.Hour), x.Charge, nil, text("others/a", "x"), text("notes/b", "z"))
	if news, err := r.Add(beside); !news || err != nil || r.State().Document("others/a") != nil || r.State().Document("notes/b") == nil {
		t.Errorf("beside its scope: %t, %v", news, err)
	}
	if h := r.Head(x.Origin); h == nil || h.ID() != beside.ID() || r.Next(x.Origin) != 2 {
		t.Errorf("the head is %v", h)
	}
	if changed := r.Changed(); !slices.Equal(changed, []bundle.Origin{x.Origin}) || len(r.Changed()) > 0 {
		t.Errorf("heads of %v have changed", changed)
	}
	if got := r.Charged(x.Writer, x.Capability); got != beside.Charge {
		t.Errorf("%d is charged, want %d", got, beside.Charge)
	}
}

// A revocation that comes later takes away what its revoker had not seen, and nothing before.
func TestRevocation(t *testing.T) {
	s := newSwarm(t)
	a := s.lets("a", capability.Quota{Burst: 1 << 30, Total: 1 << 30})
	x := s.makes("a", begins(a, 1, time.Second), 0, nil, text("notes/a", "x"))
	y := s.makes("a", follows(x, time.Minute), x.Charge, nil, text("notes/b", "y"))
	r := s.replica()
	give(t, r, []*bundle.Bundle{x, y})
	revoked := &capability.Revocation{Swarm: a.Swarm, Capability: a.ID(), Heads: []capability.Head{{Writer: x.Writer, Incarnation: 1, Bundle: capability.ID(x.ID())}}}
	revoked.Sign(key("root"))
	if _, err := r.capabilities.Revoke(revoked); err != nil {
		t.Fatal(err)
	}
	r.Judge(nil)
	if r.State().Document("notes/a") == nil || r.State().Document("notes/b") != nil {
		t.Errorf("%s is live", live(r))
	}
	if h := r.Head(x.Origin); h == nil || h.ID() != x.ID() {
		t.Errorf("the head is %v", h)
	}
	// What comes after that is of no use to anybody, and neither is an origin that the revoker
	// had not seen.
	z := s.makes("a", follows(y, time.Hour), y.Charge, nil, text("notes/b", "z"))
	for _, b := range []*bundle.Bundle{z, s.makes("a", begins(a, 2, time.Second), 0, nil, text("notes/b", "z"))} {
		if news, err := r.Add(b); news || !errors.Is(err, ErrCut) {
			t.Errorf("%v %d: %t, %v", b.Origin, b.Sequence, news, err)
		}
	}
	if n := r.Origins(); n != 1 {
		t.Errorf("something of %d origins counts", n)
	}
}

// Three writers keep to no rule: they fork, break chains, go back in time and spend what they
// do not have. Whoever was given the same, and was told of the faults, has the same documents,
// and nothing that counts exceeds a quota at any time.
func TestAllAgreeWhateverWritersDo(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := newSwarm(t)
		names := []string{"a", "b", "c"}
		var all []*bundle.Bundle
		own := map[string][]*bundle.Bundle{}
		of := map[string]*capability.Capability{}
		for _, name := range names {
			q := capability.Quota{Burst: rapid.Int64Range(5<<10, 30<<10).Draw(rt, "burst"), Daily: rapid.Int64Range(0, 8<<10).Draw(rt, "daily"), Total: 1 << 30}
			of[name] = s.lets(name, q)
		}
		for n := range rapid.IntRange(1, 16).Draw(rt, "bundles") {
			name := rapid.SampledFrom(names).Draw(rt, "writer")
			at := time.Duration(rapid.IntRange(0, 72).Draw(rt, "hour")) * time.Hour
			var h bundle.Header
			charged := int64(0)
			if mine := own[name]; len(mine) == 0 || rapid.IntRange(0, 3).Draw(rt, "anew") == 0 {
				h = begins(of[name], uint64(n), at)
			} else {
				before := mine[len(mine)-1]
				if rapid.IntRange(0, 3).Draw(rt, "forks") == 0 {
					before = rapid.SampledFrom(mine).Draw(rt, "before")
				}
				h, charged = follows(before, max(at, time.Duration(before.Time.Wall-start)+1)), before.Charge
				switch rapid.IntRange(0, 7).Draw(rt, "breaks") {
				case 0:
					h.Time.Wall = start + int64(at) // which may be before
				case 1:
					charged += 5
				}
			}
			var refs []bundle.Reference
			if len(all) > 0 && rapid.Bool().Draw(rt, "refers") {
				to := rapid.SampledFrom(all).Draw(rt, "to")
				refs = append(refs, bundle.Reference{Origin: to.Origin, Sequence: to.Sequence, ID: to.ID()})
			}
			op := rapid.SampledFrom([]bundle.Operation{
				text("notes/a", fmt.Sprint(n)), text("notes/b", fmt.Sprint(n)), {Kind: bundle.Delete, Document: "notes/a"},
			}).Draw(rt, "operation")
			b := s.makes(name, h, charged, refs, op)
			all, own[name] = append(all, b), append(own[name], b)
		}
		var replicas []*Replica
		for seed := range uint64(3) {
			order := slices.Clone(all)
			rand.New(rand.NewPCG(seed, 7)).Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
			r := s.replica()
			give(t, r, order)
			replicas = append(replicas, r)
		}
		for again := true; again; {
			again = false
			for _, from := range replicas {
				for _, f := range from.Faults().Cuts() {
					for _, to := range replicas {
						news, err := to.Convict(f)
						if err != nil {
							rt.Fatal(err)
						}
						again = again || news
					}
				}
			}
			for _, r := range replicas {
				give(t, r, all) // what was refused may be news now
			}
		}
		for _, r := range replicas {
			if got, want := live(r), live(replicas[0]); got != want {
				rt.Fatalf("one has\n%s\nand another\n%s", got, want)
			}
			if got, want := heads(r), heads(replicas[0]); !maps.Equal(got, want) {
				rt.Fatalf("one has heads\n%v\nand another\n%v", got, want)
			}
			within(rt, r, of)
		}
	})
}

// within fails where what counts exceeds a quota.
func within(rt *rapid.T, r *Replica, of map[string]*capability.Capability) {
	rules := counting.Rules{Capabilities: r.capabilities, Faults: &r.faults}
	for name, c := range of {
		var counted []*bundle.Header
		for o, held := range r.origins {
			span, err := rules.Span(held.chain)
			if err == nil && o.Writer == c.Audience {
				counted = append(counted, held.chain[:span.To]...)
			}
		}
		for _, at := range counted {
			spent := map[bundle.Origin]int64{}
			for _, h := range counted {
				if h.Time.Compare(at.Time) <= 0 {
					spent[h.Origin] = max(spent[h.Origin], h.Charge)
				}
			}
			sum := int64(0)
			for _, n := range spent {
				sum += n
			}
			if most := fault.Granted(c, at.Time); sum > most {
				rt.Fatalf("%s has %d that counts at %v, of %d", name, sum, at.Time, most)
			}
		}
	}
}
