package pbft

import (
	"math/rand/v2"
	"testing"

	"github.com/decube/decube/ledger/quorum"
)

// fixture makes messages of one epoch, signed by whoever a test wants.
type fixture struct {
	cfg      Config
	start    Start
	verifier *Verifier
	serial   byte
}

func newFixture(t *testing.T, n int) *fixture {
	t.Helper()
	size, err := quorum.New(n)
	if err != nil {
		t.Fatal(err)
	}
	f := &fixture{cfg: testConfig()}
	f.start = Start{Epoch: 3, Committee: size, Header: Header{Epoch: 2, Seq: 100, Time: 1, State: Digest{1}, Next: Digest{7}}}
	f.verifier = NewVerifier(&f.cfg, &f.start, checkSums)
	return f
}

// block makes a new block on another.
func (f *fixture) block(on *Header) *Header {
	f.serial++
	return &Header{Epoch: f.start.Epoch, Seq: on.Seq + 1, Parent: on.Digest(), Time: 1, State: Digest{2, f.serial}, Committee: f.start.Header.Following()}
}

func (f *fixture) vote(r quorum.Replica, phase Phase, view uint64, h *Header) *Vote {
	v := &Vote{Subject: subject(phase, view, h, h.Digest()), Replica: r}
	f.signVote(v)
	return v
}

func (f *fixture) signVote(v *Vote) { v.Sig = signAs(v.Replica, v.Statement(f.cfg.Cluster)) }

func (f *fixture) cert(phase Phase, view uint64, h *Header, by ...quorum.Replica) Certificate {
	c := Certificate{Subject: subject(phase, view, h, h.Digest())}
	for _, r := range by {
		c.Sigs = append(c.Sigs, Signed{r, f.vote(r, phase, view, h).Sig})
	}
	return c
}

func (f *fixture) lock(view uint64, h *Header, by ...quorum.Replica) Lock {
	return Lock{*h, f.cert(Prepare, view, h, by...)}
}

func (f *fixture) decision(view uint64, h *Header, by ...quorum.Replica) *Decision {
	return &Decision{*h, f.cert(Commit, view, h, by...)}
}

// first is the base of a replica that has committed nothing in the epoch.
func (f *fixture) first() Certificate {
	s := subject(Commit, 0, &f.start.Header, f.start.Header.Digest())
	s.Epoch = f.start.Epoch
	return Certificate{Subject: s}
}

func (f *fixture) change(r quorum.Replica, view uint64, base Certificate, locks ...Lock) *ViewChange {
	vc := &ViewChange{Epoch: f.start.Epoch, View: view, Replica: r, Base: base, Locks: locks}
	f.signChange(vc)
	return vc
}

func (f *fixture) signChange(vc *ViewChange) {
	vc.Sig = signAs(vc.Replica, vc.Statement(f.cfg.Cluster))
}

func (f *fixture) proposal(view uint64, h *Header) *Proposal {
	p := &Proposal{View: view, Header: *h}
	p.Sig = signAs(f.start.leader(view), p.Subject().Statement(f.cfg.Cluster))
	return p
}

// newView makes what an honest leader makes of view changes.
func (f *fixture) newView(view uint64, changes ...*ViewChange) *NewView {
	n := &NewView{Epoch: f.start.Epoch, View: view, Changes: changes}
	for _, h := range carriedOver(changes) {
		n.Proposals = append(n.Proposals, f.proposal(view, &h))
	}
	f.signNewView(n)
	return n
}

func (f *fixture) signNewView(n *NewView) {
	n.Sig = signAs(f.start.leader(n.View), n.Statement(f.cfg.Cluster))
}

// quick runs check on random sources that differ from case to case and are the
// same in every run.
func quick(t *testing.T, cases uint64, check func(t *testing.T, rnd *rand.Rand)) {
	t.Helper()
	for i := range cases {
		check(t, rand.New(rand.NewPCG(1, i)))
		if t.Failed() {
			t.Fatalf("case %d", i)
		}
	}
}
