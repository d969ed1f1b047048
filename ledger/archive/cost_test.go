package archive

import (
	"fmt"
	"math"
	"testing"

	"github.com/decube/decube/internal/smt"
	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/ledger/quorum"
	"github.com/decube/decube/ledger/state"
)

// What a block has here besides its body is no more than it is charged for.
func TestBlocksAreChargedForTheirRecords(t *testing.T) {
	for _, n := range []int{1, 4, 7, 31, 256} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			committee, err := quorum.New(n)
			if err != nil {
				t.Fatal(err)
			}
			const most = math.MaxInt64
			d := &pbft.Decision{Header: pbft.Header{Epoch: most, Seq: most, Time: most, Count: math.MaxUint32}}
			d.Cert.Subject = pbft.Subject{Phase: pbft.Commit, Epoch: most, View: most, Seq: most}
			for i := range committee.Quorum() {
				d.Cert.Sigs = append(d.Cert.Sigs, pbft.Signed{Replica: quorum.Replica(n - committee.Quorum() + i)})
			}
			r := record{durable: most, base: most, changes: maxParts, parts: maxParts, decision: d, stateful: true, ref: smt.RootRef{}}
			has := len(r.encode()) + len(space(1).key(kindBlock, most)) + len(space(1).key(kindBody, most)) + 2
			if charged := state.BlockCost + state.SignatureCost*committee.Quorum(); has > charged {
				t.Errorf("%d bytes, %d are charged", has, charged)
			} else {
				t.Logf("%d bytes of %d", has, charged)
			}
			if indexEntry > state.IndexCost {
				t.Errorf("%d bytes in the index, %d are charged", indexEntry, state.IndexCost)
			}
		})
	}
}
