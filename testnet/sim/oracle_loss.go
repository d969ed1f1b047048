package sim

import (
	"github.com/decube/decube/ledger/codec"
	"github.com/decube/decube/ledger/driver"
	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/ledger/tx"
)

// loss is what makes good that a validator has lost its log.
type loss struct {
	renewals map[tx.ID]bool // that it has made since
	epoch    uint64         // the first in which it may vote, 0 for none yet
}

// over reports whether a validator may vote in an epoch for all that it has lost.
func (l *loss) over(epoch uint64) bool { return l == nil || (l.epoch > 0 && epoch >= l.epoch) }

// loses has a node be without a log that knows what it has said.
func (o *oracle) loses(n *node) { o.losses[n] = &loss{renewals: map[tx.ID]bool{}} }

// renews takes note of the renewals that a node logs, and of a log that it gives up.
func (o *oracle) renews(n *node, e driver.Effect) {
	switch e := e.(type) {
	case driver.Disown:
		o.loses(n)
	case driver.Append:
		for _, r := range e.Records {
			if r, ok := r.(codec.Renewal); ok && o.losses[n] != nil {
				o.losses[n].renewals[r.ID] = true
			}
		}
	default:
	}
}

// renewed takes note of a block that ends an epoch by a renewal.
func (o *oracle) renewed(h *pbft.Header, id tx.ID) {
	for _, l := range o.losses {
		if l.renewals[id] && l.epoch == 0 {
			l.epoch = h.Epoch + 1
		}
	}
}

// anew checks that a validator which has lost its log promises nothing until a renewal that it
// has made since is committed, and nothing in an epoch before (S3).
func (o *oracle) anew(n *node, m pbft.Message) {
	epoch := pbft.EpochOf(m)
	if o.losses[n].over(epoch) {
		return
	}
	set := o.votes.known[epoch]
	self, member := set.Replica(n.key.Public())
	own := false
	switch m := m.(type) {
	case *pbft.Vote:
		own = m.Replica == self && m.Phase != pbft.Checkpoint // it has the block, whatever it has forgotten
	case *pbft.ViewChange:
		own = m.Replica == self
	case *pbft.Proposal:
		own = member && leaderOf(set, epoch, m.View) == self
	default:
	}
	if member && own {
		o.broken("S3", "node %d has lost its log, and speaks in epoch %d without having taken its place anew: %v", n.id, epoch, m)
	}
}
