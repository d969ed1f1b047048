package sim

import (
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/testnet/sim/adversary"
)

// Profile is a family of runs: what its seeds have in common.
type Profile struct {
	Name string
	What string
	draw func(c *Config, rnd *rand.Rand)
}

// Profiles returns all profiles, in a fixed order.
func Profiles() []Profile {
	return []Profile{
		{"calm", "no faults: everything commits at once", peaceful},
		{"lossy", "messages are lost, doubled, late and out of order", lossy},
		{"partition", "partitions of all shapes, flapping links", partitions},
		{"crash", "crashes at output boundaries, also of all at once, full disks", crashes},
		{"disk", "bit flips, fsyncs that do nothing, old copies of disks", disks},
		{"wipe", "empty disks: recovery without a log", wipes},
		{"clock", "long pauses, clocks that run wrong or jump", clocks},
		{"reconfigure", "committees of 4, 5, 7 and 10 follow one another", reconfigure},
		{"clients", "clients that flood, repeat and send what is invalid", clients},
		{"byzantine", "as many faulty replicas as the committee withstands, of all kinds", byzantine},
		{"twins", "replicas that run twice with one key, in changing partitions", twins},
		{"views", "one view change after the other, with what attacks them", views},
		{"storm", "views, for longer, and with most links cut half of the time", storm},
		{"lonely", "requests that one replica alone has taken up, while the others were down", lonely},
		{"censor", "a leader that leaves a client out while others are served", censored},
		{"far", "a network that is slower than the first timeouts", far},
		{"fork", "more faulty replicas than the committee withstands: evidence must name them", fork},
		{"slow", "leaders that are just fast enough not to be late", slowLeaders},
		{"patience", "timeouts that have grown must shrink again", patient},
		{"churn", "storm, with replicas that restart all the time", churn},
		{"churn-epochs", "view changes and restarts at the ends of short epochs, lost disks", churnEpochs},
		{"slow-checkpoints", "stores that are slow, and view changes at the window's end", slowCheckpoints},
		{"wrong-clocks", "clocks of f or f+1 replicas that are wrong by more than a block's may be", wrongClocks},
		{"renew", "leaders that end their epoch with each block, and leave a client out", renewed},
		{"far-epochs", "far, with epochs that end all the time", farEpochs},
		{"liars", "views, with adversaries that lie in view changes and about them", liars},
		{"mixed", "a little of everything", mixed},
	}
}

// Draw draws a run of a profile from a seed.
func Draw(profile string, seed uint64) (Config, error) {
	profiles := Profiles()
	i := slices.IndexFunc(profiles, func(p Profile) bool { return p.Name == profile })
	if i < 0 {
		return Config{}, fmt.Errorf("no profile %q", profile)
	}
	rnd := rand.New(rand.NewPCG(seed, 0))
	c := base(rnd, seed)
	c.Profile = profile
	profiles[i].draw(&c, rnd)
	return c, nil
}

// base draws what all runs have in common.
func base(rnd *rand.Rand, seed uint64) Config {
	n := []int{4, 4, 4, 5, 7, 10}[rnd.IntN(6)]
	c := Config{
		Seed: seed, Replicas: n, Identities: n, EpochLength: 5 + rnd.Uint64N(20), Core: coreConfig(rnd), MaxBatch: 1 + rnd.IntN(4),
		GST: between(rnd, Second, 4*Second), Load: between(rnd, 200*Millisecond, Second),
		Fsync: between(rnd, 0, 8*Millisecond), Store: between(rnd, Millisecond, 40*Millisecond),
		Before: Network{Min: Millisecond, Max: between(rnd, 2*Millisecond, 20*Millisecond)},
		After:  Network{Min: Millisecond, Max: between(rnd, 2*Millisecond, 10*Millisecond)},
		Faults: Faults{MaxDown: 2 * Second, MaxPartition: 2 * Second, MaxPaused: 2 * Second},
	}
	if rnd.IntN(2) == 0 {
		c.KeepBlocks = int(2*c.Core.CheckpointInterval) + rnd.IntN(20)
	}
	for range 2 + rnd.IntN(3) {
		c.Clients = append(c.Clients, Client{Every: between(rnd, 30*Millisecond, 300*Millisecond), Ahead: 1 + rnd.IntN(8), Copies: 1 + rnd.IntN(3)})
	}
	return c
}

