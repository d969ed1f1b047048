package state_test

import (
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"github.com/decube/decube/internal/sig"
	"github.com/decube/decube/internal/smt"
	"github.com/decube/decube/ledger/state"
	"github.com/decube/decube/ledger/tx"
)

const (
	benchEntries = 100_000
	benchBlock   = 1000
	benchOwners  = 100
)

// benchState returns a state with so many entries of owners who are not the bench's.
func benchState(tb testing.TB) state.State {
	tb.Helper()
	s := genesisState(tb, 4)
	changes := make([]smt.Change, benchEntries)
	for i := range changes {
		key := state.RecordKey("", strconv.Itoa(i), sig.PublicKey{1})
		changes[i] = smt.Change{Key: key, Value: state.Encode(state.Record{Value: make([]byte, 100)})}
	}
	return must(state.Open(must(s.Map().Apply(changes))(tb)))(tb)
}

// benchOp returns an operation whose transaction takes about 300 bytes.
func benchOp(kind string, i int) tx.Op {
	register := tx.SnapshotRegister{Root: root(i), Size: uint64(i), Label: strings.Repeat("l", 120), RetainUntil: created}
	put := tx.RecordPut{Key: strconv.Itoa(i), Value: make([]byte, 150)}
	switch {
	case kind == "put", kind == "mixed" && i%2 == 0:
		return put
	default:
		return register
	}
}

func BenchmarkBlock(b *testing.B) {
	for _, kind := range []string{"put", "register", "mixed"} {
		b.Run(kind, func(b *testing.B) {
			s := benchState(b)
			owners := make([]sig.PublicKey, benchOwners)
			rnd := rand.New(rand.NewPCG(1, 2))
			for i := range owners {
				for j := range owners[i] {
					owners[i][j] = byte(rnd.Uint32())
				}
			}
			block := make(tx.Batch, benchBlock)
			bytes := 0
			for i := range block {
				block[i] = transaction(b, owners[i%benchOwners], uint64(i/benchOwners), benchOp(kind, i))
				bytes += tx.EncodedSize(block[i])
			}
			b.ReportAllocs()
			var changed uint64
			for b.Loop() {
				on := s.Begin(1, created*1000)
				for _, t := range block {
					if err := on.Apply(t); err != nil {
						b.Fatal(err)
					}
				}
				after, _, err := on.Finish()
				if err != nil {
					b.Fatal(err)
				}
				changed = after.Map().Len() - s.Map().Len()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*benchBlock), "ns/tx")
			b.ReportMetric(float64(changed)/benchBlock, "keys/tx")
			b.ReportMetric(float64(bytes)/benchBlock, "B/tx")
		})
	}
}
