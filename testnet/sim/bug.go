package sim

import (
	"context"
	"slices"

	"github.com/decube/decube/internal/lane"
	"github.com/decube/decube/internal/records/memstore"
	"github.com/decube/decube/ledger/archive"
	"github.com/decube/decube/ledger/codec"
	"github.com/decube/decube/ledger/driver"
	"github.com/decube/decube/ledger/shell"
)

// Bug is a fault that is planted into what the nodes run on. Those in the driver and the
// shell themselves are planted into copies of their source.
type Bug struct {
	Name, What string
	flaw       flaw
	// Profile is what finds it, within so many Seeds from 1 on, by breaking one of Rules.
	Profile string
	Seeds   int
	Rules   []string
}

type flaw int

const (
	_ flaw = iota
	neverSyncs
	durableEarly
	reordersLog
	dropsVotes
	dropsLocks
	losesBlocks
)

// Bugs returns the faults that can be planted.
func Bugs() []Bug {
	return []Bug{
		{
			Name: "never-syncs", What: "a disk says that records are durable, and they are only written", flaw: neverSyncs,
			Profile: "crash", Seeds: 5, Rules: []string{"S4", "S3"},
		},
		{
			Name: "durable-early", What: "records are said to be durable before they are written", flaw: durableEarly,
			Profile: "crash", Seeds: 5, Rules: []string{"S4"},
		},
		{
			Name: "reorders-log", What: "a group of records is written beside the one before", flaw: reordersLog,
			Profile: "crash", Seeds: 30, Rules: []string{"S4"},
		},
		{
			Name: "drops-votes", What: "what was voted for is not written to the log", flaw: dropsVotes,
			Profile: "crash", Seeds: 5, Rules: []string{"S4", "S3"},
		},
		{
			Name: "drops-locks", What: "what was prepared is not written to the log", flaw: dropsLocks,
			Profile: "crash", Seeds: 5, Rules: []string{"S4"},
		},
		{
			Name: "loses-blocks", What: "an archive says that blocks are durable, and they are not", flaw: losesBlocks,
			Profile: "calm", Seeds: 5, Rules: []string{"S4"},
		},
	}
}

// has reports whether a fault is planted.
func (w *world) has(f flaw) bool { return w.cfg.Bug != nil && w.cfg.Bug.flaw == f }

// work is what a lane does.
type work = lane.Work[shell.Job, []driver.Event]

// spoilLog plants the faults of logs into a log's lane.
func (w *world) spoilLog(n *node, honest work, o *lane.Options[shell.Job]) work {
	switch {
	case w.has(reordersLog):
		o.Workers = 3
	case w.has(neverSyncs):
		return func(ctx context.Context, jobs []shell.Job, results [][]driver.Event) error {
			n.disk.fs.SetLying(true)
			defer n.disk.fs.SetLying(false)
			return honest(ctx, jobs, results)
		}
	}
	return honest
}

// spoil plants faults into an effect.
func (p *program) spoil(e driver.Effect) driver.Effect {
	w := p.n.w
	a, ok := e.(driver.Append)
	if !ok || w.cfg.Bug == nil {
		return e
	}
	if w.has(durableEarly) && a.Mark > 0 {
		p.post(driver.Durable{Mark: a.Mark})
	}
	a.Records = slices.DeleteFunc(slices.Clone(a.Records), func(r codec.LogRecord) bool {
		switch r.(type) {
		case codec.Accepted:
			return w.has(dropsVotes)
		case codec.Prepared:
			return w.has(dropsLocks)
		default:
			return false
		}
	})
	return a
}

// storeOf returns the store of a node's archive as the shell sees it.
func storeOf(n *node) archive.Store {
	if n.w.has(losesBlocks) {
		return forgetful{n.disk.store}
	}
	return storeOn{n.disk.store, n.disk}
}

// forgetful is a store that does not sync.
type forgetful struct{ *memstore.Store }

// Sync implements archive.Store.
func (forgetful) Sync() error { return nil }