// coreConfig draws the core's bounds, with timeouts from the shipped ones down to
// an eighth of them, so that much happens in little time.
func coreConfig(rnd *rand.Rand) pbft.Config {
	c := pbft.Default()
	c.Cluster = pbft.Digest{0xdc}
	c.Window = 1 + rnd.Uint64N(8)
	c.CheckpointInterval = c.Window + rnd.Uint64N(12)
	by := 1 + rnd.Uint64N(8)
	c.PreprepareTimeout /= by
	c.PrepareTimeout /= by
	c.CommitTimeout /= by
	c.ForwardAfter = max(2, c.ForwardAfter/by)
	c.ResendInterval = max(3, c.ResendInterval/by)
	c.MaxTimeout = 100 << rnd.UintN(4)
	c.CensorTimeout = 200
	c.IdleStatus = 100
	c.FloorPeriod = 300 / by
	c.SyncDelay = 1 + rnd.Uint64N(8)
	return c
}

func peaceful(*Config, *rand.Rand) {}

func lossy(c *Config, rnd *rand.Rand) {
	c.Before = Network{
		Min: Millisecond, Max: between(rnd, 2*Millisecond, 80*Millisecond), Tail: 0.1 * rnd.Float64(), TailTimes: 2 + rnd.IntN(30),
		Drop: 0.3 * rnd.Float64(), Duplicate: 0.2 * rnd.Float64(),
	}
}

func partitions(c *Config, rnd *rand.Rand) {
	c.Faults.Partitions = 1 + rnd.IntN(6)
	c.Faults.Flaps = rnd.IntN(4)
	if rnd.IntN(2) == 0 {
		lossy(c, rnd)
	}
}

func crashes(c *Config, rnd *rand.Rand) {
	c.Faults.Crashes = 1 + rnd.IntN(12)
	c.Faults.CrashAll = rnd.IntN(3)
	c.Faults.FullDisks = rnd.IntN(3)
	c.Faults.MaxDown = between(rnd, 100*Millisecond, 2*Second)
	if rnd.IntN(2) == 0 {
		lossy(c, rnd)
	}
}

func disks(c *Config, rnd *rand.Rand) {
	switch rnd.IntN(3) {
	case 0:
		c.Faults.BitFlips = 1 + rnd.IntN(2)
	case 1:
		c.Faults.LostFsyncs = 1 + rnd.IntN(2)
	default:
		c.Faults.StaleDisks = 1 + rnd.IntN(2)
	}
	c.Faults.Crashes = rnd.IntN(6)
	c.Faults.FullDisks = rnd.IntN(3)
	if rnd.IntN(2) == 0 {
		lossy(c, rnd)
	}
}

func wipes(c *Config, rnd *rand.Rand) {
	c.Faults.Wipes = 1 + rnd.IntN(3)
	c.Faults.Crashes = rnd.IntN(4)
	if rnd.IntN(3) == 0 {
		lossy(c, rnd)
	}
	if rnd.IntN(3) == 0 {
		c.Faults.Partitions = 1 + rnd.IntN(3)
	}
}

func clocks(c *Config, rnd *rand.Rand) {
	c.Faults.Pauses = 1 + rnd.IntN(6)
	c.Faults.Clocks = 1 + rnd.IntN(6)
}

func reconfigure(c *Config, rnd *rand.Rand) {
	c.Identities = 7 + rnd.IntN(4)
	c.Replicas = min(c.Replicas, c.Identities)
	c.EpochLength = 1 + rnd.Uint64N(8)
	for range 1 + rnd.IntN(4) {
		c.Committees = append(c.Committees, someMembers(rnd, c.Identities))
	}
	switch rnd.IntN(4) {
	case 0:
		lossy(c, rnd)
	case 1:
		partitions(c, rnd)
	case 2:
		crashes(c, rnd)
	}
}

// someMembers draws a committee.
func someMembers(rnd *rand.Rand, identities int) members {
	size := []int{4, 4, 5, 7, 10}[rnd.IntN(5)]
	var m members
	for _, who := range rnd.Perm(identities)[:min(size, identities)] {
		m |= 1 << who
	}
	return m
}

func clients(c *Config, rnd *rand.Rand) {
	for i := range c.Clients {
		x := &c.Clients[i]
		x.Every = between(rnd, 2*Millisecond, 50*Millisecond)
		x.Ahead = 1 + rnd.IntN(nonceWindow)
		x.Copies = 1 + rnd.IntN(c.Identities)
		x.Invalid, x.Duplicate = rnd.Float64(), rnd.Float64()
	}
	c.MaxBatch = 4 + rnd.IntN(12)
	if rnd.IntN(2) == 0 {
		lossy(c, rnd)
	}
}

