package crdtsync_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/decube/decube/crdtsync"
	"github.com/decube/decube/crdtsync/bundle"
	"github.com/decube/decube/crdtsync/crdttest"
	"github.com/decube/decube/crdtsync/driver"
	"github.com/decube/decube/internal/capability"
	"github.com/decube/decube/internal/records"
	"github.com/decube/decube/internal/records/badgerstore"
	"github.com/decube/decube/internal/records/memstore"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// small is what a write of a store in memory has room for.
var small = records.Limits{Changes: 100, Bytes: 1 << 20}

// patience bounds every wait of a test.
const patience = 20 * time.Second

// hub is a network of catalogs in memory.
type hub struct {
	mu    sync.Mutex
	peers map[string]*crdtsync.Catalog
	loses bool // what is published
	cut   bool // nobody can be asked
	came  map[string]chan struct{}
}

func newHub() *hub {
	return &hub{peers: map[string]*crdtsync.Catalog{}, came: map[string]chan struct{}{}}
}

// link is a peer's end of a hub.
type link struct {
	hub  *hub
	name string
}

func (l link) Publish(data []byte) error {
	for name, c := range l.others() {
		if v := c.Receive(l.name, data); v == crdtsync.Reject {
			return fmt.Errorf("%s rejects", name)
		}
	}
	return nil
}

func (l link) others() map[string]*crdtsync.Catalog {
	l.hub.mu.Lock()
	defer l.hub.mu.Unlock()
	out := map[string]*crdtsync.Catalog{}
	for name, c := range l.hub.peers {
		if name != l.name && !l.hub.loses {
			out[name] = c
		}
	}
	return out
}

func (l link) Peers() []string {
	l.hub.mu.Lock()
	defer l.hub.mu.Unlock()
	var names []string
	for name := range l.hub.peers {
		if name != l.name && !l.hub.cut {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

func (l link) Changed() <-chan struct{} {
	l.hub.mu.Lock()
	defer l.hub.mu.Unlock()
	return l.hub.came[l.name]
}

func (l link) Open(_ context.Context, peer string) (crdtsync.Conversation, error) {
	l.hub.mu.Lock()
	defer l.hub.mu.Unlock()
	c := l.hub.peers[peer]
	if c == nil || l.hub.cut {
		return nil, errors.New("it is gone")
	}
	return talk{c}, nil
}

type talk struct{ c *crdtsync.Catalog }

func (t talk) Ask(_ context.Context, a driver.Ask) (driver.Answer, error) { return t.c.Answer(a), nil }
func (t talk) Close()                                                     {}

// set changes how the hub is, and says so to all.
func (h *hub) set(loses, cut bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.loses, h.cut = loses, cut
	for _, c := range h.came {
		select {
		case c <- struct{}{}:
		default:
		}
	}
}

var key = crdttest.Key

// open opens a peer's catalog and has it work until stop is called, or the test ends.
func open(tb testing.TB, h *hub, name string, store records.Store) (c *crdtsync.Catalog, stop func()) {
	tb.Helper()
	h.mu.Lock()
	h.came[name] = make(chan struct{}, 1)
	h.mu.Unlock()
	c, err := crdtsync.Open(tb.Context(), crdtsync.Options{Document: crdttest.Unowned(tb, "s"), Key: key(name), Store: store, Network: link{h, name}})
	if err != nil {
		tb.Fatal(err)
	}
	h.mu.Lock()
	h.peers[name] = c
	loses, cut := h.loses, h.cut
	h.mu.Unlock()
	h.set(loses, cut)
	ctx, cancel := context.WithCancel(context.WithoutCancel(tb.Context()))
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		h.mu.Lock()
		delete(h.peers, name)
		h.mu.Unlock()
		cancel()
		if err := errors.Join(<-done, c.Close()); err != nil {
			tb.Error(err)
		}
	})
	tb.Cleanup(stop)
	return c, stop
}

func put(path, value string) []bundle.Operation {
	return []bundle.Operation{{Kind: bundle.Set, Document: path, Field: "text", Value: bundle.TextValue(value)}}
}

// shows waits until a catalog shows a text at a path.
func shows(tb testing.TB, c *crdtsync.Catalog, path, value string) {
	tb.Helper()
	var got []crdtsync.Document
	eventually(tb, func() bool {
		var err error
		if got, err = c.Documents(tb.Context(), path); err != nil && !errors.Is(err, crdtsync.ErrNotFound) {
			tb.Fatal(err)
		}
		return len(got) == 1 && len(got[0].Fields) == 1 && got[0].Fields[0].Values[0].Text() == value
	}, func() string { return fmt.Sprintf("%s is %+v, want %q", path, got, value) })
}

// eventually waits until something is so.
func eventually(tb testing.TB, is func() bool, what func() string) {
	tb.Helper()
	end := time.NewTimer(patience)
	defer end.Stop()
	for tick := time.NewTicker(5 * time.Millisecond); !is(); {
		select {
		case <-tick.C:
		case <-end.C:
			tb.Fatal(what())
		}
	}
}

func TestWhatOnePutsOthersGet(t *testing.T) {
	h := newHub()
	a, _ := open(t, h, "a", memstore.New(small))
	b, _ := open(t, h, "b", memstore.New(small))
	w, err := a.Write(t.Context(), put("notes/a", "hello"))
	if err != nil {
		t.Fatal(err)
	}
	exact := capability.Space(a.Own()) + "notes/a"
	if !slices.Equal(w.Paths, []string{exact}) || w.Bundle == (bundle.ID{}) || w.Time.IsZero() {
		t.Errorf("%+v", w)
	}
	shows(t, b, "notes/a", "hello")
	shows(t, b, exact, "hello")
	if _, err := b.Write(t.Context(), put(exact, "mine")); !errors.Is(err, crdtsync.ErrDenied) {
		t.Errorf("written in the space of another: %v", err)
	}
	for _, path := range []string{"notes", "", "~x/notes/a"} {
		if _, err := b.Documents(t.Context(), path); !errors.Is(err, crdtsync.ErrInvalid) {
			t.Errorf("path %q: %v", path, err)
		}
	}
	// Each has one of its own, in its own space.
	if _, err := b.Write(t.Context(), put("notes/a", "world")); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() bool {
		got, err := a.Documents(t.Context(), "notes/a")
		return err == nil && len(got) == 2
	}, func() string { return "the other's document is not there" })
	list, err := a.List(t.Context(), crdtsync.ListOptions{Collection: "notes"})
	if err != nil || len(list) != 2 {
		t.Fatalf("%+v, %v", list, err)
	}
	if rest, err := a.List(t.Context(), crdtsync.ListOptions{Collection: "notes", After: list[0].Path, Limit: 5}); err != nil || len(rest) != 1 || rest[0].Path != list[1].Path {
		t.Errorf("%+v, %v", rest, err)
	}
	if none, err := a.List(t.Context(), crdtsync.ListOptions{Collection: "other"}); err != nil || len(none) != 0 {
		t.Errorf("%+v, %v", none, err)
	}
}

