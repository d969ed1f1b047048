package pbft

import "github.com/decube/decube/ledger/quorum"

// progress does all that has become possible: it is the only place where votes
// are cast and blocks committed.
func (r *Replica) progress() {
	for more := true; more && r.halted == nil; {
		more = r.climb()
	}
	r.offer()
}

// climb goes up from the last committed block, slot by slot, and returns true
// when it has committed the next one.
func (r *Replica) climb() bool {
	below := r.base.header
	digest := r.base.digest
	ready, told := true, true // all below is executed; COMMIT was sent for it
	for seq := below.Seq + 1; ; seq++ {
		s := r.slots[seq]
		if s == nil || s.header == nil || (below.Last() && below.Epoch == r.start.Epoch) {
			return false
		}
		if s.certain == nil && (r.changing || seq > r.limit() || seq <= r.floor) {
			return false
		}
		if !r.stands(s, digest, &below) {
			return false
		}
		r.ask(s)
		ready = ready && s.checked
		if ready {
			if s.certain == nil {
				r.advance(s, told)
			}
			if s.certain != nil && seq == r.base.header.Seq+1 {
				r.decide(s.certain)
				return true
			}
		}
		told = told && s.told
		below, digest = *s.header, s.digest
	}
}

// stands reports whether a slot's block stands on the one before. A leader that
// proposes another is faulty. If the block is certain, the one below is wrong, and
// that is over once the right one is known.
func (r *Replica) stands(s *slot, parent Digest, below *Header) bool {
	switch {
	case s.header.Parent == parent && s.header.Time >= below.Time:
		return true
	case s.certain != nil && below.Seq == r.base.header.Seq:
		r.halt(ErrDiverged)
	case s.certain == nil && !r.leads():
		r.suspect(NoteBadLeader, s.header.Seq)
	}
	return false
}

// ask has a block checked, once in a view.
func (r *Replica) ask(s *slot) {
	if s.asked || s.checked {
		return
	}
	s.asked = true
	r.out.Check = append(r.out.Check, Check{View: r.view, Header: *s.header, Vouched: s.vouched || s.certain != nil})
}

// advance casts the votes for a block that was executed and on which everything
// below is too.
func (r *Replica) advance(s *slot, told bool) {
	if !s.voted && r.voting() {
		r.accept(s)
	}
	if s.voted && s.lock == nil {
		if cert := s.prepares.certified(); cert != nil && cert.Digest == s.digest {
			r.prepared(s, &Lock{Header: *s.header, Cert: *cert})
		}
	}
	if s.lock != nil && !s.told && told {
		s.told = true
		v := r.sign(subject(Commit, r.view, s.header, s.digest))
		s.commits.add(v)
		r.send(v)
	}
	if cert := s.commits.certified(); cert != nil && cert.Digest == s.digest {
		s.certain = &Decision{Header: *s.header, Cert: *cert}
	}
}

// accept votes PREPARE. A leader has voted already, by proposing.
func (r *Replica) accept(s *slot) {
	s.voted = true
	s.since, s.began = r.now, r.now
	r.persist(AcceptedRecord{View: r.view, Header: *s.header})
	r.note(NoteAccepted, s.header.Seq)
	if r.leads() {
		return
	}
	v := r.sign(subject(Prepare, r.view, s.header, s.digest))
	s.prepares.add(v)
	r.send(v)
}

// prepared takes note of a certificate. COMMIT follows when everything below has
// it, so that whoever commits a block vouches for all below.
func (r *Replica) prepared(s *slot, l *Lock) {
	s.lock = l
	s.since = r.now
	r.locks[s.header.Seq] = l
	r.persist(PreparedRecord{*l})
	r.note(NotePrepared, s.header.Seq)
}

// decide commits the next block.
func (r *Replica) decide(d *Decision) {
	s := r.slots[d.Header.Seq]
	r.persist(DecidedRecord{d})
	r.out.Deliver = append(r.out.Deliver, d)
	r.pace.decided(r, s, d.Header.Count)
	r.settle(d)
}

// settle makes a decision the new base and forgets what is below it.
func (r *Replica) settle(d *Decision) {
	last := r.base.header.Seq
	r.base = base{d.Header, d.Cert.Digest, d.Cert}
	for seq := last + 1; seq <= min(d.Header.Seq, last+2*r.cfg.Window); seq++ {
		delete(r.slots, seq)
		delete(r.locks, seq)
	}
	r.recent = append(r.recent, d)
	if keep := 2 * int(r.cfg.Window); len(r.recent) > keep {
		r.recent = append(r.recent[:0], r.recent[len(r.recent)-keep:]...)
	}
	r.carry()
	r.mark(d)
}

// decided fills a slot with what is committed there.
func (s *slot) decided(d *Decision) {
	if s.header == nil || s.digest != d.Cert.Digest {
		s.header, s.digest, s.asked, s.checked = &d.Header, d.Cert.Digest, false, false
	}
	s.certain = d
}

// offer asks for the next block when this replica leads and may propose it.
func (r *Replica) offer() {
	if r.halted != nil || r.changing || !r.leads() || !r.voting() || r.ended() || r.base.header.Seq < r.floor {
		return
	}
	tip, digest := &r.base.header, r.base.digest
	for {
		s := r.slots[tip.Seq+1]
		if s == nil || s.header == nil {
			break
		}
		if !s.voted || !s.checked || s.header.Last() {
			return
		}
		tip, digest = s.header, s.digest
	}
	next := tip.Seq + 1
	wanted := Build{View: r.view, Seq: next, Parent: digest}
	if next > r.limit() || r.offered == wanted {
		return
	}
	r.offered = wanted
	r.out.Build = &wanted
}

