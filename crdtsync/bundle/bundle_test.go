package bundle_test

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/decube/decube/crdtsync/bundle"
	"github.com/decube/decube/crdtsync/crdt"
	"github.com/decube/decube/crdtsync/crdttest"
	"github.com/decube/decube/internal/capability"
	"github.com/decube/decube/internal/sig"
)

var key = crdttest.Key

func origin(name string, incarnation uint64) bundle.Origin {
	return bundle.Origin{Writer: key(name).Public(), Incarnation: incarnation}
}

func place(sequence int64) bundle.Header {
	h := bundle.Header{Swarm: capability.ID{1}, Origin: origin("w", 1<<63), Sequence: sequence, Time: crdt.Time{Wall: 1e18, Logical: 3}, Capability: capability.ID{2}}
	if sequence > 0 {
		h.Previous = bundle.ID{3}
	}
	return h
}

func some() bundle.Body {
	return bundle.Body{
		References: []bundle.Reference{{Origin: origin("w", 1<<63), Sequence: 7, ID: bundle.ID{9}}},
		Operations: []bundle.Operation{
			{Kind: bundle.Set, Document: "notes/a", Field: "text", Value: bundle.TextValue("hello")},
			{Kind: bundle.Set, Document: "notes/ab", Field: "size", Value: bundle.SizeValue(1 << 40)},
			{Kind: bundle.Add, Document: "notes/ab", Field: "tags", Element: "old"},
			{Kind: bundle.Add, Document: "~KEY/notes/ab", Field: "map", Element: "k", Value: bundle.BoolValue(true)},
			{Kind: bundle.Remove, Document: "notes/a", Field: "tags", Element: "new"},
			{Kind: bundle.Count, Document: "notes/a", Field: "n", Value: bundle.WholeValue(-bundle.MaxAmount)},
			{Kind: bundle.Clear, Document: "notes/a", Field: "text"},
			{Kind: bundle.Delete, Document: "notes/a"},
			{Kind: bundle.Set, Document: "notes/a", Field: "when", Value: bundle.InstantValue(time.UnixMilli(-5))},
			{Kind: bundle.Set, Document: "notes/a", Field: "ratio", Value: bundle.NumberValue(-0.25)},
		},
	}
}

func made(tb testing.TB, h bundle.Header, b bundle.Body, charged int64) *bundle.Bundle {
	tb.Helper()
	out, err := bundle.New(h, b, charged, key("w"))
	if err != nil {
		tb.Fatal(err)
	}
	return out
}

func TestWhatIsEncodedIsDecoded(t *testing.T) {
	verifier := sig.NewVerifier(0)
	for sequence, charged := range map[int64]int64{0: 0, 1: 6000, bundle.MaxSequence: 1 << 60} {
		b := made(t, place(sequence), some(), charged)
		if b.Charge != charged+b.Cost() || b.Count != len(some().Operations) || !verifier.Verify(b.Item()) {
			t.Errorf("sequence %d: charge %d after %d, cost %d", sequence, b.Charge, charged, b.Cost())
		}
		got, err := bundle.Decode(b.Encode())
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, b) || got.ID() != b.ID() || !bytes.Equal(got.Encode(), b.Encode()) {
			t.Errorf("%+v is decoded as %+v", b, got)
		}
		other := *b
		other.Signature[0]++
		if other.ID() != b.ID() || verifier.Verify(other.Item()) {
			t.Error("another signature makes another bundle, or a valid one")
		}
		h, err := bundle.DecodeHeader(b.Header.Encode())
		if err != nil || *h != b.Header {
			t.Errorf("the header is decoded as %+v, %v", h, err)
		}
		if n := int64(len(b.Encode())) + 256*int64(b.Count); sequence > 0 && b.Cost() != n {
			t.Errorf("it costs %d, want %d", b.Cost(), n)
		}
	}
	if small := made(t, place(1), bundle.Body{Operations: []bundle.Operation{{Kind: bundle.Delete, Document: "a/b"}}}, 5120); small.Cost() != 1024 {
		t.Errorf("a small bundle costs %d", small.Cost())
	}
	if first := made(t, place(0), bundle.Body{Operations: []bundle.Operation{{Kind: bundle.Delete, Document: "a/b"}}}, 0); first.Cost() != 5*1024 {
		t.Errorf("an origin begins with %d", first.Cost())
	}
}

