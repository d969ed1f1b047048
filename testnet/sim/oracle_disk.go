package sim

import (
	"github.com/decube/decube/ledger/pbft"
)

// recorded checks that a node could not forget what it sends now: that the record
// of it is on the disk, for good.
func (o *oracle) recorded(n *node, m pbft.Message) {
	switch m := m.(type) {
	case *pbft.Proposal:
		o.accept(n, m.View, m.Header.Seq, m.Header.Digest(), m)
	case *pbft.Vote:
		o.recordedVote(n, m)
	case *pbft.ViewChange:
		if m.Replica == n.self && !n.disk.holds(n, func(r pbft.Record) bool {
			c, ok := r.(pbft.ChangeRecord)
			return ok && c.Change.View == m.View && c.Change.Sig == m.Sig
		}) {
			o.broken("S4", "node %d sends %v, which is not recorded", n.id, m)
		}
	case *pbft.NewView:
		o.enteredView(n, m.View, m)
	}
}

func (o *oracle) recordedVote(n *node, m *pbft.Vote) {
	if m.Replica != n.self {
		return
	}
	switch m.Phase {
	case pbft.Prepare:
		o.accept(n, m.View, m.Seq, m.Digest, m)
	case pbft.Commit:
		if m.Seq > n.disk.durable.head.Seq && !n.disk.holds(n, func(r pbft.Record) bool {
			p, ok := r.(pbft.PreparedRecord)
			return ok && p.Lock.Cert.Seq == m.Seq && p.Lock.Cert.Digest == m.Digest && p.Lock.Cert.View == m.View
		}) {
			o.broken("S4", "node %d sends %v, which is not recorded", n.id, m)
		}
		o.enteredView(n, m.View, m)
	case pbft.Checkpoint:
		if n.disk.durable.head.Seq < m.Seq {
			o.broken("S4", "node %d sends %v, but its store is durable up to %d only", n.id, m, n.disk.durable.head.Seq)
		}
	}
}

// accept checks that a PREPARE is recorded.
func (o *oracle) accept(n *node, view, seq uint64, digest pbft.Digest, m pbft.Message) {
	if seq > n.disk.durable.head.Seq && !n.disk.holds(n, func(r pbft.Record) bool {
		a, ok := r.(pbft.AcceptedRecord)
		return ok && a.View == view && a.Header.Seq == seq && a.Header.Digest() == digest
	}) {
		o.broken("S4", "node %d sends %v, which is not recorded", n.id, m)
	}
	o.enteredView(n, view, m)
}

// enteredView checks that the view that a message belongs to is recorded.
func (o *oracle) enteredView(n *node, view uint64, m pbft.Message) {
	if view > 0 && !n.disk.holds(n, func(r pbft.Record) bool {
		e, ok := r.(pbft.EnteredRecord)
		return ok && e.NewView.View == view
	}) {
		o.broken("S4", "node %d sends %v, but has not recorded its view", n.id, m)
	}
}

// holds reports whether a record of the node's epoch is synced.
func (d *disk) holds(n *node, is func(pbft.Record) bool) bool {
	for i := d.synced - 1; i >= 0; i-- {
		if d.log[i].epoch == n.epoch.number && is(d.log[i].record) {
			return true
		}
	}
	return false
}
