package sim

import (
	"slices"

	"github.com/decube/decube/internal/sig"
	"github.com/decube/decube/ledger/driver"
	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/ledger/quorum"
)

// forks are what is known of forks, in runs with more faulty nodes than the validators
// withstand.
type forks struct {
	parents map[pbft.Digest]pbft.Digest // of what was proposed
	lowest  uint64                      // the lowest number with two certificates; 0 for none

	here  map[uint64]pbft.Digest // what the first honest node has committed
	split uint64                 // a number at which another one has committed something else
	told  map[*node]*driver.Fork // honest nodes that show a fork
}

func newForks() forks {
	return forks{parents: map[pbft.Digest]pbft.Digest{}, here: map[uint64]pbft.Digest{}, told: map[*node]*driver.Fork{}}
}

func (f *forks) proposed(p *pbft.Proposal) { f.parents[p.Header.Digest()] = p.Header.Parent }

// delivered takes note of what an honest node has committed.
func (f *forks) delivered(h *pbft.Header) {
	digest := h.Digest()
	if other, known := f.here[h.Seq]; known && other != digest && (f.split == 0 || h.Seq < f.split) {
		f.split = h.Seq
	} else if !known {
		f.here[h.Seq] = digest
	}
}

// forked is told of two blocks that are certified for one number. What honest nodes hold
// must prove the guilt of more validators than a committee withstands, and of no honest
// one (S9). That holds for the lowest fork. Above it, view changes can have bases that
// contradict each other, and a new view drops a block without anybody's having lied.
func (o *oracle) forked(a, b *formed) {
	if !o.w.cfg.Fork || a.epoch != b.epoch {
		return
	}
	o.w.stats.Forks++
	lowest := o.forks.lowest == 0 || a.seq <= o.forks.lowest
	if lowest {
		o.forks.lowest = a.seq
	}
	if lowest && o.forks.parents[a.digest] != o.forks.parents[b.digest] {
		o.broken("S9", "a fork at %d of blocks that stand on different ones, and none was seen below", a.seq)
	}
	set := o.votes.known[a.epoch]
	guilty := map[quorum.Replica]bool{}
	for _, e := range pbft.Blame(o.assemble(a), o.assemble(b), o.newViews(a.epoch)) {
		if e.Kind == pbft.Equivocation && e.First.Subject == e.Second.Subject {
			o.broken("S9", "evidence after a fork proves nothing: %v", &e)
		}
		if o.trusted(set[e.Guilty()]) {
			o.broken("S9", "after a fork at %d, replica %d is blamed, who is honest: %v", a.seq, e.Guilty(), &e)
		}
		guilty[e.Guilty()] = true
	}
	if lowest && len(guilty) <= faulty(len(set)) {
		o.broken("S9", "after a fork at %d in views %d and %d, only %d are blamed", a.seq, a.view, b.view, len(guilty))
	}
}

// assemble makes a certificate of the signatures that are out.
func (o *oracle) assemble(f *formed) *pbft.Certificate {
	s := pbft.Subject{Phase: pbft.Commit, Epoch: f.epoch, View: f.view, Seq: f.seq, Digest: f.digest, State: f.state}
	p := o.votes.cast[s.Place()]
	sigs := slices.Clone(p.choices[p.find(f.digest, f.state)].sigs)
	slices.SortFunc(sigs, func(a, b pbft.Signed) int { return int(a.Replica) - int(b.Replica) })
	return &pbft.Certificate{Subject: s, Sigs: sigs}
}

// newViews gathers how views began, from what honest nodes have kept.
func (o *oracle) newViews(epoch uint64) (out []*pbft.NewView) {
	for _, n := range o.w.nodes {
		if n.program == nil || !o.honest(n) {
			continue
		}
		if kept, err := n.program.shell.Archive().NewViews(epoch); err == nil {
			out = append(out, kept...)
		}
		m, err := n.disk.remember(o.w)
		if err != nil {
			continue
		}
		for _, rec := range m.Records(epoch) {
			if r, ok := rec.(pbft.EnteredRecord); ok {
				out = append(out, r.NewView)
			}
		}
	}
	slices.SortStableFunc(out, func(a, b *pbft.NewView) int { return int(a.View) - int(b.View) })
	return out
}

// alarmed looks at a fork that an honest node shows.
func (o *oracle) alarmed(n *node, f *driver.Fork) {
	if !o.w.cfg.Fork {
		o.broken("S9", "node %d shows a fork, and there is none", n.id)
	}
	o.forks.told[n] = f
	for _, key := range f.Guilty {
		if o.trusted(key) {
			o.broken("S9", "node %d blames node %d for a fork, which is honest", n.id, o.w.byKey[key].id)
		}
	}
}

// untold returns the honest nodes that do not show a fork, or go on voting.
func (o *oracle) untold() (out []int) {
	for _, n := range o.w.nodes {
		if o.honest(n) && n.votes && (o.forks.told[n] == nil || n.program == nil || n.program.view.Halted == "") {
			out = append(out, n.id)
		}
	}
	return out
}

// forkTold reports whether all honest nodes have noticed a fork, if honest nodes have
// committed both sides of one, and have together what shows whose fault the lowest is. One
// alone may not: who has seen one side only stops before it hears how a view on the other
// side began.
func (o *oracle) forkTold() bool {
	if o.forks.split == 0 {
		return true
	}
	if len(o.untold()) > 0 {
		return false
	}
	guilty, lowest := map[sig.PublicKey]bool{}, false
	for _, n := range o.w.nodes {
		f := o.forks.told[n]
		if f == nil {
			continue
		}
		for _, key := range f.Guilty {
			guilty[key] = true
		}
		if f.First == nil || f.First.Header.Seq != f.Second.Header.Seq || f.Second.Header.Seq != o.forks.lowest {
			continue
		}
		lowest = true
		set := o.votes.known[f.First.Header.Epoch]
		for _, e := range pbft.Blame(&f.First.Cert, &f.Second.Cert, o.newViews(f.First.Header.Epoch)) {
			guilty[set[e.Guilty()]] = true
		}
	}
	if lowest && len(guilty) <= faulty(o.w.cfg.Validators) {
		o.broken("S9", "what nodes have shows %d to be guilty of a fork at %d: too few", len(guilty), o.forks.lowest)
	}
	return true
}
