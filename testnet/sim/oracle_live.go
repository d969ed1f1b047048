package sim

import "github.com/decube/decube/ledger/pbft"

// bound is how long after GST and the end of the load everything must be done.
func (w *world) bound() Time {
	n := Time(w.cfg.Identities)
	longest := Time(w.cfg.Core.MaxTimeout) * TickLength //nolint:gosec // small
	return 3*n*longest + 20*Second
}

// finished reports whether all that must happen after GST has happened.
func (w *world) finished() bool {
	if !w.loadOver() {
		return false
	}
	for _, c := range w.clients {
		if len(c.open) > 0 {
			return false
		}
	}
	return w.laggard() == nil && len(w.oracle.open()) == 0
}

// laggard returns a node that is not where it must be, or nil.
func (w *world) laggard() *node {
	head := w.oracle.order.head()
	for _, n := range w.nodes {
		if w.faults.live(n) && (!n.up || n.disk.store.head.Seq < head) {
			return n
		}
	}
	return nil
}

// overdue says what has not happened in time.
func (o *oracle) overdue() {
	w := o.w
	if open := o.open(); len(open) > 0 {
		o.broken("L1", "%d requests are not executed, the first is %v, accepted at %v; %d blocks", len(open), open[0], o.requests[open[0]].first, o.order.head())
	}
	if n := w.laggard(); n != nil {
		o.broken("L3", "node %d (up %v, halted %v) is at %d of %d", n.id, n.up, n.halted, n.disk.store.head.Seq, o.order.head())
	}
	for _, c := range w.clients {
		if len(c.open) > 0 {
			o.broken("L1", "client %d waits for %v", c.id, &c.open[0].tx)
		}
	}
}

func (o *oracle) noted(*node, *pbft.Note) {}
