package sim

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/decube/decube/ledger/codec"
	"github.com/decube/decube/ledger/driver"
	"github.com/decube/decube/ledger/journal"
	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/ledger/wal"
)

// bond is what a node is bound by in an epoch.
type bond struct {
	pbft.Promise
	commits []pbft.Claim // each COMMIT of the highest view, ascending by sequence number
	// bodies are the blocks that the COMMITs of all views are for, by sequence number.
	bodies map[uint64]pbft.Digest
	cut    bool // its log was, and has not been looked at since
}

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
		p = &bond{Promise: pbft.Promise{Epoch: epoch, Entered: true}, bodies: p.inheritance()}
		o.left[n] = p
	}
	if p.Epoch > epoch {
		return
	}
	switch m := m.(type) {
	case *pbft.Proposal:
		if leaderOf(set, epoch, m.View) == self {
			bindVote(&p.Promise, m.Subject())
		}
	case *pbft.Vote:
		if m.Replica == self {
			bindVote(&p.Promise, m.Subject)
			if m.Phase == pbft.Commit {
				p.bodies[m.Seq] = m.Digest
				p.commits = withLock(p.commits, pbft.Claim{View: m.View, Seq: m.Seq, Digest: m.Digest})
			}
		}
	case *pbft.ViewChange:
		if m.Replica != self {
			return
		}
		if m.View > p.View {
			p.View, p.Entered, p.Accepted = m.View, false, nil
		}
		for i := range m.Locks {
			p.Locks = withLock(p.Locks, m.Locks[i].Claim())
		}
	case *pbft.NewView:
		if leaderOf(set, epoch, m.View) == self {
			bindView(&p.Promise, m.View)
		}
	}
}

// inheritance are the bodies that a node must have, in whatever epoch it is.
func (b *bond) inheritance() map[uint64]pbft.Digest {
	if b == nil {
		return map[uint64]pbft.Digest{}
	}
	return b.bodies
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
		p.Locks = withLock(p.Locks, c)
	case s.View == p.View && p.Entered && !slices.Contains(p.Accepted, c):
		p.Accepted = append(p.Accepted, c)
	}
}

// withLock returns locks with one more, each of the highest view at its place.
func withLock(locks []pbft.Claim, c pbft.Claim) []pbft.Claim {
	at, known := slices.BinarySearchFunc(locks, c.Seq, func(l pbft.Claim, seq uint64) int { return cmp.Compare(l.Seq, seq) })
	switch {
	case !known:
		return slices.Insert(locks, at, c)
	case c.View > locks[at].View:
		locks[at] = c
	}
	return locks
}

// owes returns an error unless who knows as much can still account for each COMMIT: by a
// lock of its view or a later one on every block between its base and that one. A COMMIT
// says as much of all blocks below.
func (b *bond) owes(known *pbft.Promise) error {
	if known.Epoch > b.Epoch {
		return nil
	}
	for _, c := range b.commits {
		for seq := known.Base + 1; seq < c.Seq; seq++ {
			if !slices.ContainsFunc(known.Locks, func(l pbft.Claim) bool { return l.Seq == seq && l.View >= c.View }) {
				return fmt.Errorf("COMMIT of %d:%s in view %d has no base or lock at %d to stand on", c.Seq, c.Digest.Short(), c.View, seq)
			}
		}
	}
	return nil
}

// Looks at a disk open its log and archive as a crash would leave them. They take a third
// of a run's time where each cut is followed by one.
const (
	sampled    = 64 // how many messages leave between two looks
	sampledCut = 4  // how many cuts there are between two that are followed by one at once
)

// recorded checks that a crash now would not have the node forget what it says. It looks
// at one of many, at the first after some cuts of the log, and at a checkpoint always.
func (o *oracle) recorded(n *node, m pbft.Message) {
	if v, ok := m.(*pbft.Vote); ok && v.Phase == pbft.Checkpoint {
		if self, member := o.votes.known[v.Epoch].Replica(n.key.Public()); member && self == v.Replica {
			o.archived(n, v)
		}
		return
	}
	said := o.left[n]
	if o.sends++; o.sends%sampled == 0 || (said != nil && said.cut) {
		o.survives(n, n.disk.clone(o.w), n.durable())
	}
}

// archived checks that a checkpoint is durable that a node says it has stored.
func (o *oracle) archived(n *node, v *pbft.Vote) {
	if head, _ := n.program.shell.Archive().Head(); head >= v.Seq && !n.disk.store.Dirty(v.Seq+1) {
		return // a version is a block's number plus one: opening it would show the same, and takes long
	}
	d := &disk{fs: n.disk.fs, store: n.disk.store.Clone()}
	d.store.Crash(0)
	if head, err := d.archived(o.w); err != nil || head < v.Seq {
		o.broken("S4", "node %d sends %v, but its archive is durable up to %d only: %v", n.id, v, head, err)
	}
}

