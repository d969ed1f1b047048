package sim

// boundTicks is how often memory is looked at.
const boundTicks = 10

// bounded checks that what a replica holds depends on the committee and the window
// only, whatever is sent to it (S10). The factors are generous; what matters is
// that traffic and time do not enter.
func (o *oracle) bounded(n *node) {
	if !o.honest(n) {
		return
	}
	o.floor()
	o.censored()
	size, window := len(n.epoch.order), int(o.w.cfg.Core.Window)
	f := n.core.Footprint()
	for _, b := range []struct {
		what        string
		count, most int
	}{
		{"slots", f.Slots, 2 * window},
		{"votes", f.Votes, 2 * window * 2 * size},
		{"locks", f.Locks, 2 * window},
		{"early messages", f.Early, 4 * window * size},
		{"view changes", f.Changes, size},
		{"checkpoint votes", f.Checkpoints, 4 * size},
		{"waiting requests", len(n.pool.waiting), maxClients * 2 * nonceWindow},
		{"records", len(n.disk.log), o.mostRecords()},
	} {
		if b.count > b.most {
			o.broken("S10", "node %d holds %d %s, more than %d", n.id, b.count, b.what, b.most)
		}
	}
}

// mostRecords is how many records a log may hold: for each view since the last
// checkpoint, those of the blocks of two intervals.
func (o *oracle) mostRecords() int {
	c := &o.w.cfg.Core
	return 200 + 40*int(c.CheckpointInterval+c.Window)
}
