package driver_test

import (
	"testing"
	"unsafe"

	"github.com/decube/decube/ledger/codec"
	"github.com/decube/decube/ledger/driver"
	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/ledger/quorum"
)

// A NEW-VIEW has each proof once, and a byte for each claim that refers to it. What it
// counts for while it waits is what it takes in memory, which can be a hundred times more.
func TestNewViewCountsForWhatItTakes(t *testing.T) {
	const validators, window = 256, 8
	base := pbft.Certificate{Subject: pbft.Subject{Phase: pbft.Commit}}
	var locks []pbft.Lock
	parent := base.Digest
	for seq := uint64(1); seq <= window; seq++ {
		h := pbft.Header{Seq: seq, Parent: parent}
		parent = h.Digest()
		locks = append(locks, pbft.Lock{Header: h, Cert: pbft.Certificate{Subject: pbft.Subject{Phase: pbft.Prepare, Seq: seq, Digest: parent}}})
	}
	n := &pbft.NewView{View: 1}
	for r := range validators {
		n.Changes = append(n.Changes, &pbft.ViewChange{View: 1, Replica: quorum.Replica(r), Base: base, Locks: locks})
	}
	for _, h := range pbft.CarriedOver(n.Changes) {
		n.Proposals = append(n.Proposals, &pbft.Proposal{View: 1, Header: h})
	}
	encoded := codec.AppendFrame(nil, codec.Message{Message: n})
	f, err := driver.Read(driver.Proposals, encoded, codec.Limits{Replicas: validators, Window: window, BlockBytes: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	takes := validators * window * int(unsafe.Sizeof(pbft.Lock{}))
	if len(encoded) > takes/20 {
		t.Fatalf("%d bytes are encoded as %d", takes, len(encoded))
	}
	if f.Size < takes {
		t.Errorf("a NEW-VIEW that takes %d bytes counts for %d", takes, f.Size)
	}
}
