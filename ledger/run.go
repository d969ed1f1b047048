package ledger

import (
	"context"
	"errors"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/ledger/state"
)

// Run takes part until ctx ends or the disk or the state cannot be trusted any
// more, and closes the ledger. What was acknowledged is durable.
func (l *Ledger) Run(ctx context.Context) error {
	execCtx, stopExec := context.WithCancel(context.WithoutCancel(ctx))
	defer stopExec()
	var execErr error
	execDone := make(chan struct{})
	g, ctx := errgroup.WithContext(ctx)
	go func() {
		defer close(execDone)
		execErr = l.exec.run(execCtx)
	}()
	g.Go(func() error {
		select {
		case <-execDone:
			return errExecutor
		case <-ctx.Done():
			return nil
		}
	})
	for range l.cfg.ParallelWorkers {
		g.Go(func() error { return l.verify(ctx) })
	}
	// One of each, so that what comes meanwhile is verified together: a signature in
	// a large batch takes a third of the time that it takes alone.
	g.Go(func() error { return l.carry(ctx) })
	g.Go(func() error { return l.takeIn(ctx) })
	g.Go(func() error { return l.answer(ctx) })
	g.Go(func() error { return l.spread(ctx) })
	g.Go(func() error { return l.takePart(ctx) })
	g.Go(func() error { return l.catchUp(ctx) })
	g.Go(func() error { return l.desk.run(ctx) })
	g.Go(func() error { return l.renew(ctx) })
	err := g.Wait()
	l.closeOnce.Do(func() { close(l.closing) })
	stopExec()
	<-execDone
	if errors.Is(err, errExecutor) {
		err = nil
	}
	return errors.Join(err, execErr, l.Close())
}

// errExecutor stops the other loops when the executor has ended: its own error is
// what counts.
var errExecutor = errors.New("the executor has ended")

// takePart votes in one epoch after another while this peer is a validator, and
// waits for an epoch in which it is one otherwise.
func (l *Ledger) takePart(ctx context.Context) error {
	var carried pbft.Carried
	for ctx.Err() == nil {
		moved := l.moved.wait()
		tip := l.tip.Load()
		e, err := l.presentEpoch(tip)
		if err != nil {
			return err
		}
		if !e.member || l.journal == nil || l.halted.Load() != nil || tip.header.Seq < l.journal.decided() {
			l.onlyFollow()
			l.placeOnce.Do(func() { close(l.placed) })
			select {
			case <-ctx.Done():
			case <-moved:
			case <-l.events:
				// Of an epoch in which this replica does not vote any more. Whoever verifies
				// frames must get rid of them, or the streams that bring them stand still.
			}
			continue
		}
		if carried, err = l.vote(ctx, e, carried); err != nil {
			return err
		}
	}
	return nil
}

// presentEpoch returns the epoch of the next block.
func (l *Ledger) presentEpoch(tip *head) (*epoch, error) {
	if e := l.epoch.Load(); e != nil && e.number == tip.epoch {
		return e, nil
	}
	start := tip.header
	if tip.epoch == 0 {
		s, err := state.Genesis(l.genesis)
		if err != nil {
			return nil, err
		}
		start = l.genesis.Header(s.Root())
	} else if !start.Last() {
		h, err := l.epochStart(tip.epoch)
		if err != nil {
			return nil, err
		}
		start = *h
	}
	return l.newEpoch(tip.epoch, tip.next, &start)
}

// epochStart returns the last block of the epoch before.
func (l *Ledger) epochStart(number uint64) (*pbft.Header, error) {
	d, err := l.archive.EpochEnd(number - 1)
	if err != nil {
		return nil, err
	}
	return &d.Header, nil
}

// onlyFollow notes that this peer has no vote in the present epoch.
func (l *Ledger) onlyFollow() {
	if l.epoch.Load() != nil {
		l.epoch.Store(nil)
		l.status.Store(nil)
		if l.transport != nil {
			l.transport.SetValidators(nil)
		}
		l.log.Info("following: this peer is not among the validators")
	}
}

// vote drives the core through one epoch. It is given what the epoch before has
// learned about time, and returns what this one has.
func (l *Ledger) vote(ctx context.Context, e *epoch, carried pbft.Carried) (pbft.Carried, error) {
	l.dropped(l.pool.addOrigins(e.validators))
	l.heard.retain(e.validators)
	// From here on the executor tells the engine of blocks that are fetched. Those
	// before are in the head that it stops at, which the engine resumes from. The tip may
	// be further already, and what the engine signs must stand on what is durable.
	l.epoch.Store(e)
	done := make(chan footing, 1)
	l.exec.box.put(cancel{e, done})
	var on footing
	select {
	case on = <-done:
		if on.err != nil {
			return carried, on.err
		}
	case <-ctx.Done():
		return carried, nil
	}
	if since := l.renewed.Load(); l.journal.lost() && since > 0 && e.start.Seq >= since {
		if err := l.journal.renewed(); err != nil {
			return carried, err
		}
		l.log.Info("voting again: what this replica may have said before is void in this epoch")
	}
	n, err := l.newEngine(e, on.from, l.journal, carried)
	if err != nil {
		l.epoch.Store(nil)
		l.halt(err)
		return carried, nil
	}
	l.transport.SetValidators(e.validators)
	l.dropped(l.pool.setOrigins(e.validators))
	n.publish()
	l.placeOnce.Do(func() { close(l.placed) })
	l.log.Info("taking part", "epoch", e.number, "replica", e.self, "validators", len(e.validators), "quorum", e.committee.Quorum())
	switch err := l.runEngine(ctx, n); {
	case errors.Is(err, errEpochOver):
	case errors.Is(err, ErrHalted):
		l.halt(err)
		l.epoch.Store(nil)
		l.status.Store(nil)
	case err != nil:
		return carried, err
	}
	return n.core.Carried(), nil
}

// runEngine runs an engine, and has what waited for its epoch come in beside it: the
// queues that lead to an engine have bounds, and others may have filled them before it
// empties them.
func (l *Ledger) runEngine(ctx context.Context, n *engine) error {
	early, stop := context.WithCancel(ctx)
	var entering sync.WaitGroup
	defer entering.Wait()
	defer stop()
	entering.Go(func() {
		for _, a := range l.early.take() {
			l.messages.put(a, early.Done(), l.closing) // they are all votes
		}
	})
	return n.run(ctx)
}