// No writer that follows the rules charges less than the least that each bundle costs.
func TestChargesAddUp(t *testing.T) {
	for _, tc := range []struct{ sequence, charged int64 }{{0, 1}, {1, 5119}, {2, 6143}, {bundle.MaxSequence, bundle.MaxSequence << 10}} {
		if _, err := bundle.New(place(tc.sequence), some(), tc.charged, key("w")); !errors.Is(err, bundle.ErrInvalid) {
			t.Errorf("%d charged before sequence %d: %v", tc.charged, tc.sequence, err)
		}
		if _, err := bundle.New(place(tc.sequence), some(), 5<<10+max(0, tc.sequence-1)<<10, key("w")); tc.sequence > 0 && err != nil {
			t.Errorf("before sequence %d: %v", tc.sequence, err)
		}
	}
}

// Bytes that are cut off, or have one more, or any other one, make no bundle, or one with
// another ID, whose signature does not verify.
func TestEveryByteCounts(t *testing.T) {
	verifier := sig.NewVerifier(0)
	b := made(t, place(1), some(), 5120)
	data := b.Encode()
	for i := range data {
		if _, err := bundle.Decode(data[:i]); !errors.Is(err, bundle.ErrInvalid) {
			t.Fatalf("%d of %d bytes: %v", i, len(data), err)
		}
		other := bytes.Clone(data)
		other[i] ^= 0x11
		got, err := bundle.Decode(other)
		if err == nil && verifier.Verify(got.Item()) || err != nil && !errors.Is(err, bundle.ErrInvalid) {
			t.Errorf("with byte %d changed: %v", i, err)
		}
	}
	if _, err := bundle.Decode(append(bytes.Clone(data), 0)); !errors.Is(err, bundle.ErrInvalid) {
		t.Errorf("with a byte more: %v", err)
	}
}

func TestBundlesThatAreNone(t *testing.T) {
	empty := func(n int) bundle.Body {
		return bundle.Body{Operations: make([]bundle.Operation, n)}
	}
	for name, c := range map[string]struct {
		place func(*bundle.Header)
		body  bundle.Body
	}{
		"nothing":              {body: empty(0)},
		"an operation of none": {body: empty(1)},
		"before 1970":          {place: func(h *bundle.Header) { h.Time.Wall = -1 }, body: some()},
		"a forebear of none":   {place: func(h *bundle.Header) { h.Sequence = 0 }, body: some()},
		"far":                  {place: func(h *bundle.Header) { h.Sequence = bundle.MaxSequence + 1 }, body: some()},
		"too long": {body: bundle.Body{Operations: []bundle.Operation{
			{Kind: bundle.Set, Document: "a/b", Field: "c", Value: bundle.TextValue(strings.Repeat("x", bundle.MaxValue))},
			{Kind: bundle.Set, Document: "a/b", Field: "d", Value: bundle.TextValue(strings.Repeat("x", bundle.MaxValue))},
		}}},
		"documents that begin alike, longer than others take": {body: func() (b bundle.Body) {
			for i := range 1000 {
				b.Operations = append(b.Operations, bundle.Operation{Kind: bundle.Delete, Document: fmt.Sprint("a/", strings.Repeat("x", 900), i)})
			}
			return b
		}()},
		"a reference twice": {body: bundle.Body{References: append(some().References, some().References...), Operations: some().Operations}},
	} {
		h := place(1)
		if c.place != nil {
			c.place(&h)
		}
		if b, err := bundle.New(h, c.body, 0, key("w")); !errors.Is(err, bundle.ErrInvalid) {
			t.Errorf("%s: %+v, %v", name, b, err)
		}
	}
}

func TestOperationsWithoutEffect(t *testing.T) {
	for name, spoil := range map[string]func(*bundle.Operation){
		"no kind":              func(o *bundle.Operation) { o.Kind = 0 },
		"another kind":         func(o *bundle.Operation) { o.Kind = 7 },
		"no document":          func(o *bundle.Operation) { o.Document = "" },
		"no key":               func(o *bundle.Operation) { o.Document = "notes/" },
		"no collection":        func(o *bundle.Operation) { o.Document = "/a" },
		"only a space":         func(o *bundle.Operation) { o.Document = "~KEY/notes" },
		"a space within":       func(o *bundle.Operation) { o.Document = "~KEY/~notes/a" },
		"a document too long":  func(o *bundle.Operation) { o.Document = "a/" + strings.Repeat("x", bundle.MaxPath) },
		"no field":             func(o *bundle.Operation) { o.Field = "" },
		"a field too long":     func(o *bundle.Operation) { o.Field = strings.Repeat("x", bundle.MaxField+1) },
		"an element":           func(o *bundle.Operation) { o.Element = "x" },
		"no value":             func(o *bundle.Operation) { o.Value = bundle.Value{} },
		"not UTF-8":            func(o *bundle.Operation) { o.Value = bundle.TextValue("\xff") },
		"not a number":         func(o *bundle.Operation) { o.Value = bundle.NumberValue(math.NaN()) },
		"infinite":             func(o *bundle.Operation) { o.Value = bundle.NumberValue(math.Inf(1)) },
		"a negative size":      func(o *bundle.Operation) { o.Value = bundle.SizeValue(-1) },
		"a text too long":      func(o *bundle.Operation) { o.Value = bundle.TextValue(strings.Repeat("x", bundle.MaxValue+1)) },
		"a count of text":      func(o *bundle.Operation) { o.Kind = bundle.Count },
		"a count too large":    func(o *bundle.Operation) { o.Kind, o.Value = bundle.Count, bundle.WholeValue(bundle.MaxAmount+1) },
		"a removal with value": func(o *bundle.Operation) { o.Kind, o.Element = bundle.Remove, "x" },
		"a deletion of a field": func(o *bundle.Operation) {
			o.Kind, o.Value = bundle.Delete, bundle.Value{}
		},
		"an addition of nothing": func(o *bundle.Operation) { o.Kind = bundle.Add },
		"a byte 0":               func(o *bundle.Operation) { o.Field = "a\x00" },
	} {
		o := bundle.Operation{Kind: bundle.Set, Document: "notes/a", Field: "text", Value: bundle.TextValue("x")}
		if !o.Known() {
			t.Fatal("a write has no effect")
		}
		if spoil(&o); o.Known() {
			t.Errorf("%s: %+v has an effect", name, o)
		}
	}
}

