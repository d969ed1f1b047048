package pbft

import "github.com/decube/decube/ledger/quorum"

// progress does all that has become possible: it is the only place where votes
// are cast and blocks committed.
func (r *Replica) progress() {
	for more := true; more && r.halted == nil; {
		more = r.climb()
	}
	r.requestBlock()
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
		// What is certain counts in any view, and between views. All else needs the
		// view's consent: nothing at or below the floor is voted for, because the new
		// view's base proves that those slots were committed in an earlier view. A replica
		// behind that base finds them empty, and would help to commit something else.
		if s.certain == nil && (r.changing || seq > r.limit() || seq <= r.floor) {
			return false
		}
		if !r.stands(s, digest, &below) {
			return false
		}
		r.requestCheck(s)
		ready = ready && s.checked
		// A vote is for a block with its state, which exists once all below is executed;
		// so votes go up in order, even when verdicts come in another.
		if ready {
			if s.certain == nil {
				r.castVotes(s, told)
			}
			if s.certain != nil && seq == r.base.header.Seq+1 {
				r.commit(s.certain)
				return true
			}
		}
		told = told && s.commitSent
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

// requestCheck has a block checked, once in a view.
func (r *Replica) requestCheck(s *slot) {
	if s.asked || s.checked {
		return
	}
	s.asked = true
	r.out.Check = append(r.out.Check, Check{View: r.view, Header: *s.header, Vouched: s.vouched || s.certain != nil})
}

// castVotes casts the votes for a block that was executed and on which everything
// below is too.
func (r *Replica) castVotes(s *slot, told bool) {
	if !s.voted && r.voting() {
		r.accept(s)
	}
	// A quorum of PREPAREs is a lock only for who has voted as well: its record then
	// has the body beside it, so that f+1 honest replicas can hand the body out to
	// whoever has to carry the block over.
	if s.voted && s.lock == nil {
		if cert := s.prepares.certified(); cert != nil && cert.Digest == s.digest {
			r.prepared(s, &Lock{Header: *s.header, Cert: *cert})
		}
	}
	// COMMIT goes out in order: whoever helps to commit a block vouches for all below
	// it. That is why a view change may end at the first gap among the locks, and why
	// a VIEW-CHANGE with a gap below a COMMIT is evidence.
	if s.lock != nil && !s.commitSent && told && r.voting() {
		s.commitSent = true
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

// commit commits the next block.
func (r *Replica) commit(d *Decision) {
	s := r.slots[d.Header.Seq]
	// Nothing that leaves rests on this record: 2f+1 replicas have the prepared
	// certificate on their disks, and who has lost the decision is told it again. It
	// says up to where this replica's own log goes, see Resume.
	r.persist(DecidedRecord{d})
	r.out.Deliver = append(r.out.Deliver, d)
	r.pace.committed(r, s, d.Header.Count)
	r.rebase(d)
}

// rebase makes a decision the new base and forgets what is below it.
func (r *Replica) rebase(d *Decision) {
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
	// The base has moved, and with it the horizon: of what the view carries over, more
	// may find a slot now.
	r.placeCarried()
	r.noteDue(d)
}

// setCertain fills a slot with what is committed there.
func (s *slot) setCertain(d *Decision) {
	if s.header == nil || s.digest != d.Cert.Digest {
		s.header, s.digest, s.checked = &d.Header, d.Cert.Digest, false
	}
	// What was asked about a block that nobody had vouched for is asked again: its time
	// may be why there is no answer, or a refusal that does not count any more.
	s.asked = s.asked && (s.checked || s.vouched)
	s.certain = d
}

// requestBlock asks for the next block when this replica leads and may propose it.
func (r *Replica) requestBlock() {
	if r.halted != nil || r.changing || !r.leads() || !r.voting() || r.ended() || r.base.header.Seq < r.floor {
		return
	}
	// Only on top of what this leader has itself executed and voted for: it could
	// otherwise not say what comes out of the next block. An epoch's last block has
	// nothing on top of it.
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
	if next > r.limit() || r.requested == wanted {
		return
	}
	r.requested = wanted
	r.out.Build = &wanted
}

// built proposes the block that was asked for. One that comes too late is
// forgotten.
func (r *Replica) built(e Built) {
	h := e.Header
	if r.changing || e.View != r.requested.View || h.Epoch != r.start.Epoch || h.Committee != r.start.Header.Following() ||
		h.Seq != r.requested.Seq || h.Parent != r.requested.Parent {
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
		case (s.vouched || s.certain != nil) && e.Vouched:
			r.halt(ErrDiverged)
		case s.vouched || s.certain != nil:
			// It was looked at before a quorum vouched for it, and is looked at again.
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
	if r.bufferEarly(p.View, Verified{p, r.start.Epoch}, r.start.leader(p.View)) || p.View != r.view {
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
	if r.bufferEarly(v.View, Verified{v, r.start.Epoch}, v.Replica) || v.View != r.view {
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
	// The first vote counts and stays, so that a certificate once formed is never
	// taken apart. A PREPARE for one block and a COMMIT for another are no less of a
	// contradiction than two votes of one phase: COMMIT says that this is the one which
	// was prepared.
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
	// Going on would be worse than stopping: the other process, or the log's missing
	// end, may hold votes that the next one contradicts, and two of them are evidence
	// against this key for good.
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
	// The certificate outweighs what the view has put into the slot. Two certificates
	// for one slot are a fork, which is for Blame and not for a vote count: the first
	// one stays.
	if s.certain == nil {
		s.setCertain(d)
	}
}

// early is a message of a view to come, with the replica whose it is.
type early struct {
	message Verified
	from    quorum.Replica
}

// bufferEarly keeps a message of a view to come, and reports whether it is one. Each
// replica may have a few windows' worth kept.
func (r *Replica) bufferEarly(view uint64, v Verified, from quorum.Replica) bool {
	if view < r.view || (view == r.view && !r.changing) {
		return false
	}
	// A view may begin here long after it began elsewhere, and its first votes are not
	// said again at once: without them each view change would begin with a pause. The
	// bound is for each author, so that nobody takes the room of others.
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

// handleEarly handles what was buffered for the view that has begun.
func (r *Replica) handleEarly() {
	kept := r.early
	r.early = nil
	for _, e := range kept {
		r.receive(e.message) // what is for later is put off again
	}
}
