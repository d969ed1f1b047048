package sim

import (
	"math/rand/v2"

	"github.com/decube/decube/testnet/sim/adversary"
)

// This file has the profiles that join view changes with what goes wrong beside them:
// restarts, epochs that end, lost disks, late checkpoints, wrong clocks. Each of these
// alone finds little of what goes wrong where two of them meet.

// churn is storm with replicas that die all the time and are soon back: they restart
// in view changes, with locks of several views and a base below the view's.
func churn(c *Config, rnd *rand.Rand) {
	storm(c, rnd)
	c.GST = 4 * Second
	c.Faults.Rounds = 40
	c.Faults.Crashes = 20 + rnd.IntN(60)
	c.Faults.CrashAll = rnd.IntN(6)
	c.Faults.MaxDown = between(rnd, 20*Millisecond, 200*Millisecond)
	c.Faults.Links = 0.2 + 0.3*rnd.Float64()
}

// churnEpochs has epochs end while views change and replicas restart, or lose their
// disks.
func churnEpochs(c *Config, rnd *rand.Rand) {
	views(c, rnd)
	c.EpochLength = 1 + rnd.Uint64N(6)
	c.Renewals = 5 + rnd.IntN(40)
	c.GST = 4 * Second
	c.Faults.Rounds = int(c.GST / between(rnd, 60*Millisecond, 300*Millisecond))
	c.Faults.Links = 0.1 + 0.25*rnd.Float64()
	c.Faults.Crashes = 5 + rnd.IntN(40)
	c.Faults.MaxDown = between(rnd, 20*Millisecond, 300*Millisecond)
	if rnd.IntN(2) == 0 {
		c.Faulty = nil
		c.Faults.Wipes = 1 + rnd.IntN(3)
	}
	if rnd.IntN(3) == 0 {
		c.Identities = c.Replicas + rnd.IntN(3)
		for range 1 + rnd.IntN(3) {
			c.Committees = append(c.Committees, someMembers(rnd, c.Identities))
		}
	}
}

// slowCheckpoints has stores that take long, so that replicas come to the window's end
// and wait there for a checkpoint, while views change and replicas restart.
func slowCheckpoints(c *Config, rnd *rand.Rand) {
	views(c, rnd)
	c.Core.CheckpointInterval = c.Core.Window
	c.Store = between(rnd, 100*Millisecond, 800*Millisecond)
	c.MaxBatch = 8 + rnd.IntN(8)
	c.Faults.Links = 0.05 + 0.25*rnd.Float64()
	if rnd.IntN(2) == 0 {
		c.Faults.Crashes = 1 + rnd.IntN(30)
		c.Faults.CrashAll = rnd.IntN(4)
		c.Faults.MaxDown = between(rnd, 20*Millisecond, 500*Millisecond)
	}
}

// wrongClocks has replicas whose clocks are wrong by more than blocks' times may be: up
// to f of them, for good, or f+1 of them until GST, while views change.
func wrongClocks(c *Config, rnd *rand.Rand) {
	views(c, rnd)
	c.Faulty = nil
	c.Faults.Links = 0.05 + 0.2*rnd.Float64()
	f := maxFaulty(c.Replicas)
	wrong := 1 + rnd.IntN(f+1)
	c.WrongForGood = wrong <= f
	for _, who := range rnd.Perm(c.Replicas)[:wrong] {
		by := maxDrift + between(rnd, Millisecond, 20*Second)
		if rnd.IntN(2) == 0 {
			by = -by
		}
		c.WrongClocks = append(c.WrongClocks, WrongClock{who, by})
	}
	if rnd.IntN(2) == 0 {
		c.Faults.Crashes = 1 + rnd.IntN(20)
		c.Faults.MaxDown = between(rnd, 20*Millisecond, 300*Millisecond)
	}
}

// renewed has leaders that end their epoch with each block, and leave a client out.
func renewed(c *Config, rnd *rand.Rand) {
	censored(c, rnd)
	for i := range c.Faulty {
		c.Faulty[i].Strategy = "renewer"
	}
	c.EpochLength = 1000
	c.Store = between(rnd, Millisecond, 10*Millisecond)
}

// farEpochs is far with epochs that end all the time: what was learned about time
// counts in the next one.
func farEpochs(c *Config, rnd *rand.Rand) {
	far(c, rnd)
	c.Learned = true
	c.EpochLength = 1000
	c.Load = 12 * Second
	c.Renewals, c.RenewedAfter = 20, true
	c.Store = 5 * Millisecond
}

// liars is byzantine with the adversaries that attack what view changes claim and
// prove, all faulty replicas with one of them, while views change.
func liars(c *Config, rnd *rand.Rand) {
	views(c, rnd)
	names := adversary.Liars()
	name := names[rnd.IntN(len(names))]
	c.Faulty = nil
	for _, who := range rnd.Perm(c.Replicas)[:maxFaulty(c.Replicas)] {
		c.Faulty = append(c.Faulty, Fault{who, name})
	}
	if rnd.IntN(2) == 0 {
		c.Faults.Crashes = 1 + rnd.IntN(20)
		c.Faults.MaxDown = between(rnd, 20*Millisecond, 300*Millisecond)
	}
}
