package smt_test

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"testing"

	"pgregory.net/rapid"

	"github.com/decube/decube/internal/smt"
)

// chunks cuts all of a map, by way of the encoding.
func chunks(tb rapid.TB, m smt.Map, maxBytes int) []smt.Chunk {
	tb.Helper()
	var out []smt.Chunk
	for start, more := (smt.Digest{}), true; more; {
		c, err := m.Chunk(start, maxBytes)
		if err != nil {
			tb.Fatal(err)
		}
		b, _ := c.AppendBinary(nil)
		if len(b) > maxBytes && c.Len() > 1 {
			tb.Fatalf("chunk of %d entries has %d bytes, at most %d", c.Len(), len(b), maxBytes)
		}
		parsed, err := smt.ParseChunk(b)
		if err != nil {
			tb.Fatalf("%x: %v", b, err)
		}
		if again, _ := parsed.AppendBinary(nil); !bytes.Equal(again, b) {
			tb.Fatalf("%x is encoded as %x", b, again)
		}
		holds(tb, smt.VerifyChunk(m.Root(), parsed), true)
		holds(tb, smt.VerifyChunk(smt.Digest{1}, parsed), false)
		out = append(out, parsed)
		start, more = c.Next()
	}
	return out
}

func TestChunksHaveAllEntriesInOrder(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		batch := changes(rt)
		m, d := must(smt.Map{}.Apply(batch))(t), dumb{}.apply(batch)
		var got []string
		for _, c := range chunks(rt, m, rapid.IntRange(0, 3000).Draw(rt, "max bytes")) {
			before := len(got)
			for e := range c.Entries() {
				got = append(got, string(e.Key))
				if d[string(e.Key)] != string(e.Value) {
					rt.Fatalf("key %q has value %q", e.Key, e.Value)
				}
			}
			if len(got)-before != c.Len() {
				rt.Fatalf("chunk of %d entries has %d", c.Len(), len(got)-before)
			}
		}
		if want := d.byPath(); fmt.Sprint(got) != fmt.Sprint(want) {
			rt.Fatalf("entries %q, want %q", got, want)
		}
	})
}

// A chunk may start anywhere, and has what is there.
func TestChunkFromAnyPath(t *testing.T) {
	m, d := numbered(t, 60)
	keys := d.byPath()
	rapid.Check(t, func(rt *rapid.T) {
		start := smt.Digest(rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(rt, "start"))
		if rapid.Bool().Draw(rt, "at a key") {
			start = smt.Path([]byte(rapid.SampledFrom(keys).Draw(rt, "key")))
		}
		c := must(m.Chunk(start, rapid.IntRange(0, 2000).Draw(rt, "max bytes")))(t)
		c = must(smt.ParseChunk(encode(t, c)))(t)
		holds(rt, smt.VerifyChunk(m.Root(), c), true)
		var want []string
		for _, k := range keys {
			path, end := smt.Path([]byte(k)), c.End()
			if bytes.Compare(path[:], start[:]) >= 0 && bytes.Compare(path[:], end[:]) <= 0 {
				want = append(want, k)
			}
		}
		var got []string
		for e := range c.Entries() {
			got = append(got, string(e.Key))
		}
		if c.Start() != start || fmt.Sprint(got) != fmt.Sprint(want) {
			rt.Fatalf("entries %q, want %q", got, want)
		}
	})
}

func TestEveryMutatedChunkFails(t *testing.T) {
	m, d := numbered(t, 40)
	keys := d.byPath()
	for _, start := range []smt.Digest{{}, smt.Path([]byte(keys[20])), {0xff, 0xff}} {
		for _, maxBytes := range []int{0, 700, smt.MaxChunk} {
			b := encode(t, must(m.Chunk(start, maxBytes))(t))
			mutations(b, func(mutated []byte) {
				c, err := smt.ParseChunk(mutated)
				if err == nil && smt.VerifyChunk(m.Root(), c) == nil && !narrower(b, mutated) {
					t.Errorf("%x holds as well as %x", mutated, b)
				}
			})
		}
	}
}

// narrower reports whether a mutated chunk differs in where its range starts only.
// Between the start and the first entry it may be elsewhere: that is true as well,
// and a receiver knows which start it asked for.
func narrower(b, mutated []byte) bool {
	return len(b) == len(mutated) && bytes.Equal(b[32:], mutated[32:])
}