// built proposes the block that was asked for. One that comes too late is
// forgotten.
func (r *Replica) built(e Built) {
	h := e.Header
	if r.changing || e.View != r.offered.View || h.Epoch != r.start.Epoch || h.Committee != r.start.Header.Following() ||
		h.Seq != r.offered.Seq || h.Parent != r.offered.Parent {
		return
	}
	s := r.slot(h.Seq)
	if s == nil || s.header != nil {
		return
	}
	p := &Proposal{View: r.view, Header: h}
	s.header, s.digest, s.checked, s.proposal = &p.Header, h.Digest(), true, p
	v := r.sign(p.Subject())
	p.Sig = v.Sig
	s.prepares.add(v)
	r.accept(s)
	r.send(p)
}

// onChecked takes the verdict on a block, if it is of this view.
func (r *Replica) onChecked(e Checked) {
	if e.View != r.view {
		return
	}
	for seq := r.base.header.Seq + 1; seq <= r.horizon(); seq++ {
		s := r.slots[seq]
		if s == nil || s.header == nil || s.digest != e.Digest {
			continue
		}
		switch {
		case e.Valid:
			s.checked = true
		case s.vouched || s.certain != nil:
			r.halt(ErrDiverged)
		case !r.changing:
			r.suspect(NoteBadLeader, seq)
		}
		return
	}
}

// onProposal takes a leader's proposal. It is a vote too.
func (r *Replica) onProposal(p *Proposal) {
	if p.Header.Seq <= r.base.header.Seq {
		return // committed here, in whichever view
	}
	if r.putOff(p.View, Verified{p, r.start.Epoch}, r.start.leader(p.View)) || p.View != r.view {
		return
	}
	s := r.slot(p.Header.Seq)
	if s == nil {
		r.catchUp.beyond(r, r.leader(), p.Header.Seq)
		return
	}
	sub := p.Subject()
	v := &Vote{Subject: sub, Replica: r.leader(), Sig: p.Sig}
	if !r.count(s.prepares, s, v) {
		return
	}
	if s.header == nil && p.Header.Seq > r.floor {
		s.header, s.digest, s.since = &p.Header, sub.Digest, r.now
	}
}

// onVote counts a vote.
func (r *Replica) onVote(v *Vote) {
	if v.Phase == Checkpoint {
		r.onCheckpoint(v)
		return
	}
	if v.Seq <= r.base.header.Seq {
		return // committed here, in whichever view
	}
	if r.putOff(v.View, Verified{v, r.start.Epoch}, v.Replica) || v.View != r.view {
		return
	}
	s := r.slot(v.Seq)
	if s == nil {
		r.catchUp.beyond(r, v.Replica, v.Seq)
		return
	}
	b := s.prepares
	if v.Phase == Commit {
		b = s.commits
	}
	if r.count(b, s, v) && v.Phase == Commit {
		if cert := b.certified(); cert != nil && (s.header == nil || s.digest != cert.Digest) {
			r.catchUp.certified(r, cert)
		}
	}
}

// count adds a vote of the current view to a ballot, and reports whether it was
// taken. A vote that contradicts another of its author is evidence.
func (r *Replica) count(b *ballot, s *slot, v *Vote) bool {
	if v.Replica == r.start.Self {
		r.ownVote(b, s, v)
		return false
	}
	outcome, evidence := b.add(v)
	r.blame(evidence)
	if outcome == quorum.Counted {
		other := s.commits.of(v.Replica)
		if v.Phase == Commit {
			other = s.prepares.of(v.Replica)
		}
		if other != nil && other.Digest != v.Digest {
			r.blame(&Evidence{Kind: Equivocation, First: *other, Second: *v})
		}
	}
	return outcome != quorum.Conflicting
}

// ownVote looks at a vote that bears this replica's own signature. It has a record
// of every one that it has cast; after a restart a COMMIT is recorded as a lock.
func (r *Replica) ownVote(b *ballot, s *slot, v *Vote) {
	own := b.of(r.start.Self)
	known := own != nil && own.Subject == v.Subject
	locked := v.Phase == Commit && s.lock != nil && s.lock.Cert.Digest == v.Digest
	if r.voting() && !known && !locked {
		r.halt(ErrKeyInUse)
	}
}

// onDecision takes a certificate for a committed block from a replica that is
// ahead.
func (r *Replica) onDecision(d *Decision) {
	s := r.slot(d.Header.Seq)
	if s == nil {
		r.catchUp.certified(r, &d.Cert)
		return
	}
	if s.certain == nil {
		s.decided(d)
	}
}

// early is a message of a view to come, with the replica whose it is.
type early struct {
	message Verified
	from    quorum.Replica
}

// putOff keeps a message of a view to come, and reports whether it is one. Each
// replica may have a few windows' worth kept.
func (r *Replica) putOff(view uint64, v Verified, from quorum.Replica) bool {
	if view < r.view || (view == r.view && !r.changing) {
		return false
	}
	count := uint64(0)
	for _, e := range r.early {
		if e.from == from {
			count++
		}
	}
	if count < 4*r.cfg.Window {
		r.early = append(r.early, early{v, from})
	}
	return true
}

// replay takes up what was kept for the view that has begun.
func (r *Replica) replay() {
	kept := r.early
	r.early = nil
	for _, e := range kept {
		r.receive(e.message) // what is for later is put off again
	}
}
