package driver

import (
	"encoding/binary"
	"fmt"
	"maps"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/decube/decube/crdtsync/bundle"
	"github.com/decube/decube/crdtsync/crdt"
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
	for _, c := range all {
		early.gives(start, Item{Capability: c})
		late.gives(start, Item{Capability: c})
	}
	if early.Root() != late.Root() {
		t.Error("peers that were given the same capabilities are not in step")
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
