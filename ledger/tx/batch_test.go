package tx_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"reflect"
	"runtime"
	"slices"
	"testing"

	"github.com/transparency-dev/merkle/rfc6962"

	"github.com/decube/decube/internal/sig"
	"github.com/decube/decube/internal/wire"
	"github.com/decube/decube/ledger/tx"
)

// batch returns n transactions of about size bytes each.
func batch(tb testing.TB, n, size int) tx.Batch {
	tb.Helper()
	value := make([]byte, max(0, size-140))
	out := make(tx.Batch, n)
	for i := range out {
		out[i] = sign(tb, key(i%100), uint64(i), tx.RecordPut{Key: "key", Value: value})
	}
	return out
}

func TestBatchRoundTrips(t *testing.T) {
	for _, n := range []int{0, 1, 2, 127, 128, 300} {
		in := batch(t, n, 300)
		body, err := in.Encode()
		if err != nil || len(body) != in.Size() {
			t.Fatalf("%d: %d bytes, want %d: %v", n, len(body), in.Size(), err)
		}
		out, err := tx.DecodeBatch(body)
		if err != nil || !reflect.DeepEqual(in, out) {
			t.Errorf("%d: decoded as %d, %v", n, len(out), err)
		}
		ids := in.IDs()
		back, err := tx.DecodeIDs(tx.AppendIDs(nil, ids))
		if err != nil || !slices.Equal(back, ids) {
			t.Errorf("%d: IDs decoded as %d, %v", n, len(back), err)
		}
	}
}

