package nodes

import (
	"context"

	"github.com/decube/decube/internal/durable/faultfs"
	"github.com/decube/decube/internal/lane"
	"github.com/decube/decube/ledger/archive"
	"github.com/decube/decube/ledger/archive/memstore"
	"github.com/decube/decube/ledger/driver"
	"github.com/decube/decube/ledger/shell"
)

// Bug is a fault that is planted into what carries effects out.
type Bug struct {
	Name, What string
	flaw       flaw
	// Profile is what finds it, within so many Seeds, by breaking one of Rules.
	Profile string
	Seeds   int
	Rules   []string
}

type flaw int

const (
	_ flaw = iota
	neverSyncs
	reordersLane
	sendsFirst
	losesBlock
)

// Bugs returns the faults that can be planted.
func Bugs() []Bug {
	return []Bug{
		{
			Name: "never-syncs", What: "records are said to be durable that were only written", flaw: neverSyncs,
			Profile: "crash", Seeds: 10, Rules: []string{"S4", "S3"},
		},
		{
			Name: "sends-first", What: "frames leave before the records that come with them are handed to the log", flaw: sendsFirst,
			Profile: "crash", Seeds: 1, Rules: []string{"S4"},
		},
		{
			Name: "reorders-lane", What: "blocks are carried out side by side", flaw: reordersLane,
			Profile: "calm", Seeds: 1, Rules: nil,
		},
		{
			Name: "loses-block", What: "an archive says that it is durable and is not", flaw: losesBlock,
			Profile: "calm", Seeds: 5, Rules: []string{"S4"},
		},
	}
}

// has reports whether a fault is planted.
func (w *world) has(f flaw) bool { return w.cfg.Bug != nil && w.cfg.Bug.flaw == f }

// withoutSync has the log's lane work on a disk that does not sync.
func (w *world) withoutSync(n *node, work lane.Work[shell.Job, []driver.Event]) lane.Work[shell.Job, []driver.Event] {
	return func(ctx context.Context, jobs []shell.Job, results [][]driver.Event) error {
		n.disk.fs.SetLying(true)
		defer n.disk.fs.SetLying(false)
		return work(ctx, jobs, results)
	}
}

// sendFirst moves what is sent before all else.
func sendFirst(effects []driver.Effect) []driver.Effect {
	var first, rest []driver.Effect
	for _, e := range effects {
		if _, ok := e.(driver.Send); ok {
			first = append(first, e)
		} else {
			rest = append(rest, e)
		}
	}
	return append(first, rest...)
}

// forgetful is a store that does not sync.
type forgetful struct {
	*memstore.Store
	w *world
}

var _ archive.Store = forgetful{}

// Sync implements archive.Store.
func (forgetful) Sync() error { return nil }

var _ faultfs.Model
