package sim

import (
	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/testnet/sim/adversary"
)

// floorPeriods is for how many periods of measurement a slow leader may lead while
// requests wait (L5).
const floorPeriods = 4

// pace watches how long slow leaders stay.
type pace struct {
	slow  bool
	since Time
	view  pbft.Place
}

// entersView takes note of who leads.
func (o *oracle) entersView(n *node, view uint64) {
	at := pbft.Place{Epoch: n.epoch.number, View: view}
	p := &o.pace
	if at.Epoch < p.view.Epoch || (at.Epoch == p.view.Epoch && view <= p.view.View) {
		return
	}
	p.view = at
	leader := o.w.hosts[n.epoch.leader(view)][0]
	_, slow := leader.strategy.(adversary.Slow)
	p.slow, p.since = slow, o.w.now()
}

// floor checks that no slow leader has been leading for too long.
func (o *oracle) floor() {
	p, c := &o.pace, o.w.cfg
	most := floorPeriods * Time(c.Core.FloorPeriod) * TickLength
	if c.Floor && p.slow && o.w.settled && !o.w.loadOver() && o.w.now()-max(p.since, c.GST) > most {
		o.broken("L5", "the slow leader of view %d has been leading for %v ms", p.view.View, o.w.now()-p.since)
	}
}

// probe is a look at the timeouts when all is calm: the leader dies, and others
// must take over in a time that has nothing to do with what was before GST (L6).
type probe struct {
	begun Time
	over  bool
}

// probeBound is how long it may take until requests are executed again: a few of
// the shortest timeouts, and the time of blocks.
func (w *world) probeBound() Time {
	return 8*Time(w.cfg.Core.PreprepareTimeout)*TickLength + 300*Millisecond
}

// probing reports whether there is still something to wait for after a run has
// come to its end.
func (w *world) probing() bool {
	p := &w.probe
	switch {
	case !w.cfg.Probe || p.over:
		return false
	case p.begun > 0: // all requests are executed
		p.over = true
		took := w.now() - p.begun
		w.stats.Probe = took
		if took > w.probeBound() {
			w.oracle.broken("L6", "after the leader died, requests were executed in %v ms, not in %v", took, w.probeBound())
		}
		return false
	}
	p.begun = w.now()
	w.trace(nobody, "probe", nobody, nil)
	w.cfg.Faults.MaxDown = 60 * Second
	w.faults.killLeader()
	for _, c := range w.clients {
		c.request(tx{})
		c.send(&c.open[0].tx, len(w.nodes))
	}
	return true
}
