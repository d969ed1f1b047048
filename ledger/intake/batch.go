package intake

import (
	"time"

	"github.com/decube/decube/ledger/tx"
)

// Pending is a transaction whose signature is to be verified.
type Pending struct {
	From        Source
	Ticket      Ticket // of clients and followers
	Transaction *tx.Transaction
}

// portion is how many signatures of one frame are chosen at a time, so that large frames
// and single submissions have turns of about the same length.
const portion = 64

// Batch removes from the gate and returns what is to be verified next: at most
// [MaxSignatures] of at most [MaxEntries] submissions and frames. Classes have as many
// signatures of it as they want, or equal parts; within a class, so have known owners and
// strangers, and validators. It returns nothing when nothing waits. The tickets are those
// of submissions that are refused, because their source is blocked since they came.
func (g *Gate) Batch(now time.Duration) (batch []Pending, refused []Ticket) {
	var served [len(g.classes)]int
	for entries := 0; entries < MaxEntries && len(batch) < MaxSignatures; entries++ {
		at, l := g.choose(&served)
		if l == nil {
			break
		}
		e := &l.entries[0]
		if g.blocks.left(now, e.from) > 0 {
			if e.from.class != Validators {
				refused = append(refused, e.ticket)
			}
			g.dequeue(l)
			entries-- // it costs nothing
			continue
		}
		n := min(len(e.rest), portion, MaxSignatures-len(batch))
		for _, t := range e.rest[:n] {
			batch = append(batch, Pending{From: e.from, Ticket: e.ticket, Transaction: t})
		}
		served[at] += n
		l.turn += uint64(n)
		if e.rest = e.rest[n:]; len(e.rest) == 0 {
			g.dequeue(l)
		}
	}
	g.turn = (g.turn + 1) % len(g.classes)
	return batch, refused
}

// choose returns the class and line whose turn it is: of the classes that want one, the
// one that has had the least of this batch, and in it the line that has had the least.
// The line is nil when nothing waits.
func (g *Gate) choose(served *[3]int) (int, *line) {
	best := -1
	var from *line
	for i := range g.classes {
		c := (g.turn + i) % len(g.classes)
		if best >= 0 && served[c] >= served[best] {
			continue
		}
		if l := next(g.classes[c]); l != nil {
			best, from = c, l
		}
	}
	return best, from
}

// next returns the line that has had the least, of those in which something waits. A line
// that was empty saves nothing up: it is level with the others when it is not any more.
func next(lines []*line) *line {
	var least *line
	for _, l := range lines {
		if len(l.entries) > 0 && (least == nil || l.turn < least.turn) {
			least = l
		}
	}
	if least == nil {
		return nil
	}
	for _, l := range lines {
		if len(l.entries) == 0 {
			l.turn = max(l.turn, least.turn)
		}
	}
	return least
}
