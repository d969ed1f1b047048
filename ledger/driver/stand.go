package driver

import (
	"fmt"

	"github.com/decube/decube/ledger/genesis"
)

// stand is whether this peer may vote.
type stand struct {
	able    bool   // it has a transport and a log that can be trusted
	decided uint64 // the last block that the log has a decision of: without it, no vote
	lost    bool   // the log was lost, and the place is not taken anew yet
	halted  string // why it does not vote any more
	fork    *Fork
	alarmed bool
	told    Committee // what the transport was last told
	ever    bool      // it was told
}

func newStand(from *Recovered) stand {
	return stand{able: from.Votes, decided: from.Decided, lost: from.Lost, fork: from.Fork, alarmed: from.Fork != nil}
}

// stop has this peer not vote any more until it is started again. It goes on following.
func (d *Driver) stop(why error) {
	if d.stand.halted != "" {
		return // the first reason is what others follow from
	}
	d.stand.halted = why.Error()
	d.notice(Stopped{why})
	d.leaveEpoch()
}

// mayVote reports whether this peer takes part in the epoch of the next block.
func (d *Driver) mayVote() bool {
	h := d.chain.head
	_, member := h.Next.Replica(d.self)
	return member && d.stand.able && d.stand.halted == "" && h.Header.Seq >= d.stand.decided && !d.chain.installing
}

// committee says with whom the transport talks: who is about to vote is there for the
// others before it does.
func (d *Driver) committee() {
	h := d.chain.head
	_, member := h.Next.Replica(d.self)
	c := Committee{Epoch: h.Epoch, Set: h.Next, Start: h.Start, Voting: member && d.stand.able && d.stand.halted == ""}
	t := &d.stand.told
	if d.stand.ever && t.Epoch == c.Epoch && t.Voting == c.Voting && t.Start == c.Start {
		return
	}
	d.stand.told, d.stand.ever = c, true
	d.do(c)
}

// logFailed has this peer follow from here on. What was decided and not durable never
// left: the head goes back to where the archive is, and the rest comes from others.
func (d *Driver) logFailed(err error) {
	d.stand.able = false
	d.marks.drop()
	d.stop(fmt.Errorf("the log of votes cannot be written: %w", err))
	d.rewind()
}

// origins are the validators that transactions come through.
func (d *Driver) origins(set genesis.ValidatorSet) {
	for _, t := range d.market.pool.SetOrigins(d.now.Mono, set) {
		d.refuse(t.ID(), errLessRoom)
	}
	d.market.origins = set
	d.market.gate.SetValidators(set)
}
