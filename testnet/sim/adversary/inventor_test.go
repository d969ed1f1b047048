package adversary

import (
	"reflect"
	"testing"

	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/ledger/quorum"
)

// begins has inventors begin a view until one of them lies, and returns that one with what
// it said.
func (s *scene) begins(t *testing.T, n *pbft.NewView) (*inventor, []Packet) {
	t.Helper()
	for range 100 {
		v := &inventor{}
		if out := v.Send(s.Replica, []pbft.Envelope{{All: true, Message: n}}); v.lied {
			return v, out
		}
	}
	t.Fatal("no inventor has lied")
	return nil, nil
}

// Replica 0 has committed block 1 and is to be left out: then nobody knows that it is
// committed, and another block 2 can be proposed on top of it as if there were none.
func TestInventorBeginsWithThoseBehind(t *testing.T) {
	s := newScene(t, 3)
	two := s.changes[1].Locks[1].Header
	s.Hear(&pbft.Proposal{View: 1, Header: two})
	n := s.follow(&pbft.NewView{Epoch: 1, View: 2, Changes: []*pbft.ViewChange{s.changes[0], s.changes[1], s.changes[3]}})
	for range 20 {
		_, out := s.begins(t, n)
		if len(out) != 3 {
			t.Fatalf("began with %d messages", len(out))
		}
		begun, _ := out[0].Message.(*pbft.NewView)
		var by []quorum.Replica
		for _, vc := range begun.Changes {
			by = append(by, vc.Replica)
		}
		if !reflect.DeepEqual(by, []quorum.Replica{1, 2, 3}) || begun.Changes[2].Base.Seq == 0 || len(begun.Proposals) > 0 {
			t.Errorf("began with %v of %v", begun, by)
		}
		p, _ := out[1].Message.(*pbft.Proposal)
		if p.Header.Seq != 2 || p.Header.Parent != two.Parent || p.Header == two {
			t.Errorf("proposed %v", &p.Header)
		}
		if _, errs := s.verifier.Verify(out[0].Message, out[1].Message, out[2].Message); errs[0] == nil || errs[1] != nil || errs[2] != nil {
			t.Errorf("verifying it: %v", errs)
		}
	}
}

// Of equal bases the first counts: with all others at one base, an inventor that comes first
// puts its own beside it, and all that they hold is left out.
func TestInventorComesFirst(t *testing.T) {
	s := newScene(t, 0)
	own := &pbft.ViewChange{Epoch: 1, View: 2, Replica: 0, Base: s.changes[0].Base}
	chosen, below := s.furthestBehind([]*pbft.ViewChange{s.changes[3], s.changes[1], s.changes[2]})
	if len(chosen) != 2 || below.Seq != 0 {
		t.Fatalf("chose %v beside %v", chosen, below)
	}
	changes := append([]*pbft.ViewChange{s.invent(own, below.Seq)}, chosen...)
	if carried := pbft.CarriedOver(changes); len(carried) > 0 {
		t.Errorf("%v are carried over", carried)
	}
	if chosen, _ := s.furthestBehind(s.changes[1:2]); chosen != nil {
		t.Errorf("chose %v, which are too few", chosen)
	}
}

// Who was told of a view's beginning is told the same again, and nothing that is against it.
func TestInventorKeepsToItsLie(t *testing.T) {
	s := newScene(t, 3)
	v, first := s.begins(t, s.newView)
	for range 20 {
		again := v.Send(s.Replica, []pbft.Envelope{{To: 1, Message: s.newView}})
		if len(again) != len(first) || again[0].All || again[0].To != 1 || again[0].Message != first[0].Message {
			t.Fatalf("said %v, and then %v", first, again)
		}
	}
	h := s.changes[1].Locks[0].Header
	own := pbft.Subject{Phase: pbft.Prepare, Epoch: 1, View: 2, Seq: 1, Digest: h.Digest()}
	for _, m := range []pbft.Message{s.proposal, s.vote(own)} {
		if out := v.Send(s.Replica, []pbft.Envelope{{All: true, Message: m}}); len(out) > 0 {
			t.Errorf("said %v in a view that began without it", m)
		}
	}
}

// What it helps to commit it shows to one replica.
func TestInventorLetsOneCommit(t *testing.T) {
	s := newScene(t, 3)
	v := &inventor{}
	for seq := range uint64(6) {
		c := pbft.Subject{Phase: pbft.Commit, Epoch: 1, View: 1, Seq: seq + 1, Digest: pbft.Digest{1}}
		out := v.Send(s.Replica, []pbft.Envelope{{All: true, Message: s.vote(c)}})
		if len(out) != 1 || out[0].All || out[0].To == 3 {
			t.Errorf("%v goes to %v", c, out)
		}
	}
	d := &pbft.Decision{Header: s.changes[1].Locks[0].Header, Cert: s.changes[0].Base}
	if out := v.Send(s.Replica, []pbft.Envelope{{To: 1, Message: d}}); len(out) > 0 {
		t.Errorf("told others of a decision: %v", out)
	}
}
