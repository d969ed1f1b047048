package pbft

import "github.com/decube/decube/ledger/quorum"

// catchUp is what a replica knows about others being ahead, and whom it has
// helped lately.
type catchUp struct {
	said   uint64      // how far others say they are
	proven Certificate // the highest certificate above base, of a commit or a checkpoint
	since  uint64      // since when this replica has been behind without moving; 0 when it is not
	asked  uint64      // when a Sync was last put out
	at     uint64      // base when since was set
	helped [quorum.MaxReplicas]uint64
}

// certified takes note of a certificate above what this replica has committed.
func (c *catchUp) certified(r *Replica, cert *Certificate) {
	if len(cert.Sigs) > 0 && cert.Seq > r.base.header.Seq && cert.Seq > c.proven.Seq {
		c.proven = *cert
	}
}

// beyond takes note of a vote too far above the window to be kept: its author
// has committed all but the last window.
func (c *catchUp) beyond(r *Replica, _ quorum.Replica, seq uint64) {
	if seq > r.horizon() {
		c.said = max(c.said, seq-r.cfg.Window)
	}
}

// tick asks for what others have when this replica has not come further by
// itself for a while.
func (c *catchUp) tick(r *Replica) {
	have := r.base.header.Seq
	if max(c.said, c.proven.Seq) <= have {
		c.since = 0
		return
	}
	if c.since == 0 || c.at != have {
		c.since, c.at = r.now, have
	}
	if r.now-c.since < r.cfg.SyncDelay || (c.asked > 0 && r.now-c.asked < r.cfg.ResendInterval) {
		return
	}
	c.asked = r.now
	s := &Sync{Seq: max(c.said, c.proven.Seq)}
	if c.proven.Seq > have {
		s.Certified = c.proven
	}
	r.out.Sync = s
	c.said = 0 // it was only said; those who are ahead say it again
}

// report tells the others how far this replica is.
func (r *Replica) report() {
	r.pace.saidAt = r.now
	r.send(r.status())
}

// status makes this replica's report.
func (r *Replica) status() *Status {
	s := &Status{
		Epoch: r.start.Epoch, View: r.view, Changing: r.changing, Committed: r.base.header.Seq,
		Stable: r.stable.Seq, Replica: r.start.Self,
	}
	s.Sig = r.start.Sign(s.Statement(r.cfg.Cluster))
	return s
}

// onStatus helps a replica that is just behind, and learns from one that is
// ahead.
func (r *Replica) onStatus(s *Status) {
	if s.Replica == r.start.Self {
		return
	}
	if s.Committed > r.base.header.Seq {
		r.catchUp.said = max(r.catchUp.said, s.Committed)
	}
	r.help(s.Replica, s.Committed, s.View < r.view || (s.View == r.view && s.Changing))
	if s.Stable < r.stable.Seq && len(r.stable.Sigs) > 0 && r.catchUp.helped[s.Replica] != r.now {
		r.catchUp.helped[s.Replica] = r.now
		r.sendTo(s.Replica, &Certified{r.stable})
	}
}

// help sends another replica what it lacks, if that is little. Nobody is helped
// more often than messages are repeated.
func (r *Replica) help(to quorum.Replica, committed uint64, view bool) {
	view = view && !r.changing && r.newView != nil && r.newView.View == r.view
	if committed >= r.base.header.Seq && !view {
		return
	}
	last := &r.catchUp.helped[to]
	if *last > 0 && r.now-*last < r.cfg.ResendInterval/2 {
		return
	}
	*last = max(1, r.now)
	for _, d := range r.recent {
		if d.Header.Seq > committed && d.Header.Seq <= committed+r.cfg.Window && d.Header.Epoch == r.start.Epoch {
			r.sendTo(to, d)
		}
	}
	if view {
		r.sendTo(to, r.newView)
	}
}

// synced takes up what the driver has fetched and stored.
func (r *Replica) synced(v Verified, volatile bool) {
	d, ok := v.m.(*Decision)
	if !ok || v.epoch != r.start.Epoch || d.Header.Seq <= r.base.header.Seq {
		return
	}
	r.pace.committed(r, nil, 0)
	r.rebase(d)
	r.requested = Build{}
	if !volatile {
		r.onStored(d.Header.Seq)
	}
}
