package driver

import (
	"github.com/decube/decube/ledger/codec"
	"github.com/decube/decube/ledger/pbft"
)

// footing is up to which block this peer's own disk can give what it stands on. Blocks
// that were fetched are in the archive, which is made durable seldom: a crash takes them.
// Whoever has voted above such a block does not vote again before somebody gives it the
// block once more, and where only a faulty validator has it, that may be never: three of
// four would wait. So who starts to vote has made durable what it stands on, and who votes
// logs what it fetches, with the transactions.
type footing struct {
	from, to uint64 // the log has the blocks from the one to the other; none if to is 0
	// near says that this peer has heard all that it must before it votes, and waits for
	// its disk. Meanwhile its head stays where it is: in a swarm that goes on all the time
	// the disk would never be there.
	near bool
}

// logged takes note of a block that the log has, with its transactions.
func (f *footing) logged(seq uint64) {
	switch {
	case f.to > 0 && f.from <= seq && seq <= f.to:
	case f.to > 0 && seq == f.to+1:
		f.to = seq
	default:
		f.from, f.to = seq, seq
	}
}

// holds reports whether the disk can give a block, and all below it, when the archive is
// durable up to another.
func (f *footing) holds(seq, synced uint64) bool {
	return seq <= synced || (seq <= f.to && f.from <= synced+1)
}

// rests reports whether this peer's disk can give it the head, and has it made durable if
// not.
func (d *Driver) rests() bool {
	c := &d.chain
	if d.footing.holds(c.seq(), c.synced) {
		return true
	}
	if !c.syncing && c.archived > c.synced {
		d.makeDurable()
	}
	return false
}

// obtain makes a block the head that came from a source.
func (d *Driver) obtain(decision *pbft.Decision, done *result) {
	if d.voter != nil {
		rec := codec.Decided{Decision: decision}
		if decision.Header.Count > 0 {
			rec.Body = done.block.Body.Encoded()
		}
		d.decided(decision.Header.Seq, true)
		d.log([]codec.LogRecord{rec}, false)
	}
	d.advance(decision, done, 0)
}

// decided takes note of a decision that goes to the log, whole if with the transactions.
func (d *Driver) decided(seq uint64, whole bool) {
	d.stand.decided = max(d.stand.decided, seq)
	if whole {
		d.footing.logged(seq)
	}
}

// standOn has the votes that are to come wait until the log has a decision as high as the
// last block below them. It says up to where this replica's own log goes: see Resume.
func (d *Driver) standOn(decision *pbft.Decision) {
	switch {
	case decision == nil || !d.stand.able:
	case decision.Header.Seq > d.stand.decided:
		d.decided(decision.Header.Seq, decision.Header.Count == 0)
		d.log([]codec.LogRecord{codec.Decided{Decision: decision}}, true)
	case d.marks.loose:
		d.log(nil, true)
	}
}
