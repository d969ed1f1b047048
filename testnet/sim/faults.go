package sim

import (
	"github.com/decube/decube/ledger/genesis"
)

// faults makes things go wrong before GST, and keeps the books of who is faulty: never
// more at a time than the committee withstands.
type faults struct {
	w *world
	// faulty are the nodes that count as faulty now; amnesiac those whose disk has gone
	// back in time, so that their signatures prove nothing any more.
	faulty, amnesiac []bool
	// hurt are those whose disk has refused to write: they may give up. rotten are those
	// whose log is damaged somewhere, until it is taken away.
	hurt, rotten []bool
}

func newFaults(w *world) *faults {
	all := len(w.nodes)
	f := &faults{w: w, faulty: make([]bool, all), amnesiac: make([]bool, all), hurt: make([]bool, all), rotten: make([]bool, all)}
	for _, x := range w.cfg.Faulty {
		f.faulty[x.Node] = true
		w.nodes[x.Node].strategy = newCorrupted(w.nodes[x.Node], x.Strategy)
	}
	for _, n := range w.nodes {
		f.faulty[n.id] = f.faulty[n.id] || n.twin != nil
	}
	return f
}

// withstands reports whether one more faulty node is not too many for the committee.
// Candidates count: who has lost its disk may be voted for before it has recovered.
func (f *faults) withstands(n *node) bool {
	most, count := faulty(len(f.w.oracle.chain.set)), 1
	if len(f.w.cfg.Votes) > 0 {
		most = min(most, 1)
	}
	for i, other := range f.w.nodes {
		if other.votes && f.faulty[i] && other != n && f.w.byKey[other.key.Public()] == other {
			count++
		}
	}
	return count <= most
}

// allows reports whether a committee is one that withstands those who are faulty now.
func (f *faults) allows(set genesis.ValidatorSet) bool {
	count := 0
	for _, key := range set {
		if f.faulty[f.w.byKey[key].id] {
			count++
		}
	}
	return count <= faulty(len(set))
}

// victim draws an honest validator that may become faulty as well, or nil.
func (f *faults) victim() *node {
	for _, i := range f.w.rnd.faults.Perm(len(f.w.nodes)) {
		n := f.w.nodes[i]
		if n.votes && !f.faulty[i] && n.dead == nil && f.withstands(n) {
			return n
		}
	}
	return nil
}

// schedule draws when what will happen.
func (f *faults) schedule() {
	c := &f.w.cfg.Faults
	for i := range c.Rounds {
		f.w.after(f.w.cfg.GST*Time(i)/Time(c.Rounds), f.round)
	}
	for _, n := range f.w.nodes {
		n.clock.Jump(between(f.w.rnd.faults, -c.MaxSkew, c.MaxSkew))
	}
	for _, x := range f.w.cfg.Wrong {
		f.w.nodes[x.Node].clock.Jump(x.By)
		f.w.nodes[x.Node].trace("has a wall clock that is wrong by", x.By)
	}
	for _, kind := range []struct {
		count int
		do    func()
	}{
		{c.Crashes, f.crash},
		{c.CrashAll, f.crashAll},
		{c.Leaders, f.killLeader},
		{c.Blackouts, f.blackout},
		{c.Pauses, f.pause},
		{c.Clocks, f.clock},
		{c.Partitions, f.partition},
		{c.Flaps, f.flap},
		{c.FullDisks, f.fullDisk},
		{c.FailedSyncs, f.failedSync},
		{c.Wipes, f.wipe},
		{c.Rots, f.rot},
		{c.Lies, f.lie},
		{c.StaleDisks, f.staleDisk},
		{c.LostArchives, f.loseArchive},
	} {
		for range kind.count {
			f.w.after(between(f.w.rnd.faults, 200*Millisecond, f.w.cfg.GST), func() {
				if !f.w.settled {
					kind.do()
				}
			})
		}
	}
}

func (f *faults) someone() *node { return f.w.nodes[f.w.rnd.faults.IntN(len(f.w.nodes))] }

