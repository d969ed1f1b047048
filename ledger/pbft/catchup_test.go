package pbft

import (
	"testing"

	"github.com/decube/decube/ledger/quorum"
)

// status is a replica's signed STATUS, true or not.
func (c *cluster) statusOf(r quorum.Replica, committed, view uint64) *Status {
	s := &Status{View: view, Committed: committed, Replica: r}
	s.Sig = signAs(r, s.Statement(c.cfg.Cluster))
	return s
}

// Whoever is behind gets a window of decisions and no more, and not again before
// time has passed: asking costs less than answering.
func TestHelpIsLimited(t *testing.T) {
	cfg := quietConfig()
	cfg.ResendInterval = 10
	c := newCluster(t, 4, cfg)
	for range 10 {
		c.build(c.nodes[0])
		c.deliver(-1, func(p parcel) bool { return p.to != 3 })
	}
	nd := c.nodes[1]
	nd.Step(Tick{})
	ask := func(committed uint64) []uint64 {
		var seqs []uint64
		for _, e := range c.receive(t, nd, c.statusOf(3, committed, 0)).Send {
			if d, ok := e.Message.(*Decision); ok && e.To == 3 && !e.All {
				seqs = append(seqs, d.Header.Seq)
			}
		}
		return seqs
	}
	if got := ask(4); len(got) != 4 || got[0] != 5 || got[3] != 8 {
		t.Errorf("answered with %v, want 5 to 8", got)
	}
	if got := ask(0); got != nil {
		t.Errorf("answered again at once with %v", got)
	}
	for range 5 {
		nd.Step(Tick{})
	}
	if got := ask(9); len(got) != 1 || got[0] != 10 {
		t.Errorf("answered with %v, want 10", got)
	}
	for range 5 {
		nd.Step(Tick{})
	}
	if got := ask(10); got != nil {
		t.Errorf("answered a replica that is not behind with %v", got)
	}
}

// What others say of themselves makes a replica ask, and is forgotten with that.
func TestSaidIsNotProven(t *testing.T) {
	cfg := quietConfig()
	cfg.ResendInterval = 10
	c := newCluster(t, 4, cfg)
	nd := c.nodes[3]
	c.receive(t, nd, c.statusOf(2, 500, 0))
	asked := 0
	for range 100 {
		if s := nd.Step(Tick{}).Sync; s != nil {
			asked++
			if s.Seq != 500 || s.Certified.Seq != 0 {
				t.Errorf("asked for %d, certified %d; want 500, 0", s.Seq, s.Certified.Seq)
			}
		}
	}
	if asked != 1 {
		t.Errorf("asked %d times for what one STATUS said", asked)
	}
}

// Votes above all that is kept are a sign of being behind by all but a window.
func TestVotesFarAboveAreASign(t *testing.T) {
	c := newCluster(t, 4, quietConfig())
	nd := c.nodes[3]
	far := &Header{Seq: 50, State: Digest{5}}
	v := &Vote{Subject: subject(Commit, 0, far, far.Digest()), Replica: 1}
	v.Sig = signAs(1, v.Statement(c.cfg.Cluster))
	c.receive(t, nd, v)
	if got := nd.Footprint(); got.Votes != 0 || got.Slots != 0 {
		t.Errorf("it is kept: %+v", got)
	}
	if nd.catchUp.said != 50-c.cfg.Window {
		t.Errorf("said %d, want a window below the vote", nd.catchUp.said)
	}
}

