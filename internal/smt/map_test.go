package smt_test

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"github.com/decube/decube/internal/smt"
)

// changes draws a batch over a few keys, so that they meet.
func changes(rt *rapid.T) []smt.Change {
	value := rapid.OneOf(
		rapid.SliceOfN(rapid.Byte(), 0, 4),
		rapid.Map(rapid.IntRange(100, 300), func(n int) []byte { return bytes.Repeat([]byte{byte(n)}, n) }),
	)
	return rapid.SliceOfN(rapid.Custom(func(rt *rapid.T) smt.Change {
		return smt.Change{
			Key:    fmt.Append(nil, rapid.IntRange(0, 60).Draw(rt, "key")),
			Value:  value.Draw(rt, "value"),
			Delete: rapid.IntRange(0, 2).Draw(rt, "delete") == 0,
		}
	}), 0, 40).Draw(rt, "changes")
}

// check holds a map against the dumb one.
func check(tb rapid.TB, m smt.Map, d dumb) {
	tb.Helper()
	if m.Root() != d.root() || m.Len() != uint64(len(d)) {
		tb.Fatalf("root %x of %d keys, want %x of %d", m.Root(), m.Len(), d.root(), len(d))
	}
	keys := d.byPath()
	i := 0
	for e, err := range m.All() {
		if err != nil {
			tb.Fatal(err)
		}
		if i == len(keys) || string(e.Key) != keys[i] || string(e.Value) != d[keys[i]] {
			tb.Fatalf("entry %d is %q: %q", i, e.Key, e.Value)
		}
		i++
	}
	if i != len(keys) {
		tb.Fatalf("%d entries, want %d", i, len(keys))
	}
	for k := range 61 {
		key := fmt.Append(nil, k)
		v, ok, err := m.Get(key)
		want, has := d[string(key)]
		if err != nil || ok != has || string(v) != want {
			tb.Fatalf("Get(%q) = %q, %v, %v; want %q, %v", key, v, ok, err, want, has)
		}
	}
}

func TestRootIsOfTheContentAlone(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		all := changes(rt)
		d := dumb{}.apply(all)
		whole := must(smt.Map{}.Apply(all))(t)
		check(rt, whole, d)

		// The same changes in other batches.
		var m smt.Map
		for rest := all; len(rest) > 0; {
			n := rapid.IntRange(1, len(rest)).Draw(rt, "batch")
			m = must(m.Apply(rest[:n]))(t)
			rest = rest[n:]
		}
		check(rt, m, d)

		// The same content in another order, by way of keys that are deleted again.
		var detour []smt.Change
		for k := range 61 {
			detour = append(detour, smt.Change{Key: fmt.Append(nil, k), Value: []byte("detour")})
		}
		m = must(smt.Map{}.Apply(detour))(t)
		for k := range 61 {
			v, ok := d[fmt.Sprint(k)]
			m = must(m.Apply([]smt.Change{{Key: fmt.Append(nil, k), Value: []byte(v), Delete: !ok}}))(t)
		}
		check(rt, m, d)
	})
}

func TestVersionsDoNotChange(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		maps, dumbs := []smt.Map{{}}, []dumb{{}}
		for range rapid.IntRange(1, 6).Draw(rt, "steps") {
			from := rapid.IntRange(0, len(maps)-1).Draw(rt, "from")
			batch := changes(rt)
			maps = append(maps, must(maps[from].Apply(batch))(t))
			dumbs = append(dumbs, dumbs[from].apply(batch))
		}
		for i := range maps {
			check(rt, maps[i], dumbs[i])
		}
	})
}

func TestEmptyMap(t *testing.T) {
	var m smt.Map
	check(t, m, dumb{})
	if m.Root() != (smt.Digest{}) {
		t.Errorf("root of the empty map: %x", m.Root())
	}
	one := must(m.Apply([]smt.Change{{Key: nil, Value: nil}}))(t)
	if v, ok, err := one.Get(nil); !ok || err != nil || len(v) != 0 {
		t.Errorf("empty key and value: %q, %v, %v", v, ok, err)
	}
	if again := must(one.Apply([]smt.Change{{Delete: true}}))(t); again.Root() != m.Root() || again.Len() != 0 {
		t.Errorf("after deletion: root %x, %d keys", again.Root(), again.Len())
	}
}

func TestBounds(t *testing.T) {
	at := smt.Change{Key: make([]byte, smt.MaxKey), Value: make([]byte, smt.MaxValue)}
	m := must(smt.Map{}.Apply([]smt.Change{at}))(t)
	if v, ok, err := m.Get(at.Key); !ok || err != nil || len(v) != smt.MaxValue {
		t.Errorf("largest entry: %d bytes, %v, %v", len(v), ok, err)
	}
	for _, above := range []smt.Change{
		{Key: make([]byte, smt.MaxKey+1)},
		{Key: make([]byte, smt.MaxKey+1), Delete: true},
		{Value: make([]byte, smt.MaxValue+1)},
	} {
		if _, err := m.Apply([]smt.Change{above}); !errors.Is(err, smt.ErrTooLarge) {
			t.Errorf("key of %d bytes, value of %d: %v", len(above.Key), len(above.Value), err)
		}
	}
}

func TestFromStartsWhereItShould(t *testing.T) {
	d := dumb{}
	var m smt.Map
	for k := range 200 {
		c := []smt.Change{{Key: fmt.Append(nil, k), Value: []byte("v")}}
		m, d = must(m.Apply(c))(t), d.apply(c)
	}
	keys := d.byPath()
	for i, key := range keys {
		var got []string
		for e, err := range m.From(smt.Path([]byte(key))) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, string(e.Key))
		}
		if !slices.Equal(got, keys[i:]) {
			t.Fatalf("from %d: %d keys, want %d", i, len(got), len(keys)-i)
		}
	}
	for _, err := range m.All() {
		if err != nil {
			t.Error(err)
		}
		break // an iteration may be left
	}
}

// Readers of all versions run beside the making of new ones, flushing and shedding.
func TestReadersRunBesideWriters(t *testing.T) {
	s := newStore()
	m := smt.Open(s, smt.RootRef{})
	d := dumb{}
	var wg sync.WaitGroup
	defer wg.Wait()
	for version := range uint64(20) {
		var batch []smt.Change
		for k := range 40 {
			key := fmt.Append(nil, (k*7+int(version)*13)%97)
			batch = append(batch, smt.Change{Key: key, Value: bytes.Repeat([]byte{byte(version)}, 20*k), Delete: k%3 == 0})
		}
		m, d = must(m.Apply(batch))(t), d.apply(batch)
		reader, want := m, maps.Clone(d)
		wg.Go(func() {
			for key, value := range want {
				if v, ok, err := reader.Get([]byte(key)); err != nil || !ok || string(v) != value {
					t.Errorf("version %d, key %q: %d bytes, %v, %v", version, key, len(v), ok, err)
				}
			}
		})
		s.flush(t, m, version)
		m.Shed(2000)
	}
}