// byzantine makes up to f replicas faulty, each with a strategy of its own.
func byzantine(c *Config, rnd *rand.Rand) {
	names := adversary.Names()
	f := maxFaulty(c.Replicas)
	for _, who := range rnd.Perm(c.Replicas)[:1+rnd.IntN(f)] {
		c.Faulty = append(c.Faulty, Fault{who, names[rnd.IntN(len(names))]})
	}
	switch rnd.IntN(4) {
	case 0:
		lossy(c, rnd)
	case 1:
		partitions(c, rnd)
	case 2:
		crashes(c, rnd)
	}
}

// twins runs up to f replicas twice, and draws partitions round by round.
func twins(c *Config, rnd *rand.Rand) {
	c.Twins = rnd.Perm(c.Replicas)[:1+rnd.IntN(maxFaulty(c.Replicas))]
	c.Faults.Rounds = 2 + rnd.IntN(7)
	c.Faults.Groups = 2 + rnd.IntN(2)
	if rnd.IntN(3) == 0 {
		lossy(c, rnd)
	}
}

// views has links come and go and timeouts short, so that blocks are prepared here
// and not there, in one view after the other.
func views(c *Config, rnd *rand.Rand) {
	c.Core.PreprepareTimeout = 3 + rnd.Uint64N(6)
	c.Core.PrepareTimeout, c.Core.CommitTimeout = c.Core.PreprepareTimeout, c.Core.PreprepareTimeout
	c.Core.ResendInterval = 3 + rnd.Uint64N(8)
	c.Core.MaxTimeout = 60
	c.Core.Window = 1 + rnd.Uint64N(3)
	c.Core.CheckpointInterval = 2*c.Core.Window + rnd.Uint64N(8)
	c.GST = between(rnd, 2*Second, 6*Second)
	c.Before = Network{Min: Millisecond, Max: between(rnd, 2*Millisecond, 25*Millisecond), Drop: 0.2 * rnd.Float64()}
	c.Faults.Rounds = int(c.GST / between(rnd, 60*Millisecond, 200*Millisecond))
	c.Faults.Links = 0.15 + 0.4*rnd.Float64()
	for i := range c.Clients {
		c.Clients[i] = Client{Every: between(rnd, 10*Millisecond, 60*Millisecond), Ahead: 8, Copies: c.Replicas}
	}
	if rnd.IntN(2) == 0 {
		names := []string{"equivocating-leader", "vote-equivocator", "forgetful", "forger", "new-view-bender"}
		for _, who := range rnd.Perm(c.Replicas)[:maxFaulty(c.Replicas)] {
			c.Faulty = append(c.Faulty, Fault{who, names[rnd.IntN(len(names))]})
		}
	}
}

// storm is views with small windows and bad links: locks of several views at one
// sequence number come together.
func storm(c *Config, rnd *rand.Rand) {
	views(c, rnd)
	c.Core.Window = 1 + rnd.Uint64N(2)
	c.GST, c.Faults.Rounds = 6*Second, 60
	c.Faults.Links = 0.35 + 0.2*rnd.Float64()
}

// lonely has everybody but one be down for a while. Requests reach that one only,
// and others through it.
func lonely(c *Config, rnd *rand.Rand) {
	c.Faults.Blackouts = 1 + rnd.IntN(4)
	c.Faults.Spared = rnd.IntN(c.Replicas)
	c.Faults.MaxDown = between(rnd, 200*Millisecond, 2*Second)
	for i := range c.Clients {
		c.Clients[i].Lonely = true
	}
}

// firstLeader leads view 0 of the first epoch, whose number is 1.
const firstLeader = 1

// othersThanFirst returns all replicas but the first leader, in a random order.
func othersThanFirst(rnd *rand.Rand, replicas int) []int {
	return slices.DeleteFunc(rnd.Perm(replicas), func(who int) bool { return who == firstLeader })
}

// censored has the first leader leave out one client, under load.
func censored(c *Config, rnd *rand.Rand) {
	c.Core.CensorTimeout = 60
	c.Core.PreprepareTimeout, c.Core.PrepareTimeout, c.Core.CommitTimeout = 10, 12, 12
	c.Core.MaxTimeout = 100
	c.GST, c.Load = 200*Millisecond, 5*Second
	c.Faulty = []Fault{{firstLeader, "censor"}}
	for _, who := range othersThanFirst(rnd, c.Replicas)[:maxFaulty(c.Replicas)-1] {
		c.Faulty = append(c.Faulty, Fault{who, "censor"})
	}
	f := Time(maxFaulty(c.Replicas))
	c.Within = (f + 2) * (Time(c.Core.CensorTimeout) + 4*Time(c.Core.PreprepareTimeout)) * TickLength
	for i := range c.Clients {
		c.Clients[i] = Client{Every: 60 * Millisecond, Ahead: 8, Copies: 2}
	}
}

