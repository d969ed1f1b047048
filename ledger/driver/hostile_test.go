package driver_test

import (
	"cmp"
	"slices"

	"github.com/decube/decube/internal/sig"
	"github.com/decube/decube/ledger/body"
	"github.com/decube/decube/ledger/codec"
	"github.com/decube/decube/ledger/driver"
	"github.com/decube/decube/ledger/exec"
	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/ledger/tx"
)

// What a validator can sign that keeps to no rule.

// vote is a vote of a node for whatever it says.
func (w *world) vote(by *node, s pbft.Subject) codec.Message {
	w.t.Helper()
	replica, ok := w.genesis.Set().Replica(key(by.at).Public())
	if !ok {
		w.t.Fatalf("node %d is no validator", by.at)
	}
	v := &pbft.Vote{Subject: s, Replica: replica}
	v.Sig = pbft.Signature(key(by.at).Sign(v.Statement(w.genesis.ID())))
	return codec.Message{Message: v}
}

// decision is a block with the signatures of some nodes under it.
func (w *world) decision(view uint64, h *pbft.Header, by ...*node) *pbft.Decision {
	w.t.Helper()
	d := &pbft.Decision{Header: *h}
	d.Cert.Subject = pbft.Subject{Phase: pbft.Commit, Epoch: h.Epoch, View: view, Seq: h.Seq, Digest: h.Digest(), State: h.State}
	for _, n := range by {
		replica, ok := w.genesis.Set().Replica(key(n.at).Public())
		if !ok {
			w.t.Fatalf("node %d is no validator", n.at)
		}
		d.Cert.Sigs = append(d.Cert.Sigs, pbft.Signed{
			Replica: replica, Sig: pbft.Signature(key(n.at).Sign(d.Cert.Statement(w.genesis.ID()))),
		})
	}
	slices.SortFunc(d.Cert.Sigs, func(a, b pbft.Signed) int { return cmp.Compare(a.Replica, b.Replica) })
	return d
}

// proposal is a proposal of a node, of whatever it says, with the content of its body:
// whole, or IDs.
func (w *world) proposal(by *node, view uint64, h *pbft.Header, c *body.Content) codec.Proposal {
	p := &pbft.Proposal{View: view, Header: *h}
	p.Sig = pbft.Signature(key(by.at).Sign(p.Subject().Statement(w.genesis.ID())))
	if !c.Whole() {
		return codec.Proposal{Proposal: p, IDs: c.IDs()}
	}
	return codec.Proposal{Proposal: p, Encoded: c.Encoded()}
}

// next is a valid block on top of a node's head, with a time in Unix milliseconds.
func (n *node) next(at int64, batch tx.Batch) *exec.Block {
	n.w.t.Helper()
	tip := n.view.Head.Tip
	b, doubtful, err := exec.Build(&tip, exec.Limits{Transactions: tx.MaxBatch, Bytes: tx.MaxBatchSize}, batch, at)
	if err != nil || b == nil || len(doubtful) > 0 {
		n.w.t.Fatalf("building a block: %v, %d doubtful, %v", b, len(doubtful), err)
	}
	return b
}

// strangers are records of owners whom the ledger has not met.
func (w *world) strangers(group byte, n int) tx.Batch {
	batch := make(tx.Batch, n)
	for i := range batch {
		batch[i] = w.sign(sig.FromSeed([sig.SeedSize]byte{group, byte(i), byte(i >> 8), 5}), 0, put(i))
	}
	return batch
}

func (w *world) sign(by sig.PrivateKey, nonce uint64, op tx.Op) *tx.Transaction {
	w.t.Helper()
	t, err := tx.Sign(by, w.genesis.ID(), nonce, op)
	if err != nil {
		w.t.Fatal(err)
	}
	return t
}

// voteIn returns the vote of a phase that a frame has, nil for others.
func voteIn(f codec.Frame, phase pbft.Phase) *pbft.Vote {
	m, ok := f.(codec.Message)
	if !ok {
		return nil
	}
	if v, ok := m.Message.(*pbft.Vote); ok && v.Phase == phase {
		return v
	}
	return nil
}

// notices returns how many notices of a node something holds for.
func notices[N driver.Notice](n *node, holds func(N) bool) (count int) {
	for _, x := range n.notices {
		if x, ok := x.(N); ok && (holds == nil || holds(x)) {
			count++
		}
	}
	return count
}