// logs looks at what a node does to its log.
func (o *oracle) logs(n *node, e driver.Effect) {
	o.renews(n, e)
	if !o.honest(n) {
		return
	}
	switch e := e.(type) {
	case driver.Append:
		o.appended(n, &e)
	case driver.Cut:
		if o.cuts++; o.cuts%sampledCut == 0 {
			if said := o.left[n]; said != nil {
				said.cut = true
			}
		}
	case driver.Disown:
		o.disowned(n)
	default:
	}
}

// appended checks that a node which votes for a block has its body in the log: if others
// have prepared it, they must be able to get it.
func (o *oracle) appended(n *node, a *driver.Append) {
	for _, r := range a.Records {
		if r, ok := r.(codec.Accepted); ok && r.Header.Count > 0 && r.Body == nil {
			o.broken("S4", "node %d votes for %v, whose body is not in its log", n.id, &r.Header)
		}
	}
}

// crashed checks what a crash has left.
func (o *oracle) crashed(n *node) {
	if o.honest(n) {
		o.survives(n, n.disk, 0)
	}
}

// durable returns a block up to which the archive of a node survives a crash.
func (n *node) durable() uint64 {
	head, _ := n.program.shell.Archive().Head()
	for head > 0 && n.disk.store.Dirty(head+1) { // a version is a block's number plus one
		head--
	}
	return head
}

// survives checks that what a disk gives binds the node to all that has left it (S4), with
// an archive that goes up to a block at least. What is known with less of the archive is
// known with more, so that it need not be opened as a rule, which takes longest.
func (o *oracle) survives(n *node, d *disk, least uint64) {
	said := o.left[n]
	if said == nil || !n.votes {
		return
	}
	said.cut = false
	m, err := d.remember(o.w)
	if o.w.faults.rotten[n.id] && errors.Is(err, wal.ErrCorrupt) {
		return // it knows that it does not know
	}
	if err != nil {
		o.broken("S4", "the log of node %d does not open after a crash: %v", n.id, err)
		return
	}
	if least > 0 && o.forgotten(n, m, least) == "" {
		return
	}
	head, err := d.archived(o.w)
	if err != nil {
		o.broken("S4", "the archive of node %d does not open after a crash: %v", n.id, err)
		return
	}
	if what := o.forgotten(n, m, head); what != "" {
		o.broken("S4", "%s", what)
	}
}

// forgotten returns what a node would not know any more of what it has said, with a log and
// an archive up to a block; nothing if it knows all.
func (o *oracle) forgotten(n *node, m *journal.Memory, head uint64) string {
	said := o.left[n]
	if own := gives(m, head); own < m.Decided() && !n.deprived && o.w.cfg.Faults.LostArchives == 0 {
		return fmt.Sprintf("the log of node %d stands on block %d, and after a crash its disk gives it none above %d", n.id, m.Decided(), own)
	}
	for seq := head + 1; seq <= o.chain.head(); seq++ {
		if b := o.chain.at(seq); said.bodies[seq] == b.digest && m.Body(b.header.Body) == nil {
			return fmt.Sprintf("node %d has sent COMMIT for %v, and after a crash neither its archive nor its log has the block", n.id, &b.header)
		}
	}
	known := o.promised(m, max(head, m.Decided()), said.Epoch)
	err := said.Within(&known)
	if err == nil {
		err = said.owes(&known)
	}
	if err != nil {
		return fmt.Sprintf("node %d forgets in a crash what it has said: %v\nit said  %v\nit knows %v", n.id, err, &said.Promise, &known)
	}
	return ""
}

// gives returns up to which block a log gives all above an archive's, with what is in them.
func gives(m *journal.Memory, archived uint64) uint64 {
	for _, b := range m.Blocks() {
		if h := &b.Decision.Header; h.Seq == archived+1 && (h.Count == 0 || b.Body != nil) {
			archived = h.Seq
		}
	}
	return archived
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
			p.Locks = withLock(p.Locks, r.Lock.Claim())
		case pbft.AcceptedRecord:
			if p.Entered && r.View == p.View {
				p.Accepted = append(p.Accepted, pbft.Claim{View: r.View, Seq: r.Header.Seq, Digest: r.Header.Digest()})
			}
		}
	}
	return p
}
