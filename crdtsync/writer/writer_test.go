package writer

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/decube/decube/crdtsync/bundle"
	"github.com/decube/decube/crdtsync/crdt"
	"github.com/decube/decube/crdtsync/crdttest"
	"github.com/decube/decube/crdtsync/fault"
	"github.com/decube/decube/crdtsync/replica"
	"github.com/decube/decube/internal/capability"
)

var verifier = crdttest.Verifier

// start is when capabilities begin.
const start = int64(1_000 * time.Hour)

var key = crdttest.Key

// peer is a writer with what it holds.
type peer struct {
	*Writer

	replica *replica.Replica
}

// world is peers who write in the space of one of them.
type world struct {
	tb  testing.TB
	doc *capability.Succession
	all []*capability.Capability
}

func newWorld(tb testing.TB) *world {
	tb.Helper()
	return &world{tb: tb, doc: crdttest.Unowned(tb, "w")}
}

// lets returns a capability for a key in the space of "owner".
func (w *world) lets(name string, q capability.Quota) *capability.Capability {
	c := &capability.Capability{
		Swarm: w.doc.Swarm(), Audience: key(name).Public(), NotBefore: start / int64(time.Millisecond), Expires: (start + int64(time.Hour)) / int64(time.Millisecond), Quota: q,
		Grants: []capability.Grant{{Verbs: capability.Write, Scope: capability.Space(key("owner").Public())}},
	}
	c.Sign(key("owner"))
	w.all = append(w.all, c)
	return c
}

// replica returns one that knows all capabilities.
func (w *world) replica() *replica.Replica {
	w.tb.Helper()
	set, err := capability.NewSpace(w.doc, key("owner").Public(), capability.DefaultLimits, verifier)
	if err != nil {
		w.tb.Fatal(err)
	}
	for _, c := range w.all {
		if _, err := set.Add(c); err != nil {
			w.tb.Fatal(err)
		}
	}
	return replica.New(set, verifier)
}

// life returns a peer that begins to live.
func (w *world) life(name string, c *capability.Capability, incarnation uint64, at time.Duration) *peer {
	w.tb.Helper()
	return &peer{New(key(name), c, incarnation, crdt.NewClock(crdt.Time{}, 0), start+int64(at)), w.replica()}
}

// write writes, and takes what comes of it in itself.
func (p *peer) write(at time.Duration, ops ...bundle.Operation) ([]*bundle.Bundle, error) {
	made, err := p.Write(start+int64(at), p.replica.State(), p.replica.Charged(p.origin.Writer, p.capability.ID()), ops)
	for _, b := range made {
		if _, err := p.replica.Add(b); err != nil {
			return nil, err
		}
	}
	return made, err
}

func path(doc string) string { return capability.Space(key("owner").Public()) + doc }

func text(doc, value string) bundle.Operation {
	return bundle.Operation{Kind: bundle.Set, Document: path(doc), Field: "text", Value: bundle.TextValue(value)}
}

var ample = capability.Quota{Burst: 1 << 30, Total: 1 << 30}

func TestWhatIsWrittenSupersedesWhatWasSeen(t *testing.T) {
	w := newWorld(t)
	a, b := w.lets("a", ample), w.lets("b", ample)
	one, two := w.life("a", a, 1, 0), w.life("b", b, 1, 0)
	one.Complete()
	two.Complete()
	for i := range 3 {
		made, err := one.write(time.Second, text("n/x", fmt.Sprint(i)))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := two.replica.Add(made[0]); err != nil {
			t.Fatal(err)
		}
	}
	made, err := two.write(0, text("n/x", "last")) // its clock is behind
	if err != nil {
		t.Fatal(err)
	}
	if _, err := one.replica.Add(made[0]); err != nil {
		t.Fatal(err)
	}
	for _, p := range []*peer{one, two} {
		if got := p.replica.State().Document(path("n/x")).Values("text"); len(got) != 1 || got[0].Text() != "last" {
			t.Errorf("there is %v", got)
		}
	}
	if made, err := one.write(2*time.Second, bundle.Operation{Kind: bundle.Delete, Document: path("n/x")}); err != nil || len(made) != 1 {
		t.Errorf("deleted by %d bundles, %v", len(made), err)
	}
	if one.replica.State().Document(path("n/x")) != nil {
		t.Error("a document that was deleted exists")
	}
}