func TestDecodeBatchRefuses(t *testing.T) {
	one := batch(t, 1, 300)
	good := one.AppendTo(nil)
	raw := one[0].Raw()
	for name, c := range map[string]struct {
		body []byte
		want tx.Code
	}{
		"nothing":               {nil, tx.CodeMalformed},
		"cut short":             {good[:len(good)-1], tx.CodeMalformed},
		"a byte too many":       {append(bytes.Clone(good), 0), tx.CodeMalformed},
		"a padded count":        {append([]byte{0x81, 0}, good[1:]...), tx.CodeMalformed},
		"more than there are":   {append([]byte{2}, good[1:]...), tx.CodeMalformed},
		"more than fit":         {append(wire.AppendUvarint(nil, tx.MaxBatch), good...), tx.CodeMalformed},
		"more than are allowed": {wire.AppendUvarint(nil, tx.MaxBatch+1), tx.CodeTooLarge},
		"too many bytes":        {make([]byte, tx.MaxBatchSize+1), tx.CodeTooLarge},
		"a large transaction":   {append(wire.AppendUvarint([]byte{1}, tx.MaxSize+1), make([]byte, tx.MaxSize+1)...), tx.CodeTooLarge},
		"not a transaction":     {wire.AppendFrame([]byte{1}, append([]byte{9}, raw[1:]...)), tx.CodeMalformed},
	} {
		if got, err := tx.DecodeBatch(c.body); got != nil || code(t, err) != c.want {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
	ids := tx.AppendIDs(nil, one.IDs())
	for name, b := range map[string][]byte{
		"nothing": nil, "cut short": ids[:32], "a byte too many": append(bytes.Clone(ids), 0),
		"more than are allowed": wire.AppendUvarint(nil, tx.MaxBatch+1),
	} {
		if _, err := tx.DecodeIDs(b); code(t, err) == tx.CodeOK {
			t.Errorf("IDs: %s: taken", name)
		}
	}
}

// A clone is the same transaction, and is not touched by what becomes of its batch's
// memory.
func TestClonesHaveTheirOwnMemory(t *testing.T) {
	for i, op := range ops(t) {
		body, err := tx.Batch{sign(t, key(1), uint64(i), op)}.Encode()
		if err != nil {
			t.Fatal(err)
		}
		decoded, err := tx.DecodeBatch(body)
		if err != nil {
			t.Fatal(err)
		}
		clone, raw := decoded[0].Clone(), bytes.Clone(decoded[0].Raw())
		clear(body)
		want, err := tx.Decode(raw)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(clone, want) {
			t.Errorf("%s: the clone is %+v, want %+v", op.Summary(), clone, want)
		}
	}
}

func TestBatchLimits(t *testing.T) {
	one := batch(t, 1, 300)[0]
	if _, err := tx.Batch(slices.Repeat([]*tx.Transaction{one}, tx.MaxBatch)).Encode(); err != nil {
		t.Errorf("the most transactions: %v", err)
	}
	if _, err := tx.Batch(slices.Repeat([]*tx.Transaction{one}, tx.MaxBatch+1)).Encode(); code(t, err) != tx.CodeTooLarge {
		t.Errorf("too many transactions: %v", err)
	}
	large := batch(t, 1, tx.MaxValue+140)[0]
	fit := (tx.MaxBatchSize - 2) / tx.EncodedSize(large)
	body, err := tx.Batch(slices.Repeat([]*tx.Transaction{large}, fit)).Encode()
	if err != nil {
		t.Fatalf("as much as fits: %v", err)
	}
	if out, err := tx.DecodeBatch(body); err != nil || len(out) != fit {
		t.Errorf("as much as fits: %v", err)
	}
	if _, err := tx.Batch(slices.Repeat([]*tx.Transaction{large}, fit+1)).Encode(); code(t, err) != tx.CodeTooLarge {
		t.Errorf("too many bytes: %v", err)
	}
}

// A body does not make its reader take much more memory than it has bytes.
func TestAnnouncedCountTakesNoMemory(t *testing.T) {
	body := append(wire.AppendUvarint(nil, tx.MaxBatch), make([]byte, 1000)...)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, err := tx.DecodeBatch(body); err == nil {
		t.Error("taken")
	}
	runtime.ReadMemStats(&after)
	if took := after.TotalAlloc - before.TotalAlloc; took > 64<<10 {
		t.Errorf("%d bytes allocated for %d", took, len(body))
	}
}

// dumbRoot is the definition of RFC 6962, section 2.1.
func dumbRoot(ids []tx.ID) []byte {
	switch n := len(ids); n {
	case 0:
		return rfc6962.DefaultHasher.EmptyRoot()
	case 1:
		return ids[0][:]
	default:
		k := 1
		for 2*k < n {
			k *= 2
		}
		return rfc6962.DefaultHasher.HashChildren(dumbRoot(ids[:k]), dumbRoot(ids[k:]))
	}
}

// someIDs returns n different IDs.
func someIDs(n int) []tx.ID {
	ids := make([]tx.ID, n)
	for i := range ids {
		ids[i] = tx.ID{byte(i), byte(i >> 8), 9}
	}
	return ids
}

func TestRootAndProofs(t *testing.T) {
	for n := range 70 {
		ids := someIDs(n)
		root := tx.Root(ids)
		if want := dumbRoot(ids); !bytes.Equal(root[:], want) {
			t.Fatalf("%d: root %x, want %x", n, root, want)
		}
		for i := range ids {
			p, err := tx.ProveInclusion(ids, i)
			if err != nil {
				t.Fatal(err)
			}
			if err := verify(ids[i], i, n, p, root); err != nil {
				t.Errorf("%d of %d: %v", i, n, err)
			}
			refuse(t, ids, i, p, root)
		}
	}
	if tx.Root(nil) != sha256.Sum256(nil) || tx.ID(tx.Root(someIDs(1))) != someIDs(1)[0] {
		t.Error("the root of no transactions is the hash of nothing, that of one is its ID")
	}
}

func verify(id tx.ID, i, n int, p tx.Proof, root [32]byte) error {
	return tx.VerifyInclusion(id, uint64(i), uint64(n), p, root)
}

// refuse checks that nothing but the i-th transaction, in its place, is proved.
func refuse(t *testing.T, ids []tx.ID, i int, p tx.Proof, root [32]byte) {
	t.Helper()
	n := len(ids)
	for name, err := range map[string]error{
		"another ID":      verify(tx.ID{1: 0xff}, i, n, p, root),
		"beyond the end":  verify(ids[i], n, n, p, root),
		"another root":    verify(ids[i], i, n, p, [32]byte{1}),
		"a hash too many": verify(ids[i], i, n, append(slices.Clone(p), tx.ID{}), root),
		"an empty tree":   verify(ids[i], i, 0, p, root),
		"too many":        verify(ids[i], i, tx.MaxBatch+1, p, root),
	} {
		if !errors.Is(err, tx.ErrProof) {
			t.Errorf("%d of %d: %s: %v", i, n, name, err)
		}
	}
	for j := range ids {
		if j != i && !errors.Is(verify(ids[i], j, n, p, root), tx.ErrProof) {
			t.Errorf("%d of %d is proved to be %d", i, n, j)
		}
	}
	for h := range p {
		changed := slices.Clone(p)
		changed[h][h] ^= 1
		if !errors.Is(verify(ids[i], i, n, changed, root), tx.ErrProof) ||
			!errors.Is(verify(ids[i], i, n, slices.Delete(slices.Clone(p), h, h+1), root), tx.ErrProof) {
			t.Errorf("%d of %d: hash %d can change or go", i, n, h)
		}
	}
}

func TestProofOfTheLargestBatch(t *testing.T) {
	ids := someIDs(tx.MaxBatch)
	root := tx.Root(ids)
	for _, i := range []int{0, 1, 5000, 8191, 8192, tx.MaxBatch - 1} {
		p, err := tx.ProveInclusion(ids, i)
		if err != nil || len(p) > tx.MaxProof {
			t.Fatalf("%d: %d hashes, %v", i, len(p), err)
		}
		if err := verify(ids[i], i, tx.MaxBatch, p, root); err != nil {
			t.Error(err)
		}
	}
	for _, i := range []int{-1, tx.MaxBatch} {
		if _, err := tx.ProveInclusion(ids, i); !errors.Is(err, tx.ErrProof) {
			t.Errorf("%d: %v", i, err)
		}
	}
}

func BenchmarkBatch(b *testing.B) {
	const n = 2000
	txs := batch(b, n, 300)
	body := txs.AppendTo(nil)
	ids := txs.IDs()
	b.Run("decode", func(b *testing.B) {
		b.ReportAllocs()
		b.SetBytes(int64(len(body)))
		for b.Loop() {
			if _, err := tx.DecodeBatch(body); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("encode", func(b *testing.B) {
		b.SetBytes(int64(len(body)))
		for b.Loop() {
			if _, err := txs.Encode(); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("decode one", func(b *testing.B) {
		b.ReportAllocs()
		raw := txs[0].Raw()
		for b.Loop() {
			if _, err := tx.Decode(raw); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("root", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			tx.Root(ids)
		}
	})
	b.Run("prove", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := tx.ProveInclusion(ids, n/2); err != nil {
				b.Fatal(err)
			}
		}
	})
	v := sig.NewVerifier(0)
	b.Run("verify all", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			tx.VerifyAll(v, network, txs)
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/1e3/float64(b.N)/n, "us/transaction")
	})
}
