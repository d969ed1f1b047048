package sim

import (
	"slices"

	"github.com/decube/decube/ledger/pbft"
)

// Bug is a fault that is planted in the simulator's own code around the core, to see
// whether the oracle finds it. Faults in the ledger's code are in package mutants.
type Bug struct {
	Name string
	What string
	flaw flaw
	// Profile is of the runs that show it, within Seeds seeds; Rules are those that
	// it may break first.
	Profile string
	Seeds   uint64
	Rules   []string
}

// flaw is a fault in the code around the core.
type flaw uint8

const (
	noFsync flaw = iota + 1
	sendsFirst
	forgetsVotes
	forgetsLocks
	forgetsViews
	ignoresDamage
	votesAfterWipe
	storedEarly
	losesBlock
	trustsPeers
	endsEarly
	ignoresSync
	ignoresRequests
	executesTwice
	verifiesNothing
	takesEverything
	forwardsLate
)

// Bugs returns the faults in the code around the core.
func Bugs() []Bug {
	return []Bug{
		{Name: "no-fsync", What: "records are sent without being durable", flaw: noFsync, Profile: "calm", Seeds: 1, Rules: []string{"S4"}},
		{Name: "sends-first", What: "messages leave before their records are written", flaw: sendsFirst, Profile: "calm", Seeds: 1, Rules: []string{"S4"}},
		{Name: "forgets-votes", What: "a restart loses what was accepted", flaw: forgetsVotes, Profile: "crash", Seeds: 200, Rules: []string{"S3", "S4", "S9", "L1", "L2", "L3", "halt"}},
		{Name: "forgets-locks", What: "a restart loses what was prepared", flaw: forgetsLocks, Profile: "crash", Seeds: 300, Rules: []string{"S1", "S5", "S9"}},
		{Name: "forgets-views", What: "a restart goes back to an earlier view", flaw: forgetsViews, Profile: "crash", Seeds: 300, Rules: []string{"S3", "form", "S5", "S9", "L1", "L2", "L3", "halt"}},
		{Name: "ignores-damage", What: "a log is cut off at a damaged record that was durable", flaw: ignoresDamage, Profile: "disk", Seeds: 400, Rules: []string{"S3", "S5", "S9", "halt"}},
		{Name: "votes-after-wipe", What: "a replica without its log votes", flaw: votesAfterWipe, Profile: "wipe", Seeds: 200, Rules: []string{"S3", "S5", "S9", "halt"}},
		{Name: "stored-early", What: "the core is told of a store that is not durable", flaw: storedEarly, Profile: "calm", Seeds: 20, Rules: []string{"S4"}},
		{Name: "loses-block", What: "a committed block is not delivered", flaw: losesBlock, Profile: "calm", Seeds: 5, Rules: []string{"S2", "simulator"}},
		{Name: "trusts-peers", What: "what peers send is installed without a look at certificates", flaw: trustsPeers, Profile: "byzantine", Seeds: 300, Rules: []string{"S2", "S11"}},
		{Name: "ends-early", What: "an epoch begins before the checkpoint is certified", flaw: endsEarly, Profile: "reconfigure", Seeds: 20, Rules: []string{"S7"}},
		{Name: "ignores-sync", What: "nothing is fetched when the core asks for it", flaw: ignoresSync, Profile: "lossy", Seeds: 200, Rules: []string{"L1", "L2", "L3"}},
		{Name: "ignores-requests", What: "the core is not told that requests wait", flaw: ignoresRequests, Profile: "byzantine", Seeds: 100, Rules: []string{"L1"}},
		{Name: "executes-twice", What: "a request may be in two blocks", flaw: executesTwice, Profile: "clients", Seeds: 10, Rules: []string{"S6"}},
		{Name: "verifies-nothing", What: "every signature is taken for good", flaw: verifiesNothing, Profile: "byzantine", Seeds: 300, Rules: []string{"S1", "S2", "S5", "S7", "S9", "S11", "form", "halt"}},
		{Name: "takes-everything", What: "requests are kept whatever their number", flaw: takesEverything, Profile: "clients", Seeds: 100, Rules: []string{"S10"}},
		{Name: "no-forward-while-changing", What: "waiting requests are not passed on during view changes", flaw: forwardsLate, Profile: "lonely", Seeds: 200, Rules: []string{"L1", "L2"}},
	}
}

// has reports whether a fault is planted around the core.
func (w *world) has(f flaw) bool { return w.cfg.Bug != nil && w.cfg.Bug.flaw == f }

// mute reports whether a node is not to pass requests on now.
func (n *node) mute() bool {
	if n.core == nil || !n.w.has(forwardsLate) {
		return false
	}
	_, active := n.core.View()
	return !active
}

// forgets reports whether a restart is to lose a record.
func (w *world) forgets(e *entry) bool {
	switch e.record.(type) {
	case pbft.AcceptedRecord:
		return w.has(forgetsVotes)
	case pbft.PreparedRecord:
		return w.has(forgetsLocks)
	case pbft.ChangeRecord, pbft.EnteredRecord:
		return w.has(forgetsViews)
	default:
		return false
	}
}

// execute executes a block as nodes do.
func (w *world) execute(s state, seq uint64, b body) (state, pbft.Digest, error) {
	if w.has(executesTwice) {
		b = slices.DeleteFunc(slices.Clone(b), func(t tx) bool { return s.executed(t.request()) })
	}
	return s.execute(seq, b, w.cfg.EpochLength)
}
