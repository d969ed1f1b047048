package sim

import (
	"math/rand/v2"

	"github.com/decube/decube/testnet/sim/adversary"
)

// This file has the profiles in which views change all the time, alone and joined with
// what goes wrong beside them: restarts, epochs that end, lost disks, late checkpoints.
// Each of these alone finds little of what goes wrong where two of them meet.

// views has links come and go and timeouts short, so that blocks are prepared here and
// not there, in one view after the other.
func views(c *Config, rnd *rand.Rand) {
	c.Core.PreprepareTimeout = 4 + rnd.Uint64N(6)
	c.Core.PrepareTimeout, c.Core.CommitTimeout = c.Core.PreprepareTimeout, c.Core.PreprepareTimeout
	c.Core.ResendInterval = 3 + rnd.Uint64N(8)
	c.Core.MaxTimeout = 60
	c.Params.Window = 1 + rnd.Uint64N(3)
	c.Params.CheckpointInterval = 2*c.Params.Window + rnd.Uint64N(8)
	c.SegmentSize = 32 << 10
	c.GST = between(rnd, 2*Second, 4*Second)
	c.Before = Network{Min: 500, Max: between(rnd, 2*Millisecond, 15*Millisecond), Drop: 0.15 * rnd.Float64()}
	c.Faults.Rounds = int(c.GST / between(rnd, 60*Millisecond, 200*Millisecond))
	c.Faults.Links = 0.15 + 0.35*rnd.Float64()
	for i := range c.Clients {
		c.Clients[i] = Client{Every: between(rnd, 20*Millisecond, 80*Millisecond), Ahead: 6, Copies: c.Validators}
	}
}

// attackedViews is views, half of them with nodes that lie in view changes.
func attackedViews(c *Config, rnd *rand.Rand) {
	views(c, rnd)
	if rnd.IntN(2) > 0 {
		return
	}
	names := []string{"equivocating-leader", "vote-equivocator", "forgetful", "forger", "new-view-bender"}
	for _, who := range rnd.Perm(c.Validators)[:faulty(c.Validators)] {
		c.Faulty = append(c.Faulty, Fault{who, names[rnd.IntN(len(names))]})
	}
}

// storm is views with small windows and bad links: locks of several views at one sequence
// number come together.
func storm(c *Config, rnd *rand.Rand) {
	attackedViews(c, rnd)
	c.Params.Window = 1 + rnd.Uint64N(2)
	c.GST, c.Faults.Rounds = 5*Second, 50
	c.Faults.Links = 0.3 + 0.2*rnd.Float64()
}

// slowCheckpoints has archives that take long, so that nodes come to the window's end and
// wait there for a checkpoint, while views change and nodes restart.
func slowCheckpoints(c *Config, rnd *rand.Rand) {
	views(c, rnd)
	c.Params.CheckpointInterval = c.Params.Window
	c.Work.Sync = between(rnd, 100*Millisecond, 800*Millisecond)
	c.Faults.Links = 0.05 + 0.25*rnd.Float64()
	if rnd.IntN(2) == 0 {
		c.Faults.Crashes = 1 + rnd.IntN(30)
		c.Faults.CrashAll = rnd.IntN(4)
		c.Faults.MaxDown = between(rnd, 20*Millisecond, 500*Millisecond)
	}
}

func churn(c *Config, rnd *rand.Rand) {
	views(c, rnd)
	c.Faults.Crashes = 6 + rnd.IntN(16)
	c.Faults.CrashAll = rnd.IntN(4)
	c.Faults.MaxDown = between(rnd, 20*Millisecond, 300*Millisecond)
	if rnd.IntN(2) == 0 { // archives that are far behind the logs
		c.Work.Sync = between(rnd, 50*Millisecond, 800*Millisecond)
	}
	if rnd.IntN(2) == 0 { // the power fails
		c.Faults.Blackouts, c.Faults.Spared = 1+rnd.IntN(2), nobody
	}
}

// relapse is churn with small windows, and archives that are durable so late that a crash
// takes from a node what it has fetched and has voted on: its log alone says that it did.
func relapse(c *Config, rnd *rand.Rand) {
	views(c, rnd)
	c.Params.Window = 1 + rnd.Uint64N(2)
	c.Params.CheckpointInterval = c.Params.Window + rnd.Uint64N(30)
	c.Core.SyncDelay = 1 + rnd.Uint64N(2)
	c.GST = 4 * Second
	c.Faults.Rounds = int(c.GST / between(rnd, 100*Millisecond, 400*Millisecond))
	c.Faults.Links = 0.1 + 0.3*rnd.Float64()
	c.Faults.Crashes = 20 + rnd.IntN(40)
	c.Faults.CrashAll = rnd.IntN(6)
	c.Faults.MaxDown = between(rnd, 20*Millisecond, 200*Millisecond)
	c.Work.Sync = between(rnd, 200*Millisecond, 2*Second)
	c.Work.Log = between(rnd, 200, Millisecond)
	switch rnd.IntN(3) {
	case 0: // one epoch after the other, and nodes that are away when one ends
		c.Faults.MaxDown = between(rnd, 200*Millisecond, Second)
		for range 4 + rnd.IntN(8) {
			c.Votes = append(c.Votes, Change{Node: rnd.IntN(c.Validators)})
		}
	case 1:
		c.Faults.Wipes = 1 + rnd.IntN(2)
	}
}

func churnEpochs(c *Config, rnd *rand.Rand) {
	churn(c, rnd)
	c.GST = 5 * Second
	c.Candidates = rnd.IntN(3)
	for range 3 + rnd.IntN(5) {
		c.Votes = append(c.Votes, Change{Node: rnd.IntN(c.Validators + c.Candidates), Remove: rnd.IntN(4) == 0})
	}
	c.Faults.Wipes = rnd.IntN(3)
}

func liars(c *Config, rnd *rand.Rand) {
	churnEpochs(c, rnd)
	names := adversary.Liars()
	for _, who := range rnd.Perm(c.Validators)[:faulty(c.Validators)] {
		c.Faulty = append(c.Faulty, Fault{who, names[rnd.IntN(len(names))]})
	}
}

// twinned runs up to f keys twice, and draws partitions round by round.
func twinned(c *Config, rnd *rand.Rand) {
	c.GST = 4 * Second
	c.Twins = rnd.Perm(c.Validators)[:1+rnd.IntN(faulty(c.Validators))]
	c.Faults.Rounds = 2 + rnd.IntN(7)
	c.Faults.Groups = 1 + rnd.IntN(3)
	c.Faults.Crashes = rnd.IntN(8)
	if rnd.IntN(3) == 0 {
		lossy(c, rnd)
	}
}

// forking runs more keys twice than the validators withstand, in partitions with one of
// each pair on both sides.
func forking(c *Config, rnd *rand.Rand) {
	c.Fork = true
	f := faulty(c.Validators)
	c.Twins = rnd.Perm(c.Validators)[:f+1+rnd.IntN(f)]
	c.GST = between(rnd, 2*Second, 4*Second)
	c.Faults.Rounds = 1 + rnd.IntN(8)
	c.Faults.Groups = 2
	c.Load = 0
	c.KeepBlocks = 0
	c.Params.Window = 1 + rnd.Uint64N(4)
	c.Params.CheckpointInterval = c.Params.Window + rnd.Uint64N(12)
	for i := range c.Clients {
		c.Clients[i].Copies = 2 * c.Validators
	}
	if rnd.IntN(2) == 0 {
		c.Before.Drop = 0.2 * rnd.Float64()
	}
}
