package archive

import (
	"bytes"
	"testing"

	"github.com/decube/decube/internal/sig"
	"github.com/decube/decube/ledger/genesis"
	"github.com/decube/decube/ledger/pbft"
)

// block returns a decision as the archive keeps it.
func block(next genesis.ValidatorSet) *pbft.Decision {
	h := pbft.Header{Epoch: 1, Seq: 300, Parent: pbft.Digest{1}, Time: 5, Body: pbft.Digest{3}}
	if next != nil {
		h.Next = next.Digest()
	}
	return &pbft.Decision{Header: h, Cert: pbft.Certificate{
		Subject: pbft.Subject{Phase: pbft.Commit, Epoch: 1, View: 2, Seq: 300, Digest: h.Digest(), State: h.State},
		Sigs:    []pbft.Signed{{Replica: 0}, {Replica: 1}, {Replica: 3}},
	}}
}

// Records are fuzzed beneath their checksum, which chance does not get past.
func FuzzRecord(f *testing.F) {
	for _, r := range []record{
		{decision: block(nil)},
		{durable: 200, base: 128, changes: 3, parts: 2, decision: block(nil), stateful: true},
	} {
		b, err := open(r.encode())
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		sealed := seal(bytes.Clone(b))
		r, err := decodeRecord(sealed)
		if err == nil && !bytes.Equal(r.encode(), sealed) {
			t.Errorf("%x is %+v, which is written otherwise", b, r)
		}
		if r, err := decodeRecord(b); err == nil && !bytes.Equal(r.encode(), b) {
			t.Errorf("%x is %+v, which is written otherwise", b, r)
		}
	})
}

func FuzzHop(f *testing.F) {
	next := genesis.ValidatorSet{sig.FromSeed([32]byte{1}).Public(), sig.FromSeed([32]byte{2}).Public()}
	b, err := open(encodeHop(block(next), next))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		sealed := seal(bytes.Clone(b))
		x, err := decodeHop(sealed)
		if err != nil {
			return
		}
		again := encodeHop(&pbft.Decision{Header: x.Header, Cert: x.Cert}, x.Validators)
		if !bytes.Equal(again, sealed) {
			t.Errorf("%x is written as %x", sealed, again)
		}
	})
}
