package pbft

// pace measures a leader: whether blocks commit in time, whether enough of them
// do, and how long waiting is reasonable.
type pace struct {
	progressAt uint64 // last commit, or when the view began
	decisions  uint64 // in this view
	latency    uint64 // of a block from PREPARE to commit: about 8 times its mean of late, in ticks

	periodAt uint64 // when the period of measurement began
	busy     uint64 // ticks of it in which a request was waiting
	count    uint64 // transactions committed in it
	best     uint64 // of the best period lately

	forwarded uint64 // when requests were last forwarded

	saidAt uint64 // when this replica last repeated itself or reported
}

// committed takes note of a commit.
func (p *pace) committed(r *Replica, s *slot, count uint32) {
	p.progressAt = r.now
	p.count += uint64(count)
	if s == nil || !s.voted {
		return
	}
	p.decisions++
	p.latency += r.now - min(s.began, r.now)
	p.latency -= p.latency / 8
	if p.decisions%r.cfg.Window == 0 && r.failed > 0 {
		r.failed--
	}
}

// entered starts the clocks of a new view.
func (p *pace) entered(now uint64) {
	p.best = p.most()
	p.progressAt, p.decisions = now, 0
	p.restart(now)
}

// left takes note of a view that was given up. What the floor is measured
// against is lowered too, so that a swarm that has become slower does not
// replace one leader after another; but not below what this view has committed in the
// period that it did not end.
func (p *pace) left() { p.best, p.count = max(p.best/2, p.count), 0 }

// most returns what the floor is measured against: what the best period has made, or the
// present one so far. A leader that dies in its first period has shown what can be
// done, and one that is slow has to be held against that.
func (p *pace) most() uint64 { return max(p.best, p.count) }

func (p *pace) restart(now uint64) { p.periodAt, p.busy, p.count = now, 0, 0 }

// timeout returns a timeout with the doublings that apply, and never less than
// what blocks take.
func (r *Replica) timeout(standard uint64) uint64 {
	t := standard
	for range min(r.failed, 32) {
		t = min(2*t, r.cfg.MaxTimeout)
	}
	usual := min(4*r.pace.latency/8, 8*standard)
	return min(max(t, usual), r.cfg.MaxTimeout)
}

// tick is the passing of time.
func (r *Replica) tick(t Tick) {
	r.now++
	r.repeat()
	r.catchUp.tick(r)
	r.forward(t)
	switch {
	case !r.voting() || r.ended():
	case r.changing:
		// A view change that a quorum wants has its time; one that fewer want goes on
		// being wanted.
		if r.quorumAt > 0 && r.now-r.quorumAt > r.timeout(r.cfg.PreprepareTimeout) {
			r.change(r.view + 1)
		}
	default:
		r.judge(t)
	}
}

// forward has the longest waiting requests sent to everybody again, also while a
// view change runs: those who were away when a request was first sent do not know
// of it, and do not miss it.
func (r *Replica) forward(t Tick) {
	if t.Oldest > r.cfg.ForwardAfter && r.now-r.pace.forwarded >= r.cfg.ForwardAfter {
		r.pace.forwarded = r.now
		r.out.Forward = true
	}
}

// judge gives the leader up if it is too slow.
func (r *Replica) judge(t Tick) {
	if r.base.header.Seq >= r.limit() {
		// Checkpoints are behind: no leader could propose anything, and the clocks by
		// which it is judged stand still. They do not start anew, or a leader could
		// censor and dawdle for ever while checkpoints are slow.
		r.pace.progressAt = r.now
		r.pace.periodAt++
		r.enteredAt++
		return
	}
	if late, seq := r.late(t); late {
		r.suspect(NoteTimeout, seq)
		return
	}
	if r.leads() {
		return
	}
	if min(t.Oldest, r.now-r.enteredAt) > r.cfg.CensorTimeout {
		r.suspect(NoteCensored, r.base.header.Seq)
		return
	}
	r.measure(t)
}

