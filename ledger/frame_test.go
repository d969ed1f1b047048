package ledger

import (
	"bytes"
	"context"
	"fmt"
	"testing"

	"github.com/decube/decube/ledger/codec"
	"github.com/decube/decube/ledger/genesis"
	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/ledger/sig"
	"github.com/decube/decube/ledger/tx"
)

// example returns a decision with a body, of the last block of an epoch or not.
func example(last bool) (*pbft.Decision, []byte, genesis.ValidatorSet) {
	h := pbft.Header{Epoch: 1, Seq: 9, Parent: pbft.Digest{1}, Time: 5, State: pbft.Digest{2}, Body: tx.Root(nil)}
	var next genesis.ValidatorSet
	if last {
		next = genesis.ValidatorSet{sig.FromSeed([32]byte{1}).Public(), sig.FromSeed([32]byte{2}).Public()}
		h.Next = next.Digest()
	}
	d := &pbft.Decision{Header: h, Cert: pbft.Certificate{
		Subject: pbft.Subject{Phase: pbft.Commit, Epoch: 1, View: 3, Seq: 9, Digest: h.Digest(), State: h.State},
		Sigs:    []pbft.Signed{{Replica: 0}, {Replica: 2}, {Replica: 3}},
	}}
	return d, tx.Batch{}.AppendTo(nil), next
}

func TestBlocksRoundTrip(t *testing.T) {
	for _, last := range []bool{false, true} {
		d, body, next := example(last)
		b := AppendBlock(nil, d, body, next)
		gotD, gotBody, gotNext, err := DecodeBlock(b)
		if err != nil || gotD.Header != d.Header || !bytes.Equal(gotBody, body) || len(gotNext) != len(next) {
			t.Errorf("last %v: %v, %v", last, gotD, err)
		}
		if _, _, _, err := DecodeBlock(append(b, 0)); err == nil {
			t.Error("a byte too many is accepted")
		}
	}
	d, body, _ := example(true)
	if _, _, _, err := DecodeBlock(AppendBlock(nil, d, body, genesis.ValidatorSet{{1}})); err == nil {
		t.Error("other validators than the header names are accepted")
	}
}

func FuzzDecodeBlock(f *testing.F) {
	for _, last := range []bool{false, true} {
		f.Add(AppendBlock(nil, first(example(last)), []byte{0}, third(example(last))))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		d, body, next, err := DecodeBlock(b)
		if err == nil && !bytes.Equal(AppendBlock(nil, d, body, next), b) {
			t.Errorf("%x is written otherwise", b)
		}
	})
}

func first(d *pbft.Decision, _ []byte, _ genesis.ValidatorSet) *pbft.Decision       { return d }
func third(_ *pbft.Decision, _ []byte, s genesis.ValidatorSet) genesis.ValidatorSet { return s }

func FuzzFrames(f *testing.F) {
	d, _, _ := example(false)
	p := &pbft.Proposal{View: 1, Header: d.Header}
	f.Add(proposalFrame(p, emptyBody(9))[1:])
	f.Add(wantFrame(&d.Header)[1:])
	f.Add(codec.AppendDecision([]byte{9, 1}, d))
	f.Fuzz(func(t *testing.T, b []byte) {
		if m, rest, err := parseProposal(b); err == nil {
			if _, ok := m.(*pbft.Proposal); ok && len(rest) > len(b) {
				t.Error("a body longer than its frame")
			}
		}
		if root, seq, err := parseWant(b); err == nil {
			if again := wantFrame(&pbft.Header{Body: root, Seq: seq}); !bytes.Equal(again[1:], b) {
				t.Errorf("%x is written as %x", b, again[1:])
			}
		}
		if h, err := decodeHead(b); err == nil && h.checkpoint == nil && len(b) > 20 {
			t.Errorf("%x has a rest that is no checkpoint", b)
		}
		_, _ = decodeTransition(b)
	})
}

// A validator that sends garbage, other epochs, replays and what it cannot have
// signed costs nobody anything: the others commit beside it.
func TestHostileValidator(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	s := newSwarm(t, 4, 0, nil)
	for _, m := range s.all[:3] {
		m.start()
	}
	if _, _, err := s.all[0].put(ctx, "before"); err != nil {
		t.Fatal(err)
	}
	hostile, victim := s.all[3].key.Public(), s.all[1].ledger
	d, _, _ := example(false)
	vote := func(epoch uint64) []byte {
		return messageFrame(&pbft.Vote{Subject: pbft.Subject{Phase: pbft.Commit, Epoch: epoch, Seq: 2, Digest: pbft.Digest{7}}, Replica: 3})
	}
	signed := &pbft.Vote{Subject: pbft.Subject{Phase: pbft.Prepare, Seq: 2, Digest: pbft.Digest{7}}, Replica: 3}
	signed.Sig = pbft.Signature(s.all[3].key.Sign(signed.Statement(s.genesis.ID())))
	otherNetwork := &pbft.Vote{Subject: signed.Subject, Replica: 3}
	otherNetwork.Sig = pbft.Signature(s.all[3].key.Sign(signed.Statement(pbft.Digest{1})))
	large := make([]byte, 1<<20)
	frames := [][]byte{
		{0xff},
		{frameMessage},
		{frameMessage, 0x01, 0xff},
		{frameProposal},
		{frameProposal, 0x80},
		{frameTransactions, 0xff, 0xff},
		{frameWant},
		{frameBody, 1},
		append([]byte{frameMessage}, large...), append([]byte{frameProposal}, large...), append([]byte{frameTransactions}, large...),
		vote(0), vote(1), vote(1 << 40), messageFrame(signed), messageFrame(signed), messageFrame(otherNetwork),
		messageFrame(&pbft.Decision{Header: d.Header, Cert: d.Cert}),
		wantFrame(&pbft.Header{Seq: 1, Body: pbft.Digest{9}}),
	}
	for class := range Class(3) {
		for _, f := range frames {
			victim.Receive(hostile, class, bytes.Clone(f))
			victim.Receive(sig.PublicKey{9}, class, bytes.Clone(f))
		}
	}
	victim.Receive(hostile, Votes, nil)
	for i := range 5 {
		if _, _, err := s.all[i%3].put(ctx, fmt.Sprint("after", i)); err != nil {
			t.Fatal(err)
		}
	}
	if st, err := victim.Status(ctx); err != nil || st.Role != RoleValidator || st.Halted != "" {
		t.Errorf("the victim: %+v, %v", st, err)
	}
}
