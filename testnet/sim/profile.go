package sim

import (
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/decube/decube/ledger/genesis"
	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/testnet/sim/adversary"
)

// Profile is a family of runs: what its seeds have in common.
type Profile struct {
	Name, What string
	draw       func(c *Config, rnd *rand.Rand)
}

// Profiles returns all profiles, in a fixed order.
func Profiles() []Profile {
	return []Profile{
		{"calm", "no faults: everything commits at once", calm},
		{"network", "frames are lost, late and twice there, partitions of all shapes", network},
		{"crash", "crashes at all boundaries, also of all at once", crashes},
		{"wipe", "lost disks and lost logs: places are taken anew", wipes},
		{"disk", "disks that are full, fail, rot, lie, or are slow", disks},
		{"stale", "old copies of disks", stale},
		{"clock", "long pauses, clocks that run wrong or jump", clocks},
		{"wrong-clocks", "clocks of f or f+1 nodes that are wrong by more than a block's may be, while views change", wrongClocks},
		{"far", "a network that is slower than the first timeouts", far},
		{"epochs", "validators come and go, and take their places anew", epochs},
		{"followers", "nodes that only follow, and hand over what their clients want", lonelyFollower},
		{"transfer", "nodes that come late and fetch a state", transfer},
		{"lonely", "requests that one node alone has taken up, while the others were down", lonely},
		{"censor", "a leader that leaves a client out while others are served", censored},
		{"renew", "the same, by leaders that end their epochs before they are given up", renewed},
		{"slow", "leaders that are just fast enough not to be late", slowLeaders},
		{"patience", "timeouts that have grown must shrink again", patient},
		{"far-epochs", "far, with epochs that end all the time", farEpochs},
		{"sources", "sources that drip, stall and lie, and nodes that come late", sourced},
		{"false-sources", "sources that make up heads, blocks and sets, f of the validators and a follower, to those who follow or come late", falseSources},
		{"clients", "clients that repeat and send what is no good", clients},
		{"views", "one view change after the other, with what attacks them", attackedViews},
		{"storm", "views, for longer, and with more links cut", storm},
		{"slow-checkpoints", "archives that are slow, and view changes at the window's end", slowCheckpoints},
		{"churn", "views, with nodes that restart all the time", churn},
		{"relapse", "churn, with nodes that fetch what they lack, vote on it and lose it", relapse},
		{"churn-epochs", "view changes and restarts at the ends of epochs, lost disks", churnEpochs},
		{"liars", "churn-epochs, with nodes that lie in view changes and about them", liars},
		{"byzantine", "as many faulty nodes as the committee withstands, of all kinds", byzantine},
		{"twins", "keys that run twice, in changing partitions", twinned},
		{"fork", "more keys that run twice than the validators withstand: it must be told whose fault it is", forking},
		{"flood", "a node that floods the others with one class of traffic", flooded},
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
	c := Config{
		Seed: seed, Validators: []int{4, 4, 4, 4, 4, 7}[rnd.IntN(6)], Core: coreConfig(rnd), Params: genesis.DefaultParams(),
		MaxBatch: 1 + rnd.IntN(4), BatchTimeout: between(rnd, Millisecond, 20*Millisecond), TransferAfter: 10_000, StateEvery: 1 + rnd.IntN(40),
		SegmentSize: 64 << 10, Segments: 2,
		GST: 2 * Second, Load: Second,
		Before: Network{Min: 200, Max: 2 * Millisecond}, After: Network{Min: 200, Max: 2 * Millisecond},
		Work: Work{
			Log: between(rnd, 200, 4*Millisecond), Store: Millisecond, Sync: between(rnd, Millisecond, 20*Millisecond),
			Exec: 2 * Millisecond, Judge: Millisecond, Votes: 500, Txs: Millisecond, Chain: 2 * Millisecond,
		},
		Faults: Faults{MaxDown: Second, MaxPartition: Second, MaxPaused: Second},
	}
	c.StateLife = Time(c.StateEvery) * 20 * Millisecond
	c.Params.Window = 1 + rnd.Uint64N(8)
	c.Params.CheckpointInterval = c.Params.Window + rnd.Uint64N(12)
	c.Params.MaxBlockBytes = 128 << 10
	if rnd.IntN(2) == 0 {
		c.KeepBlocks = 2*c.Params.CheckpointInterval + rnd.Uint64N(20)
	}
	for range 2 + rnd.IntN(2) {
		c.Clients = append(c.Clients, Client{Every: between(rnd, 40*Millisecond, 250*Millisecond), Ahead: 1 + rnd.IntN(6), Copies: 1 + rnd.IntN(3)})
	}
	return c
}

// coreConfig draws the core's times, from the shipped ones down to a fourth of them, so
// that much happens in little time.
func coreConfig(rnd *rand.Rand) pbft.Config {
	c := pbft.Default()
	by := 1 + rnd.Uint64N(4)
	c.PreprepareTimeout /= by
	c.PrepareTimeout /= by
	c.CommitTimeout /= by
	c.ForwardAfter = max(2, c.ForwardAfter/by)
	c.ResendInterval = max(3, c.ResendInterval/by)
	c.MaxTimeout = 100 << rnd.UintN(3)
	c.CensorTimeout = 200
	c.IdleStatus = 100
	c.FloorPeriod = 300 / by
	c.SyncDelay = 1 + rnd.Uint64N(8)
	return c
}

func calm(c *Config, _ *rand.Rand) {
	c.GST = 500 * Millisecond
	c.Probe = true
	c.Core.PreprepareTimeout = min(c.Core.PreprepareTimeout, 30)
}

func lossy(c *Config, rnd *rand.Rand) {
	c.Before = Network{
		Min: 500, Max: between(rnd, 2*Millisecond, 60*Millisecond), Tail: 0.1 * rnd.Float64(), TailTimes: 2 + rnd.IntN(20),
		Drop: 0.2 * rnd.Float64(), Duplicate: 0.1 * rnd.Float64(),
	}
}

func network(c *Config, rnd *rand.Rand) {
	if rnd.IntN(3) > 0 {
		lossy(c, rnd)
	}
	c.Faults.Partitions = rnd.IntN(5)
	c.Faults.Flaps = rnd.IntN(3)
}

func crashes(c *Config, rnd *rand.Rand) {
	c.Faults.Crashes = 1 + rnd.IntN(12)
	c.Faults.CrashAll = rnd.IntN(3)
	c.Faults.Leaders = rnd.IntN(3)
	c.Faults.MaxDown = between(rnd, 50*Millisecond, Second)
	if rnd.IntN(3) == 0 {
		lossy(c, rnd)
	}
	if rnd.IntN(4) == 0 {
		c.Faults.Blackouts, c.Faults.Spared = 1+rnd.IntN(2), rnd.IntN(c.Validators)
	}
}

func wipes(c *Config, rnd *rand.Rand) {
	c.GST = 6 * Second
	c.Faults.Wipes = 1 + rnd.IntN(3)
	c.Faults.LostArchives = rnd.IntN(2)
	c.Faults.Crashes = rnd.IntN(4)
	if rnd.IntN(3) == 0 {
		network(c, rnd)
	}
}

func disks(c *Config, rnd *rand.Rand) {
	c.Faults.FullDisks = rnd.IntN(3)
	c.Faults.FailedSyncs = rnd.IntN(3)
	c.Faults.Crashes = rnd.IntN(4)
	switch rnd.IntN(4) {
	case 0, 1:
		c.Faults.Rots = 1 + rnd.IntN(3)
	case 2:
		c.Faults.Lies = 1 + rnd.IntN(2)
	}
	if c.Faults.Rots > 0 || c.Faults.Lies > 0 {
		c.GST = 5 * Second
	}
	if rnd.IntN(2) == 0 {
		c.Work.Log, c.Work.Sync, c.Work.Store = between(rnd, 5*Millisecond, 60*Millisecond), between(rnd, 50*Millisecond, 500*Millisecond), 20*Millisecond
	}
}

func stale(c *Config, rnd *rand.Rand) {
	c.GST = 5 * Second
	c.Faults.StaleDisks = 1
	c.Faults.Crashes = rnd.IntN(4)
}

func clocks(c *Config, rnd *rand.Rand) {
	c.Faults.Pauses = 1 + rnd.IntN(5)
	c.Faults.Clocks = 1 + rnd.IntN(5)
	c.Faults.MaxSkew = between(rnd, 0, 4*Second)
}

func wrongClocks(c *Config, rnd *rand.Rand) {
	if rnd.IntN(2) == 0 {
		views(c, rnd)
		c.Faults.Links = 0.05 + 0.2*rnd.Float64()
	}
	c.GST = 3 * Second
	f := faulty(c.Validators)
	wrong := 1 + rnd.IntN(f+1)
	c.WrongForGood = wrong <= f
	for _, who := range rnd.Perm(c.Validators)[:wrong] {
		by := between(rnd, 9*Second, 60*Second)
		if rnd.IntN(2) == 0 {
			by = -by
		}
		c.Wrong = append(c.Wrong, WrongClock{who, by})
	}
	if rnd.IntN(2) == 0 {
		crashes(c, rnd)
	}
	if rnd.IntN(2) == 0 { // a block is certified, or carried over, before a verdict on it is there
		c.Work.Exec = between(rnd, 4*Millisecond, 120*Millisecond)
	}
}

// far has delays that the first timeouts are too short for, for good.
func far(c *Config, rnd *rand.Rand) {
	c.Far = true
	c.Core.PreprepareTimeout, c.Core.PrepareTimeout, c.Core.CommitTimeout = 4, 4, 4
	c.Core.MaxTimeout = 400
	slowest := between(rnd, 60*Millisecond, 120*Millisecond)
	c.Before = Network{Min: slowest / 2, Max: slowest}
	c.After = c.Before
	c.GST = 3 * Second
	for i := range c.Clients {
		c.Clients[i] = Client{Every: 200 * Millisecond, Ahead: 3, Copies: 2}
	}
	if rnd.IntN(2) == 0 {
		c.Faults.Crashes = 1 + rnd.IntN(4)
	}
}

func epochs(c *Config, rnd *rand.Rand) {
	c.GST = 4 * Second
	c.Candidates = 1 + rnd.IntN(3)
	for range 2 + rnd.IntN(4) {
		v := Change{Node: rnd.IntN(c.Validators + c.Candidates), Remove: rnd.IntN(3) == 0}
		c.Votes = append(c.Votes, v)
	}
	switch rnd.IntN(4) {
	case 0:
		network(c, rnd)
	case 1:
		crashes(c, rnd)
	}
}

func followers(c *Config, rnd *rand.Rand) {
	c.Followers = 1 + rnd.IntN(3)
	for i := range c.Clients {
		c.Clients[i].Every = between(rnd, 300*Millisecond, 800*Millisecond)
	}
	switch rnd.IntN(3) {
	case 0:
		network(c, rnd)
	case 1:
		crashes(c, rnd)
	}
}

// lonelyFollower is followers, of which one is given alone what a client wants, as long as
// nothing goes wrong besides.
func lonelyFollower(c *Config, rnd *rand.Rand) {
	quiet, calm := c.Faults, c.Before
	followers(c, rnd)
	if c.Faults == quiet && c.Before == calm {
		c.Faults.Spared, c.Clients[0].Lonely = c.Validators, true
	}
}

func transfer(c *Config, rnd *rand.Rand) {
	c.Followers = 1
	c.Params.Window = 1 + rnd.Uint64N(4)
	c.Params.CheckpointInterval = c.Params.Window + rnd.Uint64N(4)
	c.KeepBlocks = 2*c.Params.CheckpointInterval + rnd.Uint64N(6)
	c.TransferAfter = 4 + rnd.Uint64N(10)
	c.MaxBatch = 1
	c.Late = []int{c.Validators}
	if rnd.IntN(2) == 0 {
		c.Late = append(c.Late, rnd.IntN(c.Validators))
	}
	for i := range c.Clients {
		c.Clients[i] = Client{Every: 50 * Millisecond, Ahead: 8, Copies: 2}
	}
}

// sourced has up to f validators, and a follower, be bad sources for those who come late:
// of blocks and states of some megabytes.
func sourced(c *Config, rnd *rand.Rand) {
	c.Followers = 2
	c.SegmentSize = 1 << 20
	c.GST, c.Load = 3*Second, 3*Second
	c.Params.Window = 1 + rnd.Uint64N(4)
	c.Params.CheckpointInterval = c.Params.Window + rnd.Uint64N(4)
	if rnd.IntN(2) == 0 {
		c.KeepBlocks = 2*c.Params.CheckpointInterval + rnd.Uint64N(6)
		c.TransferAfter = 4 + rnd.Uint64N(10)
	}
	late := rnd.Perm(c.Validators)
	f := faulty(c.Validators)
	c.Late = []int{c.Validators, late[f]}
	names := badSources()
	for _, who := range append(late[:f:f], c.Validators+1) {
		c.Faulty = append(c.Faulty, Fault{who, names[rnd.IntN(len(names))]})
	}
	for i := range c.Clients {
		c.Clients[i] = Client{Every: 60 * Millisecond, Ahead: 6, Copies: 2, Large: true}
	}
}

// falseSources has f validators and a follower show what was never ordered.
func falseSources(c *Config, rnd *rand.Rand) {
	if rnd.IntN(2) == 0 {
		transfer(c, rnd)
	} else {
		followers(c, rnd)
		epochs(c, rnd)
	}
	c.Followers++
	last := c.Validators + c.Candidates + c.Followers - 1
	c.Faulty = []Fault{{last, "source-liar"}}
	for _, who := range rnd.Perm(c.Validators)[:faulty(c.Validators)] {
		c.Faulty = append(c.Faulty, Fault{who, "source-liar"})
	}
}

func clients(c *Config, rnd *rand.Rand) {
	for i := range c.Clients {
		c.Clients[i] = Client{
			Every: between(rnd, 10*Millisecond, 50*Millisecond), Ahead: 4 + rnd.IntN(12), Copies: 1 + rnd.IntN(c.Validators),
			Invalid: 0.3 * rnd.Float64(), Duplicate: 0.4 * rnd.Float64(),
		}
	}
	c.MaxBatch = 2 + rnd.IntN(12)
}

func byzantine(c *Config, rnd *rand.Rand) {
	names := adversary.Names()
	for _, who := range rnd.Perm(c.Validators)[:1+rnd.IntN(faulty(c.Validators))] {
		c.Faulty = append(c.Faulty, Fault{who, names[rnd.IntN(len(names))]})
	}
	switch rnd.IntN(5) {
	case 0:
		network(c, rnd)
	case 1:
		crashes(c, rnd)
	case 2:
		views(c, rnd)
	}
}

// flooded has one node send more than there is room for, and large transactions be what
// clients want, so that bodies have to be asked for.
func flooded(c *Config, rnd *rand.Rand) {
	c.Bounded = true
	c.Params.MaxBlockTransactions = 16
	c.Params.Window = 1 + rnd.Uint64N(4)
	c.Params.CheckpointInterval = 2 * c.Params.Window
	c.SegmentSize = 1 << 20
	c.GST = 3 * Second
	c.Faulty = []Fault{{rnd.IntN(c.Validators), "flood-" + floods[rnd.IntN(len(floods))]}}
	for i := range c.Clients {
		c.Clients[i].Large = true
	}
	if rnd.IntN(3) == 0 {
		network(c, rnd)
	}
}

// mixed draws from several of the others.
func mixed(c *Config, rnd *rand.Rand) {
	kinds := []func(*Config, *rand.Rand){epochs, network, crashes, clocks, clients, wipes, disks, byzantine, followers}
	picked := rnd.Perm(len(kinds))[:2+rnd.IntN(3)]
	slices.Sort(picked)
	for _, i := range picked {
		kinds[i](c, rnd)
	}
}
