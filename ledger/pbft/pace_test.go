package pbft

import "testing"

// quietConfig has short timeouts, and nothing that repeats or measures by itself.
func quietConfig() Config {
	c := testConfig()
	c.PreprepareTimeout, c.PrepareTimeout, c.CommitTimeout, c.MaxTimeout = 10, 20, 30, 100
	c.CensorTimeout, c.FloorPeriod, c.ForwardAfter = 100_000, 100_000, 100_000
	c.ResendInterval, c.IdleStatus = 100_000, 100_000
	return c
}

func TestTimeout(t *testing.T) {
	for _, c := range []struct {
		failed, latency, standard, want uint64
	}{
		{0, 0, 10, 10},
		{1, 0, 10, 20},
		{3, 0, 10, 80},
		{4, 0, 10, 100},       // never more than MaxTimeout
		{1 << 62, 0, 10, 100}, // however often
		{1, 0, 30, 60},
		{0, 8 * 2, 10, 10},    // blocks take 2 ticks
		{0, 8 * 5, 10, 20},    // 5 ticks: four times that
		{2, 8 * 5, 10, 40},    // the larger of the two
		{0, 8 * 1000, 10, 80}, // never more than eight times the standard
		{0, 8 * 1000, 30, 100},
	} {
		r := &Replica{cfg: quietConfig(), failed: c.failed, pace: pace{latency: c.latency}}
		if got := r.timeout(c.standard); got != c.want {
			t.Errorf("%d failed, latency %d/8: timeout(%d) = %d, want %d", c.failed, c.latency, c.standard, got, c.want)
		}
	}
}

// untilView ticks a replica until it wants a view, and returns how long it took.
func untilView(t *testing.T, c *cluster, nd *node, want uint64, waiting bool) uint64 {
	t.Helper()
	for ticks := uint64(1); ticks <= 1000; ticks++ {
		oldest := uint64(0)
		if waiting {
			oldest = ticks
		}
		c.step(nd, Tick{Oldest: oldest})
		if view, _ := nd.View(); view == want {
			return ticks
		}
	}
	t.Fatalf("replica %d does not want view %d", nd.id, want)
	return 0
}

// No new leader makes its view: each view is waited for twice as long as the one
// before (OSDI 1999, section 4.5.2), up to the bound.
func TestViewChangesWaitTwiceAsLongEachTime(t *testing.T) {
	c := newCluster(t, 4, quietConfig())
	live := c.nodes[1:]
	for view, want := range []uint64{1: 11, 2: 21, 3: 41, 4: 81, 5: 101, 6: 101} {
		if view == 0 {
			continue
		}
		for _, nd := range live {
			if got := untilView(t, c, nd, uint64(view), view == 1); got != want {
				t.Errorf("replica %d waited %d ticks before it wanted view %d, want %d", nd.id, got, view, want)
			}
		}
		kinds := func(p parcel) bool { kind, _, _ := describe(p.message); return kind == "view-change" }
		c.deliver(-1, kinds)
		for _, nd := range live { // it was not heard that the view begins
			nd.changing = true
		}
		c.drop(all)
	}
}

// A view change that a quorum has not asked for is waited for without end: whoever
// went on alone would only get away from the others.
func TestViewChangeOfOneWaits(t *testing.T) {
	c := newCluster(t, 4, quietConfig())
	nd := c.nodes[3]
	untilView(t, c, nd, 1, true)
	for i := range uint64(5000) {
		c.step(nd, Tick{Oldest: i})
	}
	if view, in := nd.View(); view != 1 || in {
		t.Errorf("view %d, in it: %v; want to be waiting for 1", view, in)
	}
}

// Every window of blocks takes one doubling back.
func TestTimeoutsShrinkWhileBlocksCommit(t *testing.T) {
	for block, want := range map[int]uint64{3: 3, 4: 2, 7: 2, 8: 1, 12: 0, 20: 0} {
		c := newCluster(t, 4, quietConfig())
		for _, nd := range c.nodes {
			nd.failed = 3
		}
		for range block {
			c.build(c.nodes[0])
			c.deliver(-1, all)
		}
		for _, nd := range c.nodes {
			if nd.failed != want || nd.Committed() != uint64(block) {
				t.Errorf("replica %d after %d blocks: %d doublings, want %d", nd.id, nd.Committed(), nd.failed, want)
			}
		}
	}
}

// A view in which blocks were committed is no failure; the next one begins with
// the timeouts as they are.
func TestGoodViewIsNoFailure(t *testing.T) {
	c := newCluster(t, 4, quietConfig())
	c.build(c.nodes[0])
	c.deliver(-1, all)
	untilView(t, c, c.nodes[1], 1, true)
	if got := c.nodes[1].failed; got != 0 {
		t.Errorf("%d failures after a view with a block", got)
	}
	untilView(t, c, c.nodes[2], 1, true)
	c.deliver(-1, all)
	if view, in := c.nodes[1].View(); view != 1 || !in {
		t.Fatalf("view %d, %v", view, in)
	}
	untilView(t, c, c.nodes[3], 2, true)
	if got := c.nodes[3].failed; got != 1 {
		t.Errorf("%d failures after a view without a block, want 1", got)
	}
}

