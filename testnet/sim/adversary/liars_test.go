package adversary

import (
	"bytes"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/ledger/quorum"
)

// scene is a view change of four replicas, all of whose messages verify: replica 0 has
// committed block 1, the others hold locks on it and on block 2. Replica 3 leads view 2.
type scene struct {
	*Replica
	verifier *pbft.Verifier
	proposal *pbft.Proposal // by replica 3
	changes  []*pbft.ViewChange
	newView  *pbft.NewView
}

func signed(by quorum.Replica, statement []byte) (sig pbft.Signature) {
	rnd := rand.New(rand.NewPCG(uint64(by), 0))
	for i, b := range statement {
		sig[i%63] += b ^ byte(rnd.Uint32())
	}
	sig[63] = byte(by)
	return sig
}

func newScene(t *testing.T, self quorum.Replica) *scene {
	t.Helper()
	r := place(t, self)
	r.Start = pbft.Header{Next: pbft.Digest{7}}
	r.Sign = func(statement []byte) pbft.Signature { return signed(self, statement) }
	s := &scene{Replica: r, verifier: &pbft.Verifier{
		Epoch: 1, Committee: r.Committee, Set: pbft.Digest{7}, Window: r.Window, Start: r.Start.Digest(),
		Check: func(items []pbft.Item) []bool {
			good := make([]bool, len(items))
			for i := range items {
				want := signed(items[i].Replica, items[i].Statement)
				good[i] = bytes.Equal(want[:], items[i].Sig[:])
			}
			return good
		},
	}}
	one := pbft.Header{Epoch: 1, Seq: 1, Parent: r.Start.Digest(), Committee: pbft.Digest{7}, Time: 5}
	two := pbft.Header{Epoch: 1, Seq: 2, Parent: one.Digest(), Committee: pbft.Digest{7}, Time: 6}
	l1, l2 := pbft.Lock{Header: one, Cert: cert(pbft.Prepare, &one)}, pbft.Lock{Header: two, Cert: cert(pbft.Prepare, &two)}
	change := func(by quorum.Replica, view uint64, base pbft.Certificate, locks ...pbft.Lock) *pbft.ViewChange {
		vc := &pbft.ViewChange{Epoch: 1, View: view, Replica: by, Base: base, Locks: locks}
		vc.Sig = signed(by, vc.Statement(r.Cluster))
		return vc
	}
	r.Hear(change(1, 1, r.first(), l1)) // an older one
	s.changes = []*pbft.ViewChange{
		change(0, 2, cert(pbft.Commit, &one)), change(1, 2, r.first(), l1, l2), change(2, 2, r.first(), l1), change(3, 2, r.first(), l1, l2),
	}
	for _, vc := range s.changes {
		r.Hear(vc)
	}
	n := &pbft.NewView{Epoch: 1, View: 2, Changes: s.changes[1:]}
	s.newView = r.follow(n)
	three := pbft.Header{Epoch: 1, Seq: 3, Parent: two.Digest(), Committee: pbft.Digest{7}, Time: 7}
	s.proposal, _ = r.resign(&pbft.Proposal{View: 2, Header: three}).(*pbft.Proposal)
	return s
}

func cert(phase pbft.Phase, h *pbft.Header) pbft.Certificate {
	c := pbft.Certificate{Subject: pbft.Subject{Phase: phase, Epoch: 1, Seq: h.Seq, Digest: h.Digest(), State: h.State}}
	for by := range quorum.Replica(3) {
		c.Sigs = append(c.Sigs, pbft.Signed{Replica: by, Sig: signed(by, c.Statement(pbft.Digest{}))})
	}
	return c
}

// said is what many strategies of one kind made of one message: how often they said
// something else, how often that verified, and how often it did not.
type said struct{ other, good, bad int }

func (s *scene) says(name string, m pbft.Message) said {
	var x said
	for range 200 {
		for _, p := range New(name).Send(s.Replica, []pbft.Envelope{{All: true, Message: m}}) {
			if reflect.DeepEqual(p.Message, m) {
				continue
			}
			x.other++
			if _, errs := s.verifier.Verify(p.Message); errs[0] == nil {
				x.good++
			} else {
				x.bad++
			}
		}
	}
	return x
}

// The liars lie, and about what can be seen from messages alone honest replicas need
// not believe them. What is in the right form all the same is for the core to refuse.
func TestLies(t *testing.T) {
	s := newScene(t, 3)
	if _, errs := s.verifier.Verify(s.newView, s.changes[3], s.proposal); errs[0] != nil || errs[1] != nil || errs[2] != nil {
		t.Fatal(errs)
	}
	for _, c := range []struct {
		name      string
		m         pbft.Message
		good, bad bool
	}{
		{"lock-stripper", s.newView, true, true}, // its own locks are its own to leave out, or for others to miss
		{"base-inventor", s.newView, false, true},
		{"base-inventor", s.changes[3], false, true},
		{"proof-withholder", s.newView, false, true},
		{"lock-stacker", s.newView, true, true}, // above a gap, claims decide nothing
		{"lock-stacker", s.changes[3], false, true},
		{"impostor", s.proposal, true, true}, // times and ends are for who executes
		{"relabeler", s.newView, false, true},
		{"relabeler", s.proposal, false, true},
	} {
		got := s.says(c.name, c.m)
		if got.other == 0 || (got.good > 0) != c.good || (got.bad > 0) != c.bad {
			t.Errorf("%s made of %v %d others, of which %d verify", c.name, c.m, got.other, got.good)
		}
	}
}