func TestZeroHasNoSign(t *testing.T) {
	if minus := math.Copysign(0, -1); bundle.NumberValue(minus) != bundle.NumberValue(0) {
		t.Error("0 and -0 are two values")
	}
}

func TestBodiesOfAnyKind(t *testing.T) {
	text := rapid.StringN(1, 8, 40)
	rapid.Check(t, func(rt *rapid.T) {
		var body bundle.Body
		for i := range rapid.IntRange(0, 5).Draw(rt, "references") {
			body.References = append(body.References, bundle.Reference{Origin: origin("w", uint64(i)), Sequence: rapid.Int64Range(0, bundle.MaxSequence).Draw(rt, "sequence")})
		}
		for range rapid.IntRange(1, 20).Draw(rt, "operations") {
			o := bundle.Operation{
				Kind:     bundle.Kind(rapid.IntRange(1, 6).Draw(rt, "kind")),
				Document: rapid.SampledFrom([]string{"a", "ab", "notes"}).Draw(rt, "collection") + "/" + text.Draw(rt, "key"),
				Field:    text.Draw(rt, "field"), Element: text.Draw(rt, "element"),
			}
			switch rapid.IntRange(1, 5).Draw(rt, "type") {
			case 1:
				o.Value = bundle.TextValue(text.Draw(rt, "text"))
			case 2:
				o.Value = bundle.NumberValue(rapid.Float64().Draw(rt, "number"))
			case 3:
				o.Value = bundle.WholeValue(rapid.Int64().Draw(rt, "whole"))
			case 4:
				o.Value = bundle.SizeValue(rapid.Int64Range(0, math.MaxInt64).Draw(rt, "size"))
			}
			switch o.Kind {
			case bundle.Set, bundle.Count:
				o.Element = ""
			case bundle.Remove:
				o.Value = bundle.Value{}
			case bundle.Clear:
				o.Element, o.Value = "", bundle.Value{}
			case bundle.Add:
			case bundle.Delete:
				o.Field, o.Element, o.Value = "", "", bundle.Value{}
			}
			if o.Known() {
				body.Operations = append(body.Operations, o)
			}
		}
		// What is drawn may be of no kind that is known; a bundle holds something in any case.
		body.Operations = append(body.Operations, bundle.Operation{Kind: bundle.Delete, Document: "a/b"})
		b, err := bundle.New(place(1), body, 5120, key("w"))
		if err != nil {
			rt.Fatal(err)
		}
		got, err := bundle.Decode(b.Encode())
		if err != nil || !reflect.DeepEqual(got, b) {
			rt.Fatalf("%+v is decoded as %+v, %v", b, got, err)
		}
	})
}

// Whatever bytes come, what is decoded is encoded as the same bytes, but for values that are
// of no type that is known; nothing else than ErrInvalid is returned.
func FuzzDecode(f *testing.F) {
	f.Add(made(f, place(0), some(), 0).Encode())
	f.Add(made(f, place(5), some(), 9999).Encode())
	f.Fuzz(func(t *testing.T, data []byte) {
		b, err := bundle.Decode(data)
		if err != nil {
			if !errors.Is(err, bundle.ErrInvalid) {
				t.Error(err)
			}
			return
		}
		if !bytes.Equal(b.Encode(), data) {
			t.Errorf("%x is encoded as %x", data, b.Encode())
		}
	})
}
