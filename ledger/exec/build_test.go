package exec_test

import (
	"slices"
	"testing"

	"github.com/decube/decube/internal/smt"
	"github.com/decube/decube/ledger/exec"
	"github.com/decube/decube/ledger/genesis"
	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/ledger/tx"
)

func TestBuildLeavesOutWhatDoesNotApply(t *testing.T) {
	tip := genesisTip(t)
	good, again, foreign := record(t, 5, 0, 10), record(t, 5, 0, 20), by(t, 5, 1, tx.NameTransfer{Name: "n", To: keys[6]})
	last := record(t, 6, 0, 10)
	b, doubtful, err := exec.Build(tip, roomy, []*tx.Transaction{good, again, foreign, last}, created+5)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(b.Body.Batch(), tx.Batch{good, last}) || !slices.Equal(doubtful, []*tx.Transaction{again, foreign}) {
		t.Errorf("the block has %d transactions, %d are doubtful", len(b.Body.Batch()), len(doubtful))
	}
	want := pbft.Header{
		Seq: 1, Parent: tip.Digest, Time: created + 5, Count: 2, Body: b.Body.Root(), State: b.State.Root(), Committee: tip.Header.Committee,
	}
	if b.Header != want || b.Digest != want.Digest() || b.Next != nil {
		t.Errorf("header %+v, want %+v", b.Header, want)
	}
	b, doubtful, err = exec.Build(tip, roomy, []*tx.Transaction{foreign}, created)
	if err != nil || b != nil || len(doubtful) != 1 {
		t.Errorf("of nothing that applies: %v, %d doubtful, %v", b, len(doubtful), err)
	}
}

func TestBuildKeepsLimits(t *testing.T) {
	tip := tipOf(t, document(t, 4, func(p *genesis.Params) { p.MaxBlockTransactions, p.MaxBlockBytes = 3, 128<<10 }), smt.Map{})
	small, large := record(t, 5, 0, 10), record(t, 6, 0, 1000)
	more := []*tx.Transaction{record(t, 7, 0, 10), record(t, 8, 0, 10), record(t, 9, 0, 10)}
	all := append([]*tx.Transaction{small, large}, more...)
	one := exec.BodyHead + tx.EncodedSize(small)
	for _, c := range []struct {
		name   string
		limits exec.Limits
		want   tx.Batch
	}{
		{"the parameters bind", roomy, tx.Batch{small, large, more[0]}},
		{"two transactions", exec.Limits{Transactions: 2, Bytes: 1 << 20}, tx.Batch{small, large}},
		{"no room for the large one", exec.Limits{Transactions: 9, Bytes: one + tx.EncodedSize(small)}, tx.Batch{small, more[0]}},
		{"room for one", exec.Limits{Transactions: 9, Bytes: one}, tx.Batch{small}},
	} {
		b, doubtful, err := exec.Build(tip, c.limits, all, created)
		if err != nil || b == nil || !slices.Equal(b.Body.Batch(), c.want) || len(doubtful) > 0 {
			t.Errorf("%s: %v, %d doubtful, %v", c.name, b, len(doubtful), err)
			continue
		}
		if got := len(b.Body.Encoded()); got > c.limits.Bytes {
			t.Errorf("%s: %d bytes", c.name, got)
		}
	}
	for _, l := range []exec.Limits{{Transactions: 0, Bytes: 1 << 20}, {Transactions: 9, Bytes: one - 1}} {
		if b, doubtful, err := exec.Build(tip, l, all, created); b != nil || len(doubtful) > 0 || err != nil {
			t.Errorf("with %+v: %v, %d doubtful, %v", l, b, len(doubtful), err)
		}
	}
	got, err := exec.LimitsOn(tip, exec.Limits{Transactions: 2, Bytes: 1 << 20})
	if want := (exec.Limits{Transactions: 2, Bytes: 128 << 10}); err != nil || got != want {
		t.Errorf("limits %+v, %v; want %+v", got, err, want)
	}
}

