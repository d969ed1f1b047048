package driver

import (
	"encoding/binary"
	"testing"
	"time"

	"github.com/decube/decube/ledger/body"
	"github.com/decube/decube/ledger/exec"
	"github.com/decube/decube/ledger/tx"
)

// Clients can have a block's worth of transactions lose at a time, while the disk is slow
// and many blocks are on their way to the archive: each is looked up, and not looked for.
func TestLosersAreLookedUp(t *testing.T) {
	id := func(block, i int) tx.ID {
		var id tx.ID
		binary.BigEndian.PutUint64(id[:], uint64(block))
		binary.BigEndian.PutUint64(id[8:], uint64(i))
		return id
	}
	const blocks, each = 30, 2000
	var c chain
	for b := range blocks {
		k := &committed{block: &exec.Block{Body: body.Empty()}}
		for i := range each {
			k.ids = append(k.ids, id(b, i))
		}
		c.add(k)
	}
	began := time.Now()
	for i := range 10 * each {
		if c.committing(id(blocks, i)) || !c.committing(id(i%blocks, i%each)) {
			t.Fatal(i)
		}
	}
	// Looking for them takes more than 5 s, on any machine of today.
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("it takes %v", took)
	}
	for range blocks {
		c.first()
	}
	if len(c.onTheWay) > 0 || c.committing(id(0, 0)) {
		t.Errorf("%d are on their way", len(c.onTheWay))
	}
}
