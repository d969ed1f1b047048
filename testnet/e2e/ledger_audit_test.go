package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/decube/decube/api"
	"github.com/decube/decube/internal/sig"
	"github.com/decube/decube/ledger/receipt"
	"github.com/decube/decube/ledger/tx"
	"github.com/decube/decube/testnet/cluster"
)

// place is where a transaction is.
type place struct {
	block uint64
	index int
}

// books is the ledger as one peer has it.
type books struct {
	blocks []api.LedgerBlock // from the first on
	places map[tx.ID]place
}

// read returns what a peer has of the ledger up to a block.
func read(t *testing.T, n *cluster.Node, last uint64) books {
	t.Helper()
	b := books{places: map[tx.ID]place{}}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	_, err := connect(t, n).WatchBlocks(ctx, 1, true, func(blk api.LedgerBlock) {
		if uint64(len(b.blocks)) == last {
			return // sent before the stream could be ended
		}
		if want := uint64(len(b.blocks)) + 1; blk.Sequence != want {
			t.Errorf("%s: block %d comes where block %d should", n.Name(), blk.Sequence, want)
			stop()
		}
		for i, transaction := range blk.Transactions {
			if at, twice := b.places[transaction.ID]; twice {
				t.Errorf("%s: transaction %v is in block %d and in block %d", n.Name(), transaction.ID, at.block, blk.Sequence)
			}
			b.places[transaction.ID] = place{blk.Sequence, i}
		}
		blk.Transactions = nil
		b.blocks = append(b.blocks, blk)
		if blk.Sequence == last {
			stop()
		}
	})
	if uint64(len(b.blocks)) != last {
		t.Fatalf("%s: has %d blocks of %d: %v", n.Name(), len(b.blocks), last, err)
	}
	return b
}

// audit compares what all nodes have, after the load has ended: all have the same
// blocks and state roots, and what was acknowledged is where it was said to be.
func (l *ledgerNet) audit(t *testing.T, o *load, nodes ...*cluster.Node) {
	t.Helper()
	for _, err := range o.failures {
		t.Errorf("while the load ran: %v", err)
	}
	var last uint64
	for _, n := range nodes {
		last = max(last, status(t, n).Committed)
	}
	var reference books
	for i, n := range nodes {
		until(t, n, fmt.Sprintf("has all %d blocks", last), func(st api.LedgerStatus) bool { return st.Committed >= last })
		got := read(t, n, last)
		if i == 0 {
			reference = got
		}
		for seq := range got.blocks {
			a, b := &reference.blocks[seq], &got.blocks[seq]
			if a.Digest != b.Digest || a.StateRoot != b.StateRoot {
				t.Fatalf("block %d is %s with state %s at %s, and %s with %s at %s", seq+1,
					a.Digest, a.StateRoot, nodes[0].Name(), b.Digest, b.StateRoot, n.Name())
			}
		}
		for _, done := range o.acked {
			if at := got.places[done.ID]; at != (place{done.Block, done.Index}) {
				t.Errorf("%s: transaction %v was said to be in block %d at %d, and is at %+v", n.Name(), done.ID, done.Block, done.Index, at)
			}
		}
	}
	t.Logf("%d nodes have %d blocks with %d transactions, %d answers said so before; %d requests got no answer",
		len(nodes), last, len(reference.places), len(o.acked), o.unanswered)
	if len(o.acked) == 0 {
		t.Error("nothing was acknowledged")
	}
	l.receipts(t, o.acked, nodes)
}

// receipts gets the receipt of all that was acknowledged, from one node after the
// other, and verifies it: all here, some with the program.
func (l *ledgerNet) receipts(t *testing.T, acked []api.Submitted, nodes []*cluster.Node) {
	t.Helper()
	const byProgram = 5
	verifier := sig.NewVerifier(0)
	var wg sync.WaitGroup
	for i, n := range nodes {
		c := connect(t, n)
		wg.Go(func() {
			for at := i; at < len(acked); at += len(nodes) {
				done := acked[at]
				file, err := c.Receipt(t.Context(), done.ID)
				if err == nil {
					err = l.proves(file, done, verifier)
				}
				if err == nil && at%(len(acked)/byProgram+1) == 0 {
					err = l.provesToAll(t, file, done)
				}
				if err != nil {
					t.Errorf("%s: the receipt of %v: %v", n.Name(), done.ID, err)
					return
				}
			}
		})
	}
	wg.Wait()
}

// errElsewhere is returned for a receipt that is good, but of something else.
var errElsewhere = errors.New("the receipt is of another place")

func (l *ledgerNet) proves(file []byte, done api.Submitted, v *sig.Verifier) error {
	r, err := receipt.Decode(file)
	if err != nil {
		return err
	}
	res, err := receipt.Verify(r, receipt.FromGenesis(l.document), v)
	if err != nil {
		return err
	}
	if res.Block != done.Block || int(r.Index) != done.Index || res.Transaction.ID() != done.ID {
		return fmt.Errorf("%w: %v in block %d at %d", errElsewhere, res.Transaction.ID(), res.Block, r.Index)
	}
	return nil
}

// provesToAll verifies a receipt as somebody does who has neither node nor network.
func (l *ledgerNet) provesToAll(t *testing.T, file []byte, done api.Submitted) error {
	t.Helper()
	path := filepath.Join(t.TempDir(), "receipt")
	if err := os.WriteFile(path, file, 0o600); err != nil {
		return err
	}
	a := program(t, "decubectl", []string{"receipt", "verify", path, "--genesis", l.Genesis, "--json"}, nil)
	a.ends(t, 0)
	if got := decode[struct {
		Verified    bool
		Transaction tx.ID
		Block       uint64
	}](t, a); !got.Verified || got.Transaction != done.ID || got.Block != done.Block {
		return fmt.Errorf("%w: %+v", errElsewhere, got)
	}
	return nil
}
