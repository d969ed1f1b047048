package sim

import (
	"github.com/decube/decube/ledger/driver"
	"github.com/decube/decube/ledger/follow"
	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/testnet/sim/adversary"
)

// watchEvery is how often it is looked at what takes how long, and who holds how much.
const watchEvery = 50 * Millisecond

// watch looks at what has to be looked at all the time.
func (o *oracle) watch() {
	if o.w.now()-o.pace.watched < watchEvery {
		return
	}
	o.pace.watched = o.w.now()
	o.floor()
	o.censored()
	for _, n := range o.w.nodes {
		o.bounded(n)
		o.lags(n)
	}
}

// settling is how long after GST everybody is up again.
const settling = Second + 200*Millisecond

// censored checks that no request waits for longer than is promised, even while others
// are executed (L1).
func (o *oracle) censored() {
	w := o.w
	if w.cfg.Within == 0 || w.loadOver() {
		return
	}
	for _, r := range o.unexecuted() {
		since := max(r.since, w.cfg.GST+settling)
		if w.now()-since > w.cfg.Within {
			o.broken("L1", "%s of client %d has waited for %v ms, while others were executed", r.tx.Summary(), r.c.id, w.now()-since)
			return
		}
	}
}

// patience watches for how long good leaders get no chance.
type patience struct {
	// asked are the views that each node has asked for: who asks again says nothing new.
	asked map[wish]bool
	// tried are the views of good leaders that were given up since the last block.
	tried map[pbft.Place]bool
	// late are the views that were asked for when timeouts should have been found out.
	late map[pbft.Place]bool
}

type wish struct {
	by   *node
	view pbft.Place
}

func newPatience() patience {
	return patience{asked: map[wish]bool{}, tried: map[pbft.Place]bool{}, late: map[pbft.Place]bool{}}
}

// mostWanted is how many views may be asked for in seconds of load on a network that has
// not changed.
const mostWanted = 4

// wantsView looks at an honest node's wish for another view.
func (o *oracle) wantsView(n *node, vc *pbft.ViewChange) {
	set, view := o.votes.known[vc.Epoch], pbft.Place{Epoch: vc.Epoch, View: vc.View}
	self, member := set.Replica(n.key.Public())
	if !member || self != vc.Replica || o.patience.asked[wish{n, view}] {
		return
	}
	o.patience.asked[wish{n, view}] = true
	o.learned(view)
	// The view given up is the one before the one that is wanted.
	view.View--
	leader := o.w.byKey[set[leaderOf(set, view.Epoch, view.View)]]
	if o.w.cfg.Far || o.w.now() < o.w.cfg.GST+settling || !o.w.faults.good(leader) {
		return
	}
	o.patience.tried[view] = true
	o.w.stats.GoodLeaders = max(o.w.stats.GoodLeaders, len(o.patience.tried))
	// One view change may be under way when everybody is up.
	if most := faulty(len(set)) + 2 + o.w.cfg.doublings(); len(o.patience.tried) > most {
		o.broken("L2", "%d views of good leaders were given up in a row", len(o.patience.tried))
	}
}

// doublings returns how often the first timeout is doubled, and a good leader given up for it,
// until there is time to build a block and check it, with half as much to do before.
func (c *Config) doublings() (n int) {
	for t := Time(c.Core.PreprepareTimeout) * TickLength; t < 3*c.Work.Exec; t *= 2 {
		n++
	}
	return n
}

// learned checks that timeouts are found out once (L6): in the second half of the load,
// views do not change any more, however many epochs begin.
func (o *oracle) learned(view pbft.Place) {
	w := o.w
	if !w.cfg.Learned || w.loadOver() || w.now() < w.cfg.GST+w.cfg.Load/2 {
		return
	}
	if o.patience.late[view] = true; len(o.patience.late) > mostWanted {
		o.broken("L6", "%d views were asked for on a network that has not changed for %v ms", len(o.patience.late), w.now()-w.cfg.GST)
	}
}

// floorPeriods is for how many periods of measurement a slow leader may lead while
// requests wait (L5).
const floorPeriods = 4