// Time goes on along the chain, whatever the leader's clock says.
// Where the ledger grows as fast as it may, what has no room waits, and is not tried
// without end.
func TestBuildOnAFullLedger(t *testing.T) {
	tip := tipOf(t, document(t, 4, func(p *genesis.Params) { p.GrowthBytesPerDay = genesis.MinGrowth }), smt.Map{})
	var candidates []*tx.Transaction
	for nonce := range uint64(200) {
		candidates = append(candidates, record(t, 5, nonce, 50_000))
	}
	b, doubtful, err := exec.Build(tip, exec.Limits{Transactions: 1000, Bytes: 8 << 20}, candidates, created)
	if err != nil || b == nil {
		t.Fatal(b, err)
	}
	if fit := len(b.Body.Batch()); fit == 0 || fit > 20 || len(doubtful) != 64 {
		t.Errorf("%d fit, %d are doubtful", fit, len(doubtful))
	}
}

func TestBuildTime(t *testing.T) {
	first := built(t, genesisTip(t), created+1000, record(t, 5, 0, 1))
	if got := built(t, &first.Tip, created-5000, record(t, 5, 1, 1)).Header.Time; got != created+1000 {
		t.Errorf("with a clock that is behind, the time is %d", got)
	}
	if got := built(t, &first.Tip, created+2000, record(t, 5, 1, 1)).Header.Time; got != created+2000 {
		t.Errorf("the time is %d", got)
	}
}

// A change of the validators ends the block, and the next one is the next epoch's.
func TestBuildEndsEpoch(t *testing.T) {
	renewal := by(t, 0, 0, tx.ValidatorAdd{Key: keys[0], Replaces: keys[0]})
	after := record(t, 5, 0, 1)
	b, doubtful, err := exec.Build(genesisTip(t), roomy, []*tx.Transaction{renewal, after, by(t, 5, 0, tx.NameTransfer{Name: "n", To: keys[1]})}, created)
	if err != nil || b == nil || len(b.Body.Batch()) != 1 || len(doubtful) > 0 {
		t.Fatalf("%v, %d doubtful, %v", b, len(doubtful), err)
	}
	if !b.Header.Last() || b.Header.Next != b.Next.Digest() || b.Header.Epoch != 0 || b.Epoch() != 1 {
		t.Errorf("header %+v", b.Header)
	}
	next := built(t, &b.Tip, created, after)
	if next.Header.Epoch != 1 || next.Header.Committee != b.Header.Next || next.Header.Last() {
		t.Errorf("the next epoch begins with %+v", next.Header)
	}
}

func TestJudge(t *testing.T) {
	tip := genesisTip(t)
	claim, race := by(t, 5, 0, tx.NameClaim{Name: "n"}), by(t, 6, 0, tx.NameClaim{Name: "n"})
	txs := []*tx.Transaction{claim, race, by(t, 7, 5000, tx.NameClaim{Name: "m"}), by(t, 8, 0, tx.ParamsSet{Name: "nonce_window", Value: 7})}
	codes := func(tip *exec.Tip) (out []tx.Code) {
		t.Helper()
		verdicts, err := exec.Judge(tip.State, txs, tip.Header.Seq+1, created)
		if err != nil || len(verdicts) != len(txs) {
			t.Fatalf("%d verdicts, %v", len(verdicts), err)
		}
		for _, v := range verdicts {
			if v == nil {
				out = append(out, tx.CodeOK)
			} else {
				out = append(out, v.Code)
			}
		}
		return out
	}
	if got, want := codes(tip), []tx.Code{tx.CodeOK, tx.CodeOK, tx.CodeNonceTooFar, tx.CodeNotValidator}; !slices.Equal(got, want) {
		t.Errorf("before the race is decided: %v, want %v", got, want)
	}
	tip = &built(t, tip, created, claim).Tip
	if got, want := codes(tip), []tx.Code{tx.CodeNonceUsed, tx.CodeNameTaken, tx.CodeNonceTooFar, tx.CodeNotValidator}; !slices.Equal(got, want) {
		t.Errorf("after it: %v, want %v", got, want)
	}
}
