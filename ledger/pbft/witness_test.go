package pbft

import (
	"slices"
	"testing"

	"github.com/decube/decube/ledger/quorum"
)

// witness sees all that replicas send, and finds the honest ones that contradict
// themselves. It is not told how replicas decide, only what honesty means.
type witness struct {
	size    int
	liars   quorum.Set
	votes   []*Vote
	changes []*ViewChange
	known   map[Vote]bool
	faults  []string
}

func newWitness(c *cluster) *witness {
	return &witness{size: c.size.Size(), known: map[Vote]bool{}}
}

func (w *witness) byzantine(r quorum.Replica) { w.liars.Add(r) }

// sent judges one message of a replica by all that it sent before.
func (w *witness) sent(from quorum.Replica, m Message) {
	for _, v := range w.collect(m) {
		if w.liars.Has(from) {
			continue
		}
		for _, old := range w.votes {
			if contradict(old, v) {
				w.faults = append(w.faults, old.String()+" contradicts "+v.String())
			}
		}
		for _, vc := range w.changes {
			if vc.Replica == from && v.Phase != Checkpoint && vc.Epoch == v.Epoch && v.View < vc.View {
				w.faults = append(w.faults, v.String()+" after "+vc.String())
			}
		}
	}
	vc, ok := m.(*ViewChange)
	if !ok {
		return
	}
	for _, old := range w.votes {
		if !w.liars.Has(from) && forgets(old, vc) {
			w.faults = append(w.faults, vc.String()+" forgets "+old.String())
		}
	}
	for _, old := range w.changes {
		if !w.liars.Has(from) && old.Replica == from && old.View == vc.View && old.String() != vc.String() {
			w.faults = append(w.faults, vc.String()+" is not "+old.String())
		}
	}
}

// collect keeps the votes and view changes in a message, and returns the votes
// among its sender's own that are new.
func (w *witness) collect(m Message) []*Vote {
	var own []*Vote
	switch m := m.(type) {
	case *Vote:
		own = append(own, m)
	case *Proposal:
		own = append(own, w.proposed(m))
	case *NewView:
		for _, p := range m.Proposals {
			own = append(own, w.proposed(p))
		}
	case *ViewChange:
		w.changes = append(w.changes, m)
	}
	own = slices.DeleteFunc(own, func(v *Vote) bool { return w.known[*v] })
	for _, v := range own {
		w.known[*v] = true
	}
	w.votes = append(w.votes, own...)
	return own
}

// proposed returns a proposal as the vote of its leader that it is.
func (w *witness) proposed(p *Proposal) *Vote {
	leader := quorum.Replica(p.View % uint64(w.size))
	return &Vote{Subject: p.Subject(), Replica: leader, Sig: p.Sig}
}

func (w *witness) voted(r quorum.Replica, s Subject) *Vote {
	for _, v := range w.votes {
		if v.Replica == r && v.Subject == s {
			return v
		}
	}
	return nil
}

// change returns the view change of a replica for a view.
func (w *witness) change(t *testing.T, r quorum.Replica, view uint64) *ViewChange {
	t.Helper()
	for _, vc := range slices.Backward(w.changes) {
		if vc.Replica == r && vc.View == view {
			return vc
		}
	}
	t.Fatalf("replica %d did not ask for view %d", r, view)
	return nil
}

// finish looks at the whole run: chains, evidence, contradictions.
func (w *witness) finish(t *testing.T, c *cluster) {
	t.Helper()
	for _, f := range w.faults {
		t.Errorf("an honest replica: %s", f)
	}
	var longest []*Decision
	for _, nd := range c.nodes {
		if len(nd.chain) > len(longest) && !w.liars.Has(nd.id) {
			longest = nd.chain
		}
	}
	for _, nd := range c.nodes {
		w.finishNode(t, c, nd, longest)
	}
}

func (w *witness) finishNode(t *testing.T, c *cluster, nd *node, longest []*Decision) {
	t.Helper()
	for i := range nd.saw {
		e := &nd.saw[i]
		if err := c.verifier.Proves(e); err != nil {
			t.Errorf("evidence that proves nothing: %v", err)
		}
		if !w.liars.Has(e.Guilty()) {
			t.Errorf("honest replica accused: %v", e)
		}
	}
	if w.liars.Has(nd.id) {
		return
	}
	for i, d := range nd.chain {
		if d.Header.Seq != uint64(i+1) || d.Cert.Digest != longest[i].Cert.Digest {
			t.Errorf("replica %d has %v after %d blocks, another has %v", nd.id, d, i, longest[i])
		}
	}
}
