package driver

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/decube/decube/crdtsync/bundle"
	"github.com/decube/decube/crdtsync/crdt"
	"github.com/decube/decube/crdtsync/digest"
	"github.com/decube/decube/crdtsync/fault"
	"github.com/decube/decube/internal/capability"
	"github.com/decube/decube/internal/sig"
)

// hostile writes what no honest peer does, in its own space.
type hostile struct {
	tb    testing.TB
	key   sig.PrivateKey
	swarm capability.ID
	made  uint64
}

func newHostile(tb testing.TB, name string) *hostile {
	tb.Helper()
	return &hostile{tb: tb, key: key(name), swarm: capability.Unowned("s").ID()}
}

// grants returns a capability of its own space.
func (h *hostile) grants(q capability.Quota) *capability.Capability {
	h.tb.Helper()
	h.made++
	c := &capability.Capability{
		Swarm: h.swarm, Audience: h.key.Public(), NotBefore: start / int64(time.Millisecond), Expires: start/int64(time.Millisecond) + 1<<40, Quota: q,
		Grants: []capability.Grant{{Verbs: capability.Write, Scope: capability.Space(h.key.Public())}},
	}
	binary.BigEndian.PutUint64(c.Nonce[:], h.made)
	c.Sign(h.key)
	return c
}

// path returns one of its space.
func (h *hostile) path(rest string) string { return capability.Space(h.key.Public()) + rest }

// begins returns the first bundle of an origin.
func (h *hostile) begins(c *capability.Capability, incarnation uint64, at time.Duration, ops ...bundle.Operation) *bundle.Bundle {
	h.tb.Helper()
	place := bundle.Header{
		Swarm: h.swarm, Origin: bundle.Origin{Writer: h.key.Public(), Incarnation: incarnation},
		Time: crdt.Time{Wall: start + int64(at)}, Capability: c.ID(),
	}
	b, err := bundle.New(place, bundle.Body{Operations: ops}, 0, h.key)
	if err != nil {
		h.tb.Fatal(err)
	}
	return b
}

// gives has a peer take in what is hostile, but not invalid.
func (p *peer) gives(now int64, items ...Item) {
	p.tb.Helper()
	for _, i := range items {
		if _, err := p.Take(now, i); err != nil && !isRefusal(err) {
			p.tb.Fatal(err)
		}
	}
	p.settle()
}

// A writer whose capability went, since others with lower IDs came, leaves nothing on the disk
// that the peer cannot read again, and nothing that keeps peers from being in step.
func TestCapabilitiesThatWentTakeWhatWasWrittenWithThem(t *testing.T) {
	h := newHostile(t, "hostile")
	var all []*capability.Capability
	for range capability.DefaultLimits.Children + 1 {
		all = append(all, h.grants(ownQuota))
	}
	slices.SortFunc(all, func(a, b *capability.Capability) int { x, y := a.ID(), b.ID(); return slices.Compare(x[:], y[:]) })
	last := all[len(all)-1]
	first := h.begins(last, 1, time.Second, set(h.path("notes/a"), "x"))
	fork := h.begins(last, 1, 2*time.Second, set(h.path("notes/a"), "y"))

	early, late := newPeer(t, "early", 1), newPeer(t, "late", 2)
	early.gives(start, Item{Capability: last}, Item{Bundle: first}, Item{Bundle: fork})
	if len(early.texts()) != 0 || early.Stats().Faults != 1 {
		t.Fatalf("%v, %+v", early.texts(), early.Stats())
	}
	early.gives(start, Item{Bundle: h.begins(all[0], 2, time.Second, set(h.path("notes/b"), "x"))})
	// One that counts, under a capability that went too, and one that waits.
	second := h.grants(ownQuota)
	for id := last.ID(); ; second = h.grants(ownQuota) { // the highest of all
		if x := second.ID(); slices.Compare(x[:], id[:]) > 0 {
			break
		}
	}
	early.gives(start, Item{Capability: second}, Item{Bundle: h.begins(second, 3, time.Second, set(h.path("notes/c"), "x"))})
	waits := *h.begins(second, 4, time.Second, set(h.path("notes/c"), "x"))
	waits.Sequence, waits.Previous, waits.Charge = 1, bundle.ID{1}, 2*waits.Charge
	waits.Sign(h.key)
	early.gives(start, Item{Bundle: &waits})
	if len(early.texts()) != 1 || early.Stats().Waiting != 1 {
		t.Fatalf("%v, %+v", early.texts(), early.Stats())
	}
	for _, c := range all {
		early.gives(start, Item{Capability: c})
		late.gives(start, Item{Capability: c})
	}
	if early.Root() != late.Root() {
		t.Error("peers that were given the same capabilities are not in step")
	}
	if st := early.Stats(); len(early.texts()) != len(late.texts()) || st.Origins != 0 || st.Waiting != 0 {
		t.Errorf("one shows %v, the other %v: %+v", early.texts(), late.texts(), st)
	}
	again := early.restart("early", 3, start)
	if again.Root() != early.Root() || !maps.Equal(again.texts(), early.texts()) {
		t.Error("the disk has something else than the peer")
	}
	for k := range early.disk {
		if k := k[32:]; Kind(k[0]) != KindCapability {
			t.Errorf("left on the disk: %x", k)
		}
	}
}

