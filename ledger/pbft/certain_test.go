package pbft

import (
	"errors"
	"testing"
)

// A block whose time one replica refuses may be committed by the others while it is
// being looked at. What it asked before anybody vouched for the block decides nothing
// then: it asks again, and only what it finds wrong of a block that is vouched for is a
// reason to halt.
func TestVerdictFromBeforeTheDecision(t *testing.T) {
	c := newCluster(t, 4, testConfig())
	c.hold = true
	c.build(c.nodes[0])
	c.deliver(-1, all)
	nd := c.nodes[2]
	check := nd.checks[0]
	nd.checks = nil
	if check.Vouched {
		t.Fatalf("%+v is vouched for already", check)
	}
	f := &fixture{cfg: c.cfg, start: c.start(0), verifier: c.verifier}
	out := c.receive(t, nd, f.decision(0, &check.Header, 0, 1, 3))
	c.act(nd, &out)
	if len(nd.checks) != 1 || !nd.checks[0].Vouched || nd.checks[0].Header != check.Header {
		t.Fatalf("it asks %+v, want the block again, vouched for", nd.checks)
	}
	refused := Checked{View: 0, Digest: check.Header.Digest()}
	if c.step(nd, refused); nd.halted != nil {
		t.Fatalf("it halts: %v", nd.halted)
	}
	if view, in := nd.View(); view != 0 || !in {
		t.Errorf("it leaves view 0 for %d because of a block that is committed", view)
	}
	refused.Vouched = true
	if c.step(nd, refused); !errors.Is(nd.halted, ErrDiverged) {
		t.Errorf("a committed block is invalid, and it goes on: %v", nd.halted)
	}
}

// A new leader signs what it carries over, whatever it knows about it itself. Whoever
// shows it that signature, as a proposal or as a vote, shows it nothing new: it does not
// mistake it for another process with its key.
func TestLeaderKnowsWhatItCarriesOver(t *testing.T) {
	c := newCluster(t, 4, testConfig())
	c.hold = true
	c.build(c.nodes[0])
	c.deliver(-1, all)
	nd := c.nodes[1]
	block := nd.checks[0].Header
	f := &fixture{cfg: c.cfg, start: c.start(0), verifier: c.verifier}
	lock := f.lock(0, &block, 0, 2, 3)
	for _, m := range []Message{
		f.decision(0, &block, 0, 2, 3), // committed, and not executed here yet
		f.change(0, 1, f.first(), lock), f.change(2, 1, f.first(), lock), f.change(3, 1, f.first(), lock),
	} {
		out := c.receive(t, nd, m)
		c.act(nd, &out)
	}
	if view, in := nd.View(); view != 1 || !in || len(nd.newView.Proposals) != 1 {
		t.Fatalf("view %d, entered %t, %v", view, in, nd.newView)
	}
	p := nd.newView.Proposals[0]
	for _, m := range []Message{p, &Vote{Subject: p.Subject(), Replica: 1, Sig: p.Sig}} {
		out := c.receive(t, nd, m)
		c.act(nd, &out)
		if nd.halted != nil {
			t.Fatalf("its own %v halts it: %v", m, nd.halted)
		}
	}
	// Another block at that place is none of its own.
	x := f.block(&c.genesis)
	out := c.receive(t, nd, f.vote(1, Prepare, 1, x))
	if c.act(nd, &out); !errors.Is(nd.halted, ErrKeyInUse) {
		t.Errorf("another's vote with its key: %v", nd.halted)
	}
}
