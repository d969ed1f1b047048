package fault_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/decube/decube/crdtsync/bundle"
	"github.com/decube/decube/crdtsync/crdt"
	"github.com/decube/decube/crdtsync/crdttest"
	"github.com/decube/decube/crdtsync/fault"
	"github.com/decube/decube/internal/capability"
	"github.com/decube/decube/internal/sig"
)

var key = crdttest.Key

// start is when capabilities begin, in nanoseconds.
const start = int64(1_000 * time.Hour)

// granted returns a capability of the writer w.
func granted(q capability.Quota) *capability.Capability {
	c := &capability.Capability{
		Swarm: capability.ID{1}, Audience: key("w").Public(), NotBefore: start / int64(time.Millisecond), Expires: 1 << 45, Quota: q,
		Grants: []capability.Grant{{Verbs: capability.Write, Scope: "notes/"}},
	}
	c.Sign(key("root"))
	return c
}

// begun returns the first header of an origin, which costs 5 KiB.
func begun(c *capability.Capability, incarnation uint64, at time.Duration) *bundle.Header {
	return begunWith(c, incarnation, at, 1)
}

// begunWith returns one with so many bytes.
func begunWith(c *capability.Capability, incarnation uint64, at time.Duration, length int64) *bundle.Header {
	h := &bundle.Header{
		Swarm: capability.ID{1}, Origin: bundle.Origin{Writer: key("w").Public(), Incarnation: incarnation},
		Time: crdt.Time{Wall: start + int64(at)}, Capability: c.ID(), Length: length, Count: 1,
	}
	charge(h, 0)
	h.Sign(key("w"))
	return h
}

// charge has a header charge what it costs on top of what was charged before: of which its own
// digits are a part.
func charge(h *bundle.Header, before int64) {
	for h.Charge = before; h.Charge != before+h.Cost(); {
		h.Charge = before + h.Cost()
	}
}

// following returns the header after another one, as it is changed, and signed.
func following(h *bundle.Header, change func(*bundle.Header)) *bundle.Header {
	next := *h
	next.Sequence, next.Previous, next.Time.Wall = h.Sequence+1, h.ID(), h.Time.Wall+1 // a nanosecond later
	charge(&next, h.Charge)
	if change != nil {
		change(&next)
	}
	next.Sign(key("w"))
	return &next
}

// cuts fails unless a fault holds, in its encoding too, and cuts at a time.
func cuts(t *testing.T, f *fault.Fault, c *capability.Capability, kind fault.Kind, at time.Duration, capabilities ...capability.ID) {
	t.Helper()
	again, err := fault.Decode(f.Encode())
	if err != nil {
		t.Fatalf("%v: %v", kind, err)
	}
	if err := again.Verify(c, sig.NewVerifier(0)); err != nil {
		t.Fatalf("%v: %v", kind, err)
	}
	if f.Kind != kind {
		t.Errorf("it is a %v, not a %v", f.Kind, kind)
	}
	var of []capability.ID
	for _, cut := range again.Cuts() {
		of = append(of, cut.Capability)
		if cut.Writer != key("w").Public() || cut.From.Wall != start+int64(at) {
			t.Errorf("%v: cut of %v at %v, want %v", kind, cut.Writer, time.Duration(cut.From.Wall-start), at)
		}
	}
	if !slices.Equal(of, capabilities) {
		t.Errorf("%v: cuts under %v, want %v", kind, of, capabilities)
	}
}

