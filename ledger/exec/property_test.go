package exec_test

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/decube/decube/internal/smt"
	"github.com/decube/decube/ledger/body"
	"github.com/decube/decube/ledger/exec"
	"github.com/decube/decube/ledger/genesis"
	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/ledger/state"
	"github.com/decube/decube/ledger/tx"
)

func openState(tb rapid.TB, d *disk, ref smt.RootRef) state.State {
	tb.Helper()
	s, err := state.Open(smt.Open(d, ref))
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

func drawOp(t *rapid.T) tx.Op {
	name := rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "name")
	key := func() int { return rapid.IntRange(0, 7).Draw(t, "key") }
	switch rapid.IntRange(0, 9).Draw(t, "op") {
	case 0, 1:
		return tx.NameClaim{Name: name, Target: "t"}
	case 2:
		return tx.NameTransfer{Name: name, To: keys[key()]}
	case 3:
		return tx.ValidatorAdd{Key: keys[key()]}
	case 4:
		return tx.ValidatorAdd{Key: keys[key()], Replaces: keys[key()]}
	case 5:
		return tx.ValidatorRemove{Key: keys[key()]}
	case 6:
		return tx.ParamsSet{Name: "max_block_transactions", Value: rapid.Uint64Range(1, 4).Draw(t, "value")}
	default:
		return tx.RecordPut{Key: name, Value: make([]byte, rapid.IntRange(1, 300).Draw(t, "size"))}
	}
}

// drawCandidates returns transactions of which many apply.
func drawCandidates(t *rapid.T, on *exec.Tip) []*tx.Transaction {
	txs := make([]*tx.Transaction, rapid.IntRange(1, 12).Draw(t, "candidates"))
	for i := range txs {
		owner := rapid.IntRange(0, 7).Draw(t, "owner")
		next, err := on.State.NextNonce(keys[owner])
		if err != nil {
			t.Fatal(err)
		}
		txs[i] = by(t, owner, next+rapid.Uint64Range(0, 3).Draw(t, "nonce"), drawOp(t))
	}
	return txs
}

// Whatever Build gives, Check and Redo find valid on another copy of the same state,
// with the same outcome; its candidates are in the block, doubtful, or for another
// block; and its limits hold.
func TestWhatIsBuiltIsValid(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := document(t, rapid.IntRange(1, 4).Draw(t, "validators"), func(p *genesis.Params) {
			p.MaxBlockTransactions = rapid.Uint64Range(1, 10).Draw(t, "max_block_transactions")
		})
		ours, theirs := tipOf(t, g, smt.Map{}), tipOf(t, g, smt.Map{})
		now := created
		for range rapid.IntRange(1, 6).Draw(t, "blocks") {
			now += rapid.Int64Range(-2000, 9000).Draw(t, "pause")
			l := exec.Limits{Transactions: rapid.IntRange(0, 12).Draw(t, "transactions"), Bytes: rapid.IntRange(0, 3000).Draw(t, "bytes")}
			candidates := drawCandidates(t, ours)
			b, doubtful, err := exec.Build(ours, l, candidates, now)
			if err != nil {
				t.Fatal(err)
			}
			if b == nil {
				continue
			}
			if n := len(b.Body.Batch()); n > l.Transactions || len(b.Body.Encoded()) > l.Bytes || n+len(doubtful) > len(candidates) {
				t.Fatalf("%d transactions of %d bytes, limits %+v", n, len(b.Body.Encoded()), l)
			}
			received, err := body.Decode(b.Body.Encoded())
			if err != nil {
				t.Fatal(err)
			}
			clock := b.Header.Time + rapid.Int64Range(-exec.Skew, exec.Skew).Draw(t, "skew")
			verdict, err := exec.Check(theirs, &exec.Offer{Header: b.Header, Body: received, Came: clock}, clock)
			valid, ok := verdict.(exec.Valid)
			if err != nil || !ok {
				t.Fatalf("what was built is %T %v, %v", verdict, verdict, err)
			}
			redone, err := exec.Redo(theirs, &b.Header, received)
			if err != nil {
				t.Fatal(err)
			}
			for _, same := range []*exec.Block{valid.Block, redone} {
				if same.Digest != b.Digest || same.State.Root() != b.State.Root() || (same.Next == nil) != (b.Next == nil) || same.Epoch() != b.Epoch() {
					t.Fatalf("another outcome: %+v, want %+v", same.Header, b.Header)
				}
			}
			ours, theirs = &b.Tip, &valid.Block.Tip
		}
	})
}

