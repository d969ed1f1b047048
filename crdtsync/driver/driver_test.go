package driver

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
	"github.com/decube/decube/crdtsync/crdttest"
	"github.com/decube/decube/crdtsync/writer"
	"github.com/decube/decube/internal/capability"
)

const start = int64(1_000_000 * time.Hour)

var key = crdttest.Key

var verifier = crdttest.Verifier

// peer is a driver with its disk, and what it has published.
type peer struct {
	*Driver

	tb        testing.TB
	disk      map[string][]byte // by space and key
	published []Item
}

func options(tb testing.TB, name string, seed uint64) Options {
	tb.Helper()
	return Options{Document: crdttest.Unowned(tb, "s"), Key: key(name), Began: start, Random: rand.New(rand.NewPCG(seed, 1)).Uint64, Verify: verifier, Foreign: 1 << 30}
}

func newPeer(tb testing.TB, name string, seed uint64) *peer {
	tb.Helper()
	return &peer{Driver: New(options(tb, name, seed)), tb: tb, disk: map[string][]byte{}}
}

// settle does what follows of what the driver was given.
func (p *peer) settle() {
	e := p.Effects()
	for _, c := range e.Changes {
		at := string(c.Space[:]) + c.Key
		switch {
		case c.Drop:
			maps.DeleteFunc(p.disk, func(k string, _ []byte) bool { return k[:len(c.Space)] == string(c.Space[:]) })
		case c.Value == nil:
			delete(p.disk, at)
		default:
			p.disk[at] = c.Value
		}
	}
	p.published = append(p.published, e.Publish...)
}

// restart returns the peer that its disk has.
func (p *peer) restart(name string, seed uint64, now int64) *peer {
	p.tb.Helper()
	q := newPeer(p.tb, name, seed)
	var items []Item
	for _, k := range slices.SortedFunc(maps.Keys(p.disk), func(a, b string) int { return slices.Compare([]byte(a[32:]), []byte(b[32:])) }) {
		i, err := DecodeItem(p.disk[k])
		if err != nil {
			p.tb.Fatal(err)
		}
		items = append(items, i)
	}
	if useless, err := q.Restore(now, items); err != nil || len(useless) > 0 {
		p.tb.Fatalf("%d items are of no use, %v", len(useless), err)
	}
	q.disk = maps.Clone(p.disk)
	return q
}

// put writes a text in the own space.
func (p *peer) put(now int64, path, value string) error {
	exact, err := p.Exact(path)
	if err != nil {
		return err
	}
	_, err = p.Write(now, []bundle.Operation{{Kind: bundle.Set, Document: exact, Field: "text", Value: bundle.TextValue(value)}})
	p.settle()
	return err
}

// asks has a peer ask another one for all that it lacks.
func (p *peer) asks(o *peer, now int64) (*Session, error) {
	s := p.Compare()
	for {
		a, ok := s.Next()
		if !ok {
			p.settle()
			return s, nil
		}
		if err := s.Told(now, o.Answer(a)); err != nil {
			p.settle()
			return s, err
		}
	}
}

// texts returns all documents with their texts.
func (p *peer) texts() map[string]string {
	out := map[string]string{}
	for _, s := range p.sorted() {
		for path := range s.replica.State().Paths() {
			out[path] = fmt.Sprint(s.document(path).Values("text"))
		}
	}
	return out
}

func TestWhatOneWritesAnotherHas(t *testing.T) {
	a, b := newPeer(t, "a", 1), newPeer(t, "b", 2)
	for i := range 200 {
		if err := a.put(start, fmt.Sprintf("notes/%d", i), fmt.Sprint(i)); err != nil {
			t.Fatal(err)
		}
	}
	s, err := b.asks(a, start)
	if err != nil || s.InStep() || !s.Whole() {
		t.Fatalf("%+v, %v", s, err)
	}
	if a.Root() != b.Root() || len(b.texts()) != 200 || !maps.Equal(a.texts(), b.texts()) {
		t.Errorf("one has %d documents, the other %d", len(a.texts()), len(b.texts()))
	}
	// What is new goes on to those to whom it would have come from here, and what is old does not.
	if len(b.published) != 201 {
		t.Errorf("%d items are told to all, of 200 new bundles and a capability", len(b.published))
	}
	later := newPeer(t, "later", 4)
	if _, err := later.asks(a, start+int64(time.Hour)); err != nil || len(later.published) != 0 {
		t.Errorf("%d old items are told to all, %v", len(later.published), err)
	}
	if s, err := b.asks(a, start); err != nil || !s.InStep() || s.asks > 2 {
		t.Errorf("asked %d times when nothing is lacking: %v", s.asks, err)
	}
	if st := b.Stats(); st.Bundles != 200 || st.Spaces != 1 || st.Origins != 1 || st.Documents != 200 || st.Dropped != 0 {
		t.Errorf("%+v", st)
	}
	// Bundles that come out of order wait for those before them.
	c := newPeer(t, "c", 3)
	for _, i := range a.published {
		if i.Capability != nil {
			if _, err := c.Take(start, i); err != nil {
				t.Fatal(err)
			}
		}
	}
	for n := min(50, len(a.published)-1); n > 0; n-- {
		if _, err := c.Take(start, a.published[n]); err != nil && !isRefusal(err) {
			t.Fatal(err)
		}
	}
	if st := c.Stats(); st.Bundles != 50 || st.Waiting != 0 || c.pending.bytes != 0 || len(c.pending.of)+len(c.pending.writers) != 0 {
		t.Errorf("%+v", st)
	}
}

