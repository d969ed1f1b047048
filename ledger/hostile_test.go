package ledger

import (
	"bytes"
	"context"
	"fmt"
	"testing"

	"github.com/decube/decube/internal/sig"
	"github.com/decube/decube/ledger/codec"
	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/ledger/tx"
)

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
	d := &pbft.Decision{Header: pbft.Header{Epoch: 1, Seq: 9, State: pbft.Digest{2}, Body: tx.Root(nil)}}
	d.Cert.Subject = pbft.Subject{Phase: pbft.Commit, Epoch: 1, View: 3, Seq: 9, Digest: d.Header.Digest(), State: d.Header.State}
	d.Cert.Sigs = []pbft.Signed{{Replica: 0}, {Replica: 2}, {Replica: 3}}
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
		{0x01},
		{0x01, 0xff},
		{0x41},
		{0x42, 0x80},
		{0x43, 0xff, 0xff},
		{0x44},
		{0x45, 1},
		append([]byte{0x01}, large...), append([]byte{0x41}, large...), append([]byte{0x43}, large...),
		vote(0), vote(1), vote(1 << 40), messageFrame(signed), messageFrame(signed), messageFrame(otherNetwork),
		messageFrame(&pbft.Decision{Header: d.Header, Cert: d.Cert}),
		codec.AppendFrame(nil, codec.Want{Root: pbft.Digest{9}, Seq: 1}),
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
