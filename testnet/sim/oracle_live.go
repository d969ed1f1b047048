package sim

// bound is how long after GST and the end of the load everything must be done: the last
// view that failed before GST may have a timeout as long as they get, each of f faulty
// leaders may use up one more, and then nodes still have to fetch what they lack.
func (w *world) bound() Time {
	longest := Time(w.cfg.Core.MaxTimeout) * TickLength
	return 2*Time(faulty(w.cfg.Validators+w.cfg.Candidates)+1)*longest + 20*Second
}

// synced is how long archives may take beside that to make all that was wanted durable: no
// more is ordered than a window beyond the last checkpoint, and with the smallest windows a
// slow disk is written to for each block.
func (w *world) synced() Time {
	return w.cfg.Work.Sync * Time(len(w.oracle.wants)) / Time(w.cfg.Params.CheckpointInterval)
}

// wanted takes note that a client wants something.
func (o *oracle) wanted(r *request) { o.wants = append(o.wants, r) }

// unexecuted returns the requests that are not committed.
func (o *oracle) unexecuted() []*request {
	var out []*request
	for _, r := range o.wants {
		if _, done := o.chain.placed[r.tx.ID()]; !done {
			out = append(out, r)
		}
	}
	return out
}

// finished reports whether all that must happen after GST has happened.
func (w *world) finished() bool {
	if !w.loadOver() {
		return false
	}
	if w.cfg.Fork {
		return w.oracle.forkTold()
	}
	if w.laggard() != nil {
		return false
	}
	for _, c := range w.clients {
		if len(c.open) > 0 {
			return false
		}
	}
	return len(w.oracle.unexecuted()) == 0 && !w.probing()
}

// laggard returns a node that is not where it must be, or nil.
func (w *world) laggard() *node {
	for _, n := range w.nodes {
		if !w.faults.live(n) {
			continue
		}
		if n.program == nil {
			if w.probe.begun > 0 {
				continue // it was killed to see what the others do
			}
			return n
		}
		v := n.program.view
		_, member := w.oracle.chain.set.Replica(n.key.Public())
		switch {
		case v == nil, v.Head.Header.Seq < w.oracle.chain.head(), v.Recovering && member:
			return n
		case member && v.Core == nil && v.Halted == "":
			return n
		}
	}
	return nil
}

// overdue says what has not happened in time.
func (o *oracle) overdue() {
	w := o.w
	if w.cfg.Fork {
		o.broken("S9", "the ledger has forked at %d, and nobody has told: %v", o.forks.split, o.untold())
		return
	}
	if open := o.unexecuted(); len(open) > 0 {
		r := open[0]
		o.broken("L1", "%d requests are not executed, the first is %s, wanted at %v; %d blocks", len(open), r.tx.Summary(), r.since, o.chain.head())
	}
	if n := w.laggard(); n != nil {
		var shown any
		if n.program != nil && n.program.view != nil {
			shown = viewText{n.program.view}
		}
		o.broken("L3", "node %d (up %v, dead %v) is not where the others are, at %d: %v", n.id, n.host.Up(), n.dead, o.chain.head(), shown)
	}
	for _, c := range w.clients {
		if len(c.open) > 0 {
			o.broken("L1", "client %d waits for the answer to %s", c.id, c.open[0].tx.Summary())
		}
	}
	if w.cfg.Probe && w.probe.begun == 0 {
		o.broken("L6", "nobody leads when all is calm, as far as a quorum shows")
	}
	if o.failed == nil {
		o.broken("simulator", "the run does not end")
	}
}

// probe is a look at the timeouts when all is calm: the leader dies, and others must take
// over soon, whatever was before GST (L6).
type probe struct {
	begun Time
	over  bool
	asked *request
}

// probeBound is how long it may take until something is committed again.
const probeBound = Second

// probing reports whether there is still something to wait for after a run has come to its
// end.
func (w *world) probing() bool {
	p := &w.probe
	switch {
	case !w.cfg.Probe || p.over:
		return false
	case p.begun > 0:
		p.over = true
		took := w.oracle.chain.at(w.oracle.chain.placed[p.asked.tx.ID()].seq).at - p.begun
		w.stats.Probe = max(w.stats.Probe, took)
		if took > probeBound {
			w.oracle.broken("L6", "after the leader died, a request was executed in %v ms, not in %v", took, probeBound)
		}
		return false
	}
	leader := w.leader()
	if leader == nil {
		return true
	}
	p.begun = w.now()
	w.trace(leader.id, "is killed for a probe", nobody, nil)
	leader.crash()
	if p.asked = w.clients[0].request(); p.asked == nil {
		return false
	}
	w.clients[0].send(p.asked, len(w.nodes))
	return true
}

// leader returns the node that leads, as far as a quorum shows, or nil.
func (w *world) leader() *node {
	counts := map[*node]int{}
	for _, n := range w.nodes {
		if n.voting() {
			if l := w.byKey[n.program.view.Core.Leader]; l != nil && l.program != nil {
				if counts[l]++; counts[l] >= quorumOf(len(w.oracle.chain.set)) {
					return l
				}
			}
		}
	}
	return nil
}