func TestWhatIsNotTakenIn(t *testing.T) {
	a, b := newPeer(t, "a", 1), newPeer(t, "b", 2)
	if err := a.put(start, "notes/a", "x"); err != nil {
		t.Fatal(err)
	}
	own, first := a.published[0], a.published[1]
	if _, err := b.Take(start, first); !errors.Is(err, capability.ErrUnknown) || errors.Is(err, ErrInvalid) {
		t.Errorf("without its capability: %v", err)
	}
	if _, err := b.Take(start, own); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Take(start-int64(11*time.Minute), first); !errors.Is(err, ErrAhead) || errors.Is(err, ErrInvalid) {
		t.Errorf("ahead of its time: %v", err)
	}
	forged := *first.Bundle
	forged.Signature[0]++
	if _, err := b.Take(start, Item{Bundle: &forged}); !errors.Is(err, ErrInvalid) {
		t.Errorf("not signed: %v", err)
	}
	if news, err := b.Take(start, first); !news || err != nil {
		t.Errorf("%t, %v", news, err)
	}
	if err := b.put(start, capability.Space(a.Own())+"notes/a", "y"); !errors.Is(err, capability.ErrDenied) {
		t.Errorf("written in the space of another: %v", err)
	}
	for _, path := range []string{"notes", "/a", "notes/", "~x/notes/a", "~", ""} {
		if _, err := b.Exact(path); !errors.Is(err, bundle.ErrInvalid) {
			t.Errorf("path %q: %v", path, err)
		}
	}
}

// What strangers write has room up to a bound; then the largest of their spaces goes as a whole.
func TestSpacesOfOthersAreGivenUp(t *testing.T) {
	o := options(t, "me", 1)
	o.Foreign = 220 << 10
	me := &peer{Driver: New(o), tb: t, disk: map[string][]byte{}}
	small, large := newPeer(t, "small", 2), newPeer(t, "large", 3)
	if err := errors.Join(me.put(start, "notes/a", "mine"), small.put(start, "notes/a", "x")); err != nil {
		t.Fatal(err)
	}
	for i := range 10 {
		if err := large.put(start, fmt.Sprint("notes/", i), string(make([]byte, 30<<10))); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := me.asks(small, start); err != nil {
		t.Fatal(err)
	}
	if s, err := me.asks(large, start); err != nil || s.Whole() {
		t.Fatalf("all has room: %v", err)
	}
	if st := me.Stats(); st.Spaces != 2 || st.Evicted != 1 || len(me.texts()) != 2 || me.foreign > o.Foreign {
		t.Errorf("%+v, %d bytes of others", st, me.foreign)
	}
	if s, err := me.asks(large, start); err != nil || s.asks > 3 {
		t.Errorf("what was given up is asked for again, %d questions: %v", s.asks, err)
	}
	again := me.restart("me", 4, start)
	if again.Root() != me.Root() {
		t.Error("the disk has something else than the peer")
	}
}

// Who has its key twice, in two lives with the same random bits, forks. Whatever peers do, and
// in whatever order they hear of it: in the end they hold the same, on their disks too.
func TestAllAreInStep(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		names := []string{"a", "b", "c", "twin", "twin"}
		var peers []*peer
		for i, name := range names {
			seed := uint64(i)
			if name == "twin" {
				seed = 99
			}
			peers = append(peers, newPeer(t, name, seed))
		}
		now := start
		for n := range rapid.IntRange(0, 60).Draw(rt, "steps") {
			i := rapid.IntRange(0, len(peers)-1).Draw(rt, "peer")
			p := peers[i]
			now += int64(rapid.IntRange(0, 1000).Draw(rt, "later")) * int64(time.Millisecond)
			switch rapid.IntRange(0, 3).Draw(rt, "what") {
			case 0, 1:
				// A twin cannot write any more once it knows what it has done.
				if err := p.put(now, fmt.Sprint("notes/", n%5), fmt.Sprint(n)); err != nil && !errors.Is(err, capability.ErrDenied) && !errors.Is(err, writer.ErrQuota) {
					rt.Fatal(err)
				}
			case 2:
				o := peers[rapid.IntRange(0, len(peers)-1).Draw(rt, "other")]
				if _, err := p.asks(o, now); err != nil && !errors.Is(err, ErrPromise) {
					rt.Fatal(err)
				}
			default:
				for _, item := range p.published {
					to := peers[rapid.IntRange(0, len(peers)-1).Draw(rt, "to")]
					if _, err := to.Take(now, item); err != nil && !isRefusal(err) {
						rt.Fatal(err)
					}
					to.settle()
				}
				p.published = nil
			}
		}
		for round := 0; ; round++ {
			if round == 20 {
				rt.Fatal("they are never in step")
			}
			same := true
			for _, p := range peers {
				for _, o := range peers {
					s, err := p.asks(o, now)
					if err != nil && !errors.Is(err, ErrPromise) {
						rt.Fatal(err)
					}
					same = same && s.InStep() && err == nil
				}
			}
			if same {
				break
			}
		}
		for i, p := range peers {
			if p.Root() != peers[0].Root() || !maps.Equal(p.texts(), peers[0].texts()) {
				rt.Fatalf("peer %d has %v, another one %v", i, p.texts(), peers[0].texts())
			}
			again := p.restart(names[i], uint64(1000+i), now)
			if again.Root() != p.Root() || !maps.Equal(p.texts(), again.texts()) {
				rt.Fatalf("the disk of peer %d has %v, the peer %v", i, again.texts(), p.texts())
			}
			for f := range again.spaces {
				for cut := range again.spaces[f].replica.Faults().Cuts() {
					if cut.Writer != key("twin").Public() {
						rt.Fatalf("%v is named", cut.Writer)
					}
				}
			}
		}
	})
}
