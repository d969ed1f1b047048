package driver

import (
	"maps"
	"slices"

	"github.com/decube/decube/ledger/codec"
	"github.com/decube/decube/ledger/follow"
)

// syncer gets blocks and states from sources: it is what carries out, or passes on, what
// a follow.Follower decides.
type syncer struct {
	follower *follow.Follower
	cfg      follow.Config
	names    []string
	last     AskID
	asks     map[follow.AskID]AskID
	open     map[AskID]follow.AskID
	told     follow.Place
	voting   bool
	actions  []follow.Action
	acting   bool
}

func newSyncer(cfg *Config, head *Head) syncer {
	s := syncer{
		cfg:  follow.Config{TransferAfter: cfg.TransferAfter, LargestBlock: largestBlock(head)},
		asks: map[follow.AskID]AskID{}, open: map[AskID]follow.AskID{},
	}
	s.told = follow.Place{Seq: head.Header.Seq, Digest: head.Digest}
	s.follower = follow.New(s.cfg, s.told)
	return s
}

// largestBlock returns the most bytes that the block after a head may have as peers send
// it.
func largestBlock(h *Head) int {
	return codec.Limits{BlockBytes: int(h.Params.MaxBlockBytes)}.MaxBlock()
}

func (s *syncer) newAsk() AskID {
	s.last++
	return s.last
}

// inform gives the follower an event. What it asks for is done in order: an action that
// leads to another event does not get ahead of those that were there before.
func (d *Driver) inform(e follow.Event) {
	s := &d.sync
	s.actions = append(s.actions, s.follower.Step(d.now.Mono, e)...)
	if s.acting {
		return
	}
	s.acting = true
	for len(s.actions) > 0 {
		action := s.actions[0]
		s.actions = s.actions[1:]
		s.do(d, action)
	}
	s.acting, s.actions = false, nil
}

// moved tells the follower of another head.
func (s *syncer) moved(d *Driver) {
	if p := d.chain.place(); p != s.told {
		s.told = p
		s.cfg.LargestBlock = largestBlock(d.chain.head)
		d.inform(follow.Advanced{Head: p, LargestBlock: s.cfg.LargestBlock})
	}
}

// role tells the follower whether this peer votes.
func (s *syncer) role(d *Driver, voting bool) {
	if voting != s.voting {
		s.voting = voting
		d.inform(follow.Role{Voting: voting})
	}
}

// behind has sources asked whether there is more: consensus has seen that there may be.
func (s *syncer) behind(d *Driver) { d.inform(follow.Behind{Seq: d.chain.seq() + 1}) }

// restart begins anew behind the present head, which is lower than before.
func (s *syncer) restart(d *Driver) {
	for _, id := range slices.Sorted(maps.Keys(s.open)) {
		d.do(Stop{id})
	}
	clear(s.open)
	clear(s.asks)
	s.actions = nil
	s.told = d.chain.place()
	s.follower = follow.New(s.cfg, s.told)
	s.voting = false
	d.inform(follow.Sources{Names: s.names})
}

// followOn lets time pass for the follower.
func (d *Driver) followOn() {
	d.sync.role(d, d.voter != nil)
	if d.now.Mono >= d.sync.follower.Deadline() {
		d.inform(nil)
	}
	d.wake(d.sync.follower.Deadline())
}

// fetching takes what comes from sources, and what was found out about it.
func (d *Driver) fetching(e Event) {
	s := &d.sync
	switch e := e.(type) {
	case Sources:
		s.names = e.Names
		d.inform(follow.Sources{Names: e.Names})
		d.hand.sources(d, e.Names)
	case Item:
		if ask, ok := s.open[e.Ask]; ok {
			d.inform(follow.Item{Ask: ask, Blob: e.Blob})
		}
	case Ended:
		if d.hand.ended(d, &e) {
			return
		}
		if ask, ok := s.open[e.Ask]; ok {
			delete(s.open, e.Ask)
			delete(s.asks, ask)
			d.inform(follow.Ended{Ask: ask, Why: e.Why})
		}
	case ChainChecked:
		d.inform(e.Event)
	case Installed:
		d.installed(&e)
	}
}

// do carries an action out, or passes it on.
func (s *syncer) do(d *Driver, action follow.Action) {
	switch a := action.(type) {
	case follow.Ask:
		id := s.newAsk()
		s.asks[a.Ask], s.open[id] = id, a.Ask
		d.do(Ask{Ask: id, Source: a.Source, Request: a.Request})
	case follow.Stop:
		if id, ok := s.asks[a.Ask]; ok {
			delete(s.asks, a.Ask)
			delete(s.open, id)
			d.do(Stop{id})
		}
	case follow.Credit:
		if id, ok := s.asks[a.Ask]; ok {
			d.do(Credit{Ask: id, Bytes: a.Bytes})
		}
	case follow.CheckHead, follow.CheckBlocks, follow.Build, follow.AddChunk:
		d.do(CheckChain{a})
	case follow.Apply:
		run := &application{of: s.follower, job: a.Job}
		for _, b := range a.Blocks {
			if f, ok := b.(*Fetched); ok {
				run.blocks = append(run.blocks, f)
			}
		}
		d.apply(run)
	case follow.Install:
		// Blocks that are held are of the history that is replaced, and go first.
		d.chain.installing = true
		d.leave(func() {
			d.chain.replacing = true
			d.do(Install{a.Job})
		})
	case follow.Alarm:
		d.alarm(a.Fork.First, a.Fork.Second)
	case follow.Note:
		d.notice(SourceAvoided{Source: a.Source, Lied: a.Lied, For: a.For})
	}
}
