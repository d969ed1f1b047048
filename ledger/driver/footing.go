package driver

import (
	"cmp"
	"errors"
	"slices"

	"github.com/decube/decube/ledger/body"
	"github.com/decube/decube/ledger/codec"
	"github.com/decube/decube/ledger/journal"
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
	// again is the last block that was to be carried out again from the log.
	again uint64
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

// redoLogged carries out the next block if this peer's own log has its transactions, and a
// decision of it, or a source has shown one. Where the archive ends below what the log has,
// others give what is between, and nobody may have the rest: a block can be committed here
// alone, and those who wait for it wait for this peer. And who has shown a decision need not
// give the block: he may have lost it since.
func (d *Driver) redoLogged() {
	c, next := &d.chain, d.chain.seq()+1
	if d.voter != nil || d.plan.memory == nil || !d.stand.able || d.stand.halted != "" ||
		d.footing.again >= next || c.installing || c.parked != nil || d.parks() {
		return
	}
	decision := d.decisionOf(next)
	if decision == nil || decision.Header.Epoch != c.head.Epoch {
		return
	}
	content := d.loggedBody(&decision.Header)
	if content == nil {
		return
	}
	d.footing.again = next
	d.do(CheckVotes{Messages: []pbft.Message{decision}, Job: d.jobs.add(func(e Event) {
		checked, _ := e.(VotesChecked)
		switch err := checked.Errs[0]; {
		case errors.Is(err, pbft.ErrEpoch), c.parked != nil, c.installing:
			d.footing.again = 0 // what comes from a source was faster, or comes first
		case err != nil:
			d.notice(Odd{What: "the log has a block that is not certified", Seq: next, Err: err})
		default:
			d.apply(&application{of: d.sync.follower, blocks: []*Fetched{{Verified: checked.Verified[0], Content: content}}})
		}
	})})
}

// decisionOf returns the log's decision of a block, or what a source has shown last, if it is
// one; nil for none.
func (d *Driver) decisionOf(seq uint64) *pbft.Decision {
	blocks := d.plan.memory.Blocks()
	at, found := slices.BinarySearchFunc(blocks, seq, func(b journal.Block, seq uint64) int { return cmp.Compare(b.Decision.Header.Seq, seq) })
	if found {
		return blocks[at].Decision
	}
	if proof := d.sync.follower.Proof(); proof != nil && proof.Header.Seq == seq {
		return proof
	}
	return nil
}

// loggedBody returns the transactions that a header names if the log has them, else nil.
func (d *Driver) loggedBody(h *pbft.Header) *body.Content {
	if h.Count == 0 {
		return body.Empty()
	}
	c, err := body.Decode(d.plan.memory.Body(h.Body))
	if err != nil || c.Root() != h.Body {
		return nil
	}
	return c
}

// obtain makes a block the head that came from a source, or from the log.
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
