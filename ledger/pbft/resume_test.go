package pbft

import (
	"errors"
	"testing"

	"github.com/decube/decube/ledger/quorum"
)

func TestNewRefuses(t *testing.T) {
	c := newCluster(t, 4, testConfig())
	start := c.start(4)
	if _, _, err := New(c.cfg, start, Resume{}); !errors.Is(err, quorum.ErrReplica) {
		t.Errorf("a replica that is not of the committee: %v", err)
	}
	for range 12 {
		c.build(c.nodes[0])
		c.deliver(-1, all)
	}
	chain := c.nodes[0].chain
	start = c.start(0)
	start.Sign = func(st []byte) Signature { return signAs(0, st) }
	// A log's decisions lie at most a window above what is stored, or the blocks in
	// flight above them could not be taken back.
	far := Resume{Committed: chain[0], Records: []Record{DecidedRecord{chain[11]}}}
	if _, _, err := New(c.cfg, start, far); !errors.Is(err, ErrMalformed) {
		t.Errorf("a log that is far ahead of the store: %v", err)
	}
}

// A replica comes back with what the driver kept: the log, the store, or both.
func TestResume(t *testing.T) {
	c := newCluster(t, 4, testConfig())
	for range 12 {
		c.build(c.nodes[0])
		c.deliver(-1, all)
	}
	nd := c.nodes[1]
	records := nd.records
	decided := func(from int) []Record {
		var out []Record
		for _, d := range nd.chain[from:] {
			out = append(out, DecidedRecord{d})
		}
		return out
	}
	for name, k := range map[string]struct {
		from      Resume
		committed uint64
		checks    int
	}{
		"all of it":                       {Resume{Committed: nd.chain[11], Stable: nd.stable, Records: records}, 12, 0},
		"the store is behind by a window": {Resume{Committed: nd.chain[7], Stable: nd.stable, Records: records}, 8, 4},
		"decisions alone":                 {Resume{Committed: nd.chain[9], Records: decided(8)}, 10, 2},
		"the store alone":                 {Resume{Committed: nd.chain[11]}, 12, 0},
		"a checkpoint ahead of the store": {Resume{Committed: nd.chain[4], Stable: nd.stable}, 5, 0},
	} {
		t.Run(name, func(t *testing.T) {
			start := c.start(1)
			r, out, err := New(c.cfg, start, k.from)
			if err != nil {
				t.Fatal(err)
			}
			if r.Committed() != k.committed || len(out.Check) != k.checks || r.Leader() != 0 {
				t.Errorf("committed %d with %d blocks to check, want %d with %d", r.Committed(), len(out.Check), k.committed, k.checks)
			}
			// What is certified only has to be executed.
			for _, ch := range out.Check {
				if !ch.Vouched {
					t.Errorf("%v is not vouched for", &ch.Header)
				}
				r.Step(Checked{View: ch.View, Digest: ch.Header.Digest(), Valid: true})
			}
			if want := k.committed + uint64(k.checks); r.Committed() != want {
				t.Errorf("committed %d after the checks, want %d", r.Committed(), want)
			}
		})
	}
}

// What another committee's keys have signed does not enter, even as a Verified.
func TestVerifiedForAnotherEpoch(t *testing.T) {
	c := newCluster(t, 4, testConfig())
	v := *c.verifier
	v.Epoch = 1
	status := c.statusOf(2, 500, 0)
	status.Epoch = 1
	status.Sig = signAs(2, status.Statement(c.cfg.Cluster))
	verified, errs := v.Verify(status)
	if errs[0] != nil {
		t.Fatal(errs[0])
	}
	nd := c.nodes[0]
	nd.Step(Receive{verified[0]})
	nd.Step(Receive{}) // nor does the zero value
	nd.Step(Synced{})
	if nd.catchUp.said != 0 || nd.Committed() != 0 {
		t.Errorf("it was taken: said %d, committed %d", nd.catchUp.said, nd.Committed())
	}
}

// After a halt every output says so and nothing else.
func TestHaltIsFinal(t *testing.T) {
	c := newCluster(t, 4, testConfig())
	other := Header{Seq: 1, Parent: c.genesis.Digest(), Time: 1, State: Digest{5}}
	own := &Vote{Subject: subject(Prepare, 0, &other, other.Digest()), Replica: 2}
	own.Sig = signAs(2, own.Statement(c.cfg.Cluster))
	nd := c.nodes[2]
	out := c.receive(t, nd, own)
	for range 3 {
		if !errors.Is(out.Halt, ErrKeyInUse) || len(out.Send)+len(out.Persist)+len(out.Deliver) > 0 {
			t.Errorf("a halted replica: %+v", out)
		}
		out = nd.Step(Tick{Oldest: 1000})
	}
}

// What the base of a new view has passed is committed, also for who was restarted in the
// view and is behind that base: it takes no proposal there.
func TestRestartBelowANewViewsBase(t *testing.T) {
	c := newCluster(t, 4, testConfig())
	f := &fixture{cfg: c.cfg, start: c.start(0), verifier: c.verifier}
	a, x := f.block(&c.genesis), f.block(&c.genesis)
	n := f.newView(1, f.change(0, 1, f.first()), f.change(1, 1, f.first()), f.change(2, 1, f.cert(Commit, 0, a, 0, 1, 2)))
	nd := c.nodes[3]
	out := c.receive(t, nd, n)
	c.act(nd, &out)
	c.boot(t, nd, c.start(3))
	if view, in := nd.View(); view != 1 || !in {
		t.Fatalf("view %d, entered %t", view, in)
	}
	out = c.receive(t, nd, f.proposal(1, x))
	if c.act(nd, &out); len(out.Check)+len(out.Persist)+len(nd.Slots()) > 0 {
		t.Errorf("below the base it looks at %v: %+v", x, out)
	}
	out = c.receive(t, nd, f.decision(0, a, 0, 1, 2))
	if c.act(nd, &out); nd.Committed() != 1 {
		t.Errorf("it has committed up to %d by certificate, want 1", nd.Committed())
	}
}
