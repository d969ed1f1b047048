package sim

import (
	"slices"

	"github.com/decube/decube/ledger/pbft"
)

// forked is called in runs with too many faulty replicas, when two blocks are
// certified for one sequence number. What the honest replicas hold must prove the
// guilt of more replicas than a committee withstands, and of no honest one (S9). That
// holds for the lowest fork. Above it, view changes can have bases that contradict
// each other, and a new view drops a block without anybody's having lied about it.
func (o *oracle) forked(a, b *formed) {
	if a.epoch != b.epoch {
		return
	}
	o.w.stats.Forks++
	consequence := o.votes.lowest < a.seq && o.votes.lowest > 0
	if !consequence {
		o.votes.lowest = a.seq
	}
	if !consequence && o.votes.parents[a.digest] != o.votes.parents[b.digest] {
		o.broken("S9", "a fork at %d of blocks that stand on different ones, and none was seen below", a.seq)
	}
	e := o.epochOf(a.epoch)
	evidence := pbft.Blame(o.assemble(a), o.assemble(b), o.newViews(a.epoch))
	var guilty members
	for i := range evidence {
		x := &evidence[i]
		who := e.order[x.Guilty()]
		if err := e.verifier.Proves(x); err != nil {
			o.broken("S9", "evidence after a fork proves nothing: %v: %v", x, err)
		}
		if o.trusted(who) {
			o.broken("S9", "after a fork at %d, replica %d is blamed, who is honest: %v", a.seq, x.Guilty(), x)
		}
		guilty |= 1 << who
	}
	if !consequence && guilty.size() <= maxFaulty(len(e.order)) {
		o.broken("S9", "after a fork at %d in views %d and %d, only %v are blamed", a.seq, a.view, b.view, guilty)
	}
}

// epochOf returns the epoch of a number that has begun first.
func (o *oracle) epochOf(number uint64) *epoch {
	for _, n := range o.w.nodes {
		if n.epoch != nil && n.epoch.number == number {
			return n.epoch
		}
	}
	return o.w.epochAfter(&o.w.first)
}

// assemble makes a certificate of the signatures that are out.
func (o *oracle) assemble(f *formed) *pbft.Certificate {
	s := pbft.Subject{Phase: pbft.Commit, Epoch: f.epoch, View: f.view, Seq: f.seq, Digest: f.digest, State: f.state}
	p := o.votes.cast[s.Place()]
	sigs := slices.Clone(p.choices[p.find(f.digest, f.state)].sigs)
	slices.SortFunc(sigs, func(a, b pbft.Signed) int { return int(a.Replica) - int(b.Replica) })
	return &pbft.Certificate{Subject: s, Sigs: sigs}
}

// newViews gathers how views began, from the logs of honest replicas.
func (o *oracle) newViews(epoch uint64) []*pbft.NewView {
	var out []*pbft.NewView
	for _, n := range o.w.nodes {
		if !o.honest(n) {
			continue
		}
		for i := range n.disk.log {
			if r, ok := n.disk.log[i].record.(pbft.EnteredRecord); ok && r.NewView.Epoch == epoch {
				out = append(out, r.NewView)
			}
		}
	}
	slices.SortStableFunc(out, func(a, b *pbft.NewView) int {
		if a.View < b.View {
			return -1
		}
		return 1
	})
	return out
}
