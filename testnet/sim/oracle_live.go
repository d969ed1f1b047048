package sim

import "github.com/decube/decube/ledger/pbft"

// bound is how long after GST and the end of the load everything must be done: the
// last view that failed before GST may have a timeout as long as they get, each of
// f faulty leaders may use up one more, and then replicas still have to fetch what
// they lack.
func (w *world) bound() Time {
	longest := Time(w.cfg.Core.MaxTimeout) * TickLength
	return 2*Time(w.mostFaulty()+1)*longest + 6*Second
}

// mostFaulty is how many replicas may be faulty in the largest committee.
func (w *world) mostFaulty() int { return maxFaulty(w.cfg.Identities) }

// finished reports whether all that must happen after GST has happened.
func (w *world) finished() bool {
	if !w.loadOver() {
		return false
	}
	if w.cfg.Fork {
		return true
	}
	for _, c := range w.clients {
		if len(c.open) > 0 {
			return false
		}
	}
	return w.laggard() == nil && len(w.oracle.open()) == 0 && !w.probing()
}

// laggard returns a node that is not where it must be, or nil.
func (w *world) laggard() *node {
	head := w.oracle.order.head()
	for _, n := range w.nodes {
		if w.faults.live(n) && (n.host.Up() || w.probe.begun == 0) && (!n.host.Up() || n.disk.store.head.Seq < head || n.recover) {
			return n
		}
	}
	return nil
}

// censored checks that no request waits for longer than is promised, even while
// others are executed.
func (o *oracle) censored() {
	w := o.w
	if w.cfg.Within == 0 || w.loadOver() {
		return
	}
	for _, r := range o.open() {
		since := max(o.requests[r].first, w.cfg.GST+calm)
		if w.now()-since > w.cfg.Within {
			o.broken("L1", "request %v has waited for %v ms, while others were executed", r, w.now()-since)
		}
	}
}

// overdue says what has not happened in time.
func (o *oracle) overdue() {
	w := o.w
	if open := o.open(); len(open) > 0 {
		o.broken("L1", "%d requests are not executed, the first is %v, accepted at %v; %d blocks", len(open), open[0], o.requests[open[0]].first, o.order.head())
	}
	if n := w.laggard(); n != nil {
		o.broken("L3", "node %d (up %v, halted %v, recovering %v) is at %d of %d", n.id, n.host.Up(), n.halted, n.recover, n.disk.store.head.Seq, o.order.head())
	}
	for _, c := range w.clients {
		if len(c.open) > 0 {
			o.broken("L1", "client %d waits for %v", c.id, &c.open[0].tx)
		}
	}
}

// calm is how long after GST everybody is up again.
const calm = Second + 200*Millisecond

// patience watches for how long good leaders get no chance.
type patience struct {
	// tried are the views of good leaders that were given up since the last block.
	tried map[pbft.Place]bool
	// wanted are the views that were asked for under load, when timeouts should have
	// been found out.
	wanted map[pbft.Place]bool
}

// mostWanted is how many views may be asked for in seconds of load.
const mostWanted = 4

// learned checks that timeouts are found out once (L6): in the second half of the load,
// views do not change any more, however many epochs begin.
func (o *oracle) learned(view pbft.Place) {
	w := o.w
	if !w.cfg.Learned || w.loadOver() || w.now() < w.cfg.GST+w.cfg.Load/2 {
		return
	}
	if o.patience.wanted == nil {
		o.patience.wanted = map[pbft.Place]bool{}
	}
	if o.patience.wanted[view] = true; len(o.patience.wanted) > mostWanted {
		o.broken("L6", "%d views were asked for on a network that has not changed for %v ms", len(o.patience.wanted), w.now()-w.cfg.GST)
	}
}

// noted looks at what a core tells: at view changes after GST.
func (o *oracle) noted(n *node, note *pbft.Note) {
	if note.Kind == pbft.NoteViewEntered && o.honest(n) {
		o.entersView(n, note.View)
	}
	if note.Kind == pbft.NoteViewChangeStarted && o.honest(n) {
		o.learned(pbft.Place{Epoch: n.epoch.number, View: note.View})
	}
	if o.w.cfg.Far || note.Kind != pbft.NoteViewChangeStarted || o.w.now() < o.w.cfg.GST+calm || !o.honest(n) {
		return
	}
	// The view given up is the one before the one that is wanted.
	left := pbft.Place{Epoch: n.epoch.number, View: note.View - 1}
	leader := n.epoch.leader(left.View)
	if !o.w.faults.good(leader) {
		return
	}
	if o.patience.tried == nil {
		o.patience.tried = map[pbft.Place]bool{}
	}
	o.patience.tried[left] = true
	o.w.stats.GoodLeaders = max(o.w.stats.GoodLeaders, len(o.patience.tried))
	// One view change may be under way when everybody is up.
	if most := maxFaulty(len(n.epoch.order)) + 2; len(o.patience.tried) > most {
		o.broken("L2", "%d views of good leaders were given up in a row", len(o.patience.tried))
	}
}
