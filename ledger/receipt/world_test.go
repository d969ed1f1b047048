package receipt_test

import (
	"crypto/sha256"
	"fmt"
	"testing"
	"time"

	"github.com/decube/decube/internal/sig"
	"github.com/decube/decube/ledger/genesis"
	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/ledger/quorum"
	"github.com/decube/decube/ledger/receipt"
	"github.com/decube/decube/ledger/tx"
)

// world is a ledger that was really signed: in each epoch three blocks of five
// transactions, the last of which names the next epoch's validators. They are others
// in each epoch.
type world struct {
	tb     testing.TB
	g      *genesis.Genesis
	epochs [][]sig.PrivateKey // each epoch's validators, by replica
	hops   []receipt.Hop
	blocks []block // that of sequence number s is at s-1
}

type block struct {
	decision *pbft.Decision
	body     tx.Batch
}

const (
	blocksPerEpoch = 3
	txsPerBlock    = 5
	blockTime      = 250 // milliseconds
)

func digestOf(format string, args ...any) pbft.Digest {
	return sha256.Sum256(fmt.Appendf(nil, format, args...))
}

func keyOf(kind byte, i int) sig.PrivateKey {
	return sig.FromSeed([sig.SeedSize]byte{byte(i), byte(i >> 8), kind})
}

// newWorld makes a ledger with so many validators in each epoch. Who stays from
// one epoch to the next gets another number.
func newWorld(tb testing.TB, network string, sizes ...int) *world {
	tb.Helper()
	w := &world{tb: tb}
	for e, n := range sizes {
		keys := make([]sig.PrivateKey, n)
		for i := range keys {
			keys[i] = keyOf('v', e+i)
		}
		w.epochs = append(w.epochs, keys)
	}
	w.g = genesisOf(tb, network, w.set(0))
	parent := w.g.Header(digestOf("state 0"))
	for e := range sizes {
		for i := range blocksPerEpoch {
			b := w.block(&parent, uint64(e), e+1 < len(sizes) && i == blocksPerEpoch-1)
			w.blocks = append(w.blocks, b)
			parent = b.decision.Header
			if parent.Last() {
				w.hops = append(w.hops, receipt.Hop{Header: parent, Cert: b.decision.Cert, Validators: w.set(e + 1)})
			}
		}
	}
	return w
}

func genesisOf(tb testing.TB, network string, set genesis.ValidatorSet) *genesis.Genesis {
	tb.Helper()
	var validators []genesis.Validator
	for i, key := range set {
		validators = append(validators, genesis.Validator{Key: key, Name: fmt.Sprintf("validator %d", i)})
	}
	g, err := genesis.New(network, time.UnixMilli(1767319445678), validators, genesis.DefaultParams())
	if err != nil {
		tb.Fatal(err)
	}
	return g
}

func (w *world) set(e int) genesis.ValidatorSet {
	var set genesis.ValidatorSet
	for _, key := range w.epochs[e] {
		set = append(set, key.Public())
	}
	return set
}

// block makes and commits the block after a parent.
func (w *world) block(parent *pbft.Header, e uint64, last bool) block {
	w.tb.Helper()
	seq := parent.Seq + 1
	var body tx.Batch
	for i := range txsPerBlock {
		op := tx.NameClaim{Name: fmt.Sprintf("name-%d-%d", seq, i), Target: "<a & b> \"→\""}
		t, err := tx.Sign(keyOf('o', i), w.g.ID(), seq, op)
		if err != nil {
			w.tb.Fatal(err)
		}
		body = append(body, t)
	}
	h := pbft.Header{
		Epoch: e, Seq: seq, Parent: parent.Digest(), Time: parent.Time + blockTime,
		Count: txsPerBlock, Body: tx.Root(body.IDs()), State: digestOf("state %d", seq), Committee: w.set(int(e)).Digest(),
	}
	if last {
		h.Next = w.set(int(e) + 1).Digest()
	}
	return block{&pbft.Decision{Header: h, Cert: w.commit(&h)}, body}
}

// commit returns the certificate of the least quorum of an epoch's validators.
func (w *world) commit(h *pbft.Header) pbft.Certificate {
	return w.sign(pbft.Commit, h, w.quorum(h.Epoch)...)
}

// quorum returns the least quorum of an epoch, the last replicas.
func (w *world) quorum(e uint64) []quorum.Replica {
	c, err := w.set(int(e)).Committee()
	if err != nil {
		w.tb.Fatal(err)
	}
	var out []quorum.Replica
	for r := c.Size() - c.Quorum(); r < c.Size(); r++ {
		out = append(out, quorum.Replica(r))
	}
	return out
}

// sign returns a certificate signed by some of the replicas of the block's epoch.
func (w *world) sign(phase pbft.Phase, h *pbft.Header, signers ...quorum.Replica) pbft.Certificate {
	return w.signBy(h.Epoch, phase, h, signers...)
}

// signBy returns a certificate signed by some of an epoch's replicas, whatever epoch
// the block says it is of.
func (w *world) signBy(epoch uint64, phase pbft.Phase, h *pbft.Header, signers ...quorum.Replica) pbft.Certificate {
	cert := pbft.Certificate{Subject: pbft.Subject{
		Phase: phase, Epoch: h.Epoch, View: 3, Seq: h.Seq, Digest: h.Digest(), State: h.State,
	}}
	statement := cert.Statement(w.g.ID())
	for _, r := range signers {
		cert.Sigs = append(cert.Sigs, pbft.Signed{Replica: r, Sig: pbft.Signature(w.epochs[epoch][r].Sign(statement))})
	}
	return cert
}

// receipt returns the receipt for a transaction, which shares no memory with
// others.
func (w *world) receipt(seq, i int) *receipt.Receipt {
	w.tb.Helper()
	b := w.blocks[seq-1]
	r, err := receipt.New(w.g.ID(), w.hops[:b.decision.Header.Epoch], b.decision, b.body.IDs(), i, b.body[i])
	if err != nil {
		w.tb.Fatal(err)
	}
	return copied(w.tb, r)
}

// copied returns a receipt that shares no memory with another.
func copied(tb testing.TB, r *receipt.Receipt) *receipt.Receipt {
	tb.Helper()
	data, err := r.Encode()
	if err != nil {
		tb.Fatal(err)
	}
	if r, err = receipt.Decode(data); err != nil {
		tb.Fatal(err)
	}
	return r
}

// recommit signs the receipt's block again, after a change.
func (w *world) recommit(r *receipt.Receipt) { r.Cert = w.commit(&r.Header) }

// repair makes certificates be about the blocks beside them, whoever signed them.
func repair(r *receipt.Receipt) {
	about := func(h *pbft.Header, cert *pbft.Certificate) {
		cert.Subject = pbft.Subject{Phase: pbft.Commit, Epoch: h.Epoch, View: cert.View, Seq: h.Seq, Digest: h.Digest(), State: h.State}
	}
	about(&r.Header, &r.Cert)
	for i := range r.Hops {
		about(&r.Hops[i].Header, &r.Hops[i].Cert)
	}
}

var sigs = sig.NewVerifier(0)