// pace watches how long slow leaders stay.
type pace struct {
	watched Time
	slow    bool
	since   Time
	last    Time // when a block was committed
	view    pbft.Place
	// measured says that some good leader has led for so long that all have measured it:
	// before, there is nothing to hold a slow one against.
	measured bool
	// halved is how many views were given up since. Each halves what a leader is held
	// against.
	halved uint64
}

// mostHalved is how often what a slow leader is held against may have been halved. It makes a
// twentieth of what good ones do, and is slow with less than a fourth: halved twice, and with what
// is forgotten meanwhile, there is no margin left.
const mostHalved = 1

// measuredAfter is for how many periods of measurement a good leader must have led.
const measuredAfter = 2

// follows takes note of who leads, as an honest node shows it.
func (o *oracle) follows(v *driver.View) {
	p, c := &o.pace, v.Core
	if c == nil || c.Changing || c.Epoch < p.view.Epoch || (c.Epoch == p.view.Epoch && c.View <= p.view.View) {
		return
	}
	if !p.slow && p.last-p.since >= measuredAfter*Time(o.w.cfg.Core.FloorPeriod)*TickLength {
		p.measured, p.halved = true, 0
	}
	given := c.View
	if c.Epoch == p.view.Epoch {
		given -= p.view.View
	}
	p.halved += given
	p.view = pbft.Place{Epoch: c.Epoch, View: c.View}
	p.slow, p.since = false, o.w.now()
	if leader := o.w.byKey[c.Leader]; leader != nil && leader.strategy != nil {
		_, p.slow = leader.strategy.strategy.(adversary.Slow)
	}
}

// floor checks that no slow leader has been leading for too long.
func (o *oracle) floor() {
	p, c := &o.pace, o.w.cfg
	most := floorPeriods * Time(c.Core.FloorPeriod) * TickLength
	if c.Floor && p.slow && p.measured && p.halved <= mostHalved && o.w.settled && !o.w.loadOver() && o.w.now()-max(p.since, c.GST) > most {
		o.broken("L5", "the slow leader of view %d has been leading for %v ms", p.view.View, o.w.now()-p.since)
	}
}

// promptly is how long a validator may lack a block that others have committed, once the
// network has settled: it learns from votes and reports that it is behind, asks, and has it.
// Who only looks around now and then, as followers do, needs longer.
const promptly = 2 * Second

// kept returns how much longer sources may keep it that are asked for the block and drip or
// stall: each of them for as long as one has before another is asked for the same.
func (c *Config) kept() (sum Time) {
	for _, x := range c.Faulty {
		if x.Strategy == dripping || x.Strategy == stalling {
			sum += ceil(follow.SlowAfter)
		}
	}
	return sum
}

// lags checks that a validator which was there when the network settled gets without delay
// what others have committed (L3). One whose clock is wrong may be waiting for it to be right,
// and one that has only begun to take part may have waited for a slow disk until then. What
// those who had committed it have lost in a crash has to be committed once more. Where the
// ledger may fork, who is on one side never gets the other's.
func (o *oracle) lags(n *node) {
	w := o.w
	if n.program != nil && !n.voting() {
		n.program.mute = w.now()
	}
	if !w.settled || w.cfg.Fork || len(w.cfg.Wrong) > 0 || !o.honest(n) || !n.voting() || n.host.Paused() || n.program.began > w.cfg.GST {
		return
	}
	head := n.program.view.Head.Header.Seq
	for _, other := range w.nodes {
		if !o.honest(other) || other.program == nil {
			continue
		}
		had, has := other.program.since[head+1]
		most := promptly + w.cfg.kept()
		if since := max(had, w.cfg.GST, n.program.mute); has && w.now()-since > most {
			o.broken("L3", "node %d votes at %d, and has lacked %v since %v ms", n.id, head, &o.chain.at(head+1).header, since)
		}
	}
}

// has takes note of the blocks that a program shows to have.
func (p *program) has(v *driver.View) {
	from := uint64(1)
	if p.view != nil {
		from = p.view.Head.Header.Seq + 1
	}
	if p.since == nil {
		p.since = map[uint64]Time{}
	}
	for seq := from; seq <= v.Head.Header.Seq; seq++ {
		if _, had := p.since[seq]; !had {
			p.since[seq] = p.n.w.now()
		}
	}
}
