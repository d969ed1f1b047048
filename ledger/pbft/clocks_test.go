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

// What a leader that never commits has built is forgotten in time.
func TestBuiltBlocksAreBounded(t *testing.T) {
	c := newCluster(t, 4, testConfig())
	r := c.nodes[0].Replica
	for i := range 100 * r.cfg.Window {
		r.clearSlots()
		r.offered = Build{Seq: 1, Parent: r.base.digest}
		r.Step(Built{Header: Header{Seq: 1, Parent: r.base.digest, Time: int64(i)}}) //nolint:gosec // small
	}
	if f := r.Footprint(); f.Checked > 8*int(r.cfg.Window) { //nolint:gosec // small
		t.Errorf("%d verdicts are held", f.Checked)
	}
}
