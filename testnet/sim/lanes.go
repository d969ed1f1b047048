package sim

import (
	"context"

	"github.com/decube/decube/internal/lane"
	"github.com/decube/decube/ledger/driver"
	"github.com/decube/decube/ledger/shell"
	"github.com/decube/decube/testnet/sim/kernel"
)

// simLane is a lane of a node's shell, in virtual time.
type simLane struct {
	*kernel.Lane[shell.Job, []driver.Event]
	n    *node
	name string
	work lane.Work[shell.Job, []driver.Event]
	// begun is how much had been written when a batch began.
	begun map[*shell.Job]int
}

// do does the work of a batch.
func (l *simLane) do(ctx context.Context, jobs []shell.Job, results [][]driver.Event) error {
	begun := l.begun[&jobs[0]]
	delete(l.begun, &jobs[0])
	if l.name != "sync" {
		return l.work(ctx, jobs, results)
	}
	return l.n.disk.since(begun, func() error { return l.work(ctx, jobs, results) })
}

// newLane makes a lane of one life of a program.
func (p *program) newLane(name string, o lane.Options[shell.Job], work lane.Work[shell.Job, []driver.Event],
	deliver func([]lane.Completion[[]driver.Event]),
) shell.Lane {
	w := p.n.w
	if name == "log" {
		work = w.spoilLog(p.n, work, &o)
	}
	most := w.cfg.Work.of(name)
	l := &simLane{n: p.n, name: name, work: work, begun: map[*shell.Job]int{}}
	l.Lane = kernel.NewLane(p.n.host, o, l.do, func(jobs []shell.Job) Time {
		l.begun[&jobs[0]] = p.n.disk.begun()
		return between(w.rnd.work, most/4, most) + p.n.strategy.delay(jobs)
	}, func(done []lane.Completion[[]driver.Event]) {
		if p == p.n.program {
			deliver(done)
		}
	})
	p.lanes = append(p.lanes, l)
	return l
}

// of returns how long jobs of a lane take at most.
func (w *Work) of(name string) Time {
	switch name {
	case "log":
		return w.Log
	case "store":
		return w.Store
	case "sync":
		return w.Sync
	case "exec":
		return w.Exec
	case "judge":
		return w.Judge
	case "votes":
		return w.Votes
	case "bodies", "txs":
		return w.Txs
	default:
		return w.Chain
	}
}

// crash ends the lane with its program. What was being written then may have got to any
// point: the disk loses power at one of the operations.
func (l *simLane) crash() {
	rnd := l.n.w.rnd.disk
	l.Crash(func(jobs []shell.Job) {
		if rnd.IntN(2) == 0 {
			return
		}
		switch l.name {
		case "log":
			l.n.disk.fs.CrashAt(l.n.disk.fs.Ops() + 1 + rnd.IntN(6))
		case "store", "sync":
		default:
			return
		}
		// Nobody hears what came of it.
		_ = l.do(context.Background(), jobs, make([][]driver.Event, len(jobs)))
	})
}