func TestFork(t *testing.T) {
	c, other := granted(capability.Quota{}), granted(capability.Quota{Total: 1})
	a := begun(c, 1, time.Second)
	b := begun(c, 1, time.Minute)
	for _, two := range [][2]*bundle.Header{{a, b}, {b, a}} {
		f, err := fault.OfTwo(two[0], two[1])
		if err != nil {
			t.Fatal(err)
		}
		cuts(t, f, nil, fault.Fork, time.Second, c.ID())
	}
	// Under two capabilities nothing counts from then on under either.
	f, err := fault.OfTwo(following(a, nil), following(b, func(h *bundle.Header) { h.Capability = other.ID() }))
	if err != nil {
		t.Fatal(err)
	}
	want := []capability.ID{f.Headers[0].Capability, f.Headers[1].Capability}
	cuts(t, f, nil, fault.Fork, time.Second+1, want...)

	// The same header with another signature is no other bundle.
	again := *a
	again.Signature[0] ^= 1
	for name, two := range map[string][2]*bundle.Header{
		"one bundle":   {a, &again},
		"two origins":  {a, begun(c, 2, time.Second)},
		"its own next": {a, following(a, nil)},
	} {
		if _, err := fault.OfTwo(two[0], two[1]); !errors.Is(err, fault.ErrUnproved) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestBrokenChain(t *testing.T) {
	c, other := granted(capability.Quota{}), granted(capability.Quota{Total: 1})
	a := begunWith(c, 1, time.Second, 4<<10)
	for name, tc := range map[string]struct {
		change func(*bundle.Header)
		at     time.Duration
		under  []capability.ID
	}{
		"the time stands still": {func(h *bundle.Header) { h.Time = a.Time }, time.Second, []capability.ID{c.ID()}},
		"the time goes back":    {func(h *bundle.Header) { h.Time.Wall = start }, 0, []capability.ID{c.ID()}},
		"too small a charge":    {func(h *bundle.Header) { h.Charge-- }, time.Second + 1, []capability.ID{c.ID()}},
		"too large a charge":    {func(h *bundle.Header) { h.Charge++ }, time.Second + 1, []capability.ID{c.ID()}},
		"two capabilities":      {func(h *bundle.Header) { h.Capability = other.ID() }, time.Second + 1, []capability.ID{c.ID(), other.ID()}},
	} {
		b := following(a, tc.change)
		for _, two := range [][2]*bundle.Header{{a, b}, {b, a}} {
			f, err := fault.OfTwo(two[0], two[1])
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			cuts(t, f, nil, fault.Broken, tc.at, tc.under...)
		}
	}
	// A counter of the clock alone is enough, and what does not follow proves nothing.
	b := following(a, func(h *bundle.Header) { h.Time = a.Time; h.Time.Logical++ })
	skipped := following(following(a, nil), func(h *bundle.Header) { h.Charge++ })
	elsewhere := following(a, func(h *bundle.Header) { h.Previous = bundle.ID{1}; h.Charge++ })
	for _, two := range [][2]*bundle.Header{{a, b}, {a, skipped}, {a, elsewhere}} {
		if _, err := fault.OfTwo(two[0], two[1]); !errors.Is(err, fault.ErrUnproved) {
			t.Errorf("%+v: %v", two[1], err)
		}
	}
}

// An overdraft is proved by as few headers as there must be, at the earliest time that they
// give.
func TestOverdraft(t *testing.T) {
	one := begun(granted(capability.Quota{}), 1, 0).Charge
	c := granted(capability.Quota{Burst: 2*one + 1, Daily: one, Total: 100 * one})
	var headers []*bundle.Header
	for i := range 3 {
		headers = append(headers, begun(c, uint64(i+1), time.Duration(i)*time.Hour))
	}
	f, err := fault.OfQuota(headers, c)
	if err != nil {
		t.Fatal(err)
	}
	cuts(t, f, c, fault.Overdraft, 2*time.Hour, c.ID())

	// A day later there is one more.
	headers[2] = begun(c, 3, 24*time.Hour)
	if _, err := fault.OfQuota(headers, c); !errors.Is(err, fault.ErrUnproved) {
		t.Errorf("within the quota: %v", err)
	}
	// Of many those are left that matter: the large one alone is too much.
	large := begunWith(c, 9, time.Minute, 16<<10)
	f, err = fault.OfQuota(append(headers, large), c)
	if err != nil || len(f.Headers) != 1 || f.Headers[0] != large {
		t.Fatalf("%d headers are needed, %v", len(f.Headers), err)
	}
	cuts(t, f, c, fault.Overdraft, time.Minute, c.ID())

	bad := map[string]struct {
		f    *fault.Fault
		c    *capability.Capability
		want error
	}{
		"more than are needed": {&fault.Fault{Kind: fault.Overdraft, Headers: []*bundle.Header{headers[0], large}}, c, fault.ErrInvalid},
		"within the quota":     {&fault.Fault{Kind: fault.Overdraft, Headers: headers}, c, fault.ErrUnproved},
		"no capability":        {f, nil, fault.ErrInvalid},
		"another capability":   {f, granted(capability.Quota{}), fault.ErrInvalid},
	}
	forged := *large
	forged.Signature[3] ^= 1
	bad["not signed"] = struct {
		f    *fault.Fault
		c    *capability.Capability
		want error
	}{&fault.Fault{Kind: fault.Overdraft, Headers: []*bundle.Header{&forged}}, c, fault.ErrUnproved}
	for name, tc := range bad {
		if err := tc.f.Validate(); err != nil {
			t.Errorf("%s: %v", name, err)
		} else if err := tc.f.Verify(tc.c, sig.NewVerifier(0)); !errors.Is(err, tc.want) {
			t.Errorf("%s: %v, want %v", name, err, tc.want)
		}
	}
}

func TestFaultsOutOfForm(t *testing.T) {
	c := granted(capability.Quota{})
	a, b := begun(c, 1, 0), begun(c, 2, 0)
	foreign := *b
	foreign.Sign(key("x"))
	elsewhere := *b
	elsewhere.Swarm = capability.ID{7}
	other := begun(granted(capability.Quota{Total: 9}), 3, 0)
	impossible := *a
	impossible.Charge = 1
	fork, err := fault.OfTwo(a, begun(c, 1, 5))
	if err != nil {
		t.Fatal(err)
	}
	for name, f := range map[string]*fault.Fault{
		"no headers":        {Kind: fault.Overdraft},
		"no kind":           {Headers: []*bundle.Header{a, b}},
		"a kind to come":    {Kind: 4, Headers: []*bundle.Header{a, b}},
		"a fork of one":     {Kind: fault.Fork, Headers: []*bundle.Header{a}},
		"a fork backwards":  {Kind: fault.Fork, Headers: []*bundle.Header{fork.Headers[1], fork.Headers[0]}},
		"two writers":       {Kind: fault.Overdraft, Headers: []*bundle.Header{a, &foreign}},
		"two swarms":        {Kind: fault.Overdraft, Headers: []*bundle.Header{a, &elsewhere}},
		"two capabilities":  {Kind: fault.Overdraft, Headers: []*bundle.Header{a, other}},
		"an origin twice":   {Kind: fault.Overdraft, Headers: []*bundle.Header{a, a}},
		"out of order":      {Kind: fault.Overdraft, Headers: []*bundle.Header{b, a}},
		"an invalid header": {Kind: fault.Overdraft, Headers: []*bundle.Header{&impossible}},
	} {
		if err := f.Validate(); !errors.Is(err, fault.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := fault.Decode(f.Encode()); !errors.Is(err, fault.ErrInvalid) {
			t.Errorf("%s, encoded: %v", name, err)
		}
	}
}

func TestGranted(t *testing.T) {
	const gib = 1 << 30
	for _, tc := range []struct {
		q    capability.Quota
		at   time.Duration
		want int64
	}{
		{capability.Quota{Burst: 5, Daily: 10, Total: 100}, -time.Hour, 5},
		{capability.Quota{Burst: 5, Daily: 10, Total: 100}, 0, 5},
		{capability.Quota{Burst: 5, Daily: 10, Total: 100}, 12 * time.Hour, 10},
		{capability.Quota{Burst: 5, Daily: 10, Total: 100}, 36 * time.Hour, 20},
		{capability.Quota{Burst: 5, Daily: 10, Total: 100}, 1000 * time.Hour, 100},
		{capability.Quota{Burst: 5, Daily: 10, Total: 3}, 0, 3},
		{capability.Quota{Burst: 1 << 62, Daily: 1 << 62, Total: 1 << 62}, 24 * 365 * 200 * time.Hour, 1 << 62},
		{capability.Quota{Daily: gib, Total: 1 << 62}, 365 * 24 * time.Hour, 365 * gib},
	} {
		far := granted(tc.q)
		if far.NotBefore = 253402300799998; fault.Granted(far, crdt.Time{Wall: 1 << 62}) != min(tc.q.Burst, tc.q.Total) {
			t.Errorf("%+v: more than at once before it begins, in the year 9999", tc.q)
		}
		if got := fault.Granted(granted(tc.q), crdt.Time{Wall: start + int64(tc.at)}); got != tc.want {
			t.Errorf("%+v after %v: %d, want %d", tc.q, tc.at, got, tc.want)
		}
	}
}

// Of many faults the earliest cut holds, whichever comes first.
func TestSet(t *testing.T) {
	c, other := granted(capability.Quota{}), granted(capability.Quota{Total: 1})
	fork := func(incarnation uint64, at time.Duration) *fault.Fault {
		f, err := fault.OfTwo(begun(c, incarnation, at), begun(c, incarnation, at+time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	early, late := fork(1, time.Minute), fork(2, time.Hour)
	a := begun(c, 3, 2*time.Minute)
	both, err := fault.OfTwo(a, following(a, func(h *bundle.Header) { h.Capability = other.ID() }))
	if err != nil {
		t.Fatal(err)
	}
	all := []*fault.Fault{early, late, both}
	for _, order := range [][]int{{0, 1, 2}, {2, 1, 0}, {1, 0, 2}, {1, 2, 0}} {
		var s fault.Set
		if _, cut := s.From(key("w").Public(), c.ID()); cut || s.Of(key("w").Public(), c.ID()) != nil {
			t.Error("an empty set cuts")
		}
		news := 0
		for _, i := range order {
			news += len(s.Add(all[i]))
			if len(s.Add(all[i])) > 0 {
				t.Error("it is news twice")
			}
		}
		at, cut := s.From(key("w").Public(), c.ID())
		if !cut || at.Wall != start+int64(time.Minute) || s.Of(key("w").Public(), c.ID()) != early {
			t.Errorf("in the order %v: cut %t at %v", order, cut, at)
		}
		n := 0
		for cut, f := range s.Cuts() {
			if n++; f != s.Of(cut.Writer, cut.Capability) {
				t.Errorf("%v is not proved by what is held", cut)
			}
		}
		if n != 2 || news < n {
			t.Errorf("%d cuts, %d times news", n, news)
		}
	}
}
