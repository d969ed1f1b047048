package sim

import (
	"errors"
	"slices"

	"github.com/decube/decube/ledger/pbft"
)

// faults makes things go wrong before GST, and keeps the books of who is faulty:
// never more at a time than every committee of the run withstands.
type faults struct {
	w *world
	// faulty are the identities that count as faulty now; amnesiac those whose
	// disk has lied, so that their signatures prove nothing any more.
	faulty   []bool
	amnesiac []bool
}

func newFaults(w *world) *faults {
	f := &faults{w: w, faulty: make([]bool, w.cfg.Identities), amnesiac: make([]bool, w.cfg.Identities)}
	for _, x := range w.cfg.Faulty {
		f.faulty[x.Identity] = true
	}
	for _, who := range w.cfg.Twins {
		f.faulty[who] = true
	}
	return f
}

// withstands reports whether one more faulty identity is not too many for any
// committee.
func (f *faults) withstands(who identity) bool {
	if f.faulty[who] {
		return true
	}
	for _, m := range append([]members{f.w.first.after.current}, f.w.cfg.Committees...) {
		count := 0
		for _, x := range m.list() {
			if f.faulty[x] || x == who {
				count++
			}
		}
		if m.has(who) && count > maxFaulty(m.size()) {
			return false
		}
	}
	return true
}

// victim draws an honest node that may become faulty as well, or nil.
func (f *faults) victim() *node {
	at := f.w.rnd.faults.Perm(len(f.w.nodes))
	for _, i := range at {
		n := f.w.nodes[i]
		if !f.faulty[n.who] && n.halted == nil && f.withstands(n.who) {
			return n
		}
	}
	return nil
}

// schedule draws when what will happen.
func (f *faults) schedule() {
	c := &f.w.cfg.Faults
	f.rounds()
	for _, x := range f.w.cfg.WrongClocks {
		for _, n := range f.w.hosts[x.Identity] {
			n.skew = x.By
			f.w.trace(n.id, "clock is wrong by", nobody, n.skew)
		}
	}
	for range c.Leaders {
		f.w.after(between(f.w.rnd.faults, f.w.cfg.GST/2, f.w.cfg.GST), f.killLeader)
	}
	for _, kind := range []struct {
		count int
		do    func()
	}{
		{c.Blackouts, f.blackout},
		{c.Crashes, f.crash},
		{c.CrashAll, f.crashAll},
		{c.Pauses, f.pause},
		{c.Clocks, f.clock},
		{c.Partitions, f.partition},
		{c.Flaps, f.flap},
		{c.FullDisks, f.fullDisk},
		{c.BitFlips, f.bitFlip},
		{c.LostFsyncs, f.lostFsync},
		{c.StaleDisks, f.staleDisk},
		{c.Wipes, f.wipe},
	} {
		for range kind.count {
			f.w.after(between(f.w.rnd.faults, 0, f.w.cfg.GST), func() {
				if !f.w.settled {
					kind.do()
				}
			})
		}
	}
}

// killLeader stops the leader that most follow, at a time when all is well. It comes
// back after a while.
func (f *faults) killLeader() {
	for _, n := range f.w.nodes {
		if f.live(n) && n.core != nil {
			if leader := f.w.hosts[n.epoch.order[n.core.Leader()]][0]; leader.host.Up() {
				f.kill(leader)
				f.w.after(f.w.cfg.Faults.MaxDown, leader.start)
			}
			return
		}
	}
}

// blackout stops everybody but one, who goes on taking requests up alone.
func (f *faults) blackout() {
	for _, n := range f.w.nodes {
		if n.host.Up() && n.id != f.w.cfg.Faults.Spared {
			f.kill(n)
			f.crashed(n)
		}
	}
}

// rounds draws a partition into groups for each round.
func (f *faults) rounds() {
	w, c := f.w, &f.w.cfg.Faults
	for i := range c.Rounds {
		w.after(w.cfg.GST*Time(i)/Time(c.Rounds), func() { f.round(c.Groups) })
	}
}

func (f *faults) round(groups int) {
	w := f.w
	w.net.MendAll()
	if groups == 0 {
		for a := range w.nodes {
			for b := range w.nodes {
				if a != b && w.rnd.faults.Float64() < w.cfg.Faults.Links {
					w.net.Cut(a, b)
				}
			}
		}
		return
	}
	group := make([]int, len(w.nodes))
	for i := range group {
		group[i] = w.rnd.faults.IntN(groups)
	}
	if w.cfg.Fork { // both sides have one of each pair of twins
		for _, who := range w.cfg.Twins {
			first, second := w.hosts[who][0].id, w.hosts[who][1].id
			group[second] = 1 - group[first]
		}
	}
	w.trace(nobody, "round in groups", nobody, group)
	for a, ga := range group {
		for b, gb := range group {
			if ga != gb {
				w.net.Cut(a, b)
			}
		}
	}
}

