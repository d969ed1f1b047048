package sim

import (
	"slices"

	"github.com/decube/decube/ledger/pbft"
)

// Bug is a fault that is planted to see whether the oracle finds it: in the code
// around the core, or, in builds with the tag pbftmutants, in the core.
type Bug struct {
	Name string
	What string
	flaw flaw
	core string // the name of a mutation of ledger/pbft
	// Profile is of the runs that show it, within Seeds seeds; Rules are those that
	// it may break first.
	Profile string
	Seeds   uint64
	Rules   []string
	// Strategy, unless it is empty, is that of all faulty replicas.
	Strategy string
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
	mixesEpochs
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
		{Name: "forgets-views", What: "a restart goes back to an earlier view", flaw: forgetsViews, Profile: "crash", Seeds: 300, Rules: []string{"S3", "S5", "S9", "L1", "L2", "L3", "halt"}},
		{Name: "ignores-damage", What: "a log is cut off at a damaged record that was durable", flaw: ignoresDamage, Profile: "disk", Seeds: 400, Rules: []string{"S3", "S5", "S9", "halt"}},
		{Name: "votes-after-wipe", What: "a replica without its log votes", flaw: votesAfterWipe, Profile: "wipe", Seeds: 200, Rules: []string{"S3", "S5", "S9", "halt"}},
		{Name: "stored-early", What: "the core is told of a store that is not durable", flaw: storedEarly, Profile: "calm", Seeds: 20, Rules: []string{"S4"}},
		{Name: "loses-block", What: "a committed block is not delivered", flaw: losesBlock, Profile: "calm", Seeds: 5, Rules: []string{"S2", "simulator"}},
		{Name: "trusts-peers", What: "what peers send is installed without a look at certificates", flaw: trustsPeers, Profile: "byzantine", Seeds: 300, Rules: []string{"S2", "S11"}},
		{Name: "ends-early", What: "an epoch begins before the checkpoint is certified", flaw: endsEarly, Profile: "reconfigure", Seeds: 20, Rules: []string{"S7"}},
		{Name: "mixes-epochs", What: "records of an old epoch enter a new one", flaw: mixesEpochs, Profile: "reconfigure", Seeds: 300, Rules: []string{"S1", "S2", "S3", "S4", "S7", "form", "halt"}},
		{Name: "ignores-sync", What: "nothing is fetched when the core asks for it", flaw: ignoresSync, Profile: "lossy", Seeds: 200, Rules: []string{"L1", "L2", "L3"}},
		{Name: "ignores-requests", What: "the core is not told that requests wait", flaw: ignoresRequests, Profile: "byzantine", Seeds: 100, Rules: []string{"L1"}},
		{Name: "executes-twice", What: "a request may be in two blocks", flaw: executesTwice, Profile: "clients", Seeds: 10, Rules: []string{"S6"}},
		{Name: "verifies-nothing", What: "every signature is taken for good", flaw: verifiesNothing, Profile: "byzantine", Seeds: 300, Rules: []string{"S1", "S2", "S5", "S7", "S9", "S11", "form", "halt"}},
		{Name: "takes-everything", What: "requests are kept whatever their number", flaw: takesEverything, Profile: "clients", Seeds: 100, Rules: []string{"S10"}},
		{Name: "no-forward-while-changing", What: "waiting requests are not passed on during view changes", flaw: forwardsLate, Profile: "lonely", Seeds: 200, Rules: []string{"L1", "L2"}},
	}
}

// CoreBugs returns the faults in the core.
func CoreBugs() []Bug {
	safe := []string{"S1", "S2", "S3", "S5", "S9", "form", "halt"}
	live := []string{"L1", "L2", "L3"}
	return []Bug{
		{core: "lowest-lock", What: "a new view carries over the lock of the lowest view", Profile: "storm", Seeds: 3000, Rules: safe},
		{core: "no-floor", What: "votes below a new view's base", Profile: "views", Seeds: 1000, Rules: safe},
		{core: "lonely-patience", What: "who wants a later view does not count for this one", Profile: "wipe", Seeds: 1000, Rules: live},
		{core: "mute-change", What: "VIEW-CHANGE is sent once only", Profile: "views", Seeds: 300, Rules: live},
		{core: "unordered", What: "COMMIT goes out before those below", Profile: "views", Seeds: 1000, Rules: safe},
		{core: "no-shrink", What: "timeouts never shrink", Profile: "patience", Seeds: 100, Rules: []string{"L6"}},
		{core: "no-doubling", What: "timeouts never grow", Profile: "far", Seeds: 100, Rules: live},
		{core: "any-lock", What: "locks are believed without their certificates", Profile: "views", Strategy: "forger", Seeds: 1000, Rules: append(safe, live...)},
		{core: "any-new-view", What: "a new view's proposals are not compared with its view changes", Profile: "views", Strategy: "new-view-bender", Seeds: 1000, Rules: safe},
		{core: "early-vote", What: "CHECKPOINT before the state is durable", Profile: "calm", Seeds: 20, Rules: []string{"S4"}},
		{core: "no-locks", What: "VIEW-CHANGE claims no locks", Profile: "crash", Seeds: 300, Rules: safe},
		{core: "vote-anyway", What: "a replica without its log votes", Profile: "wipe", Seeds: 200, Rules: safe},
		{core: "wrong-set", What: "NEW-VIEW follows from more view changes than it carries", Profile: "views", Seeds: 300, Rules: safe},
		{core: "needs-stable", What: "no view change above the last checkpoint", Profile: "crash", Seeds: 300, Rules: live},
		{core: "no-floor-pace", What: "slow leaders may stay", Profile: "slow", Seeds: 20, Rules: []string{"L5"}},
		{core: "no-censor", What: "censoring leaders may stay", Profile: "censor", Seeds: 300, Rules: []string{"L1"}},
		{core: "hasty-blame", What: "accuses without looking at the order of views", Profile: "crash", Seeds: 300, Rules: []string{"S9"}},
		{core: "blind-follow", What: "COMMIT after a weak certificate of PREPAREs", Profile: "calm", Seeds: 20, Rules: []string{"S5"}},
	}
}

// in returns a run with the fault planted.
func (b *Bug) in(c Config) Config {
	c.Bug = b
	if b.Strategy != "" {
		c.Faulty = nil
		for i := range maxFaulty(c.Replicas) {
			who := (int(c.Seed%16) + i) % c.Replicas //nolint:gosec // small
			c.Faulty = append(c.Faulty, Fault{who, b.Strategy})
		}
	}
	return c
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
