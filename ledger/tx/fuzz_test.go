package tx_test

import (
	"bytes"
	"encoding/json"
	"reflect"
	"testing"

	"github.com/decube/decube/ledger/tx"
)

// What is decoded is encoded as it was, and is the same when it is made of its
// parts.
func FuzzDecode(f *testing.F) {
	for i, op := range ops(f) {
		f.Add(sign(f, key(i), uint64(i), op).Raw())
	}
	f.Add([]byte{1})
	f.Fuzz(func(t *testing.T, b []byte) {
		out, err := tx.Decode(b)
		if err != nil {
			code(t, err)
			return
		}
		again, err := tx.New(out.Network, out.Owner, out.Nonce, out.Op, out.Signature)
		if err != nil {
			t.Fatalf("decoded, but not valid: %v", err)
		}
		if !bytes.Equal(out.Raw(), b) || !bytes.Equal(again.Raw(), b) || again.ID() != out.ID() {
			t.Errorf("%x is written as %x", b, again.Raw())
		}
		_ = out.Summary()
		text, err := json.Marshal(out)
		if err != nil {
			t.Fatal(err)
		}
		var back tx.Transaction
		if err := json.Unmarshal(text, &back); err != nil || back.ID() != out.ID() {
			t.Errorf("%s becomes another: %v", text, err)
		}
	})
}

func FuzzDecodeBatch(f *testing.F) {
	for _, n := range []int{0, 1, 3} {
		f.Add(batch(f, n, 150).AppendTo(nil))
	}
	f.Add([]byte{0x90, 0x4e})
	f.Fuzz(func(t *testing.T, b []byte) {
		out, err := tx.DecodeBatch(b)
		if err != nil {
			code(t, err)
			return
		}
		if again := out.AppendTo(nil); !bytes.Equal(again, b) || out.Size() != len(b) {
			t.Errorf("%x is written as %x", b, again)
		}
	})
}

func FuzzDecodeIDs(f *testing.F) {
	f.Add(tx.AppendIDs(nil, someIDs(3)))
	f.Add([]byte{0})
	f.Add([]byte{0x90, 0x4e})
	f.Fuzz(func(t *testing.T, b []byte) {
		ids, err := tx.DecodeIDs(b)
		if err != nil {
			code(t, err)
			return
		}
		if again := tx.AppendIDs(nil, ids); !bytes.Equal(again, b) {
			t.Errorf("%x is written as %x", b, again)
		}
	})
}

// An operation that is read is valid, and is read the same from what it is
// written as.
func FuzzParseOp(f *testing.F) {
	for _, op := range ops(f) {
		b, err := json.Marshal(op)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add([]byte(`{"type":"name.claim","name":"a","target":null}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		op, err := tx.ParseOp(b)
		if err != nil {
			code(t, err)
			return
		}
		if err := op.Validate(); err != nil {
			t.Fatal(err)
		}
		text, err := json.Marshal(op)
		if err != nil {
			t.Fatal(err)
		}
		back, err := tx.ParseOp(text)
		if put, ok := op.(tx.RecordPut); ok && put.Value == nil {
			put.Value = []byte{}
			op = put
		}
		if err != nil || !reflect.DeepEqual(back, op) {
			t.Errorf("%s becomes %v, %v", text, back, err)
		}
	})
}
