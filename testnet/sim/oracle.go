package sim

import (
	"fmt"

	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/ledger/quorum"
)

// Violation is a rule that a run broke.
type Violation struct {
	Rule string // S1 to S11, L1 to L6, or "simulator" for a fault of the simulation itself
	At   Time
	What string
}

func (v *Violation) String() string { return fmt.Sprintf("%s at %v ms: %s", v.Rule, v.At, v.What) }

// oracle judges a run. It sees everything that leaves a replica, everything that a
// replica commits or installs, and the disks. It shares no logic with the code
// under test: it counts votes itself, in its own structures, with its own
// arithmetic.
type oracle struct {
	w      *world
	failed *Violation // the first one

	votes    votes
	order    order
	requests map[request]*asked
	patience patience
	pace     pace
	guilty   map[convicted]bool
	evil     int // pieces of evidence against faulty replicas
}

func newOracle(w *world) *oracle {
	o := &oracle{w: w, requests: map[request]*asked{}, guilty: map[convicted]bool{}}
	o.votes = newVotes(o)
	o.order = newOrder(o)
	return o
}

// broken reports a violation. The first one ends the run.
func (o *oracle) broken(rule, format string, args ...any) {
	if o.failed == nil {
		o.failed = &Violation{rule, o.w.now(), fmt.Sprintf(format, args...)}
		o.w.trace(nobody, "VIOLATION", nobody, o.failed)
	}
}

// committee is who decides in an epoch.
type committee struct {
	members members
	order   []identity
}

// leader is who leads a view: the views of an epoch go round from another replica in
// each epoch.
func (c *committee) leader(epoch, view uint64) quorum.Replica {
	at := quorum.Replica(0)
	for range (epoch + view) % uint64(len(c.order)) {
		at++
	}
	return at
}

// quorum is the least number of votes of which any two sets share an honest
// replica, by trying.
func (c *committee) quorum() int {
	n := len(c.order)
	faulty := 0
	for 3*(faulty+1) < n {
		faulty++
	}
	q := 1
	for 2*q-n <= faulty {
		q++
	}
	return q
}

// faulty is how many replicas of a committee of n may be faulty.
func maxFaulty(n int) int {
	f := 0
	for 3*(f+1)+1 <= n {
		f++
	}
	return f
}

// honest reports whether a node runs honest code, alone with its key, on a disk
// that does not lie.
func (o *oracle) honest(n *node) bool { return o.trusted(n.who) }

// trusted reports whether an identity's every signature must be by the rules.
func (o *oracle) trusted(who identity) bool {
	hosts := o.w.hosts[who]
	return len(hosts) == 1 && hosts[0].strategy == nil && !o.w.faults.amnesiac[who]
}

// evidence checks that what honest replicas put forward as evidence names the
// guilty only.
func (o *oracle) evidence(n *node, found []pbft.Evidence) {
	if !o.honest(n) {
		return
	}
	for i := range found {
		e := &found[i]
		who := n.epoch.order[e.Guilty()]
		o.w.trace(n.id, "has evidence:", nobody, e)
		o.evil++
		if o.once(n.core, e.Guilty()); o.failed != nil {
			return
		}
		if o.trusted(who) {
			o.broken("S9", "node %d accuses replica %d, who is honest: %v", n.id, e.Guilty(), e)
		}
		if err := n.epoch.verifier.Proves(e); err != nil {
			o.broken("S9", "node %d has evidence that proves nothing: %v: %v", n.id, e, err)
		}
	}
}

// convicted is a replica that some core has evidence against.
type convicted struct {
	by  *pbft.Replica
	who quorum.Replica
}

// once checks that a core has one piece of evidence against a replica and not one for
// each time that it contradicts itself (S10).
func (o *oracle) once(by *pbft.Replica, who quorum.Replica) {
	if o.guilty[convicted{by, who}] {
		o.broken("S10", "replica %d is convicted a second time", who)
	}
	o.guilty[convicted{by, who}] = true
}

// halted looks at why a node gave up.
func (o *oracle) halted(n *node, err error) {
	if o.honest(n) && !o.w.faults.excuses(n, err) {
		o.broken("halt", "honest node %d halts: %v", n.id, err)
	}
}
