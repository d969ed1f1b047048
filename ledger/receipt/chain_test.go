package receipt_test

import (
	"errors"
	"reflect"
	"testing"

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

// A light client goes along the chain, and judges the blocks of the epoch it is in.
func TestChain(t *testing.T) {
	w := newWorld(t, "test", 4, 7, 4)
	c := newChain(t, w)
	for e := range uint64(3) {
		if c.Epoch() != e || !reflect.DeepEqual(c.Validators(), w.set(int(e))) || c.Committee().Size() != len(w.epochs[e]) {
			t.Fatalf("epoch %d of %d validators, want %d", c.Epoch(), len(c.Validators()), e)
		}
		for i := range w.blocks {
			d := w.blocks[i].decision
			err := c.VerifyHeader(&d.Header, &d.Cert)
			if d.Header.Epoch == e && err != nil || d.Header.Epoch != e && !errors.Is(err, receipt.ErrEpoch) {
				t.Errorf("in epoch %d, block %v: %v", e, &d.Header, err)
			}
		}
		if e == 2 {
			break
		}
		last := w.transitions[e].Header
		if err := c.Advance(w.transitions[e]); err != nil {
			t.Fatal(err)
		}
		if seq, digest := c.Start(); seq != last.Seq || digest != last.Digest() {
			t.Errorf("epoch %d begins after %d:%v, want %v", c.Epoch(), seq, digest, &last)
		}
	}
}

// Several transitions are one step: all of them or none.
func TestAdvanceIsAllOrNothing(t *testing.T) {
	w := newWorld(t, "test", 4, 7, 4)
	c := newChain(t, w)
	bad := newWorld(t, "test", 4, 7, 4).transitions
	bad[1].Cert = w.sign(pbft.Commit, &bad[1].Header, w.quorum(1)...)
	bad[1].Cert.Sigs[0].Sig[0] ^= 1
	if err := c.Advance(bad...); !errors.Is(err, receipt.ErrTransition) || !errors.Is(err, receipt.ErrSignature) {
		t.Errorf("a bad signature: %v", err)
	}
	if err := c.Advance(w.transitions[1], w.transitions[0]); !errors.Is(err, receipt.ErrTransition) || !errors.Is(err, receipt.ErrEpoch) {
		t.Errorf("in the wrong order: %v", err)
	}
	if c.Epoch() != 0 {
		t.Fatalf("in epoch %d after that", c.Epoch())
	}
	if err := c.Advance(); err != nil || c.Epoch() != 0 {
		t.Errorf("nothing: in epoch %d, %v", c.Epoch(), err)
	}
	if err := c.Advance(w.transitions...); err != nil || c.Epoch() != 2 {
		t.Errorf("both: in epoch %d, %v", c.Epoch(), err)
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
		"of another epoch": {&w.blocks[4].decision.Header, sign(0, 1, 2), receipt.ErrEpoch},
	} {
		if err := c.VerifyCheckpoint(v.h, &v.cert); !errors.Is(err, v.want) {
			t.Errorf("%s: %v, want %v", name, err, v.want)
		}
	}
}
