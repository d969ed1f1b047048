package receipt_test

import (
	"errors"
	"reflect"
	"testing"

	"github.com/decube/decube/ledger/genesis"
	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/ledger/quorum"
	"github.com/decube/decube/ledger/receipt"
)

func newChain(t *testing.T, w *world) *receipt.Chain {
	t.Helper()
	c, err := receipt.NewChain(w.g, sigs)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// A light client goes from set to set, and judges the blocks of the one it trusts.
func TestChain(t *testing.T) {
	w := newWorld(t, "test", 4, 7, 4)
	c := newChain(t, w)
	for e := range uint64(3) {
		if c.Set() != w.set(int(e)).Digest() || !reflect.DeepEqual(c.Validators(), w.set(int(e))) || c.Committee().Size() != len(w.epochs[e]) {
			t.Fatalf("trusts %d validators, want those of epoch %d", len(c.Validators()), e)
		}
		for i := range w.blocks {
			d := w.blocks[i].decision
			err := c.VerifyHeader(&d.Header, &d.Cert)
			if d.Header.Epoch == e && err != nil || d.Header.Epoch != e && !errors.Is(err, receipt.ErrSet) {
				t.Errorf("with the validators of epoch %d, block %v: %v", e, &d.Header, err)
			}
		}
		if e == 2 {
			break
		}
		if err := c.Advance(w.hops[e]); err != nil {
			t.Fatal(err)
		}
		if c.Seq() != w.hops[e].Header.Seq {
			t.Errorf("epoch %d begins after block %d, want %d", e+1, c.Seq(), w.hops[e].Header.Seq)
		}
	}
}

// Several hops are one step: all of them or none.
func TestAdvanceIsAllOrNothing(t *testing.T) {
	w := newWorld(t, "test", 4, 7, 4)
	c := newChain(t, w)
	bad := newWorld(t, "test", 4, 7, 4).hops
	bad[1].Cert = w.sign(pbft.Commit, &bad[1].Header, w.quorum(1)...)
	bad[1].Cert.Sigs[0].Sig[0] ^= 1
	if err := c.Advance(bad...); !errors.Is(err, receipt.ErrHop) || !errors.Is(err, receipt.ErrSignature) {
		t.Errorf("a bad signature: %v", err)
	}
	if err := c.Advance(w.hops[1], w.hops[0]); !errors.Is(err, receipt.ErrHop) || !errors.Is(err, receipt.ErrSet) {
		t.Errorf("in the wrong order: %v", err)
	}
	if c.Seq() != 0 {
		t.Fatalf("behind block %d after that", c.Seq())
	}
	if err := c.Advance(); err != nil || c.Seq() != 0 {
		t.Errorf("nothing: behind block %d, %v", c.Seq(), err)
	}
	if err := c.Advance(w.hops...); err != nil || c.Set() != w.set(2).Digest() {
		t.Errorf("both: %v", err)
	}
}

// Whoever knows a block and who comes next goes on from there, and no earlier.
func TestResume(t *testing.T) {
	w := newWorld(t, "test", 4, 7, 4)
	for seq := 1; seq < len(w.blocks); seq++ {
		after, next := w.blocks[seq-1].decision.Header, w.blocks[seq].decision
		c, err := receipt.Resume(w.g.ID(), &after, w.set(int(next.Header.Epoch)), sigs)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.VerifyHeader(&next.Header, &next.Cert); err != nil {
			t.Errorf("block %d: %v", seq+1, err)
		}
		if err := c.VerifyHeader(&after, &w.blocks[seq-1].decision.Cert); err == nil {
			t.Errorf("block %d again", seq)
		}
		other := *next
		other.Header.Parent[0] ^= 1
		other.Cert = w.commit(&other.Header)
		if err := c.VerifyHeader(&other.Header, &other.Cert); !errors.Is(err, receipt.ErrOrder) {
			t.Errorf("block %d on another parent: %v", seq+1, err)
		}
	}
	if _, err := receipt.Resume(w.g.ID(), &w.blocks[2].decision.Header, w.set(0), sigs); !errors.Is(err, receipt.ErrTrust) {
		t.Errorf("the validators that have left: %v", err)
	}
	if _, err := receipt.Resume(w.g.ID(), &w.blocks[2].decision.Header, nil, sigs); !errors.Is(err, genesis.ErrInvalid) {
		t.Errorf("no validators: %v", err)
	}
}

// Several blocks are judged at once, each by itself, and those that are good can
// enter the consensus core.
func TestChainVerify(t *testing.T) {
	w := newWorld(t, "test", 4)
	c := newChain(t, w)
	forged := *w.blocks[1].decision
	forged.Cert = w.sign(pbft.Commit, &forged.Header, 0, 1, 2)
	forged.Cert.Sigs[0].Sig[7] ^= 1
	late := *w.blocks[2].decision
	late.Header.Time = 0
	late.Cert = w.commit(&late.Header)
	decisions := []*pbft.Decision{w.blocks[2].decision, &forged, w.blocks[0].decision, &late}
	verified, errs := c.Verify(decisions...)
	for i, want := range []error{nil, receipt.ErrSignature, nil, receipt.ErrOrder} {
		if !errors.Is(errs[i], want) {
			t.Errorf("block %d: %v, want %v", i, errs[i], want)
		}
		if m := verified[i].Message(); (m == pbft.Message(decisions[i])) != (want == nil) || (m == nil) != (want != nil) {
			t.Errorf("block %d: the core would get %v", i, m)
		}
	}
	if verified, errs := c.Verify(); len(verified) != 0 || len(errs) != 0 {
		t.Errorf("nothing: %v, %v", verified, errs)
	}
}

// A state can be had from anybody when a quorum has signed for it.
func TestVerifyCheckpoint(t *testing.T) {
	w := newWorld(t, "test", 4, 7)
	c := newChain(t, w)
	h := w.blocks[1].decision.Header
	sign := func(signers ...quorum.Replica) pbft.Certificate {
		cert := w.sign(pbft.Checkpoint, &h, signers...)
		cert.View = 0 // a checkpoint belongs to no view
		for i, s := range cert.Sigs {
			cert.Sigs[i].Sig = pbft.Signature(w.epochs[0][s.Replica].Sign(cert.Statement(w.g.ID())))
		}
		return cert
	}
	other := w.blocks[0].decision.Header
	bad := sign(0, 1, 2)
	bad.Sigs[0].Sig[0] ^= 1
	for name, v := range map[string]struct {
		h    *pbft.Header
		cert pbft.Certificate
		want error
	}{
		"good":             {&h, sign(0, 1, 2), nil},
		"too few":          {&h, sign(0, 1), receipt.ErrQuorum},
		"a stranger":       {&h, pbft.Certificate{Subject: bad.Subject, Sigs: []pbft.Signed{{}, {Replica: 1}, {Replica: 4}}}, receipt.ErrSigner},
		"a bad signature":  {&h, bad, receipt.ErrSignature},
		"in a view":        {&h, w.sign(pbft.Checkpoint, &h, 0, 1, 2), receipt.ErrCertificate},
		"COMMIT":           {&h, w.commit(&h), receipt.ErrCertificate},
		"of another block": {&other, sign(0, 1, 2), receipt.ErrCertificate},
		"of another set":   {&w.blocks[4].decision.Header, sign(0, 1, 2), receipt.ErrSet},
	} {
		if err := c.VerifyCheckpoint(v.h, &v.cert); !errors.Is(err, v.want) {
			t.Errorf("%s: %v, want %v", name, err, v.want)
		}
	}
}