// late reports whether the oldest block in flight, or the leader's next proposal,
// is overdue.
func (r *Replica) late(t Tick) (bool, uint64) {
	next := r.base.header.Seq + 1
	s := r.slots[next]
	// Only the lowest block in flight is timed: those above wait for it, and are late
	// for no fault of their own.
	switch {
	case s != nil && s.lock != nil:
		return r.now-s.since > r.timeout(r.cfg.CommitTimeout), next
	case s != nil && s.header != nil:
		return r.now-s.since > r.timeout(r.cfg.PrepareTimeout), next
	case s != nil && r.start.Committee.Vouches(s.prepares.tally.Voted()):
		// Somebody honest has seen a proposal that this replica has not.
		return r.now-s.since > r.timeout(r.cfg.PrepareTimeout), next
	case t.Oldest > 0 && !r.leads():
		// A request is as late as the leader has had the chance to take it up: not
		// longer than since it last did something.
		waited := min(t.Oldest, r.now-min(r.pace.progressAt, r.now))
		return waited > r.timeout(r.cfg.PreprepareTimeout), next
	}
	return false, next
}

// measure holds the leader's throughput against the floor: while requests are
// waiting all the time, it must be a part of what the best period lately made, or of
// what there was to commit, if that is less: when clients ask for less, no leader is
// slow for it. What there was is what was committed and what still waits.
func (r *Replica) measure(t Tick) {
	p := &r.pace
	if t.Oldest > 0 {
		p.busy++
	}
	if r.now-p.periodAt < r.cfg.FloorPeriod {
		return
	}
	busy := p.busy*10 >= r.cfg.FloorPeriod*9
	slow := busy && p.count*r.cfg.FloorDivisor < min(p.best, p.count+t.Waiting)
	p.best = max(p.best-p.best/8, p.count)
	p.restart(r.now)
	if slow {
		r.suspect(NoteSlow, r.base.header.Seq)
	}
}

// repeat says again what may have been lost: while blocks are in flight, a view
// change runs or a checkpoint is not certified, all that this replica has said about
// them; else, seldom, how far it is.
func (r *Replica) repeat() {
	p := &r.pace
	busy := r.changing || r.inFlight()
	quiet := r.now - max(p.saidAt, min(p.progressAt, r.now))
	if r.ended() || !r.voting() || len(r.ballots[r.start.Self]) > 0 {
		// At the window's end nothing is in flight, and nothing can be until the
		// checkpoint is certified. If all wait there and some votes for it were lost,
		// nobody but their authors can end it.
		quiet, busy = r.now-p.saidAt, true
	}
	switch {
	case busy && quiet >= r.cfg.ResendInterval:
		r.repeatVotes()
	case r.now-p.saidAt >= r.cfg.IdleStatus:
	default:
		return
	}
	r.report()
}

func (r *Replica) inFlight() bool {
	for seq := r.base.header.Seq + 1; seq <= r.horizon(); seq++ {
		if s := r.slots[seq]; s != nil && (s.header != nil || s.commits.of(r.start.Self) != nil) {
			return true
		}
	}
	return false
}

func (r *Replica) repeatVotes() {
	for _, v := range r.ballots[r.start.Self] {
		r.send(v)
	}
	if r.changing && r.changes[r.start.Self] != nil {
		r.send(r.changes[r.start.Self])
	}
	for seq := r.base.header.Seq + 1; seq <= r.limit() && !r.changing; seq++ {
		s := r.slots[seq]
		if s == nil {
			continue
		}
		if s.proposal != nil {
			r.send(s.proposal)
		} else if v := s.prepares.of(r.start.Self); v != nil && !r.leads() {
			r.send(v)
		}
		if v := s.commits.of(r.start.Self); v != nil {
			r.send(v)
		}
		if s.asked && !s.checked { // the driver may have given up on the body
			s.asked = false
		}
	}
	if r.leads() && !r.changing && r.newView != nil && r.newView.View == r.view {
		r.send(r.newView)
	}
}
