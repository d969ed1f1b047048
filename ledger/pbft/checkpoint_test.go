package pbft

import (
	"testing"

	"github.com/decube/decube/ledger/quorum"
)

// checkpointVote is a replica's CHECKPOINT for a block that need not exist.
func checkpointVote(c *cluster, r quorum.Replica, seq uint64, block byte) *Vote {
	v := &Vote{Subject: Subject{Phase: Checkpoint, Seq: seq, Digest: Digest{block}, State: Digest{block}}, Replica: r}
	v.Sig = signAs(r, v.Statement(c.cfg.Cluster))
	return v
}

func (c *cluster) receive(t *testing.T, nd *node, m Message) Output {
	t.Helper()
	v, errs := c.verifier.Verify(m)
	if errs[0] != nil {
		t.Fatal(errs[0])
	}
	return nd.Step(Receive{v[0]})
}

// Of each replica the latest few votes are kept, in whatever order they come: the
// window above a checkpoint has no room for more, and nobody fills a memory.
func TestCheckpointVotesAreBounded(t *testing.T) {
	c := newCluster(t, 4, testConfig())
	nd := c.nodes[0]
	for _, seq := range []uint64{80, 8, 72, 16, 800, 64, 24, 8000, 32} {
		c.receive(t, nd, checkpointVote(c, 3, seq, 1))
	}
	var kept []uint64
	for _, v := range nd.ballots[3] {
		kept = append(kept, v.Seq)
	}
	if len(kept) != perReplica || kept[0] != 72 || kept[1] != 80 || kept[2] != 800 || kept[3] != 8000 {
		t.Errorf("kept votes at %v, want the four highest, ascending", kept)
	}
	if got := nd.Footprint().Checkpoints; got != perReplica {
		t.Errorf("the footprint counts %d votes, want %d", got, perReplica)
	}
}

// Votes of f replicas certify nothing, and do not keep the others from it.
func TestCheckpointNeedsAQuorumForOneState(t *testing.T) {
	c := newCluster(t, 4, testConfig())
	nd := c.nodes[0]
	c.receive(t, nd, checkpointVote(c, 3, 8, 9))
	c.receive(t, nd, checkpointVote(c, 1, 8, 1))
	c.receive(t, nd, checkpointVote(c, 1, 8, 1))
	out := c.receive(t, nd, checkpointVote(c, 2, 8, 1))
	if out.Stable != nil || nd.Stable() != 0 {
		t.Fatalf("two votes that agree certified %v", out.Stable)
	}
	out = c.receive(t, nd, checkpointVote(c, 3, 8, 1))
	if out.Stable != nil || len(out.Evidence) != 1 || out.Evidence[0].Guilty() != 3 {
		t.Errorf("a replica's second vote: %v, %v; want evidence", out.Stable, out.Evidence)
	}
	for _, seq := range []uint64{16} {
		for _, r := range []quorum.Replica{1, 3} {
			c.receive(t, nd, checkpointVote(c, r, seq, 2))
		}
		out = c.receive(t, nd, checkpointVote(c, 2, seq, 2))
	}
	if out.Stable == nil || out.Stable.Seq != 16 || len(out.Stable.Sigs) != 3 {
		t.Fatalf("three votes that agree: %v", out.Stable)
	}
	if err := c.verifier.certificate(&collector{}, out.Stable, Checkpoint); err != nil {
		t.Errorf("the certificate is not one: %v", err)
	}
	if f := nd.Footprint(); f.Checkpoints != 0 {
		t.Errorf("%d votes at and below the checkpoint are kept", f.Checkpoints)
	}
	if out = c.receive(t, nd, checkpointVote(c, 1, 8, 1)); out.Stable != nil || nd.Footprint().Checkpoints != 0 {
		t.Error("a vote below the checkpoint was taken up")
	}
}

// A certificate is as good as the votes, and an older one is no step back.
func TestCheckpointByItsProof(t *testing.T) {
	c := newCluster(t, 4, testConfig())
	proof := func(seq uint64) *Certified {
		cert := Certificate{Subject: checkpointVote(c, 0, seq, 1).Subject}
		for _, r := range []quorum.Replica{1, 2, 3} {
			cert.Sigs = append(cert.Sigs, Signed{r, checkpointVote(c, r, seq, 1).Sig})
		}
		return &Certified{cert}
	}
	nd := c.nodes[0]
	if out := c.receive(t, nd, proof(16)); out.Stable == nil || out.Stable.Seq != 16 {
		t.Fatalf("a proof was not taken: %v", out.Stable)
	}
	if out := c.receive(t, nd, proof(8)); out.Stable != nil || nd.Stable() != 16 {
		t.Errorf("an older proof moved the checkpoint to %d", nd.Stable())
	}
	// It is ahead of what this replica has: somebody has that, and it is certain.
	var sync *Sync
	for range 10 {
		if out := nd.Step(Tick{}); out.Sync != nil {
			sync = out.Sync
		}
	}
	if sync == nil || sync.Seq != 16 || sync.Certified.Seq != 16 {
		t.Errorf("asked for %+v, want the chain up to 16, certified", sync)
	}
}

// A replica signs a checkpoint when it is stored, once, whatever the driver says.
func TestCheckpointWaitsForTheStore(t *testing.T) {
	c := newCluster(t, 4, testConfig())
	c.unstored = true
	for range 8 {
		c.build(c.nodes[0])
		c.deliver(-1, all)
	}
	nd := c.nodes[1]
	if nd.Committed() != 8 {
		t.Fatalf("committed %d", nd.Committed())
	}
	for _, step := range []struct {
		seq   uint64
		votes int
	}{{3, 0}, {7, 0}, {1_000_000, 1}, {8, 0}, {9, 0}} {
		out := nd.Step(Stored{step.seq})
		if len(out.Send) != step.votes {
			t.Errorf("stored %d: %d messages, want %d", step.seq, len(out.Send), step.votes)
		}
	}
	if nd.stored != 8 {
		t.Errorf("stored %d, want what is committed", nd.stored)
	}
}