func TestBuilderBuildsTheMap(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		batch := changes(rt)
		m, d := must(smt.Map{}.Apply(batch))(t), dumb{}.apply(batch)
		s := newStore()
		const version = 7
		b := smt.NewBuilder(m.Root(), version, s)
		for _, c := range chunks(rt, m, rapid.IntRange(0, 1000).Draw(rt, "max bytes")) {
			if _, more := b.Next(); !more {
				break // the empty map has one chunk, and needs none
			}
			if _, err := b.Map(); !errors.Is(err, smt.ErrIncomplete) {
				rt.Fatalf("map before the last chunk: %v", err)
			}
			if err := b.Add(c); err != nil {
				rt.Fatal(err)
			}
			if err := b.Add(c); !errors.Is(err, smt.ErrOrder) {
				rt.Fatalf("the same chunk again: %v", err)
			}
			switch rapid.IntRange(0, 2).Draw(rt, "then") {
			case 1:
				s.rebuild(rt, b)
				b.Shed(0)
			case 2:
				ref := s.rebuild(rt, b)
				next, _ := b.Next()
				b = smt.ResumeBuilder(m.Root(), version, s, ref, next)
			}
		}
		built := must(b.Map())(t)
		check(rt, built, d)
		ref := s.rebuild(rt, b)
		check(rt, smt.Open(s, ref), d)
		s.holdsExactly(rt, smt.Open(s, ref))
		// It goes on as any map does.
		more := changes(rt)
		built, d = must(built.Apply(more))(t), d.apply(more)
		check(rt, smt.Open(s, s.flush(t, built, version+1)), d)
	})
}

// rebuild flushes a builder and commits.
func (s *store) rebuild(tb rapid.TB, b *smt.Builder) smt.RootRef {
	tb.Helper()
	flushed := newBatch()
	ref, err := b.Flush(flushed)
	if err != nil || len(flushed.stale) > 0 {
		tb.Fatalf("flush of a builder: %d stale, %v", len(flushed.stale), err)
	}
	maps.Copy(s.data, flushed.put)
	return ref
}

func TestBuilderRejectsForeignChunks(t *testing.T) {
	m, _ := numbered(t, 40)
	other, _ := numbered(t, 41)
	b := smt.NewBuilder(m.Root(), 0, newStore())
	if err := b.Add(must(other.Chunk(smt.Digest{}, 500))(t)); !errors.Is(err, smt.ErrProof) {
		t.Errorf("chunk of another map: %v", err)
	}
	if err := b.Add(smt.Chunk{}); !errors.Is(err, smt.ErrProof) {
		t.Errorf("no chunk: %v", err)
	}
	if err := b.Add(must(m.Chunk(smt.Digest{1}, 500))(t)); !errors.Is(err, smt.ErrOrder) {
		t.Errorf("chunk from elsewhere: %v", err)
	}
	if err := b.Add(must(m.Chunk(smt.Digest{}, smt.MaxChunk))(t)); err != nil {
		t.Error(err)
	}
	// What it resumes from is not a part of the map.
	s := newStore()
	wrong := s.flush(t, must(smt.Open(s, smt.RootRef{}).Apply([]smt.Change{{Key: []byte("wrong")}}))(t), 0)
	r := smt.ResumeBuilder(m.Root(), 0, s, wrong, smt.Digest{})
	if err := r.Add(must(m.Chunk(smt.Digest{}, smt.MaxChunk))(t)); err != nil {
		t.Error(err)
	}
	if _, err := r.Map(); !errors.Is(err, smt.ErrProof) {
		t.Errorf("map from a wrong start: %v", err)
	}
}

func FuzzChunk(f *testing.F) {
	m, _ := numbered(f, 10)
	for start := range 4 {
		for _, maxBytes := range []int{0, 200, smt.MaxChunk} {
			f.Add(encode(f, must(m.Chunk(smt.Digest{byte(start << 6)}, maxBytes))(f)))
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := smt.ParseChunk(b)
		if err != nil {
			if !errors.Is(err, smt.ErrMalformed) {
				t.Errorf("%v", err)
			}
			return
		}
		if again := encode(t, c); !bytes.Equal(again, b) {
			t.Errorf("%x is encoded as %x", b, again)
		}
		n := 0
		for range c.Entries() {
			n++
		}
		if n != c.Len() {
			t.Errorf("%d entries, says %d", n, c.Len())
		}
	})
}
