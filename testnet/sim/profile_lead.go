package sim

import (
	"math/rand/v2"
	"slices"
)

// This file has the profiles that are about leaders: those who censor, who are slow, and
// those who are given up though they are good.

// firstLeader leads view 0 of the first epoch, whose number is 0.
const firstLeader = 0

// othersThanFirst returns all validators but the first leader, in a random order.
func othersThanFirst(c *Config, rnd *rand.Rand) []int {
	return slices.DeleteFunc(rnd.Perm(c.Validators), func(who int) bool { return who == firstLeader })
}

// lonely has everybody but one be down for a while. Requests reach that one only, and
// others through it.
func lonely(c *Config, rnd *rand.Rand) {
	c.Faults.Blackouts = 1 + rnd.IntN(4)
	c.Faults.Spared = rnd.IntN(c.Validators)
	c.Faults.MaxDown = between(rnd, 200*Millisecond, 2*Second)
	for i := range c.Clients {
		c.Clients[i].Lonely = true
	}
}

// censored has the first leader leave out one client, under load.
func censored(c *Config, rnd *rand.Rand) {
	c.Core.CensorTimeout = 60
	c.Core.PreprepareTimeout, c.Core.PrepareTimeout, c.Core.CommitTimeout = 10, 12, 12
	c.Core.MaxTimeout = 100
	c.GST, c.Load = 200*Millisecond, 5*Second
	c.Faulty = []Fault{{firstLeader, "censor"}}
	f := faulty(c.Validators)
	for _, who := range othersThanFirst(c, rnd)[:f-1] {
		c.Faulty = append(c.Faulty, Fault{who, "censor"})
	}
	// Each of f leaders may leave somebody out for as long as that, and the views between
	// take their time, one more than there are leaders.
	c.Within = Time(f+1) * Time(c.Core.CensorTimeout+4*c.Core.PreprepareTimeout) * TickLength
	for i := range c.Clients {
		c.Clients[i] = Client{Every: 60 * Millisecond, Ahead: 8, Copies: 2}
	}
}

// renewed has leaders end their epoch just before they would be given up, and leave a
// client out in each.
func renewed(c *Config, rnd *rand.Rand) {
	censored(c, rnd)
	for i := range c.Faulty {
		c.Faulty[i].Strategy = "renewer"
	}
	c.Work.Store, c.Work.Sync = Millisecond, between(rnd, Millisecond, 10*Millisecond)
}

// slowLeaders has nodes lead that take their time, while requests wait.
func slowLeaders(c *Config, rnd *rand.Rand) {
	c.Floor = true
	c.Core.PreprepareTimeout, c.Core.PrepareTimeout, c.Core.CommitTimeout = 80, 80, 80
	c.Core.FloorPeriod, c.Core.CensorTimeout = 100, 2000
	c.Core.ForwardAfter, c.Core.ResendInterval = 20, 20
	c.Params.Window = 2 + rnd.Uint64N(3)
	c.Params.CheckpointInterval = 4 * c.Params.Window
	c.Before = Network{Min: 3 * Millisecond, Max: 10 * Millisecond}
	c.After = c.Before
	// The first leader is good, so that there is something to hold the others against.
	for _, who := range othersThanFirst(c, rnd)[:faulty(c.Validators)] {
		c.Faulty = append(c.Faulty, Fault{who, "slow-leader"})
	}
	c.GST, c.Load = 3*Second, 5*Second
	c.Faults.Leaders = 1 + rnd.IntN(2)
	c.MaxBatch = 1
	for i := range c.Clients {
		c.Clients[i] = Client{Every: 40 * Millisecond, Ahead: 16, Copies: 1}
	}
}

// patient lets timeouts grow before GST, by delays that are longer than they are.
func patient(c *Config, rnd *rand.Rand) {
	c.Probe = true
	c.Core.PreprepareTimeout, c.Core.PrepareTimeout, c.Core.CommitTimeout = 6, 6, 6
	c.Core.MaxTimeout = 3200
	c.Params.Window = 1 + rnd.Uint64N(4)
	c.Params.CheckpointInterval = 4 * c.Params.Window
	slowest := between(rnd, 300*Millisecond, 900*Millisecond)
	c.Before = Network{Min: slowest / 2, Max: slowest}
	c.After = Network{Min: Millisecond, Max: 3 * Millisecond}
	c.Work.Log, c.Work.Sync = Millisecond, 5*Millisecond
	c.GST, c.Load = 6*Second, 3*Second
	c.MaxBatch = 1
	for i := range c.Clients {
		c.Clients[i] = Client{Every: 40 * Millisecond, Ahead: 16, Copies: 2}
	}
}

// farEpochs is far with epochs that end all the time: what was learned about time counts
// in the next one.
func farEpochs(c *Config, rnd *rand.Rand) {
	far(c, rnd)
	c.Faults.Crashes = 0 // who was started again has learned nothing
	c.Learned = true
	c.Load = 12 * Second
	c.VotesAfter = true
	for i := range 12 {
		c.Votes = append(c.Votes, Change{Node: i % c.Validators})
	}
	c.Work.Sync = 5 * Millisecond
}