func (f *faults) someone() *node { return f.w.nodes[f.w.rnd.faults.IntN(len(f.w.nodes))] }

// crash has a node die at one of its next boundaries.
func (f *faults) crash() { f.someone().crashAt = 1 + f.w.rnd.faults.IntN(40) }

func (f *faults) crashAll() {
	for _, n := range f.w.nodes {
		n.crashAt = 1 + f.w.rnd.faults.IntN(60)
	}
}

// crashed brings a node back after a while.
func (f *faults) crashed(n *node) {
	f.w.after(between(f.w.rnd.faults, TickLength, f.w.cfg.Faults.MaxDown), n.start)
}

// kill stops a node at once, unless it is down.
func (f *faults) kill(n *node) {
	if n.host.Up() {
		f.w.trace(n.id, "is killed", nobody, nil)
		n.stop()
	}
	n.crashAt = 0
}

// pause stops a node's clock and program, as a debugger or a swapping machine
// would.
func (f *faults) pause() {
	n := f.someone()
	if n.host.Paused() {
		return
	}
	n.host.Pause()
	f.w.trace(n.id, "is paused", nobody, nil)
	f.w.after(between(f.w.rnd.faults, TickLength, f.w.cfg.Faults.MaxPaused), n.resumed)
}

// resumed goes on with all that a pause has held up.
func (n *node) resumed() {
	if !n.host.Paused() {
		return
	}
	n.w.trace(n.id, "goes on", nobody, nil)
	n.host.Resume()
	n.run()
}

// clock makes a node's clock run slower or faster, or jump.
func (f *faults) clock() {
	n, rnd := f.someone(), f.w.rnd.faults
	switch rnd.IntN(3) {
	case 0:
		n.tickEvery = TickLength * Time(30+rnd.IntN(300)) / 100
		f.w.trace(n.id, "ticks every", nobody, n.tickEvery)
	case 1:
		jump := between(rnd, 0, 3*Second)
		n.skew += jump
		f.w.trace(n.id, "clock jumps by", nobody, jump)
		for range jump / TickLength {
			if n.host.Up() && !n.host.Paused() {
				n.tick()
			}
		}
	default:
		n.skew -= between(rnd, 0, 3*Second)
		f.w.trace(n.id, "clock is wrong by", nobody, n.skew)
	}
}

// fullDisk leaves no space for a while. The node halts cleanly when it wants to
// write, and its operator starts it again when there is space.
func (f *faults) fullDisk() {
	n := f.someone()
	n.disk.full = true
	f.w.trace(n.id, "has no space left", nobody, nil)
	f.w.after(between(f.w.rnd.faults, TickLength, f.w.cfg.Faults.MaxDown), func() {
		n.disk.full = false
		if errors.Is(n.halted, errNoSpace) {
			n.halted = nil
			n.start()
		}
	})
}

// bitFlip damages a record that was synced. The node must notice, and refuses to
// go on until its operator has given it a new disk.
func (f *faults) bitFlip() {
	n := f.victim()
	if n == nil || n.disk.synced == 0 {
		return
	}
	f.faulty[n.who] = true
	f.kill(n)
	at := f.w.rnd.faults.IntN(n.disk.synced)
	n.disk.log[at].damaged = true
	f.w.trace(n.id, "has a damaged record", nobody, at)
	n.start()
}

// lostFsync has a disk claim to have written what it has not, and then lose it.
func (f *faults) lostFsync() {
	n := f.victim()
	if n == nil {
		return
	}
	f.faulty[n.who], f.amnesiac[n.who] = true, true
	n.disk.lies = true
	f.w.trace(n.id, "has a disk that lies", nobody, nil)
	f.w.after(between(f.w.rnd.faults, TickLength, 2*Second), func() {
		f.kill(n)
		n.disk.lies = false
		f.w.after(TickLength, n.start)
	})
}

// staleDisk brings an old copy of a disk back.
func (f *faults) staleDisk() {
	n := f.victim()
	if n == nil {
		return
	}
	f.faulty[n.who], f.amnesiac[n.who] = true, true
	image := n.disk.image()
	f.w.after(between(f.w.rnd.faults, TickLength, 2*Second), func() {
		f.kill(n)
		n.disk = image
		f.w.trace(n.id, "is back to an old copy of its disk", nobody, nil)
		f.w.after(TickLength, n.start)
	})
}

// wipe gives a node an empty disk.
func (f *faults) wipe() {
	if n := f.victim(); n != nil {
		f.faulty[n.who] = true
		f.empty(n)
	}
}