// One replica cannot fill another's memory with messages of views to come, above
// the window, or of any kind (see Footprint).
func TestFloodIsBounded(t *testing.T) {
	c := newCluster(t, 4, quietConfig())
	nd := c.nodes[0]
	for i := range uint64(3000) {
		h := &Header{Seq: 1 + i%300, State: Digest{byte(i), byte(i >> 8)}}
		for _, phase := range []Phase{Prepare, Commit} {
			v := &Vote{Subject: subject(phase, i%50, h, h.Digest()), Replica: 3}
			v.Sig = signAs(3, v.Statement(c.cfg.Cluster))
			c.receive(t, nd, v)
		}
		first := subject(Commit, 0, &c.genesis, c.genesis.Digest())
		vc := &ViewChange{View: 1 + i, Replica: 3, Base: Certificate{Subject: first}}
		vc.Sig = signAs(3, vc.Statement(c.cfg.Cluster))
		c.receive(t, nd, vc)
		c.receive(t, nd, checkpointVote(c, 3, 1+i*7%1000, byte(i)|1))
	}
	w := int(c.cfg.Window)
	limit := Footprint{Slots: 2 * w, Votes: 2 * 2 * w, Early: 4 * w, Changes: 1, Checkpoints: perReplica}
	if got := nd.Footprint(); got.Slots > limit.Slots || got.Votes > limit.Votes || got.Early > limit.Early ||
		got.Changes > limit.Changes || got.Checkpoints > limit.Checkpoints || got.Locks > 0 {
		t.Errorf("one replica's flood: %+v, want at most %+v", got, limit)
	}
	if view, in := nd.View(); view != 0 || !in {
		t.Errorf("it drove a replica to view %d", view)
	}
}

// A recovering replica signs nothing that orders blocks or changes views, whatever
// happens around it. CHECKPOINT says what it has stored, which it knows.
func TestRecoveringReplicaCastsNoVote(t *testing.T) {
	cfg := quietConfig()
	cfg.ResendInterval = 5
	c := newCluster(t, 4, cfg)
	start := c.start(3)
	start.Recovering = true
	nd := c.nodes[3]
	c.boot(t, nd, start)
	c.watch = func(from quorum.Replica, m Message) {
		kind, _, _ := describe(m)
		if from == 3 && kind != "status" && kind != "checkpoint" && kind != "decision" {
			t.Errorf("it signed %v", m)
		}
	}
	for i := range uint64(120) {
		for _, other := range c.nodes {
			c.step(other, Tick{Oldest: i % 40})
			c.build(other)
		}
		c.deliver(-1, func(p parcel) bool { return i%40 < 20 || p.from != quorum.Replica(i/40) })
		c.drop(all)
	}
	if nd.Committed() < 20 || nd.Committed() != c.nodes[2].Committed() {
		t.Errorf("it has %d blocks, another has %d", nd.Committed(), c.nodes[2].Committed())
	}
	if len(nd.records) == 0 {
		t.Error("it keeps no decisions")
	}
}

// A replica whose log is an old one says nothing of it again: what it has voted, wished
// for and locked may be followed by what the log does not know.
func TestRecoveringReplicaRepeatsNothing(t *testing.T) {
	f := newFixture(t, 4)
	a := f.block(&f.start.Header)
	b := f.block(a)
	entered := EnteredRecord{f.newView(1, f.change(0, 1, f.first()), f.change(1, 1, f.first()), f.change(2, 1, f.first()))}
	for name, records := range map[string][]Record{
		"a lock":               {AcceptedRecord{0, *a}, PreparedRecord{f.lock(0, a, 0, 1, 2)}},
		"a lock above a block": {DecidedRecord{f.decision(0, a, 0, 1, 2)}, AcceptedRecord{0, *b}, PreparedRecord{f.lock(0, b, 0, 1, 2)}},
		"a vote":               {AcceptedRecord{0, *a}},
		"a vote of view 1":     {entered, AcceptedRecord{1, *a}},
		"a view change":        {ChangeRecord{f.change(2, 1, f.first())}},
	} {
		start := f.start
		start.Self, start.Recovering = 2, true
		start.Sign = func(st []byte) Signature { return signAs(2, st) }
		cfg := f.cfg
		cfg.ResendInterval = 2
		r, out, err := New(cfg, start, Resume{Records: records})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for range 20 {
			for _, c := range out.Check {
				next := r.Step(Checked{View: c.View, Vouched: c.Vouched, Digest: c.Header.Digest(), Valid: true})
				out.Join(&next)
			}
			for _, e := range out.Send {
				switch e.Message.(type) {
				case *Status, *Decision:
				default:
					t.Errorf("%s: it says %v", name, e.Message)
				}
			}
			out = r.Step(Tick{})
		}
	}
}
