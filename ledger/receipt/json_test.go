package receipt_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/decube/decube/ledger/genesis"
	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/ledger/quorum"
	"github.com/decube/decube/ledger/receipt"
)

// Receipts are kept for years: what one release writes, all later ones read, and
// would write alike.
func TestGolden(t *testing.T) {
	w := newWorld(t, "golden", 4, 7)
	data, err := w.receipt(5, 3).Encode()
	if err != nil {
		t.Fatal(err)
	}
	if os.Getenv("DECUBE_UPDATE_GOLDEN") != "" {
		if err := w.g.Save(filepath.Join("testdata", "genesis.json")); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join("testdata", "receipt.json"), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	g, err := genesis.Load(filepath.Join("testdata", "genesis.json"))
	if err != nil {
		t.Fatal(err)
	}
	kept, err := os.ReadFile(filepath.Join("testdata", "receipt.json"))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(data, kept) {
		t.Errorf("a receipt is now written as\n%s", data)
	}
	r, err := receipt.Decode(kept)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := receipt.Verify(r, receipt.FromGenesis(g), sigs); err != nil || got.Block != 5 || got.Epoch != 1 {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestEncodeDecode(t *testing.T) {
	w := newWorld(t, "test", 4, 7, 4)
	for _, seq := range []int{1, 3, 4, 9} {
		r := w.receipt(seq, 2)
		data, err := r.Encode()
		if err != nil {
			t.Fatal(err)
		}
		back, err := receipt.Decode(data)
		if err != nil || !reflect.DeepEqual(back, r) {
			t.Errorf("block %d: %+v, %v, want %+v", seq, back, err, r)
		}
		if !json.Valid(data) || data[len(data)-1] != '\n' {
			t.Errorf("block %d: not a text file of JSON", seq)
		}
	}
}

// What the file has no place for is not written.
func TestEncodeRefuses(t *testing.T) {
	w := newWorld(t, "test", 4, 4)
	for name, change := range map[string]func(*receipt.Receipt){
		"no transaction":       func(r *receipt.Receipt) { r.Transaction = nil },
		"no operation":         func(r *receipt.Receipt) { r.Transaction.Op = nil },
		"another phase":        func(r *receipt.Receipt) { r.Cert.Phase = pbft.Prepare },
		"another block":        func(r *receipt.Receipt) { r.Cert.Digest[0] ^= 1 },
		"another state":        func(r *receipt.Receipt) { r.Cert.State[0] ^= 1 },
		"another sequence":     func(r *receipt.Receipt) { r.Cert.Seq++ },
		"another epoch":        func(r *receipt.Receipt) { r.Hops[0].Cert.Epoch++ },
		"long before our time": func(r *receipt.Receipt) { r.Header.Time = math.MinInt64; repair(r) },
		"long after our time":  func(r *receipt.Receipt) { r.Header.Time = math.MaxInt64; repair(r) },
		"more than a file takes": func(r *receipt.Receipt) {
			r.Hops = append(r.Hops, make([]receipt.Hop, 20_000)...)
			repair(r)
		},
	} {
		r := w.receipt(4, 0)
		change(r)
		if data, err := r.Encode(); !errors.Is(err, receipt.ErrMalformed) || data != nil {
			t.Errorf("%s: %d bytes, %v", name, len(data), err)
		}
	}
}

// There is one file of a receipt, and it is refused in any other form.
func TestDecodeIsStrict(t *testing.T) {
	w := newWorld(t, "test", 4, 4)
	data, err := w.receipt(4, 0).Encode()
	if err != nil {
		t.Fatal(err)
	}
	good := string(data)
	for name, c := range map[string]struct{ old, with string }{
		"nothing":            {good, ""},
		"null":               {good, "null\n"},
		"an empty object":    {good, "{}\n"},
		"another format":     {"decube/receipt/2", "decube/receipt/1"},
		"no line feed":       {"\n}\n", "\n}"},
		"two receipts":       {good, good + good},
		"other line ends":    {"\n", "\r\n"},
		"one line":           {"\n  ", ""},
		"an unknown field":   {`"format"`, `"colour": 1, "format"`},
		"a repeated field":   {`"index": 0,`, `"index": 1, "index": 0,`},
		"a field in capital": {`"index"`, `"Index"`},
		"escaped text":       {`"name-4`, `"n\u0061me-4`},
		"upper-case digits":  {"a", "A"},
		"another number":     {`"view": 3`, `"view": 3.0`},
		"no transaction":     {`"transaction": {`, `"transaction": null, "x": {`},
		"no hops":            {`"hops": [`, `"hops": null, "x": [`},
		"zero next":          {`"validators": "`, `"next_validators": "` + strings.Repeat("0", 64) + `", "validators": "`},
		"a precise time":     {`678Z"`, `678000Z"`},
		"an early time":      {`"2026-`, `"20260-`},
		"a long digest":      {`"genesis": "`, `"genesis": "00`},
		"a long index":       {`"index": 0`, `"index": 4294967296`},
		"a far replica":      {`"replica": 1`, `"replica": 65537`},
		"a negative replica": {`"replica": 1`, `"replica": -1`},
		"an owner's change":  {`"owner": "12D3`, `"owner": "12D4`},
		"another ID":         {`"id": "`, `"id": "00`},
		"above the bound":    {good, good + strings.Repeat(" ", receipt.MaxSize)},
	} {
		text := strings.Replace(good, c.old, c.with, 1)
		if text == good {
			t.Fatalf("%s: nothing to replace", name)
		}
		if r, err := receipt.Decode([]byte(text)); !errors.Is(err, receipt.ErrMalformed) || r != nil {
			t.Errorf("%s: %v, %v", name, r, err)
		}
	}
}

// The largest committee fits into a receipt many times over.
func TestLargeCommittee(t *testing.T) {
	w := newWorld(t, "test", quorum.MaxReplicas, 4)
	r := w.receipt(6, 0)
	data, err := r.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := receipt.Verify(r, receipt.FromGenesis(w.g), sigs); err != nil {
		t.Error(err)
	}
	if len(data) > receipt.MaxSize/100 {
		t.Errorf("%d bytes", len(data))
	}
}

func FuzzDecode(f *testing.F) {
	w := newWorld(f, "golden", 4, 7)
	for _, seq := range []int{1, 5} {
		data, err := w.receipt(seq, 3).Encode()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte(`{"format": "decube/receipt/2", "hops": [{}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := receipt.Decode(data)
		if err != nil {
			if !errors.Is(err, receipt.ErrMalformed) {
				t.Errorf("not ErrMalformed: %v", err)
			}
			return
		}
		again, err := r.Encode()
		if err != nil || !bytes.Equal(again, data) {
			t.Errorf("%s was read, and is written as %s, %v", data, again, err)
		}
		if _, err := receipt.Verify(r, receipt.FromGenesis(w.g), sigs); err == nil && r.Genesis != w.g.ID() {
			t.Error("verified, of another ledger")
		}
	})
}
