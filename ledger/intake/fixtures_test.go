package intake_test

import (
	"slices"
	"time"

	"pgregory.net/rapid"

	"github.com/decube/decube/internal/sig"
	"github.com/decube/decube/ledger/intake"
	"github.com/decube/decube/ledger/tx"
)

// key returns an owner's or a validator's key by number.
func key(n int) sig.PublicKey {
	return sig.FromSeed([sig.SeedSize]byte{byte(n), byte(n >> 8), 1}).Public()
}

var owner = key(1)

// make1 returns a transaction of an owner. Nobody here looks at signatures.
func make1(tb rapid.TB, owner sig.PublicKey, nonce uint64, op tx.Op) *tx.Transaction {
	tb.Helper()
	t, err := tx.New([32]byte{'n'}, owner, nonce, op, sig.Signature{})
	if err != nil {
		tb.Fatal(err)
	}
	return t
}

// put returns a transaction that writes a record of so many bytes.
func put(tb rapid.TB, nonce uint64, size int) *tx.Transaction {
	tb.Helper()
	return make1(tb, owner, nonce, tx.RecordPut{Key: "k", Value: make([]byte, size)})
}

// claim returns a transaction that claims a name.
func claim(tb rapid.TB, owner sig.PublicKey, nonce uint64, name string) *tx.Transaction {
	tb.Helper()
	return make1(tb, owner, nonce, tx.NameClaim{Name: name})
}

// puts returns n small transactions with nonces from first on.
func puts(tb rapid.TB, first uint64, n int) []*tx.Transaction {
	tb.Helper()
	ts := make([]*tx.Transaction, n)
	for i := range ts {
		ts[i] = put(tb, first+uint64(i), 10)
	}
	return ts
}

// nonces returns what transactions are told apart by in most tests.
func nonces(ts []*tx.Transaction) []uint64 {
	ns := make([]uint64, len(ts))
	for i, t := range ts {
		ns[i] = t.Nonce
	}
	return ns
}

func ids(ts []*tx.Transaction) []tx.ID { return tx.Batch(ts).IDs() }

// cost is what a transaction counts for in a share.
func cost(t *tx.Transaction) int { return tx.EncodedSize(t) + intake.Overhead }

// keys returns n validators.
func keys(n int) []sig.PublicKey {
	ks := make([]sig.PublicKey, n)
	for i := range ks {
		ks[i] = key(1000 + i)
	}
	return ks
}

func newPool(n int, l intake.Limits) *intake.Pool {
	p := intake.NewPool(l)
	p.SetOrigins(0, keys(n))
	return p
}

func mustAdd(tb rapid.TB, p *intake.Pool, origin int, now time.Duration, ts ...*tx.Transaction) {
	tb.Helper()
	for _, t := range ts {
		if err := p.Add(now, t, origin); err != nil {
			tb.Fatal(err)
		}
	}
}

// all is more than any test's pool holds.
const all = 1 << 30

func wantNext(tb rapid.TB, p *intake.Pool, want ...uint64) {
	tb.Helper()
	if got := nonces(p.Next(all, all)); !slices.Equal(got, want) {
		tb.Errorf("Next has %d, want %d", got, want)
	}
}

func wantCode(tb rapid.TB, err error, want tx.Code) {
	tb.Helper()
	if code, ok := tx.CodeOf(err); !ok || code != want {
		tb.Errorf("error %v, want the code %v", err, want)
	}
}

func wantOldest(tb rapid.TB, p *intake.Pool, now, want time.Duration) {
	tb.Helper()
	if got := p.Oldest(now); got != want {
		tb.Errorf("at %v the oldest front has waited for %v, want %v", now, got, want)
	}
}

// block returns a block in flight with a digest made of one byte.
func block(name byte, ts ...*tx.Transaction) intake.Block {
	return intake.Block{Digest: [32]byte{name}, Transactions: ts}
}

// judge has what the pool asks for judged by a rule, and returns what left.
func judge(p *intake.Pool, now time.Duration, seq uint64, budget int, rule func(*tx.Transaction) error) []intake.Verdict {
	var verdicts []intake.Verdict
	for _, t := range p.ToJudge(now, budget) {
		verdicts = append(verdicts, intake.Verdict{ID: t.ID(), Err: rule(t)})
	}
	return p.Judged(now, seq, verdicts)
}

func valid(*tx.Transaction) error { return nil }

func invalid(*tx.Transaction) error { return tx.Reject(tx.CodeNotFound, "no such thing") }
