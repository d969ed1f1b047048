package driver

import (
	"errors"
	"slices"
	"time"

	"github.com/decube/decube/internal/sig"
	"github.com/decube/decube/ledger/codec"
	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/ledger/quorum"
)

// reminders are what others show a replica that starts of what it has said itself, in the
// epoch of its head. With a disk that is an old one, put back from a backup, say, it would
// vote against that. What is committed since tells it as well, but not what is in flight.
type reminders struct {
	epoch    uint64
	any      bool          // it has asked
	asked    time.Duration // when it did last
	from     map[sig.PublicKey]*reminder
	complete int // so many have shown all that they have
}

// reminder is what one other shows.
type reminder struct {
	asked   bool // because it was there, and not because time had passed
	shown   int  // messages
	pending int  // those whose signatures are being looked at
	cut     bool // there was no room for some of it: it is not all
	ended   bool
}

const (
	// remindEvery is how often a replica that starts asks, and remindRest how long another
	// one rests after an answer: it may have up to a NEW-VIEW to send.
	remindEvery = 50 * time.Millisecond
	remindRest  = 200 * time.Millisecond
)

// mostShown is how many messages of a replica others can have in a window: for each place,
// votes in two phases, and one in the certificate of a lock; and two of view changes.
func mostShown(window uint64) int { return int(3*2*window) + 2 }

// reminded reports whether somebody honest has shown all that it has, and asks if not. There
// is no end to that: as many others are there as must answer whenever a vote could come to
// something.
func (d *Driver) reminded() bool {
	r, h := &d.reminders, d.chain.head
	if r.epoch != h.Epoch || r.from == nil {
		*r = reminders{epoch: h.Epoch, from: map[sig.PublicKey]*reminder{}}
	}
	committee, err := h.Next.Committee()
	if err != nil || r.complete >= committee.Weak() {
		return true
	}
	if !r.any || d.now.Mono-r.asked >= remindEvery {
		r.any, r.asked = true, d.now.Mono
		others := slices.DeleteFunc(slices.Clone(h.Next), func(k sig.PublicKey) bool { return k == d.self })
		d.do(Send{To: others, Class: Votes, Frame: codec.Remind{Epoch: h.Epoch}})
	}
	d.wake(r.asked + remindEvery)
	return false
}

// remind shows a validator what it has said in this epoch, as far as this peer knows. Of a
// later one it knows nothing. Who is in an earlier one has blocks to fetch first.
func (d *Driver) remind(to sig.PublicKey, asked codec.Remind) {
	h, s := d.chain.head, d.inbox.sender(to)
	who, member := h.Next.Replica(to)
	if asked.Epoch < h.Epoch || !member || s == nil || (s.reminded > 0 && d.now.Mono-s.reminded < remindRest) {
		return
	}
	s.reminded = max(1, d.now.Mono)
	if asked.Epoch == h.Epoch {
		for _, m := range d.saidBy(who) {
			d.leaveSend(Send{To: []sig.PublicKey{to}, Class: Proposals, Frame: codec.Message{Message: m}})
		}
	}
	d.leaveSend(Send{To: []sig.PublicKey{to}, Class: Proposals, Frame: codec.Reminded(asked)})
	// Who asks can be reached, which it may not have been a moment ago: where all start at
	// once, they do so together.
	if r := d.reminderOf(to); r != nil && !r.asked && !r.ended {
		r.asked = true
		d.do(Send{To: []sig.PublicKey{to}, Class: Votes, Frame: codec.Remind{Epoch: h.Epoch}})
	}
}

// reminderOf returns what a validator shows this replica, nil if it has asked nobody.
func (d *Driver) reminderOf(from sig.PublicKey) *reminder {
	x := &d.reminders
	if d.stand.began || !d.stand.able || x.epoch != d.chain.head.Epoch || !x.any || from == d.self {
		return nil
	}
	if _, member := d.chain.head.Next.Replica(from); !member {
		return nil
	}
	if x.from[from] == nil {
		x.from[from] = &reminder{}
	}
	return x.from[from]
}

// saidBy returns what this peer has of what a validator has said.
func (d *Driver) saidBy(who quorum.Replica) []pbft.Message {
	h := d.chain.head
	switch committee, err := h.Next.Committee(); {
	case d.voter != nil && d.voter.epoch == h.Epoch:
		return d.voter.core.Said(who)
	case d.plan.memory != nil && err == nil:
		return pbft.SaidIn(d.plan.memory.Records(h.Epoch), h.Epoch, committee, who)
	default:
		return nil
	}
}

// shownOwn takes what another shows this replica before it votes.
func (d *Driver) shownOwn(a *Arrived) {
	r := d.reminderOf(a.From)
	if r == nil {
		return
	}
	if f, end := a.Frame.Frame.(codec.Reminded); end {
		switch {
		case f.Epoch != d.reminders.epoch || r.ended:
		case r.cut:
			r.cut = false // it is asked again
		default:
			r.ended = true
			d.endReminder(a.From, r)
		}
		return
	}
	m := messageOf(&a.Frame)
	if r.ended || r.shown >= mostShown(d.cfg.Core.Window) || d.recalls(m) {
		return
	}
	s := d.inbox.sender(a.From)
	if s == nil || !s.reserve(&a.Frame, d.chain.head.Params.MaxFrame()) {
		r.cut = true
		return
	}
	r.shown, r.pending = r.shown+1, r.pending+1
	epoch := d.chain.head.Epoch
	d.do(CheckVotes{Messages: []pbft.Message{m}, Job: d.jobs.add(func(e Event) {
		r.pending--
		s.release(&a.Frame)
		checked, _ := e.(VotesChecked)
		switch err := checked.Errs[0]; {
		case errors.Is(err, pbft.ErrEpoch):
		case err != nil:
			d.misbehaved("invalid message", a.From, err)
		case epoch == d.chain.head.Epoch && !d.stand.began && !d.recalls(m):
			d.disown(d.chain.seq())
		}
		d.endReminder(a.From, r)
	})})
}

// endReminder counts one who has shown all, unless it was of an epoch that is over.
func (d *Driver) endReminder(from sig.PublicKey, r *reminder) {
	if !r.ended || r.pending > 0 || d.reminders.from[from] != r {
		return
	}
	if d.reminders.complete++; !d.stand.began {
		d.stand.since = d.now.Mono // only now it can be told what is committed
	}
}

// recalls reports whether this replica's log has a message, if it is its own. One that has
// lost its log already learns nothing more before it has taken its place anew.
func (d *Driver) recalls(m pbft.Message) bool {
	self, member := d.chain.head.Next.Replica(d.self)
	if m == nil || !member || (d.stand.lost && d.renew.done == 0) || pbft.EpochOf(m) != d.chain.head.Epoch {
		return true
	}
	var records []pbft.Record
	if d.plan.memory != nil {
		records = d.plan.memory.Records(d.chain.head.Epoch)
	}
	return pbft.Recalls(records, d.chain.seq(), self, m)
}
