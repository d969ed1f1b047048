package ledger

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/decube/decube/ledger/body"
	"github.com/decube/decube/ledger/codec"
	"github.com/decube/decube/ledger/exec"
	"github.com/decube/decube/ledger/intake"
	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/ledger/sig"
	"github.com/decube/decube/ledger/tx"
)

// stranger signs an operation with a key that nobody knows.
func stranger(t *testing.T, network [32]byte, n int, nonce uint64, op tx.Op) *tx.Transaction {
	t.Helper()
	x, err := tx.Sign(sig.FromSeed([sig.SeedSize]byte{9, byte(n), byte(n >> 8)}), network, nonce, op)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// races are pairs of transactions of which only one can be committed.
func races(t *testing.T, network [32]byte, round int) map[string][2]*tx.Transaction {
	t.Helper()
	name := fmt.Sprint("photos", round)
	return map[string][2]*tx.Transaction{
		"one nonce": {
			stranger(t, network, 10*round, 0, tx.RecordPut{Key: "a", Value: []byte("1")}),
			stranger(t, network, 10*round, 0, tx.RecordPut{Key: "b", Value: []byte("2")}),
		},
		"one name": {
			stranger(t, network, 10*round+1, 0, tx.NameClaim{Name: name}),
			stranger(t, network, 10*round+2, 0, tx.NameClaim{Name: name}),
		},
	}
}

// Who hands in one of two that cannot both be committed is told which it was, at
// whichever validator: nobody waits until it expires.
func TestLosersOfRacesAreTold(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	s := newSwarm(t, 4, 0, nil)
	s.startAll()
	if _, _, err := s.all[1].put(ctx, "before"); err != nil {
		t.Fatal(err)
	}
	for round := range 3 {
		for kind, pair := range races(t, s.genesis.ID(), round) {
			var errs [2]error
			var wg sync.WaitGroup
			for i, x := range pair {
				wg.Go(func() { _, errs[i] = s.all[1+i].live().Submit(ctx, x) })
			}
			wg.Wait()
			refused := 0
			for _, err := range errs {
				switch code, final := tx.CodeOf(err); {
				case code == tx.CodeNonceUsed || code == tx.CodeNameTaken:
					refused++
				case !final || code != tx.CodeOK:
					t.Fatalf("%s: %v", kind, err)
				}
			}
			if refused != 1 {
				t.Errorf("%s: %d of two were refused: %v", kind, refused, errs)
			}
		}
	}
}

func mustJudge(t *testing.T, x *executor) {
	t.Helper()
	if _, err := x.judge(); err != nil {
		t.Fatal(err)
	}
}

// A leader is held against what it could have proposed: not the loser of a race, while
// the other one is in flight and when it is committed.
func TestRacesAreNotHeldAgainstLeaders(t *testing.T) {
	for _, kind := range []string{"one nonce", "one name"} {
		t.Run(kind, func(t *testing.T) {
			x, _ := still(t)
			n := &engine{Ledger: x.Ledger}
			pair := races(t, x.network, 1)[kind]
			if err := x.pool.add(pair[0], x.genesis.Set()[2]); err != nil {
				t.Fatal(err)
			}
			mustJudge(t, x)
			if waiting := n.tick(); waiting.Oldest == 0 || waiting.Waiting != 1 {
				t.Fatalf("a valid transaction that nobody has proposed does not count: %+v", waiting)
			}
			content, err := body.Decode(tx.Batch{pair[1]}.AppendTo(nil))
			if err != nil {
				t.Fatal(err)
			}
			rival := &exec.Block{Tip: exec.Tip{Digest: pbft.Digest{1}}, Body: content}
			x.plan(rival)
			x.fly()
			if waiting := n.tick(); waiting.Oldest != 0 {
				t.Errorf("the loser counts while the other one is in flight: %+v", waiting)
			}
			x.leave(1, intake.Block{Digest: rival.Digest, Transactions: content.Batch()})
			x.unplan(rival.Digest)
			x.fly()
			if waiting := n.tick(); waiting.Oldest != 0 {
				t.Errorf("the loser counts when the other one is committed: %+v", waiting)
			}
		})
	}
}

// Junk leaves, and does not count while it waits.
func TestJunkIsNotHeldAgainstLeaders(t *testing.T) {
	x, _ := still(t)
	n := &engine{Ledger: x.Ledger}
	for i := range 300 {
		junk := stranger(t, x.network, 5000+i, 1<<40, tx.RecordPut{Key: "k"})
		if err := x.pool.add(junk, x.genesis.Set()[i%4]); err != nil {
			t.Fatal(err)
		}
	}
	for x.pool.len() > 0 {
		before := x.pool.len()
		mustJudge(t, x)
		if waiting := n.tick(); waiting != (pbft.Tick{}) {
			t.Fatalf("junk counts: %+v", waiting)
		}
		if x.pool.len() == before {
			t.Fatalf("%d transactions that are never valid stay", before)
		}
	}
}

// What a dead view has proposed is offered again, unless the next one carries it over.
func TestDeadBlocksReserveNothing(t *testing.T) {
	x, _ := still(t)
	waits := stranger(t, x.network, 1, 0, tx.RecordPut{Key: "k", Value: []byte("v")})
	if err := x.pool.add(waits, x.self); err != nil {
		t.Fatal(err)
	}
	x.offer = &pbft.Build{Seq: 1, Parent: x.head.digest}
	if _, err := x.propose(); err != nil {
		t.Fatal(err)
	}
	x.fly()
	if n := x.pool.ready(); n != 0 || len(x.ahead) != 1 {
		t.Fatalf("%d are ready, %d blocks are in flight", n, len(x.ahead))
	}
	x.enter(1)
	x.fly()
	if n := x.pool.ready(); n != 1 {
		t.Error("a transaction stays reserved for a block of a view that is over")
	}
	for _, done := range x.earlier {
		x.want(check{Check: pbft.Check{View: 1, Header: done.Header}})
	}
	x.fly()
	if n := x.pool.ready(); n != 0 {
		t.Error("a transaction is offered again though its block was carried over")
	}
}

// What waits holds its own memory, and not that of the frame that it came in.
func TestWaitingTransactionsAreCopied(t *testing.T) {
	x, _ := still(t)
	one := stranger(t, x.network, 1, 0, tx.RecordPut{Key: "k", Value: []byte("v")})
	frame := tx.Batch{one}.AppendTo(nil)
	for range 2 { // the second time it waits already
		x.carryBatch(arrival{from: x.genesis.Set()[1], frame: codec.Transactions{Encoded: frame}})
	}
	got := x.pool.get(one.ID())
	if got == nil {
		t.Fatal("the transaction does not wait")
	}
	clear(frame)
	if err := got.Verify(x.sigs, x.network); err != nil {
		t.Errorf("a waiting transaction changes with its frame: %v", err)
	}
}