func TestWhatIsNotWritten(t *testing.T) {
	w := newWorld(t)
	c := w.lets("a", ample)
	p := w.life("a", c, 1, 0)
	long := bundle.Operation{Kind: bundle.Set, Document: path("n/x"), Field: "text", Value: bundle.TextValue(string(make([]byte, bundle.MaxValue)))}
	for name, tc := range map[string]struct {
		at   time.Duration
		ops  []bundle.Operation
		want error
	}{
		"nothing":                  {0, nil, bundle.ErrInvalid},
		"of no kind":               {0, []bundle.Operation{{Kind: 9, Document: path("n/x")}}, bundle.ErrInvalid},
		"more than a bundle":       {0, []bundle.Operation{long, long, long}, bundle.ErrInvalid},
		"in another space":         {0, []bundle.Operation{{Kind: bundle.Delete, Document: "n/x"}}, capability.ErrDenied},
		"when it has expired":      {time.Hour, []bundle.Operation{text("n/x", "x")}, capability.ErrDenied},
		"at once in a second life": {0, []bundle.Operation{text("n/x", "x")}, ErrQuota},
	} {
		fresh := w.life("a", c, 2, tc.at)
		if made, err := fresh.write(tc.at, tc.ops...); !errors.Is(err, tc.want) || made != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	p.Complete()
	if _, err := p.write(0, text("n/x", "x")); err != nil {
		t.Error(err)
	}
}

// What more origins have written than a bundle refers to is superseded all the same, and counts
// are not made twice.
func TestManyOrigins(t *testing.T) {
	w := newWorld(t)
	c := w.lets("a", ample)
	all := w.life("a", c, 1<<40, 0)
	all.Complete()
	for i := range 2*bundle.MaxReferences + 7 {
		p := w.life("a", c, uint64(i), 0)
		p.Complete()
		made, err := p.write(time.Second, text("n/x", fmt.Sprint(i)))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := all.replica.Add(made[0]); err != nil {
			t.Fatal(err)
		}
	}
	one := bundle.Operation{Kind: bundle.Count, Document: path("n/x"), Field: "times", Value: bundle.WholeValue(1)}
	made, err := all.write(2*time.Second, text("n/x", "one"), one)
	if err != nil || len(made) != 3 {
		t.Fatalf("%d bundles, %v", len(made), err)
	}
	d := all.replica.State().Document(path("n/x"))
	sum, _ := d.Sum("times")
	if got := d.Values("text"); len(got) != 1 || got[0].Text() != "one" || sum != 1 {
		t.Errorf("there are %d values, and a sum of %d", len(got), sum)
	}
	if made, err := all.write(3*time.Second, one); err != nil || len(made) != 1 || len(made[0].Body.References) > 0 {
		t.Errorf("a count refers to what it does not supersede: %v", err)
	}
}

// Whatever lives a peer has, on which old disks, and whenever its clock says it is: nothing that
// it has signed proves a fault.
func TestHonestWritersProveNothing(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(t)
		c := w.lets("a", capability.Quota{
			Burst: rapid.Int64Range(0, 60<<10).Draw(rt, "burst"), Daily: rapid.Int64Range(0, 24*100<<10).Draw(rt, "daily"), Total: rapid.Int64Range(0, 200<<10).Draw(rt, "total"),
		})
		sees := w.replica() // all that was ever signed
		var disks [][]*bundle.Bundle
		at, signed := time.Duration(0), 0
		for life := range rapid.IntRange(1, 5).Draw(rt, "lives") {
			p := w.life("a", c, uint64(life), at)
			var disk []*bundle.Bundle
			if len(disks) > 0 { // the last one, an older one, or none
				n := rapid.IntRange(-1, len(disks)-1).Draw(rt, "disk")
				if n >= 0 {
					disk = slices.Clone(disks[n])
				}
				if len(disk) == signed && rapid.Bool().Draw(rt, "told") {
					p.Complete()
				}
			} else {
				p.Complete()
			}
			for _, b := range disk {
				if _, err := p.replica.Add(b); err != nil {
					rt.Fatal(err)
				}
			}
			for range rapid.IntRange(0, 10).Draw(rt, "writes") {
				at += time.Duration(rapid.Int64Range(0, int64(5*time.Minute)).Draw(rt, "later"))
				made, err := p.write(at, text("n/x", string(make([]byte, rapid.IntRange(0, 8<<10).Draw(rt, "bytes")))))
				if err != nil && !errors.Is(err, ErrQuota) {
					rt.Fatal(err)
				}
				for _, b := range made {
					disk = append(disk, b)
					signed++
					if _, err := sees.Add(b); err != nil {
						rt.Fatal(err)
					}
				}
			}
			disks = append(disks, disk)
		}
		for f := range sees.Faults().Cuts() {
			rt.Fatalf("%+v", f)
		}
		var headers []*bundle.Header
		for _, d := range disks {
			for _, b := range d {
				headers = append(headers, &b.Header)
			}
		}
		if f := fault.Audit(headers, c); f != nil {
			rt.Fatalf("what was signed in all lives is over the quota: %+v", f)
		}
	})
}
