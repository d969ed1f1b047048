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

// Votes of the next epoch wait in 64 KiB for each sender: nobody takes others' room,
// and nothing but votes waits.
func TestEarlyFramesAreBounded(t *testing.T) {
	var e earlyFrames
	vote := codec.Message{Message: &pbft.Vote{}}
	size := len(messageFrame(&pbft.Vote{}))
	e.add(arrival{sig.PublicKey{1}, codec.Message{Message: &pbft.NewView{}}, 100})
	e.add(arrival{sig.PublicKey{1}, codec.Proposal{Proposal: &pbft.Proposal{}, Encoded: make([]byte, 1)}, 100})
	if got := e.take(); len(got) > 0 {
		t.Errorf("%d frames wait that are no votes", len(got))
	}
	for range 10_000 {
		e.add(arrival{sig.PublicKey{1}, vote, size})
	}
	for i := range 1000 {
		e.add(arrival{sig.PublicKey{2, byte(i), byte(i >> 8)}, vote, size})
	}
	if most := maxEarly / size; len(e.frames) != most+maxEarlySenders-1 {
		t.Errorf("%d votes wait, want %d of one sender and one of each of %d more", len(e.frames), most, maxEarlySenders-1)
	}
	if e.add(arrival{sig.PublicKey{2}, vote, size}); len(e.take()) == 0 || len(e.take()) != 0 {
		t.Error("what waits is not handed over once")
	}
	if e.add(arrival{sig.PublicKey{1}, vote, size}); len(e.take()) != 1 {
		t.Error("there is no room after the epoch's begin")
	}
}

// Transactions go out in frames that any replica accepts, however small blocks may be.
func TestTransactionsFitTheSmallestFrame(t *testing.T) {
	p := genesis.DefaultParams()
	p.MaxBlockBytes = 128 << 10
	if err := p.Validate(); err != nil {
		t.Fatal(err)
	}
	const count = 2 // of the number of transactions
	for _, size := range []int{spreadSize, tx.MaxSize + 3} {
		f := codec.AppendFrame(nil, codec.Transactions{Encoded: make([]byte, count+size)})
		if _, err := codec.DecodeFrame(f, codec.LimitsOf(&p, 0)); err != nil {
			t.Errorf("%d bytes: %v", size, err)
		}
	}
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
