package pbft

import "testing"

// A leader's PREPARE may come as a mere vote before its proposal does: anybody can pass
// it on so. The proposal is needed all the same, as it has the header.
func TestProposalAfterItsVoteIsUseful(t *testing.T) {
	c := newCluster(t, 4, testConfig())
	f := &fixture{cfg: c.cfg, start: c.start(0), verifier: c.verifier}
	p := f.proposal(0, f.block(&c.genesis))
	v := &Vote{Subject: p.Subject(), Replica: 0, Sig: p.Sig}
	nd := c.nodes[2]
	for _, m := range []Message{v, p} {
		if !nd.Useful(m) {
			t.Fatalf("%v is of no use", m)
		}
		out := c.receive(t, nd, m)
		c.act(nd, &out)
		if nd.Useful(v) {
			t.Errorf("after %v, the vote is of use a second time", m)
		}
	}
	if nd.Useful(p) || len(nd.Slots()) != 1 {
		t.Errorf("the proposal is of use again, slots %+v", nd.Slots())
	}
}
