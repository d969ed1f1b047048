package pbft

// suspect gives the leader up, for a reason.
func (r *Replica) suspect(why NoteKind, seq uint64) {
	if !r.voting() || r.ended() {
		return
	}
	r.note(why, seq)
	r.change(r.view + 1)
}

// change asks for a view, and takes part in no other until it has begun. What it
// asks with is recorded: after a restart the very same message is sent again.
func (r *Replica) change(view uint64) {
	// A view in which nothing was committed has failed, and the next one gets twice
	// the time: with any finite delay of the network there comes a view that is long
	// enough. One that has committed something is no reason for more patience.
	if r.changing || r.pace.decisions == 0 {
		r.failed++
	}
	r.view, r.changing = view, true
	r.changeAt, r.quorumAt = r.now, 0
	r.clearSlots()
	vc := &ViewChange{Epoch: r.start.Epoch, View: view, Replica: r.start.Self, Base: r.base.cert, Locks: r.lockSet()}
	vc.Sig = r.start.Sign(vc.Statement(r.cfg.Cluster))
	r.changes[r.start.Self] = vc
	r.persist(ChangeRecord{vc})
	r.send(vc)
	r.pace.left()
	r.note(NoteViewChangeStarted, r.base.header.Seq)
	r.assemble()
}

// lockSet returns PBFT's set P: what was prepared above the base, each with the
// certificate of the highest view.
func (r *Replica) lockSet() []Lock {
	var out []Lock
	for seq := r.base.header.Seq + 1; seq <= r.base.header.Seq+r.cfg.Window; seq++ {
		if l := r.locks[seq]; l != nil {
			out = append(out, *l)
		}
	}
	return out
}

// onViewChange takes another replica's wish for a view.
func (r *Replica) onViewChange(vc *ViewChange) {
	if vc.Replica == r.start.Self {
		return
	}
	r.findAmnesia(vc)
	if known := r.changes[vc.Replica]; known != nil && known.View >= vc.View {
		return
	}
	r.changes[vc.Replica] = vc
	r.catchUp.certified(r, &vc.Base)
	if vc.View <= r.view && !r.changing {
		r.help(vc.Replica, vc.Base.Seq, true)
		return
	}
	r.join()
	r.assemble()
}

// findAmnesia compares a view change with the COMMITs that its author has sent
// for what is still in flight here.
func (r *Replica) findAmnesia(vc *ViewChange) {
	for seq := r.base.header.Seq + 1; seq <= r.horizon(); seq++ {
		s := r.slots[seq]
		if s == nil {
			continue
		}
		if v := s.commits.of(vc.Replica); v != nil && forgets(v, vc) {
			r.blame(&Evidence{Kind: Amnesia, First: *v, Change: vc})
		}
	}
}

// join follows f+1 replicas that want later views to the lowest of those: at
// least one of them is honest.
func (r *Replica) join() {
	if !r.voting() || r.ended() {
		return
	}
	// Not f: faulty replicas alone must not be able to drag the others from view to
	// view. And to the lowest, not the highest: one honest replica stands behind that
	// one, and perhaps none behind any later.
	later, lowest := 0, uint64(0)
	for _, vc := range r.changes {
		if vc == nil || vc.View <= r.view {
			continue
		}
		later++
		if lowest == 0 || vc.View < lowest {
			lowest = vc.View
		}
	}
	if later >= r.start.Committee.Weak() {
		r.change(lowest)
	}
}

// assemble begins the view when this replica leads it and a quorum wants it. The
// others' patience with the new leader runs from the moment that a quorum wants
// the view or a later one: those who want a later one do not repeat that they
// wanted this.
func (r *Replica) assemble() {
	if !r.changing {
		return
	}
	var wanted []*ViewChange
	later := 0
	for _, vc := range r.changes {
		switch {
		case vc == nil:
		case vc.View == r.view:
			wanted = append(wanted, vc)
		case vc.View > r.view:
			later++
		}
	}
	if r.quorumAt == 0 && len(wanted)+later >= r.start.Committee.Quorum() {
		r.quorumAt = max(1, r.now)
	}
	if len(wanted) < r.start.Committee.Quorum() || !r.leads() || !r.voting() {
		return
	}
	// What is proposed must follow from just the view changes that go with it, even if
	// others have come since: whoever checks it sees no others.
	n := &NewView{Epoch: r.start.Epoch, View: r.view, Changes: wanted}
	for _, h := range carriedOver(wanted) {
		p := &Proposal{View: r.view, Header: h}
		p.Sig = r.sign(p.Subject()).Sig
		n.Proposals = append(n.Proposals, p)
	}
	n.Sig = r.start.Sign(n.Statement(r.cfg.Cluster))
	r.enter(n)
	r.send(n)
}

// onNewView enters a view that a quorum wants. The verifier has checked that the
// proposals follow from the view changes.
func (r *Replica) onNewView(n *NewView) {
	if n.View < r.view || (n.View == r.view && !r.changing) || r.ended() {
		return
	}
	r.enter(n)
}

// enter begins a view.
func (r *Replica) enter(n *NewView) {
	r.setView(n)
	r.enteredAt = r.now
	r.persist(EnteredRecord{n})
	r.catchUp.certified(r, baseOf(n.Changes))
	r.pace.entered(r.now)
	r.note(NoteViewEntered, r.base.header.Seq)
	r.handleEarly()
}

// setView makes a new view's state. What it is based on was committed in an earlier
// view, whether this replica has it or not: up to there blocks are taken by
// certificate only.
func (r *Replica) setView(n *NewView) {
	r.view, r.changing, r.newView = n.View, false, n
	r.floor = baseOf(n.Changes).Seq
	r.clearSlots()
	r.placeCarried()
}

// placeCarried puts the new view's proposals into their slots, as far as this replica
// has come: the rest follows when it has committed more.
func (r *Replica) placeCarried() {
	if r.changing || r.newView == nil || r.newView.View != r.view {
		return
	}
	for _, p := range r.newView.Proposals {
		s := r.slot(p.Header.Seq)
		if s == nil || (s.header != nil && s.prepares.of(r.leader()) != nil) {
			continue
		}
		// The leader's vote counts, whatever is in the slot already: if it is this replica,
		// it has signed for a block that is certain too, and must know its own signature.
		sub := p.Subject()
		s.prepares.add(&Vote{Subject: sub, Replica: r.leader(), Sig: p.Sig})
		if s.header != nil {
			continue
		}
		s.header, s.digest, s.vouched = &p.Header, sub.Digest, true
	}
}
