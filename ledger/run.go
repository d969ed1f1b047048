package ledger

import (
	"context"
	"errors"
	"path/filepath"
	"runtime"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/decube/decube/internal/durable"
	"github.com/decube/decube/internal/lane"
	"github.com/decube/decube/ledger/driver"
	"github.com/decube/decube/ledger/follow"
	"github.com/decube/decube/ledger/shell"
)

// newLane makes a lane with goroutines. Of the log's, observers learn how long it takes.
func (l *Ledger) newLane(name string, o lane.Options[shell.Job], work lane.Work[shell.Job, []driver.Event], deliver func([]lane.Completion[[]driver.Event])) shell.Lane {
	if name != "log" {
		return lane.New(o, work, deliver)
	}
	timed := func(ctx context.Context, jobs []shell.Job, results [][]driver.Event) error {
		began := time.Now()
		err := work(ctx, jobs, results)
		if n := records(jobs); n > 0 && err == nil {
			l.observer.Synced(n, time.Since(began))
		}
		return err
	}
	return lane.New(o, timed, deliver)
}

// records returns how many records jobs of the log make durable.
func records(jobs []shell.Job) int {
	n, durable := 0, false
	for _, j := range jobs {
		if a, ok := j.Effect.(driver.Append); ok {
			n, durable = n+len(a.Records), durable || a.Mark > 0
		}
	}
	if !durable {
		return 0
	}
	return n
}

// Run takes part until ctx ends or the disk or the state cannot be trusted any
// more, and closes the ledger. What was acknowledged is durable.
func (l *Ledger) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return l.loop(ctx) })
	g.Go(func() error { return l.listSources(ctx) })
	g.Go(func() error { return l.watchDisk(ctx) })
	err := mendArchive(filepath.Join(l.outside.dir, archiveDir), g.Wait())
	return errors.Join(err, l.Close())
}

// together is how many events one step of the driver takes at most.
const together = 256

// loop gives the driver its events.
func (l *Ledger) loop(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	var events []driver.Event
	l.shell.Do(l.driver.first)
	for {
		timer.Reset(l.driver.Deadline() - time.Since(l.started))
		select {
		case <-ctx.Done():
			return nil
		case <-l.inbox.ready:
			// What can run goes first. On an idle machine this is nothing; on a busy one it
			// is callers and lanes, whose events then come together: they share records,
			// frames and a batch of signatures, which is a seventh of all processor time
			// under load.
			runtime.Gosched()
			events = l.inbox.next(events[:0], together)
			l.shell.Do(l.driver.Step(l.instant(), events...))
			clear(events)
		case <-timer.C:
			l.shell.Do(l.driver.Step(l.instant(), driver.Alarm{}))
		}
		if err := l.outside.halted; err != nil {
			return err
		}
	}
}

const (
	// sourcesInterval is how often the list of sources is renewed, and sourcesApart the
	// least time between two renewals: peers come and go as often as they like.
	sourcesInterval = 500 * time.Millisecond
	sourcesApart    = 50 * time.Millisecond
	// diskInterval is how often it is looked at how much room the disk has.
	diskInterval = 5 * time.Second
)

// listSources tells the driver who can be asked.
func (l *Ledger) listSources(ctx context.Context) error {
	if l.outside.peers == nil {
		return nil
	}
	due, changed := time.NewTimer(0), l.outside.peers.Changed()
	defer due.Stop()
	listed := time.Now().Add(-sourcesApart)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
			due.Reset(time.Until(listed.Add(sourcesApart)))
			continue
		case <-due.C:
		}
		l.inbox.put(driver.Sources{Names: l.outside.list(l.outside.peers.Sources(follow.MaxSources))})
		listed = time.Now()
		due.Reset(sourcesInterval)
	}
}

// watchDisk tells the driver how much room there is.
func (l *Ledger) watchDisk(ctx context.Context) error {
	ticker := time.NewTicker(diskInterval)
	defer ticker.Stop()
	for {
		// Where it cannot be found out, nothing is refused for it.
		if free, err := durable.OS.Free(l.outside.dir); err == nil {
			l.inbox.put(driver.DiskFree{Bytes: uint64(max(0, free))})
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}
