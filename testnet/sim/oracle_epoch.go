package sim

import (
	"github.com/decube/decube/ledger/driver"
	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/ledger/quorum"
)

// role is what a life of a node has last said of its part in consensus.
type role struct {
	of     *program
	epoch  uint64
	voting bool
}

// waitsAtEnd is how long who has the last block of an epoch waits at least for a quorum to
// have stored it: a second, less what passes until a block that is committed is shown.
const waitsAtEnd = 900 * Millisecond

// turned looks at what a node says of its part. Who has voted in an epoch goes on to the
// next one when a quorum has said that it has stored the last block, or has committed one
// behind it, or when it has been waiting for long enough for those who have gone on before
// and say no more (S7).
func (o *oracle) turned(n *node, x driver.RoleChanged) {
	before := o.roles[n]
	o.roles[n] = role{n.program, x.Epoch, x.Voting}
	if before.of != n.program || !before.voting || !x.Voting || x.Epoch != before.epoch+1 || !o.honest(n) || o.w.cfg.Faults.Clocks > 0 {
		return
	}
	last := o.chain.lastOf(before.epoch)
	if last == nil {
		o.broken("S7", "node %d votes in epoch %d, and nobody has shown how epoch %d ends", n.id, x.Epoch, before.epoch)
		return
	}
	h := &last.header
	stored := pbft.Subject{Phase: pbft.Checkpoint, Epoch: h.Epoch, Seq: h.Seq, Digest: last.digest, State: h.State}
	var own []quorum.Replica // its own vote may be waiting for its log
	if r, member := o.votes.known[h.Epoch].Replica(n.key.Public()); member {
		own = append(own, r)
	}
	if o.votes.certified(stored, own...) || o.chain.head() > h.Seq {
		return
	}
	if waited := o.w.now() - o.votes.committed[h.Seq].at; waited < waitsAtEnd {
		o.broken("S7", "node %d votes in epoch %d, but no quorum has stored %v, which was committed %v ms ago", n.id, x.Epoch, h, waited)
	}
}

// lastOf returns the last block of an epoch, nil when it has not been committed.
func (c *chain) lastOf(epoch uint64) *ordered {
	for seq := c.head(); seq > 0 && c.blocks[seq-1].header.Epoch >= epoch; seq-- {
		if h := &c.blocks[seq-1].header; h.Epoch == epoch && h.Last() {
			return &c.blocks[seq-1]
		}
	}
	return nil
}