// A NEW-VIEW loses what does not decide anything by being encoded, and is as good as
// before.
func TestStripLeavesTheFoundation(t *testing.T) {
	s := newScene(t, 3)
	n := *s.newView
	n.Changes = s.changes
	whole := s.follow(&n)
	bare := Strip(whole)
	if _, errs := s.verifier.Verify(bare); errs[0] != nil {
		t.Error(errs[0])
	}
	if len(bare.Changes[1].Base.Sigs)+len(bare.Changes[1].Locks[0].Cert.Sigs) > 0 || len(bare.Changes[1].Locks[1].Cert.Sigs) == 0 {
		t.Errorf("what is left: %+v", bare.Changes[1])
	}
	if len(whole.Changes[1].Locks[0].Cert.Sigs) == 0 {
		t.Error("the whole one was stripped")
	}
}

func TestLockStripperChoosesTheLowest(t *testing.T) {
	s := newScene(t, 3)
	var shorter, older bool
	signedEarlier := func(vc *pbft.ViewChange) bool {
		return slices.ContainsFunc(s.Heard, func(m pbft.Message) bool {
			x, ok := m.(*pbft.ViewChange)
			return ok && x.View < vc.View && x.Sig == vc.Sig
		})
	}
	for range 100 {
		for _, p := range New("lock-stripper").Send(s.Replica, []pbft.Envelope{{All: true, Message: s.newView}}) {
			n, ok := p.Message.(*pbft.NewView)
			if !ok {
				continue
			}
			for _, vc := range n.Changes {
				older = older || signedEarlier(vc)
				shorter = shorter || (vc.Replica != 3 && vc.View == n.View && len(vc.Locks) < 2)
			}
		}
	}
	if !shorter || !older {
		t.Errorf("lower locks %t, older view changes %t", shorter, older)
	}
}

// A leader's proposal is its vote as well: whoever has it can pass it on as that.
func TestRelabelerMakesVotesOfProposals(t *testing.T) {
	s := newScene(t, 2)
	s.proposal.Sig = signed(3, s.proposal.Subject().Statement(s.Cluster))
	listener, _ := New("relabeler").(Listener)
	for _, p := range listener.Listen(s.Replica, s.proposal) {
		if v, ok := p.Message.(*pbft.Vote); ok && v.Replica == 3 {
			if _, errs := s.verifier.Verify(v); errs[0] != nil {
				t.Error(errs[0])
			}
			return
		}
	}
	t.Error("the proposal was not passed on")
}

func TestOnceAndSilent(t *testing.T) {
	s := newScene(t, 3)
	strategy, proposals := New("once-and-silent"), 0
	for range 40 {
		blocks := map[pbft.Digest]bool{}
		for _, p := range strategy.Send(s.Replica, []pbft.Envelope{{All: true, Message: s.proposal}}) {
			if m, ok := p.Message.(*pbft.Proposal); ok {
				blocks[m.Header.Digest()] = true
			}
		}
		if proposals += len(blocks); len(blocks) == 2 {
			if out := strategy.Send(s.Replica, []pbft.Envelope{{All: true, Message: s.changes[3]}}); len(out) > 0 {
				t.Errorf("says %v after it has said two things", out)
			}
			return
		}
	}
	t.Errorf("%d proposals, and never two at once", proposals)
}

// What floods is in order: it costs others the most.
func TestFloodVerifies(t *testing.T) {
	s := newScene(t, 3)
	ticker, _ := New("flooder").(Ticker)
	kinds := map[reflect.Type]int{}
	for range 300 {
		for _, p := range ticker.Tick(s.Replica) {
			if _, errs := s.verifier.Verify(p.Message); errs[0] != nil {
				t.Fatal(errs[0])
			}
			kinds[reflect.TypeOf(p.Message)]++
		}
	}
	if len(kinds) != 4 { // votes of three phases are one type
		t.Errorf("flooded with %v", kinds)
	}
}

func TestRenewerCensorsAndRenews(t *testing.T) {
	s := New("renewer")
	c, censors := s.(Censor)
	r, renews := s.(Renewer)
	if !censors || !renews || !c.Censors(0) || c.Censors(1) || !r.Renews() {
		t.Error("it is as honest as any")
	}
}

func TestLiarsExist(t *testing.T) {
	for _, name := range Liars() {
		if New(name) == nil {
			t.Errorf("no strategy %q", name)
		}
	}
}
