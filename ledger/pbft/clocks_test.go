package pbft

import "testing"

// A leader that censors is replaced even when checkpoints hold everybody up now and
// then.
func TestCensorBehindCheckpoints(t *testing.T) {
	c := newCluster(t, 4, testConfig())
	r := c.nodes[1].Replica
	interval := r.cfg.CheckpointInterval
	for i := range 2*r.cfg.CensorTimeout + 4 {
		r.cfg.CheckpointInterval = interval * (i % 2) // 0: the next block is beyond the limit
		r.Step(Tick{Oldest: i + 1})
	}
	if view, in := r.View(); view != 1 || in {
		t.Errorf("view %d, %v: want a change to view 1", view, in)
	}
}