// Which clock runs depends on what the oldest block in flight waits for.
func TestTimersOfThePhases(t *testing.T) {
	for name, c := range map[string]struct {
		prepare func(c *cluster)
		waiting bool
		want    uint64
	}{
		"a proposal": {func(*cluster) {}, true, 11},
		"PREPAREs": {func(c *cluster) {
			c.build(c.nodes[0])
			c.deliver(1, func(p parcel) bool { return p.to == 3 })
		}, false, 21},
		"COMMITs": {func(c *cluster) {
			c.build(c.nodes[0])
			c.deliver(-1, func(p parcel) bool { kind, _, _ := describe(p.message); return kind != "commit" })
		}, false, 31},
		"a proposal that f+1 others have": {func(c *cluster) {
			c.build(c.nodes[0])
			c.deliver(2, func(p parcel) bool { return p.to != 3 })
			c.deliver(2, func(p parcel) bool { kind, _, _ := describe(p.message); return p.to == 3 && kind == "prepare" })
		}, false, 21},
	} {
		t.Run(name, func(t *testing.T) {
			cl := newCluster(t, 4, quietConfig())
			cl.deliver(-1, all) // the first STATUS of each
			c.prepare(cl)
			if got := untilView(t, cl, cl.nodes[3], 1, c.waiting); got != c.want {
				t.Errorf("waited %d ticks, want %d", got, c.want)
			}
		})
	}
}

// The leader blames itself for blocks that do not get through, not for requests
// that it has not taken up: nobody else may have seen them.
func TestLeaderDoesNotMissItsOwnProposal(t *testing.T) {
	c := newCluster(t, 4, quietConfig())
	for i := range uint64(1000) {
		c.step(c.nodes[0], Tick{Oldest: i})
	}
	if view, _ := c.nodes[0].View(); view != 0 {
		t.Errorf("the leader wants view %d", view)
	}
	c.build(c.nodes[0])
	if got := untilView(t, c, c.nodes[0], 1, false); got != 21 {
		t.Errorf("it gave its block up after %d ticks, want 21", got)
	}
}

// Requests that the leader does not take up are sent to everybody, once in a while.
func TestForward(t *testing.T) {
	cfg := quietConfig()
	cfg.ForwardAfter, cfg.PreprepareTimeout, cfg.PrepareTimeout, cfg.CommitTimeout = 5, 100, 100, 100
	c := newCluster(t, 4, cfg)
	var at []uint64
	for i := uint64(1); i <= 20; i++ {
		out := c.nodes[1].Step(Tick{Oldest: i})
		if out.Forward {
			at = append(at, i)
		}
	}
	if len(at) != 3 || at[0] != 6 || at[1] != 11 || at[2] != 16 {
		t.Errorf("forwarded at %v, want [6 11 16]", at)
	}
}

// What slowness is measured against is forgotten slowly, and halved with every
// view change: a committee that has become slower keeps its leader.
func TestFloorComesDown(t *testing.T) {
	cfg := quietConfig()
	cfg.FloorPeriod = 10
	r := &Replica{cfg: cfg, view: 1}
	r.pace.best = 800
	periods := 0
	for ; r.pace.best > 8 && periods < 1000; periods++ {
		r.now += 10
		r.measure(Tick{})
	}
	if periods > 50 || r.changing {
		t.Errorf("the best period is remembered for %d idle periods", periods)
	}
	r.pace.best = 100
	r.pace.left()
	if r.pace.best != 50 {
		t.Errorf("after a view change the best period counts %d, want half", r.pace.best)
	}
	r.pace.count = 40
	r.pace.entered(r.now)
	r.pace.count = 30
	r.pace.left()
	r.pace.left()
	if r.pace.best != 15 {
		t.Errorf("after two more the best period counts %d, want half of what the first of them had committed", r.pace.best)
	}
}

// A leader that dies before anything was measured has shown what can be done all the same.
func TestFloorOfALeaderThatDiedEarly(t *testing.T) {
	cfg := quietConfig()
	cfg.FloorPeriod, cfg.FloorDivisor = 10, 4
	for name, give := range map[string]func(p *pace){
		"given up":              func(p *pace) { p.left(); p.entered(0) },
		"given up by others":    func(p *pace) { p.entered(0) },
		"at the epoch's end":    func(p *pace) { *p = pace{best: p.most()} },
		"given up, and changed": func(p *pace) { p.left(); p.count = 1; p.entered(0) },
	} {
		cl := newCluster(t, 4, cfg)
		r := cl.nodes[1].Replica
		r.pace.count = 10
		give(&r.pace)
		r.pace.count = 2
		for range cfg.FloorPeriod {
			r.now++
			r.measure(Tick{Oldest: 1, Waiting: 40})
		}
		if !r.changing {
			t.Errorf("%s: one that is five times as slow leads on", name)
		}
	}
}

// A leader is not slow because clients ask for less: what it commits is held against
// what there was to commit.
func TestFloorFollowsDemand(t *testing.T) {
	for name, c := range map[string]struct {
		committed uint64 // in a period, the best one before having had 800
		waiting   uint64 // at its end
		slow      bool
	}{
		"all that was asked for":          {10, 2, false},
		"a quarter of what was asked for": {10, 30, false},
		"less than that":                  {10, 31, true},
		"nothing of one request":          {0, 1, true},
		"much, and more waits":            {200, 5000, false},
		"less than a quarter of the best": {199, 5000, true},
	} {
		cfg := quietConfig()
		cfg.FloorPeriod, cfg.FloorDivisor = 10, 4
		cl := newCluster(t, 4, cfg)
		r := cl.nodes[1].Replica
		r.pace.best, r.pace.count = 800, c.committed
		for range cfg.FloorPeriod {
			r.now++
			r.measure(Tick{Oldest: 1, Waiting: c.waiting})
		}
		if r.changing != c.slow {
			t.Errorf("%s: slow is %t, want %t", name, r.changing, c.slow)
		}
	}
}