// Whatever one changes about a valid block, in its header or in its body, makes it
// invalid: a header names one block.
func TestWhatIsChangedIsInvalid(t *testing.T) {
	mutations := map[string]func(t *rapid.T, h *pbft.Header, b *tx.Batch){
		"epoch":     func(t *rapid.T, h *pbft.Header, _ *tx.Batch) { h.Epoch += rapid.Uint64Range(1, 1<<40).Draw(t, "by") },
		"number":    func(t *rapid.T, h *pbft.Header, _ *tx.Batch) { h.Seq += rapid.Uint64Range(1, 1<<40).Draw(t, "by") },
		"count":     func(t *rapid.T, h *pbft.Header, _ *tx.Batch) { h.Count += rapid.Uint32Range(1, 1<<20).Draw(t, "by") },
		"time":      func(t *rapid.T, h *pbft.Header, _ *tx.Batch) { h.Time += rapid.Int64Range(1, exec.Skew).Draw(t, "by") },
		"earlier":   func(t *rapid.T, h *pbft.Header, _ *tx.Batch) { h.Time -= rapid.Int64Range(1, exec.Skew).Draw(t, "by") },
		"parent":    func(t *rapid.T, h *pbft.Header, _ *tx.Batch) { flip(t, &h.Parent) },
		"body":      func(t *rapid.T, h *pbft.Header, _ *tx.Batch) { flip(t, &h.Body) },
		"state":     func(t *rapid.T, h *pbft.Header, _ *tx.Batch) { flip(t, &h.State) },
		"committee": func(t *rapid.T, h *pbft.Header, _ *tx.Batch) { flip(t, &h.Committee) },
		"next":      func(t *rapid.T, h *pbft.Header, _ *tx.Batch) { flip(t, &h.Next) },
		"one less":  func(_ *rapid.T, _ *pbft.Header, b *tx.Batch) { *b = (*b)[1:] },
		"one more":  func(t *rapid.T, _ *pbft.Header, b *tx.Batch) { *b = append(*b, record(t, 11, 0, 5)) },
		"another order": func(_ *rapid.T, _ *pbft.Header, b *tx.Batch) {
			(*b)[0], (*b)[1] = (*b)[1], (*b)[0]
		},
		"one less, and the header agrees": func(_ *rapid.T, h *pbft.Header, b *tx.Batch) {
			*b = (*b)[1:]
			h.Count, h.Body = uint32(len(*b)), tx.Root(b.IDs())
		},
		"a transaction that does not apply, and the header agrees": func(t *rapid.T, h *pbft.Header, b *tx.Batch) {
			*b = append(*b, record(t, 9, 1<<40, 5))
			h.Count, h.Body = uint32(len(*b)), tx.Root(b.IDs())
		},
	}
	for name, mutate := range mutations {
		t.Run(name, func(t *testing.T) {
			tip := genesisTip(t)
			rapid.Check(t, func(t *rapid.T) {
				// Each writes the time into the state, or spends a nonce.
				candidates := append([]*tx.Transaction{record(t, 9, 0, 3), record(t, 10, 0, 4)}, drawCandidates(t, tip)...)
				b, _, err := exec.Build(tip, roomy, candidates, created+exec.Skew)
				if err != nil {
					t.Fatal(err)
				}
				h, batch := b.Header, append(tx.Batch{}, b.Body.Batch()...)
				mutate(t, &h, &batch)
				content, err := body.FromBatch(batch)
				if err != nil {
					t.Fatal(err)
				}
				now := b.Header.Time
				for _, vouched := range []bool{false, true} {
					verdict, err := exec.Check(tip, &exec.Offer{Header: h, Body: content, Vouched: vouched, Came: now}, now)
					if err != nil {
						t.Fatal(err)
					}
					if _, ok := verdict.(exec.Invalid); !ok {
						t.Fatalf("vouched for %v: %T", vouched, verdict)
					}
				}
				if done, err := exec.Redo(tip, &h, content); err == nil {
					t.Fatalf("redone: %+v", done.Header)
				}
			})
		})
	}
}

func flip(t *rapid.T, d *pbft.Digest) {
	d[rapid.IntRange(0, len(d)-1).Draw(t, "byte")] ^= byte(rapid.IntRange(1, 255).Draw(t, "bits"))
}