// far has delays that the first timeouts are too short for, for good.
func far(c *Config, rnd *rand.Rand) {
	c.Core.PreprepareTimeout, c.Core.PrepareTimeout, c.Core.CommitTimeout = 4, 4, 4
	c.Core.MaxTimeout = 400
	slowest := between(rnd, 60*Millisecond, 120*Millisecond)
	c.Before = Network{Min: slowest / 2, Max: slowest}
	c.After = c.Before
	c.Far = true
	c.GST = Second
	for i := range c.Clients {
		c.Clients[i] = Client{Every: 100 * Millisecond, Ahead: 4, Copies: 2}
	}
}

// fork runs more replicas twice than the committee withstands.
func fork(c *Config, rnd *rand.Rand) {
	c.Fork = true
	f := maxFaulty(c.Replicas)
	c.Twins = rnd.Perm(c.Replicas)[:f+1+rnd.IntN(f)]
	c.Faults.Rounds = 1 + rnd.IntN(8)
	c.Faults.Groups = 2
	c.Load = 0
	c.KeepBlocks = 0
	c.Core.Window = 1 + rnd.Uint64N(4)
	for i := range c.Clients {
		c.Clients[i].Copies = 2 * c.Replicas
	}
	if rnd.IntN(2) == 0 {
		c.Before.Drop = 0.2 * rnd.Float64()
	}
}

// slowLeaders has replicas lead that take their time, while requests wait.
func slowLeaders(c *Config, rnd *rand.Rand) {
	c.Floor = true
	c.Replicas = min(c.Replicas, 7)
	c.Identities = c.Replicas
	c.Core.PreprepareTimeout, c.Core.PrepareTimeout, c.Core.CommitTimeout = 80, 80, 80
	c.Core.FloorPeriod, c.Core.CensorTimeout = 100, 2000
	c.Core.ForwardAfter, c.Core.ResendInterval = 20, 20
	c.Core.Window = 2 + rnd.Uint64N(3)
	c.Core.CheckpointInterval = 4 * c.Core.Window
	c.Before = Network{Min: 3 * Millisecond, Max: 10 * Millisecond}
	c.After = c.Before
	c.Fsync = 2 * Millisecond
	// The first leader is good, so that there is something to hold the others against.
	for _, who := range othersThanFirst(rnd, c.Replicas)[:maxFaulty(c.Replicas)] {
		c.Faulty = append(c.Faulty, Fault{who, "slow-leader"})
	}
	c.GST, c.Load = 3*Second, 6*Second
	c.Faults.Leaders = 1
	c.Faults.MaxDown = Second
	c.MaxBatch = 1
	for i := range c.Clients {
		c.Clients[i] = Client{Every: 30 * Millisecond, Ahead: 32, Copies: 1}
	}
}

// patient lets timeouts grow before GST, by delays that are longer than they are.
func patient(c *Config, rnd *rand.Rand) {
	c.Probe = true
	c.Core.PreprepareTimeout, c.Core.PrepareTimeout, c.Core.CommitTimeout = 6, 6, 6
	c.Core.MaxTimeout = 3200
	c.Core.Window = 1 + rnd.Uint64N(4)
	c.Core.CheckpointInterval = 4 * c.Core.Window
	slowest := between(rnd, 300*Millisecond, 900*Millisecond)
	c.Before = Network{Min: slowest / 2, Max: slowest}
	c.After = Network{Min: Millisecond, Max: 3 * Millisecond}
	c.Fsync, c.Store = Millisecond, 5*Millisecond
	c.GST, c.Load = 6*Second, 2*Second
	c.MaxBatch = 1
	for i := range c.Clients {
		c.Clients[i] = Client{Every: 40 * Millisecond, Ahead: 16, Copies: 2}
	}
}

// mixed draws from several of the others.
func mixed(c *Config, rnd *rand.Rand) {
	kinds := []func(*Config, *rand.Rand){reconfigure, lossy, partitions, crashes, clocks, clients, wipes, disks, byzantine}
	picked := rnd.Perm(len(kinds))[:2+rnd.IntN(3)]
	slices.Sort(picked)
	for _, i := range picked {
		kinds[i](c, rnd)
	}
}