func (f *faults) empty(n *node) {
	f.kill(n)
	n.disk.wipe(f.w.first)
	n.halted = nil
	f.w.stats.Wipes++
	f.w.trace(n.id, "starts with an empty disk", nobody, nil)
	f.w.after(between(f.w.rnd.faults, TickLength, f.w.cfg.Faults.MaxDown), n.start)
}

// forgiven takes a node that has made good its loss from the books.
func (f *faults) forgiven(n *node) {
	f.w.trace(n.id, "has recovered", nobody, nil)
	f.w.stats.Recovered++
	if !f.amnesiac[n.who] && n.strategy == nil && len(f.w.hosts[n.who]) == 1 {
		f.faulty[n.who] = false
	}
}

// halted is what an operator does about a node that has given up: one that is
// faulty gets a new disk.
func (f *faults) halted(n *node) {
	f.w.oracle.halted(n, n.halted)
	if errors.Is(n.halted, errNoSpace) {
		if !n.disk.full {
			n.halted = nil
			f.crashed(n)
		}
		return
	}
	if f.faulty[n.who] && len(f.w.hosts[n.who]) == 1 {
		f.w.after(between(f.w.rnd.faults, TickLength, f.w.cfg.Faults.MaxDown), func() { f.empty(n) })
	}
}

// excuses reports whether a fault that was made explains why a node gave up.
func (f *faults) excuses(n *node, err error) bool {
	switch {
	case errors.Is(err, errNoSpace):
		return true
	case errors.Is(err, errDamaged):
		return f.faulty[n.who]
	case f.w.cfg.Fork:
		return true
	case errors.Is(err, pbft.ErrKeyInUse):
		return f.amnesiac[n.who]
	default:
		return false
	}
}

// settle ends all faults: it is GST.
func (f *faults) settle() {
	w := f.w
	w.settled = true
	w.trace(nobody, "GST", nobody, nil)
	w.net.MendAll()
	w.net.SetConditions(w.cfg.After)
	for _, n := range w.nodes {
		n.crashAt, n.tickEvery, n.disk.full = 0, TickLength, false
		if !w.cfg.WrongForGood {
			n.skew = 0
		}
		if errors.Is(n.halted, errNoSpace) {
			n.halted = nil
		}
		n.resumed()
		if !n.host.Up() {
			w.after(between(w.rnd.faults, 0, Second), n.start)
		}
	}
}

// live reports whether a node must take part after GST: it is honest, or has had
// a loss that it must recover from.
func (f *faults) live(n *node) bool {
	return n.strategy == nil && len(f.w.hosts[n.who]) == 1 && !f.amnesiac[n.who]
}

// good reports whether an identity's replica runs honest code, is up and abstains
// from nothing.
func (f *faults) good(who identity) bool {
	n := f.w.hosts[who][0]
	return f.live(n) && n.host.Up() && !n.recover && n.skew <= maxDrift
}

// partition cuts nodes off from each other for a while.
func (f *faults) partition() {
	w, rnd := f.w, f.w.rnd.faults
	all := len(w.nodes)
	cut := f.shape(rnd.Perm(all), rnd.IntN(5))
	w.trace(nobody, "partition cuts", nobody, cut)
	apply(cut, w.net.Cut)
	w.after(between(rnd, TickLength, w.cfg.Faults.MaxPartition), func() {
		if !w.settled {
			w.trace(nobody, "partition heals", nobody, nil)
			apply(cut, w.net.Mend)
		}
	})
}

// direction is one way between two nodes.
type direction struct{ from, to int }

// shape draws what a partition cuts, given nodes in a random order.
func (f *faults) shape(p []int, kind int) []direction {
	rnd, all := f.w.rnd.faults, len(p)
	at := 1 + rnd.IntN(all-1)
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
			case 3: // a ring: everybody hears neighbours only
				d := (i - j + all) % all
				apart = d > 1 && d < all-1
			default: // single directions
				apart = i != j && rnd.IntN(3) == 0
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

// flap cuts and mends a few directions again and again.
func (f *faults) flap() {
	w, rnd := f.w, f.w.rnd.faults
	cut := f.shape(rnd.Perm(len(w.nodes)), 4)
	cut = slices.Clip(cut[:min(len(cut), 6)])
	period := between(rnd, 20*Millisecond, 400*Millisecond)
	left := 3 + rnd.IntN(8)
	down := false
	var turn func()
	turn = func() {
		if w.settled || (left <= 0 && !down) {
			return
		}
		left--
		if down {
			apply(cut, w.net.Mend)
		} else {
			apply(cut, w.net.Cut)
		}
		down = !down
		w.after(between(rnd, period/2, period), turn)
	}
	turn()
}