func set(path, value string) bundle.Operation {
	return bundle.Operation{Kind: bundle.Set, Document: path, Field: "text", Value: bundle.TextValue(value)}
}

// The longest proof there is fits into an item: else it would be on disks that cannot be read
// again, and be asked for again and again.
func TestProofsFitIntoItems(t *testing.T) {
	h := newHostile(t, "hostile")
	b := h.begins(h.grants(ownQuota), math.MaxUint64, time.Second, set(h.path("notes/a"), "x"))
	long := b.Header
	long.Time = crdt.Time{Wall: math.MaxInt64, Logical: math.MaxUint32}
	long.Sequence, long.Charge, long.Length, long.Count = bundle.MaxSequence, math.MaxInt64, bundle.MaxBundle, bundle.MaxOperations
	f := fault.Fault{Kind: fault.Overdraft, Headers: slices.Repeat([]*bundle.Header{&long}, fault.MaxHeaders)}
	if n := len(Item{Fault: &f}.Encode()); n > MaxItem {
		t.Errorf("%d bytes", n)
	}
}

// Who lacks more spaces than a session has questions gets some in each, and all in the end.
func TestManySpacesComeOneAfterTheOther(t *testing.T) {
	a, b := newPeer(t, "a", 1), newPeer(t, "b", 2)
	const spaces = 5000
	for i := range spaces {
		h := newHostile(t, fmt.Sprint("h", i))
		a.gives(start, Item{Capability: h.grants(ownQuota)})
	}
	for n := 0; a.Root() != b.Root(); n++ {
		before := b.Stats().Spaces
		if _, err := b.asks(a, start); err != nil {
			t.Fatal(err)
		}
		if b.Stats().Spaces == before {
			t.Fatalf("session %d brought nothing, after %d spaces of %d", n, before, spaces)
		}
	}
}

// A peer whose trees never end, and differ everywhere, has a session remember little, and end.
func TestTreesWithoutEnd(t *testing.T) {
	b := newPeer(t, "b", 2)
	s := b.Compare()
	most, made := 0, byte(0)
	for asked := 0; ; asked++ {
		a, ok := s.Next()
		if !ok {
			break
		}
		var answer Answer
		for _, p := range a.Prefixes {
			branch := digest.Branch{Hashes: make([]digest.Hash, digest.Fan)}
			for i := range branch.Hashes {
				made++
				branch.Hashes[i] = digest.Hash{made, 1}
			}
			if len(p) == digest.MaxDepth {
				branch = digest.Branch{}
			}
			answer.Branches = append(answer.Branches, branch)
		}
		if err := s.Told(start, answer); err != nil {
			t.Fatal(err)
		}
		if most = max(most, len(s.branch)); asked > mostAsks {
			t.Fatal("it does not end")
		}
	}
	if most > digest.MaxDepth*MostPrefixes*digest.Fan || s.Whole() || s.Brought() {
		t.Errorf("%d places are remembered", most)
	}
}

