package ledger

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/decube/decube/ledger/archive"
	"github.com/decube/decube/ledger/codec"
	"github.com/decube/decube/ledger/follow"
	"github.com/decube/decube/ledger/pbft"
)

// sourcesInterval is how often the list of sources is renewed.
const sourcesInterval = 500 * time.Millisecond

// syncer carries out what a follow.Follower decides: one loop that never waits for
// anybody, a goroutine for each question and each job, and their results as events.
//
//	goroutines --- events ---> loop ---> Follower ---> actions ---> goroutines
type syncer struct {
	*Ledger
	follower *follow.Follower
	trust    *trust
	events   chan follow.Event
	began    time.Time
	work     sync.WaitGroup

	sources  map[string]Source
	asks     map[follow.AskID]*question
	building *archive.Transfer // of the loop's jobs, one at a time
	told     follow.Place      // the head that the follower was told of
	voting   bool
}

// question is an open question to a source.
type question struct {
	stop   context.CancelFunc
	credit *credit // nil unless it is a stream
}

// catchUp fetches what others have committed: all the time while this peer follows;
// while it votes, when consensus does not bring it.
func (l *Ledger) catchUp(ctx context.Context) error {
	if l.peers == nil {
		l.reachOnce.Do(func() { close(l.reached) }) // nobody says that there is more
		return nil
	}
	select {
	case <-l.placed:
	case <-ctx.Done():
		return nil
	}
	trust, err := l.trusted()
	if err != nil {
		return err
	}
	tip := l.tip.Load()
	s := &syncer{
		Ledger: l, trust: trust, events: make(chan follow.Event), began: time.Now(),
		follower: follow.New(follow.Config{TransferAfter: l.transferAfter, LargestBlock: largestBlock(tip)}, placeOf(tip)),
		asks:     map[follow.AskID]*question{},
	}
	return s.run(ctx)
}

// run takes events until ctx ends, or this peer's own state turns out to be wrong.
func (s *syncer) run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer s.work.Wait()
	defer cancel()
	renew := time.NewTicker(sourcesInterval)
	defer renew.Stop()
	timer := time.NewTimer(0)
	defer timer.Stop()
	s.step(ctx, s.listSources())
	for {
		moved := s.moved.wait()
		s.follow(ctx)
		if s.follower.AtHead() {
			s.reachOnce.Do(func() { close(s.reached) })
		}
		timer.Reset(s.follower.Deadline() - time.Since(s.began))
		var event follow.Event
		select {
		case <-ctx.Done():
			return nil
		case event = <-s.events:
			if f, ok := event.(fatal); ok {
				return f.err
			}
		case <-moved:
		case <-s.needSync.ch:
			event = follow.Behind{Seq: s.tip.Load().header.Seq + 1}
		case <-renew.C:
			event = s.listSources()
		case <-timer.C:
		}
		s.step(ctx, event)
	}
}

// fatal is an event of this loop's own: this peer cannot go on.
type fatal struct {
	follow.Failed

	err error
}

// follow tells the follower how far this peer is and whether it votes.
func (s *syncer) follow(ctx context.Context) {
	tip := s.tip.Load()
	if p := placeOf(tip); p != s.told {
		s.told = p
		s.keepUp(tip)
		s.step(ctx, follow.Advanced{Head: p, LargestBlock: largestBlock(tip)})
	}
	if voting := s.epoch.Load() != nil; voting != s.voting {
		s.voting = voting
		s.step(ctx, follow.Role{Voting: voting})
	}
}

func placeOf(h *head) follow.Place { return follow.Place{Seq: h.header.Seq, Digest: h.digest} }

// largestBlock returns the most bytes that the block after a head may have.
func largestBlock(h *head) int {
	p, err := h.state.Params()
	if err != nil {
		return codec.Limits{}.MaxBlock() // reading the state fails for whoever executes, too
	}
	return codec.Limits{BlockBytes: int(p.MaxBlockBytes)}.MaxBlock()
}

// listSources returns who can be asked now.
func (s *syncer) listSources() follow.Event {
	s.sources = map[string]Source{}
	var names []string
	for _, source := range s.peers.Sources(follow.MaxSources) {
		name := source.Name()
		names = append(names, name)
		s.sources[name] = source
	}
	return follow.Sources{Names: names}
}

func (s *syncer) step(ctx context.Context, e follow.Event) {
	for _, action := range s.follower.Step(time.Since(s.began), e) {
		s.do(ctx, action)
	}
	if ended, ok := e.(follow.Ended); ok {
		s.stop(ended.Ask)
	}
}

// do carries an action out, or has a goroutine do it.
func (s *syncer) do(ctx context.Context, action follow.Action) {
	switch a := action.(type) {
	case follow.Ask:
		s.ask(ctx, a)
	case follow.Stop:
		s.stop(a.Ask)
	case follow.Credit:
		if q := s.asks[a.Ask]; q != nil && q.credit != nil {
			q.credit.add(a.Bytes)
		}
	case follow.CheckHead:
		s.job(ctx, func() follow.Event { return s.checkHead(a) })
	case follow.CheckBlocks:
		s.job(ctx, func() follow.Event { return s.checkBlocks(a) })
	case follow.Apply:
		s.job(ctx, func() follow.Event { return s.apply(ctx, a) })
	case follow.Build:
		s.job(ctx, func() follow.Event { return s.build(a) })
	case follow.AddChunk:
		s.job(ctx, func() follow.Event { return s.addChunk(a) })
	case follow.Install:
		s.job(ctx, func() follow.Event { return s.install(ctx, a) })
	case follow.Alarm:
		s.alarm(a.Fork.First, a.Fork.Second)
	case follow.Note:
		s.quiet.Write(slog.LevelDebug, a.Source, "leaving a source alone", "lied", a.Lied, "for", a.For)
	}
}

// job runs a job beside the loop. Jobs are few: the follower has one of a kind open at
// a time, and a head for each source.
func (s *syncer) job(ctx context.Context, run func() follow.Event) {
	s.work.Go(func() { s.tell(ctx, run()) })
}

// tell gives the loop an event.
func (s *syncer) tell(ctx context.Context, e follow.Event) bool {
	select {
	case s.events <- e:
		return true
	case <-ctx.Done():
		return false
	}
}

// apply has the executor apply verified blocks.
func (s *syncer) apply(ctx context.Context, a follow.Apply) follow.Event {
	blocks := make([]fetched, len(a.Blocks))
	for i, b := range a.Blocks {
		f, ok := b.(*fetched)
		if !ok {
			return fatal{err: fmt.Errorf("a verified block of type %T", b)}
		}
		blocks[i] = *f
	}
	done := make(chan error, 1)
	s.exec.box.put(apply{blocks, done})
	return s.outcome(ctx, done, follow.Failed{Job: a.Job}, func() follow.Event {
		return follow.Applied{Job: a.Job, Head: placeOf(s.tip.Load())}
	})
}

// outcome waits for the executor. That this peer's state is not the one that others
// have signed, nothing can mend.
func (s *syncer) outcome(ctx context.Context, done <-chan error, failed follow.Failed, good func() follow.Event) follow.Event {
	select {
	case err := <-done:
		switch {
		case errors.Is(err, pbft.ErrDiverged):
			return fatal{err: err}
		case err != nil:
			s.quiet.Write(slog.LevelWarn, "", "what was fetched cannot be stored", "err", err)
			return failed
		}
		return good()
	case <-ctx.Done():
		return failed
	}
}

// Decision implements follow.Block.
func (f *fetched) Decision() *pbft.Decision { return f.decision }