func TestQueries(t *testing.T) {
	h := newHub()
	c, _ := open(t, h, "a", memstore.New(small))
	var ops []bundle.Operation
	for i := range 250 {
		path := fmt.Sprintf("images/%03d", i)
		ops = append(ops, bundle.Operation{Kind: bundle.Set, Document: path, Field: "size", Value: bundle.SizeValue(int64(i%50) << 30)},
			bundle.Operation{Kind: bundle.Add, Document: path, Field: "tags", Element: fmt.Sprint("t", i%3)})
	}
	for some := range slices.Chunk(ops, 100) {
		if _, err := c.Write(t.Context(), some); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := c.Write(t.Context(), put("notes/a", "x")); err != nil {
		t.Fatal(err)
	}
	var sizes []int64
	paths := map[string]bool{}
	for after := ""; ; {
		res, err := c.Query(t.Context(), crdtsync.QueryOptions{Expression: "size >= 10GiB AND tags:t1", Collection: "images", Order: "size:desc", After: after, Limit: 7})
		if err != nil {
			t.Fatal(err)
		}
		if res.Looked != 250 || res.Matched != 67 || len(res.Documents) > 7 {
			t.Fatalf("%d of %d match, %d on a page", res.Matched, res.Looked, len(res.Documents))
		}
		for _, d := range res.Documents {
			sizes = append(sizes, d.Fields[0].Values[0].Whole())
			paths[d.Path] = true
		}
		if after = res.Next; after == "" {
			break
		}
	}
	slices.Reverse(sizes)
	if len(paths) != 67 || len(sizes) != 67 || !slices.IsSorted(sizes) {
		t.Errorf("%d documents on all pages, %d different ones", len(sizes), len(paths))
	}
	for _, o := range []crdtsync.QueryOptions{
		{Expression: "size >"}, {Expression: "sise > 1"}, {Expression: "size = abc"}, {Order: "size:up"}, {After: "x"}, {After: "x", Order: "size"},
	} {
		if _, err := c.Query(t.Context(), o); !errors.Is(err, crdtsync.ErrQuery) {
			t.Errorf("%+v: %v", o, err)
		}
	}
	if res, err := c.Query(t.Context(), crdtsync.QueryOptions{Expression: "anything = 1", Collection: "nothing"}); err != nil || len(res.Documents) != 0 {
		t.Errorf("%+v, %v", res, err)
	}
}

// What gossip has lost is asked for, after peers were apart too, and both ways.
func TestPeersCatchUp(t *testing.T) {
	h := newHub()
	a, _ := open(t, h, "a", memstore.New(small))
	b, _ := open(t, h, "b", memstore.New(small))
	h.set(true, true)
	for i := range 50 {
		for _, c := range []*crdtsync.Catalog{a, b} {
			if _, err := c.Write(t.Context(), put(fmt.Sprint("notes/", i), "x")); err != nil {
				t.Fatal(err)
			}
		}
	}
	h.set(true, false)
	var one, two crdtsync.Status
	eventually(t, func() bool {
		one, _ = a.Status(t.Context())
		two, _ = b.Status(t.Context())
		return one.Root == two.Root
	}, func() string { return fmt.Sprintf("%+v and %+v", one, two) })
	if one.Documents != 100 || one.Spaces != 2 || one.Bundles != 100 || one.Origins != 2 || !one.Public || one.Name != "s" {
		t.Errorf("%+v", one)
	}
}

// What was acknowledged is there after a restart, from a real disk, and what peers have to tell
// goes on where it was.
func TestRestart(t *testing.T) {
	h := newHub()
	dir := t.TempDir()
	disk := func() records.Store {
		s, err := badgerstore.Open(badgerstore.Options{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	a, stop := open(t, h, "a", disk())
	if _, err := a.Write(t.Context(), put("notes/a", "one")); err != nil {
		t.Fatal(err)
	}
	before, _ := a.Status(t.Context())
	stop()
	if _, err := a.Write(t.Context(), put("notes/a", "late")); !errors.Is(err, crdtsync.ErrClosed) {
		t.Errorf("written after it was closed: %v", err)
	}
	b, _ := open(t, h, "b", memstore.New(small))
	a, stop = open(t, h, "a", disk())
	if after, _ := a.Status(t.Context()); after.Root != before.Root || after.Documents != 1 {
		t.Errorf("%+v, before %+v", after, before)
	}
	shows(t, b, "notes/a", "one")
	eventually(t, func() bool { // at once there is nothing yet that it may spend
		_, err := a.Write(t.Context(), put("notes/a", "two"))
		if err != nil && !errors.Is(err, crdtsync.ErrQuota) {
			t.Fatal(err)
		}
		return err == nil
	}, func() string { return "it cannot be written any more" })
	shows(t, b, "notes/a", "two")
	stop()
	_, err := crdtsync.Open(t.Context(), crdtsync.Options{Document: crdttest.Unowned(t, "other"), Key: key("a"), Store: disk()})
	if !errors.Is(err, crdtsync.ErrForeign) {
		t.Errorf("the catalog of another swarm: %v", err)
	}
}

// damaged is a store whose items are not what was written.
type damaged struct{ records.Store }

func (d damaged) Scan(records.Range) iter.Seq2[records.Item, error] {
	return func(yield func(records.Item, error) bool) {
		yield(records.Item{Key: append([]byte{'i'}, make([]byte, 40)...), Value: []byte("x"), Version: 1}, nil)
	}
}

func TestDamageIsNoticed(t *testing.T) {
	_, err := crdtsync.Open(t.Context(), crdtsync.Options{Document: crdttest.Unowned(t, "s"), Key: key("a"), Store: damaged{memstore.New(small)}})
	if !errors.Is(err, records.ErrCorrupt) {
		t.Errorf("a damaged store: %v", err)
	}
}

func TestWhatIsRejected(t *testing.T) {
	h := newHub()
	a, _ := open(t, h, "a", memstore.New(small))
	for name, data := range map[string][]byte{"nothing": nil, "garbage": []byte("garbage"), "too long": make([]byte, crdtsync.MaxMessage+1)} {
		if v := a.Receive("b", data); v != crdtsync.Reject {
			t.Errorf("%s: %v", name, v)
		}
	}
	if st, _ := a.Status(t.Context()); st.Bundles != 0 {
		t.Errorf("%+v", st)
	}
}