// crash has a node die at one of its next boundaries.
func (f *faults) crash() { f.someone().crashAt = 1 + f.w.rnd.faults.IntN(60) }

func (f *faults) crashAll() {
	for _, n := range f.w.nodes {
		n.crashAt = 1 + f.w.rnd.faults.IntN(80)
	}
}

// crashed brings a node back after a while.
func (f *faults) crashed(n *node) {
	f.w.after(between(f.w.rnd.faults, TickLength, max(TickLength, f.w.cfg.Faults.MaxDown)), n.start)
}

// killLeader has the leader that most follow die.
func (f *faults) killLeader() {
	if n := f.w.leader(); n != nil {
		f.w.trace(n.id, "is killed, who leads", nobody, nil)
		n.crash()
		f.crashed(n)
	}
}

// blackout has everybody die but one, who goes on taking requests up alone.
func (f *faults) blackout() {
	for _, n := range f.w.nodes {
		if n.id != f.w.cfg.Faults.Spared && n.host.Up() {
			n.crash()
			f.crashed(n)
		}
	}
}

// pause stops a node's program for a while; its clock goes on.
func (f *faults) pause() {
	n := f.someone()
	if n.host.Paused() {
		return
	}
	n.host.Pause()
	n.trace("is paused", nil)
	f.w.after(between(f.w.rnd.faults, TickLength, f.w.cfg.Faults.MaxPaused), n.resumed)
}

func (n *node) resumed() {
	if n.host.Paused() {
		n.trace("goes on", nil)
		n.host.Resume()
	}
}

// clock has a node's clock run slower or faster, or jump.
func (f *faults) clock() {
	n, rnd := f.someone(), f.w.rnd.faults
	switch rnd.IntN(3) {
	case 0:
		rate := 300_000 + rnd.Int64N(3_000_000)
		n.clock.SetRate(rate)
		n.trace("has a clock whose rate is, in millionths,", rate)
	case 1:
		d := between(rnd, 0, 3*Second)
		n.clock.Advance(d)
		n.trace("slept for", d)
	default:
		d := between(rnd, -4*Second, 4*Second)
		n.clock.Jump(d)
		n.trace("has a wall clock that jumps by", d)
	}
}

// forgive takes nodes that have made good their loss from the books.
func (f *faults) forgive() {
	for _, n := range f.w.nodes {
		if f.faulty[n.id] && !f.amnesiac[n.id] && n.strategy == nil && n.twin == nil && n.voting() && !n.program.view.Recovering {
			f.faulty[n.id] = false
			f.w.stats.Recovered++
			n.trace("has recovered", nil)
		}
	}
}

// halted is what an operator does about a node that has given up.
func (f *faults) halted(n *node) {
	f.w.oracle.halted(n)
	if !f.hurt[n.id] && f.faulty[n.id] && n.strategy == nil {
		f.w.after(between(f.w.rnd.faults, TickLength, max(TickLength, f.w.cfg.Faults.MaxDown)), func() {
			n.dead = nil
			n.start()
		})
	}
}

// excuses reports whether a fault that was made explains why a node votes no more.
func (f *faults) excuses(n *node) bool { return f.rotten[n.id] || f.excusesHalt(n) }

// excusesHalt reports whether a fault that was made explains why a node gave up. A log that
// cannot be read is no reason: who has none can follow.
func (f *faults) excusesHalt(n *node) bool { return f.hurt[n.id] || f.amnesiac[n.id] || f.w.cfg.Fork }

// settle ends all faults: it is GST.
func (f *faults) settle() {
	w := f.w
	w.settled = true
	w.trace(nobody, "GST", nobody, nil)
	w.wires.mendAll()
	w.wires.setConditions(w.cfg.After)
	for _, n := range w.nodes {
		n.crashAt = 0
		n.clock.SetRate(1_000_000)
		if !w.cfg.WrongForGood {
			n.clock.SetWall(w.now())
		}
		n.resumed()
		f.repaired(n)
		if !n.host.Up() {
			w.after(between(w.rnd.faults, 0, Second), n.start)
		}
	}
}