// A peer that has ever more heads, and gives what is held already, or what has a gap, is asked for
// a while, and what it says is not remembered without bound.
func TestHeadsThatBringNothing(t *testing.T) {
	a, b := newPeer(t, "a", 1), newPeer(t, "b", 2)
	if err := a.put(start, "notes/a", "x"); err != nil {
		t.Fatal(err)
	}
	if _, err := b.asks(a, start); err != nil {
		t.Fatal(err)
	}
	s := b.Compare()
	made := uint64(0)
	for {
		ask, ok := s.Next()
		if !ok {
			t.Fatal("it ends as if nothing were wrong")
		}
		var answer Answer
		for range ask.Prefixes {
			var branch digest.Branch
			if ask.All {
				own := a.Own()
				branch.Entries = []digest.Entry{{Key: string(own[:]), Value: "other"}}
			} else {
				for range digest.Few {
					made++
					o := bundle.Origin{Writer: a.Own(), Incarnation: made}
					value := valueOfHead(&bundle.Header{Sequence: bundle.MaxSequence})
					branch.Entries = append(branch.Entries, digest.Entry{Key: keyOfOrigin(o), Value: value})
				}
			}
			answer.Branches = append(answer.Branches, branch)
		}
		if r := ask.Bundles; r != nil {
			far := *a.published[1].Bundle
			far.Origin, far.Sequence = r.Origin, r.From
			answer.Items = []Item{{Bundle: &far}}
		}
		if err := s.Told(start, answer); err != nil {
			if !errors.Is(err, ErrInvalid) && !errors.Is(err, ErrPromise) {
				t.Error(err)
			}
			return
		}
	}
}

// A clock that is wrong at the first write is of no consequence once it is right.
func TestClocksThatWereWrong(t *testing.T) {
	const year = int64(365 * 24 * time.Hour)
	for name, first := range map[string]int64{"behind": int64(time.Hour), "ahead": start + year} {
		a, b := newPeer(t, "a", 1), newPeer(t, "b", 2)
		if err := a.put(first, "notes/a", "x"); err != nil {
			t.Fatal(err)
		}
		if err := a.put(start, "notes/b", "y"); err != nil {
			t.Errorf("%s, and put right: %v", name, err)
		}
		if _, err := b.asks(a, start); err != nil {
			t.Fatal(err)
		}
		if got := b.texts()[capability.Space(a.Own())+"notes/b"]; got != "[y]" {
			t.Errorf("%s, and put right: another peer has %v", name, b.texts())
		}
	}
}

// Who has asked a peer that holds nothing of its own space has not been told what it has written.
func TestWhoTellsWhatWasWrittenBefore(t *testing.T) {
	a, b, c := newPeer(t, "a", 1), newPeer(t, "b", 2), newPeer(t, "c", 3)
	if err := a.put(start, "notes/a", "x"); err != nil {
		t.Fatal(err)
	}
	for i := range 40 { // b knows many others
		if err := newPeer(t, fmt.Sprint("x", i), 9).tells(b); err != nil {
			t.Fatal(err)
		}
	}
	if s, err := a.asks(c, start); err != nil || s.Own() {
		t.Errorf("who holds nothing has told it, %v", err)
	}
	if s, err := a.asks(b, start); err != nil || s.Own() {
		t.Errorf("who holds nothing of it has told it, %v", err)
	}
	if _, err := b.asks(a, start); err != nil {
		t.Fatal(err)
	}
	for range 2 { // what differs, and the same
		if s, err := a.asks(b, start); err != nil || !s.Own() {
			t.Errorf("who holds it has not told it, %v", err)
		}
	}
}

// tells writes something, and has another peer ask for it.
func (p *peer) tells(o *peer) error {
	if err := p.put(start, "notes/a", "x"); err != nil {
		return err
	}
	_, err := o.asks(p, start)
	return err
}

// BenchmarkStatement takes in capabilities in a space with many origins under one that is revoked
// with many heads.
func BenchmarkStatement(b *testing.B) {
	h := newHostile(b, "hostile")
	p := newPeer(b, "p", 1)
	c := h.grants(ownQuota)
	p.gives(start, Item{Capability: c})
	var heads []capability.Head
	for i := range 10_000 {
		first := h.begins(c, uint64(i), time.Second, set(h.path("notes/a"), "x"))
		p.gives(start, Item{Bundle: first})
		if i < capability.MaxHeads {
			heads = append(heads, capability.Head{Writer: first.Writer, Incarnation: first.Incarnation, Bundle: capability.ID(first.ID())})
		}
	}
	r := &capability.Revocation{Swarm: h.swarm, Capability: c.ID(), Heads: heads}
	r.Sign(h.key)
	p.gives(start, Item{Revocation: r})
	for b.Loop() {
		p.gives(start, Item{Capability: h.grants(ownQuota)})
	}
}
