package catalog

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/decube/decube/api"
	"github.com/decube/decube/block"
	"github.com/decube/decube/crdtsync"
	"github.com/decube/decube/crdtsync/bundle"
	"github.com/decube/decube/crdtsync/crdttest"
	"github.com/decube/decube/internal/records"
	"github.com/decube/decube/internal/records/memstore"
	"github.com/decube/decube/node/kerneltest"
)

// shelf is snapshots that are kept.
type shelf struct {
	mu      sync.Mutex
	all     []api.Snapshot
	partial map[block.ID]bool
}

func (s *shelf) set(partial map[block.ID]bool, all ...api.Snapshot) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all, s.partial = all, partial
}

func (s *shelf) list(context.Context) iter.Seq2[api.Snapshot, error] {
	return func(yield func(api.Snapshot, error) bool) {
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, snap := range s.all {
			if !yield(snap, nil) {
				return
			}
		}
	}
}

func (s *shelf) missing(context.Context) (map[block.ID]bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.partial, nil
}

func snap(name string, tags ...string) api.Snapshot {
	return api.Snapshot{
		CID: block.New(block.Raw, []byte(name)).ID(), Label: name, Tags: tags, Bytes: 10, Files: 2, Created: time.Unix(1, 0), Host: "h", Source: "/p",
	}
}

// newKeeper returns a keeper with what it keeps, working until the test ends.
func newKeeper(t *testing.T, named bool) (*keeper, *shelf) {
	t.Helper()
	c, err := crdtsync.Open(t.Context(), crdtsync.Options{
		Document: crdttest.Unowned(t, "s"), Key: crdttest.Key("a"), Store: memstore.New(records.Limits{Changes: 1000, Bytes: 1 << 20}),
	})
	if err != nil {
		t.Fatal(err)
	}
	s := new(shelf)
	k := &keeper{
		catalog: c, list: s.list, partial: s.missing, named: named, log: slog.New(slog.DiscardHandler),
		changed: make(chan struct{}, 1), interval: time.Hour,
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	var working sync.WaitGroup
	for _, run := range []func(context.Context) error{c.Run, k.run} {
		working.Go(func() {
			if err := run(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	t.Cleanup(func() {
		cancel()
		working.Wait()
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return k, s
}

// said returns what the collection says, a line for each document.
func (k *keeper) said(t *testing.T) string {
	t.Helper()
	docs, err := k.catalog.List(t.Context(), crdtsync.ListOptions{Collection: snapshots})
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, d := range docs {
		for _, f := range d.Fields {
			fmt.Fprint(&b, f.Name, "=")
			for _, v := range f.Values {
				fmt.Fprint(&b, v, " ")
			}
			for _, e := range f.Elements {
				fmt.Fprint(&b, e.Name, " ")
			}
		}
		fmt.Fprintln(&b)
	}
	return b.String()
}

// says waits until the collection says something.
func (k *keeper) says(t *testing.T, want string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), kerneltest.Patience)
	defer cancel()
	kerneltest.Eventually(ctx, t, want, func() bool { return k.said(t) == want })
}

// The collection says what is kept, and does not say what is not, or not whole, or where it is
// from.
func TestTheCollectionSaysWhatIsKept(t *testing.T) {
	k, s := newKeeper(t, false)
	const fixed = "created=1970-01-01T00:00:01Z files=2 "
	s.set(nil, snap("a", "x", "y"))
	k.kept()
	k.says(t, fixed+"name=a size=10 tags=x y \n")
	again := snap("a", "y", "z")
	again.Label = ""
	s.set(nil, again)
	k.kept()
	k.says(t, fixed+"size=10 tags=y z \n")
	partial := snap("b")
	s.set(map[block.ID]bool{partial.CID: true}, partial)
	k.kept()
	k.says(t, "")
	if st, err := k.catalog.Status(t.Context()); err != nil || st.Bundles != 3 {
		t.Errorf("%+v, %v", st, err)
	}
	if err := k.compare(t.Context()); err != nil {
		t.Error(err)
	}
	if st, err := k.catalog.Status(t.Context()); err != nil || st.Bundles != 3 {
		t.Errorf("what is said already is said again: %+v, %v", st, err)
	}
}

func TestPrivateSwarmsSayWhereItIsFrom(t *testing.T) {
	k, s := newKeeper(t, true)
	var many []api.Snapshot
	for i := range 100 { // in several changes
		many = append(many, snap(fmt.Sprint("n", i), "t"))
	}
	s.set(nil, many...)
	k.kept()
	ctx, cancel := context.WithTimeout(t.Context(), kerneltest.Patience)
	defer cancel()
	kerneltest.Eventually(ctx, t, "all are said", func() bool {
		return strings.Count(k.said(t), "host=h ") == 100 && strings.Count(k.said(t), "path=/p ") == 100
	})
}

// Somebody else's documents are left alone, and so are those of other collections.
func TestOthersAreLeftAlone(t *testing.T) {
	k, s := newKeeper(t, false)
	for _, path := range []string{"notes/a", "snapshots2/a"} {
		if _, err := k.catalog.Write(t.Context(), []bundle.Operation{{Kind: bundle.Set, Document: path, Field: "x", Value: bundle.BoolValue(true)}}); err != nil {
			t.Fatal(err)
		}
	}
	s.set(nil)
	if err := k.compare(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"notes/a", "snapshots2/a"} {
		if _, err := k.catalog.Documents(t.Context(), path); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
	failure := errors.New("the disk is gone")
	k.partial = func(context.Context) (map[block.ID]bool, error) { return nil, failure }
	if err := k.compare(t.Context()); !errors.Is(err, failure) {
		t.Errorf("%v", err)
	}
}