// live reports whether a node must take part after GST: it is honest, or has had a loss
// that it must recover from. Who comes back with an old disk must notice, and vote again.
func (f *faults) live(n *node) bool { return n.strategy == nil && n.twin == nil }

// good reports whether a node leads as it should, when it leads: it runs honest code, is
// up, votes, and has a clock that is about right.
func (f *faults) good(n *node) bool {
	wrong := n.clock.Wall() - f.w.now()
	return n != nil && f.live(n) && n.voting() && !n.host.Paused() && !n.program.view.Recovering && max(wrong, -wrong) < maxSkew
}

// maxSkew is how far a block's time may be from the clocks of those who vote for it.
const maxSkew = 10 * Second

// round cuts other links than before.
func (f *faults) round() {
	w := f.w
	if w.settled {
		return
	}
	w.wires.mendAll()
	if w.cfg.Faults.Groups > 0 {
		f.divide()
		return
	}
	for a := range w.nodes {
		for b := range a {
			if w.rnd.faults.Float64() < w.cfg.Faults.Links {
				w.wires.cut(a, b)
				w.wires.cut(b, a)
			}
		}
	}
}

// divide cuts groups of nodes off from each other. Of two that are to fork the ledger,
// one is on each side.
func (f *faults) divide() {
	w := f.w
	group := make([]int, len(w.nodes))
	for i := range group {
		group[i] = w.rnd.faults.IntN(w.cfg.Faults.Groups)
	}
	if w.cfg.Fork {
		for _, i := range w.cfg.Twins {
			group[w.nodes[i].twin.id] = 1 - group[i]
		}
	}
	w.trace(nobody, "round in groups", nobody, group)
	for a, ga := range group {
		for b, gb := range group {
			if ga != gb {
				w.wires.cut(a, b)
			}
		}
	}
}

// partition cuts nodes off from each other for a while.
func (f *faults) partition() {
	w, rnd := f.w, f.w.rnd.faults
	cut := shape(rnd.Perm(len(w.nodes)), rnd.IntN(4), 1+rnd.IntN(len(w.nodes)-1))
	w.trace(nobody, "partition cuts", nobody, cut)
	apply(cut, w.wires.cut)
	w.after(between(rnd, TickLength, max(TickLength, w.cfg.Faults.MaxPartition)), func() {
		if !w.settled {
			w.trace(nobody, "partition heals", nobody, nil)
			apply(cut, w.wires.mend)
		}
	})
}

// direction is one way between two nodes.
type direction struct{ from, to int }

// shape returns what a partition cuts, given nodes in a random order.
func shape(p []int, kind, at int) []direction {
	all := len(p)
	var cut []direction
	for i, a := range p {
		for j, b := range p {
			apart := false
			switch kind {
			case 0: // two sides
				apart = (i < at) != (j < at)
			case 1: // one direction only
				apart = i < at && j >= at
			case 2: // two sides that share a bridge
				apart = i != at && j != at && (i < at) != (j < at)
			default: // a ring: everybody hears neighbours only
				d := (i - j + all) % all
				apart = d > 1 && d < all-1
			}
			if apart && a != b {
				cut = append(cut, direction{a, b})
			}
		}
	}
	return cut
}

func apply(cut []direction, change func(from, to int)) {
	for _, d := range cut {
		change(d.from, d.to)
	}
}

// flap cuts and mends a few links again and again.
func (f *faults) flap() {
	w, rnd := f.w, f.w.rnd.faults
	cut := shape(rnd.Perm(len(w.nodes)), 1, 1)
	period := between(rnd, 20*Millisecond, 400*Millisecond)
	left, down := 3+rnd.IntN(8), false
	var turn func()
	turn = func() {
		if w.settled || (left <= 0 && !down) {
			return
		}
		left--
		if down {
			apply(cut, w.wires.mend)
		} else {
			apply(cut, w.wires.cut)
		}
		down = !down
		w.after(between(rnd, period/2, period), turn)
	}
	turn()
}
