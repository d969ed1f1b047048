package nodes

import (
	"cmp"
	"slices"

	"github.com/decube/decube/ledger/journal"
	"github.com/decube/decube/ledger/pbft"
)

// bind adds to what a node is bound by what it says now, with its own signature.
func (o *oracle) bind(n *node, m pbft.Message) {
	epoch := pbft.EpochOf(m)
	set := o.votes.known[epoch]
	self, member := set.Replica(n.key.Public())
	if !member {
		return
	}
	p := o.left[n]
	if p == nil || p.Epoch < epoch {
		p = &pbft.Promise{Epoch: epoch, Entered: true}
		o.left[n] = p
	}
	if p.Epoch > epoch {
		return
	}
	switch m := m.(type) {
	case *pbft.Proposal:
		if leaderOf(set, epoch, m.View) == self {
			bindVote(p, m.Subject())
		}
	case *pbft.Vote:
		if m.Replica == self {
			bindVote(p, m.Subject)
		}
	case *pbft.ViewChange:
		if m.Replica != self {
			return
		}
		if m.View > p.View {
			p.View, p.Entered, p.Accepted = m.View, false, nil
		}
		for i := range m.Locks {
			bindLock(p, m.Locks[i].Claim())
		}
	case *pbft.NewView:
		if leaderOf(set, epoch, m.View) == self {
			bindView(p, m.View)
		}
	}
}

func bindView(p *pbft.Promise, view uint64) {
	if view > p.View || (view == p.View && !p.Entered) {
		p.View, p.Entered, p.Accepted = view, true, nil
	}
}

func bindVote(p *pbft.Promise, s pbft.Subject) {
	if s.Phase == pbft.Checkpoint {
		return
	}
	bindView(p, s.View)
	c := pbft.Claim{View: s.View, Seq: s.Seq, Digest: s.Digest}
	switch {
	case s.Phase == pbft.Commit:
		bindLock(p, c)
	case s.View == p.View && p.Entered && !slices.Contains(p.Accepted, c):
		p.Accepted = append(p.Accepted, c)
	}
}

func bindLock(p *pbft.Promise, c pbft.Claim) {
	for i := range p.Locks {
		if p.Locks[i].Seq == c.Seq {
			if c.View > p.Locks[i].View {
				p.Locks[i] = c
			}
			return
		}
	}
	p.Locks = append(p.Locks, c)
	slices.SortFunc(p.Locks, func(a, b pbft.Claim) int { return cmp.Compare(a.Seq, b.Seq) })
}

// sampled is how many messages leave between two looks at a disk.
const sampled = 48

// recorded checks that a crash now would not have the node forget what it says. It looks
// at one of many, and at a checkpoint always.
func (o *oracle) recorded(n *node, m pbft.Message) {
	if v, ok := m.(*pbft.Vote); ok && v.Phase == pbft.Checkpoint {
		if self, member := o.votes.known[v.Epoch].Replica(n.key.Public()); member && self == v.Replica {
			o.archived(n, v)
		}
		return
	}
	if o.sends++; o.sends%sampled == 0 {
		o.survives(n, n.disk.clone(o.w))
	}
}

// archived checks that a checkpoint is durable that a node says it has stored.
func (o *oracle) archived(n *node, v *pbft.Vote) {
	d := &disk{fs: n.disk.fs, store: n.disk.store.Clone()}
	d.store.Crash(0)
	if head, err := d.archived(o.w); err != nil || head < v.Seq {
		o.broken("S4", "node %d sends %v, but its archive is durable up to %d only: %v", n.id, v, head, err)
	}
}

// crashed checks what a crash has left.
func (o *oracle) crashed(n *node) {
	if o.honest(n) {
		o.survives(n, n.disk)
	}
}

// survives checks that what a disk gives binds the node to all that has left it (S4).
func (o *oracle) survives(n *node, d *disk) {
	said := o.left[n]
	if said == nil || !n.votes {
		return
	}
	head, err := d.archived(o.w)
	if err != nil {
		o.broken("S4", "the archive of node %d does not open after a crash: %v", n.id, err)
		return
	}
	m, err := d.remember(o.w)
	if err != nil {
		o.broken("S4", "the log of node %d does not open after a crash: %v", n.id, err)
		return
	}
	known := o.promised(m, max(head, m.Decided()), said.Epoch)
	if err := said.Within(&known); err != nil {
		o.broken("S4", "node %d forgets in a crash what it has said: %v\nit said  %v\nit knows %v", n.id, err, said, &known)
	}
}

// promised returns what a log and an archive up to base bind a node to in an epoch, in
// the oracle's own reading.
func (o *oracle) promised(m *journal.Memory, base, epoch uint64) pbft.Promise {
	p := pbft.Promise{Epoch: epoch, Base: base, Entered: true}
	if b := o.chain.at(base); b != nil && (b.header.Epoch > epoch || (b.header.Epoch == epoch && b.header.Last())) {
		p.Epoch = epoch + 1 // all that was said in the epoch is void
		return p
	}
	records := m.Records(epoch)
	for _, r := range records {
		switch r := r.(type) {
		case pbft.ChangeRecord:
			if r.Change.View > p.View {
				p.View, p.Entered = r.Change.View, false
			}
		case pbft.EnteredRecord:
			bindView(&p, r.NewView.View)
		}
	}
	for _, r := range records {
		switch r := r.(type) {
		case pbft.PreparedRecord:
			bindLock(&p, r.Lock.Claim())
		case pbft.AcceptedRecord:
			if p.Entered && r.View == p.View {
				p.Accepted = append(p.Accepted, pbft.Claim{View: r.View, Seq: r.Header.Seq, Digest: r.Header.Digest()})
			}
		}
	}
	return p
}
