package pbft

import (
	"fmt"
	"slices"
)

// resume goes on from what the driver has kept.
func (r *Replica) resume(from *Resume) error {
	if from.Stable != nil && from.Stable.Seq > r.stable.Seq {
		r.stable = *from.Stable
	}
	for _, d := range from.Checkpoints {
		if d.Header.Seq > r.stable.Seq {
			r.noteDue(d)
		}
	}
	if d := from.Committed; d != nil {
		due := r.due
		r.rebase(d)
		if len(due) > 0 && due[len(due)-1].Seq == d.Header.Seq {
			r.due = due // it was among the checkpoints already
		}
		if !from.Volatile {
			r.stored = d.Header.Seq
		}
	}
	bound, err := join(r.start.Epoch, from.Records)
	if err != nil {
		return err
	}
	return r.restore(bound)
}

// bonds are what a set of records binds a replica to: the highest view that it has
// asked for or entered, what was committed, what it has accepted in that view, and
// at each sequence number the lock of the highest view.
//
// They are the join of the records: neither their order nor their repetition
// matters. A log that is read as a sequence, in which a view's record wipes out what
// stands before it, forgets votes as soon as such a record is written a second time
// to save it from being cut off. Two restarts of that kind are a fork.
type bonds struct {
	change    *ViewChange // of the highest view asked for, if that was not entered
	entered   *NewView    // of the highest view entered
	decisions []*Decision // ascending by sequence number
	accepted  []AcceptedRecord
	locks     []*Lock
}

// view returns the view that bonds are of, and whether it was entered.
func (b *bonds) view() (view uint64, entered bool) {
	switch {
	case b.change != nil:
		return b.change.View, false
	case b.entered != nil:
		return b.entered.View, true
	}
	return 0, true
}

// join returns the bonds of an epoch's records; those of others count for nothing.
// It returns ErrMalformed for records that no replica has written: which vote for
// two blocks at one place.
func join(epoch uint64, records []Record) (*bonds, error) {
	b := &bonds{}
	for _, rec := range records {
		switch rec := rec.(type) {
		case ChangeRecord:
			if rec.Change.Epoch == epoch && (b.change == nil || rec.Change.View > b.change.View) {
				b.change = rec.Change
			}
		case EnteredRecord:
			if rec.NewView.Epoch == epoch && (b.entered == nil || rec.NewView.View > b.entered.View) {
				b.entered = rec.NewView
			}
		}
	}
	if b.change != nil && b.entered != nil && b.change.View <= b.entered.View {
		b.change = nil
	}
	view, entered := b.view()
	places := places{}
	for _, rec := range records {
		switch rec := rec.(type) {
		case AcceptedRecord:
			if rec.Header.Epoch == epoch && rec.View == view && entered {
				if err := places.accept(&rec); err != nil {
					return nil, err
				}
			}
		case PreparedRecord:
			if rec.Lock.Header.Epoch == epoch {
				places.lock(&rec.Lock)
			}
		case DecidedRecord:
			if rec.Decision.Header.Epoch == epoch {
				places.at(rec.Decision.Header.Seq).decision = rec.Decision
			}
		}
	}
	places.into(b)
	return b, nil
}

// places are what records say of each sequence number.
type places map[uint64]*found

type found struct {
	decision *Decision
	accepted *AcceptedRecord
	lock     *Lock
}

func (p places) at(seq uint64) *found {
	if p[seq] == nil {
		p[seq] = &found{}
	}
	return p[seq]
}

func (p places) accept(rec *AcceptedRecord) error {
	at := p.at(rec.Header.Seq)
	if at.accepted != nil && at.accepted.Header != rec.Header {
		return fmt.Errorf("%w: the log has %v and %v accepted in view %d", ErrMalformed, &at.accepted.Header, &rec.Header, rec.View)
	}
	at.accepted = rec
	return nil
}

func (p places) lock(l *Lock) {
	if at := p.at(l.Header.Seq); at.lock == nil || l.Cert.View > at.lock.Cert.View {
		at.lock = l
	}
}

// into lists what was found, ascending by sequence number.
func (p places) into(b *bonds) {
	seqs := make([]uint64, 0, len(p))
	for seq := range p {
		seqs = append(seqs, seq)
	}
	slices.Sort(seqs)
	for _, seq := range seqs {
		at := p[seq]
		if at.decision != nil {
			b.decisions = append(b.decisions, at.decision)
		}
		if at.accepted != nil {
			b.accepted = append(b.accepted, *at.accepted)
		}
		if at.lock != nil {
			b.locks = append(b.locks, at.lock)
		}
	}
}

// restore binds the replica to what the log says. It votes after a restart as it
// would have without one.
func (r *Replica) restore(b *bonds) error {
	if !r.voting() {
		// The log is an old one: what else this replica has voted for, nobody knows. What is
		// left is for others to see, and is not said again. A COMMIT of before could follow a
		// VIEW-CHANGE that is forgotten.
		b = &bonds{entered: b.entered, decisions: b.decisions, locks: b.locks}
	}
	if b.entered != nil {
		r.setView(b.entered)
	}
	if b.change != nil {
		r.view, r.changing = b.change.View, true
		r.changes[r.start.Self] = b.change
		r.clearSlots()
	}
	for _, d := range b.decisions {
		if err := r.reachable(d.Header.Seq, "decision"); err != nil {
			return err
		}
		if s := r.slot(d.Header.Seq); s != nil {
			s.setCertain(d)
		}
	}
	for i := range b.accepted {
		if err := r.reachable(b.accepted[i].Header.Seq, "vote"); err != nil {
			return err
		}
		r.restoreAccepted(&b.accepted[i])
	}
	for _, l := range b.locks {
		if err := r.reachable(l.Header.Seq, "lock"); err != nil {
			return err
		}
		r.restorePrepared(l)
	}
	if r.changing {
		r.send(r.changes[r.start.Self])
	}
	r.pace.entered(r.now)
	return nil
}

// reachable returns ErrMalformed for what lies so far above the last stored block
// that there is no slot for it. To leave it out would be to forget it: the driver
// must store what the log has decided, and if need be fetch it, before it starts a
// replica.
func (r *Replica) reachable(seq uint64, what string) error {
	if seq > r.horizon() {
		return fmt.Errorf("%w: the log has a %s at %d, the store ends at %d: decisions in the log are stored before a replica starts",
			ErrMalformed, what, seq, r.base.header.Seq)
	}
	return nil
}

// restoreAccepted casts a PREPARE again.
func (r *Replica) restoreAccepted(rec *AcceptedRecord) {
	s := r.slot(rec.Header.Seq)
	if s == nil {
		return // it is committed
	}
	h := rec.Header
	if s.certain == nil {
		s.header, s.digest = &h, h.Digest()
	}
	s.voted = true
	v := r.sign(subject(Prepare, r.view, &h, h.Digest()))
	s.prepares.add(v)
	if r.leads() {
		s.proposal = &Proposal{View: r.view, Header: h, Sig: v.Sig}
	}
}

// restorePrepared takes a lock back; COMMIT is sent again once the block is
// executed.
func (r *Replica) restorePrepared(l *Lock) {
	seq := l.Header.Seq
	if seq <= r.base.header.Seq {
		return
	}
	r.locks[seq] = l
	if s := r.slots[seq]; s != nil && l.Cert.View == r.view && !r.changing && s.digest == l.Cert.Digest {
		s.lock = l
		for _, signed := range l.Cert.Sigs {
			s.prepares.add(&Vote{l.Cert.Subject, signed.Replica, signed.Sig})
		}
	}
}
