package ledger

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/decube/decube/internal/sig"
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
