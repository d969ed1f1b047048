package driver

import (
	"fmt"
	"slices"
	"time"

	"github.com/decube/decube/ledger/genesis"
	"github.com/decube/decube/ledger/pbft"
)

// stand is whether this peer may vote.
type stand struct {
	able    bool   // it has a transport and a log that can be trusted
	decided uint64 // the last block that the log has a decision of: without it, no vote
	lost    bool   // the log was lost, and the place is not taken anew yet
	halted  string // why it does not vote any more
	fork    *Fork
	alarmed bool
	since   time.Duration
	moved   time.Duration // when the head last moved
	began   bool          // a core that votes has been made: what this replica signs from then on, it knows
	told    Committee     // what the transport was last told
	ever    bool          // it was told
}

func newStand(from *Recovered, now Instant) stand {
	return stand{since: now.Mono, moved: now.Mono, able: from.Votes, decided: from.Decided, lost: from.Lost, fork: from.Fork, alarmed: from.Fork != nil}
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

// recognise looks for this replica's own signature under a block from others that its log
// does not know of. There was a vote, so its record was durable once: the disk is an old
// one, a backup that was put back, say, and what else it has forgotten nobody knows. It is
// as good as lost, and a renewal that the disk has is of before.
func (d *Driver) recognise(decision *pbft.Decision) {
	s, h := &d.stand, &decision.Header
	if s.began || !s.able || h.Seq <= s.decided {
		return
	}
	set := d.chain.head.Next
	self, member := set.Replica(d.self)
	signed := func(c pbft.Signed) bool { return c.Replica == self }
	if !member || set.Digest() != h.Committee || !slices.ContainsFunc(decision.Cert.Sigs, signed) || d.knows(decision) {
		return
	}
	d.disown(h.Seq)
}

// disown has this replica's log count as lost, for it has signed what the log knows nothing
// of, at or behind a block.
func (d *Driver) disown(seq uint64) {
	d.stand.lost = true
	d.renew.void()
	d.notice(Odd{What: "the log of votes is an old one: this validator's place is taken anew", Seq: seq})
	d.marks.last++
	d.do(Disown{d.marks.last})
}

// knows reports whether this replica may have signed a block for all that its disk says.
// One without its log has, before its renewal; behind that, nothing leaves it before the
// loss is over on its disk.
func (d *Driver) knows(decision *pbft.Decision) bool {
	if d.stand.lost {
		return d.renew.done == 0 || decision.Header.Seq <= d.renew.done
	}
	return d.plan.memory == nil || d.plan.memory.Locked(decision.Cert.Digest)
}

// mayVote reports whether this peer takes part in the epoch of the next block.
func (d *Driver) mayVote() bool {
	able := d.member() && d.stand.able && d.stand.halted == "" && d.chain.seq() >= d.stand.decided && !d.chain.installing
	return able && (d.footing.near || d.informed())
}

// member reports whether this peer is one of the validators of the next block.
func (d *Driver) member() bool {
	_, member := d.chain.head.Next.Replica(d.self)
	return member
}

// listening is how long a replica that begins listens for what it may have said before,
// where nobody answers sooner.
const listening = time.Second

// withheld is how long a replica that begins waits for the next block where a certificate
// shows that there is one. Whoever has it gives it, but for one who has a certificate that
// others helped to make and has told nobody: all would wait for him for ever. He has no
// more than a window of them.
const withheld = 10 * time.Second

// informed reports whether this replica has heard what there is, or has listened for long
// enough: what others have committed, and what they show it of its own, tells whether its
// log knows of all that it has signed. That goes for one that has taken its place anew as
// well: its disk may be a copy of before, and it may have voted since.
func (d *Driver) informed() bool {
	s := &d.stand
	if alone := len(d.chain.head.Next) == 1; alone || s.began || (s.lost && d.renew.done == 0) {
		return true
	}
	caughtUp := d.caughtUpWith()
	// It may ask while it finds out what is committed, but not for as long as it is behind.
	return (caughtUp || d.now.Mono < s.since+listening) && d.reminded() && caughtUp
}

// caughtUpWith reports whether this replica has what others have committed, or knows of
// nobody who would give it more.
func (d *Driver) caughtUpWith() bool {
	s := &d.stand
	if d.sync.follower.AtHead() {
		return true
	}
	if at := s.since + listening; d.now.Mono < at {
		d.wake(at)
		return false
	}
	proven := d.sync.follower.Proven().Seq
	if proven <= d.chain.seq() {
		return true
	}
	if at := s.moved + withheld; d.now.Mono < at || proven > d.chain.seq()+d.cfg.Core.Window {
		d.wake(max(at, d.now.Mono+listening))
		return false
	}
	if proof := d.sync.follower.Proof(); proof != nil {
		d.recognise(proof)
	}
	return true
}

// committee says with whom the transport talks, and through whom transactions come: who is
// about to vote is there for the others before it does.
func (d *Driver) committee() {
	h := d.chain.head
	c := Committee{Epoch: h.Epoch, Set: h.Next, Start: h.Start, Voting: d.member() && d.stand.able && d.stand.halted == ""}
	t := &d.stand.told
	if d.stand.ever && t.Epoch == c.Epoch && t.Voting == c.Voting && t.Start == c.Start {
		return
	}
	d.stand.told, d.stand.ever = c, true
	if c.Voting {
		d.origins(c.Set)
	}
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
