package state_test

import (
	"bytes"
	"errors"
	"strconv"
	"testing"

	"github.com/decube/decube/ledger/genesis"
	"github.com/decube/decube/ledger/state"
	"github.com/decube/decube/ledger/tx"
)

func TestNonces(t *testing.T) {
	s := genesisState(t, 1, func(p *genesis.Params) { p.NonceWindow = 20 })
	b := s.Begin(1, 0)
	i := 0
	for _, step := range []struct {
		nonce uint64
		want  tx.Code
		next  uint64
	}{
		{20, tx.CodeNonceTooFar, 0},
		{1<<63 - 1, tx.CodeNonceTooFar, 0},
		{19, tx.CodeOK, 0},
		{19, tx.CodeNonceUsed, 0},
		{1, tx.CodeOK, 0},
		{0, tx.CodeOK, 2},
		{0, tx.CodeNonceUsed, 2},
		{1, tx.CodeNonceUsed, 2},
		{21, tx.CodeOK, 2},
		{22, tx.CodeNonceTooFar, 2},
		{3, tx.CodeOK, 2},
		{4, tx.CodeOK, 2},
		{5, tx.CodeOK, 2},
		{6, tx.CodeOK, 2},
		{7, tx.CodeOK, 2},
		{8, tx.CodeOK, 2},
		{9, tx.CodeOK, 2},
		{10, tx.CodeOK, 2},
		{11, tx.CodeOK, 2},
		{12, tx.CodeOK, 2},
		{13, tx.CodeOK, 2},
		{2, tx.CodeOK, 14},
		{14, tx.CodeOK, 15},
		{15, tx.CodeOK, 16},
		{16, tx.CodeOK, 17},
		{17, tx.CodeOK, 18},
		{18, tx.CodeOK, 20},
		{19, tx.CodeNonceUsed, 20},
		{20, tx.CodeOK, 22},
		{22, tx.CodeOK, 23},
	} {
		i++
		err := b.Apply(transaction(t, keys[1], step.nonce, tx.NameClaim{Name: "n", Target: strconv.Itoa(i)}))
		if code, ok := tx.CodeOf(err); !ok || code != step.want {
			t.Errorf("step %d: nonce %d: %v, want %v", i, step.nonce, err, step.want)
		}
		after, _, err := b.Finish()
		if err != nil {
			t.Fatal(err)
		}
		if next := must(after.NextNonce(keys[1]))(t); next != step.next {
			t.Fatalf("step %d: next nonce %d, want %d", i, next, step.next)
		}
	}
}

// A block takes what the parameters allow, counted as a body is.
func TestBlockIsFull(t *testing.T) {
	s := genesisState(t, 1, func(p *genesis.Params) { p.MaxBlockTransactions = 3; p.MaxBlockBytes = 128 << 10 })
	b := s.Begin(1, 0)
	for i := range 4 {
		err := b.Apply(transaction(t, keys[1], uint64(i), tx.RecordPut{Key: "k", Value: []byte("v")}))
		if want := i == 3; errors.Is(err, state.ErrFull) != want {
			t.Errorf("transaction %d: %v", i, err)
		}
	}
	b = s.Begin(1, 0)
	var body tx.Batch
	for i := range 2 {
		op := tx.RecordPut{Key: "k", Value: make([]byte, tx.MaxValue-200)}
		body = append(body, transaction(t, keys[1], uint64(i), op))
		if err := b.Apply(body[i]); err != nil {
			t.Fatal(err)
		}
	}
	op := tx.RecordPut{Key: "k", Value: make([]byte, 1)}
	for ; body.Size() <= 128<<10; body[2] = transaction(t, keys[1], 2, op) {
		op.Value = make([]byte, len(op.Value)+1)
		body = append(body[:2], transaction(t, keys[1], 2, op))
	}
	if err := b.Apply(body[2]); !errors.Is(err, state.ErrFull) {
		t.Errorf("a body of %d bytes: %v", body.Size(), err)
	}
}

// What a transaction was decoded from may be used for something else afterwards.
func TestApplyKeepsNothing(t *testing.T) {
	s := genesisState(t, 1)
	raw := bytes.Clone(transaction(t, keys[1], 0, tx.RecordPut{Key: "k", Value: []byte("value")}).Raw())
	b := s.Begin(1, 0)
	if err := b.Apply(must(tx.Decode(raw))(t)); err != nil {
		t.Fatal(err)
	}
	clear(raw)
	s, _, err := b.Finish()
	if err != nil {
		t.Fatal(err)
	}
	if r := found(s.Record("", "k", keys[1]))(t); string(r.Value) != "value" {
		t.Errorf("record %q", r.Value)
	}
}
