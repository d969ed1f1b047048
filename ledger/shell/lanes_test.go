package shell_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"go.uber.org/goleak"

	"github.com/decube/decube/internal/lane"
	"github.com/decube/decube/ledger/codec"
	"github.com/decube/decube/ledger/driver"
	"github.com/decube/decube/ledger/follow"
	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/ledger/shell"
	"github.com/decube/decube/ledger/tx"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// refusing is a lane that accepts nothing.
type refusing struct{ err error }

func (r *refusing) Submit(uint64, shell.Job) error { return r.err }
func (r *refusing) Cancel(uint64) bool             { return false }
func (r *refusing) Load() lane.Load                { return lane.Load{} }
func (r *refusing) Close()                         {}

// openRefusing opens a peer whose lanes accept nothing.
func (w *world) openRefusing(err error) *peer {
	w.t.Helper()
	p := w.newPeer()
	s, r, openErr := shell.Open(w.t.Context(), shell.Options{
		Genesis: w.genesis, Core: w.core, FS: p.fs, Dir: "peer", Store: p.store, SegmentSize: segmentSize, Segments: 2,
		Votes: true, Sigs: w.sigs, Ballots: w.sigs, Deliver: p.deliver, Outside: &p.out,
		Lanes: func(string, lane.Options[shell.Job], lane.Work[shell.Job, []driver.Event], func([]lane.Completion[[]driver.Event])) shell.Lane {
			return &refusing{err}
		},
	})
	if openErr != nil {
		w.t.Fatal(openErr)
	}
	p.shell, p.r, p.head = s, r, r.Head
	return p
}

// What there is no room for is answered all the same.
func TestNoRoom(t *testing.T) {
	w := newWorld(t)
	w.commits(1)
	tip := &w.newPeer().w.blocks[0].decision.Header
	txs := []*tx.Transaction{w.sign(20, put("a")), w.sign(20, put("b"))}
	fetched := follow.CheckBlocks{Job: 6, Blobs: [][]byte{{1}}}
	for name, c := range map[string]struct {
		effect driver.Effect
		want   func(e driver.Event) bool
	}{
		"append": {w.logged(1, 1), func(e driver.Event) bool { f, ok := e.(driver.LogFailed); return ok && errors.Is(f.Err, lane.ErrFull) }},
		"sync": {driver.SyncStore{Seq: 1}, func(e driver.Event) bool {
			f, ok := e.(driver.StoreFailed)
			return ok && errors.Is(f.Err, lane.ErrFull)
		}},
		"certify":  {driver.Certify{Cert: &w.blocks[0].decision.Cert}, func(e driver.Event) bool { _, ok := e.(driver.StoreFailed); return ok }},
		"load":     {driver.Load{Job: 3, Seq: tip.Seq}, func(e driver.Event) bool { l, ok := e.(driver.Loaded); return ok && l.Job == 3 }},
		"install":  {driver.Install{Job: 4}, func(e driver.Event) bool { i, ok := e.(driver.Installed); return ok && i.Job == 4 && i.Err != nil }},
		"evidence": {driver.Keep{What: &pbft.Evidence{}}, nil},
		"a fork":   {driver.Keep{What: &driver.Fork{}}, func(e driver.Event) bool { _, ok := e.(driver.StoreFailed); return ok }},
		"execute":  {driver.Execute{Job: 5, Task: driver.BuildBlock{}}, func(e driver.Event) bool { x, ok := e.(driver.Executed); return ok && x.Job == 5 && x.Err != nil }},
		"judge":    {driver.Judge{Job: 6, Txs: txs}, func(e driver.Event) bool { j, ok := e.(driver.Judged); return ok && j.Job == 6 && j.Err != nil }},
		"peek":     {driver.Peek{Job: 7}, func(e driver.Event) bool { x, ok := e.(driver.Peeked); return ok && x.Job == 7 && x.Err != nil }},
		"votes": {driver.CheckVotes{Job: 8, Messages: []pbft.Message{w.vote(0), w.vote(1)}}, func(e driver.Event) bool {
			v, ok := e.(driver.VotesChecked)
			return ok && len(v.Verified) == 2 && len(v.Errs) == 2 && v.Errs[1] != nil
		}},
		"txs": {driver.CheckTxs{Job: 9, Txs: txs}, func(e driver.Event) bool {
			x, ok := e.(driver.TxsChecked)
			return ok && len(x.Errs) == 2 && errors.Is(x.Errs[1], lane.ErrFull)
		}},
		"blocks": {driver.CheckChain{Action: fetched}, func(e driver.Event) bool {
			x, ok := e.(driver.ChainChecked)
			return ok && x.Event == follow.Event(follow.Failed{Job: 6})
		}},
	} {
		t.Run(name, func(t *testing.T) {
			p := w.openRefusing(lane.ErrFull)
			p.shell.Do([]driver.Effect{c.effect})
			switch {
			case c.want == nil && len(p.events) == 0:
			case c.want != nil && len(p.events) == 1 && c.want(p.events[0]):
			default:
				t.Errorf("%+v", p.events)
			}
			p = w.openRefusing(lane.ErrClosed)
			if p.shell.Do([]driver.Effect{c.effect}); len(p.events) > 0 {
				t.Errorf("when it is closed: %+v", p.events)
			}
		})
	}
}

// wait returns the events up to one.
func (p *peer) wait(last func(driver.Event) bool) []driver.Event {
	p.t.Helper()
	for {
		p.mu.Lock()
		if i := slices.IndexFunc(p.events, last); i >= 0 {
			events := p.events[:i+1]
			p.events = p.events[i+1:]
			p.mu.Unlock()
			return events
		}
		p.mu.Unlock()
		<-p.poke
	}
}

// openReal opens a peer whose lanes have goroutines.
func (w *world) openReal() *peer {
	w.t.Helper()
	p := w.newPeer()
	p.real, p.store = true, &locked{mem: p.mem}
	p.open()
	return p
}

// All lanes work beside each other, and each keeps its order.
func TestLanesBesideEachOther(t *testing.T) {
	const blocks = 40
	w := newWorld(t)
	w.commits(blocks)
	s, p := w.source(), w.openReal()
	blobs := s.blobs(1, blocks)
	p.shell.Do([]driver.Effect{p.committee(), driver.CheckChain{Action: follow.CheckBlocks{Job: 1, After: p.place(), Blobs: blobs}}})
	got := p.wait(func(e driver.Event) bool { _, ok := e.(driver.ChainChecked); return ok })
	run, _ := got[len(got)-1].(driver.ChainChecked)
	fetched, _ := run.Event.(follow.BlocksChecked)
	if len(fetched.Blocks) != blocks {
		t.Fatalf("%+v", fetched)
	}
	tip := p.head.Tip
	for i, b := range fetched.Blocks {
		f, _ := b.(*driver.Fetched)
		seq := uint64(i + 1)
		p.shell.Do([]driver.Effect{
			driver.Execute{Job: driver.JobID(seq), Parent: &tip, Task: driver.RedoBlock{Block: f}},
			w.logged(i+1, driver.Mark(seq)),
			driver.CheckVotes{Job: driver.JobID(seq), Messages: []pbft.Message{w.vote(0), f.Decision()}},
			driver.CheckTxs{Job: driver.JobID(seq), Txs: f.Content.Batch(), Bodies: i%2 == 0},
			driver.CheckChain{Action: follow.CheckBlocks{Job: follow.JobID(seq), Blobs: blobs[:3]}},
		})
		events := p.wait(func(e driver.Event) bool { _, ok := e.(driver.Executed); return ok })
		done, _ := events[len(events)-1].(driver.Executed)
		if done.Err != nil || done.Job != driver.JobID(seq) {
			t.Fatalf("%+v", done)
		}
		tip = done.Block.Tip
		p.shell.Do([]driver.Effect{driver.Store{Decision: f.Decision(), Block: done.Block, Stateless: seq%interval != 0}})
		if seq%interval == 0 {
			cert := w.certify(pbft.Checkpoint, &f.Decision().Header)
			head := tip // what a job has is not changed under it
			p.shell.Do([]driver.Effect{
				driver.SyncStore{Seq: seq, Bodies: seq / 2},
				driver.Cut{Stored: seq / 2},
				driver.Certify{Cert: &cert},
				driver.Prune{Below: seq / 2, Head: &head},
			})
		}
	}
	p.shell.Do([]driver.Effect{driver.Load{Job: 99}})
	p.wait(func(e driver.Event) bool { _, ok := e.(driver.Loaded); return ok })
	p.close()
	p.mem.Crash(0)
	p.open()
	if p.r.Head.Header.Seq != blocks || p.r.Stored != blocks {
		t.Errorf("%+v", p.r)
	}
	p.close()
}

// Close drops what waits, lets what runs come to its end, and then nothing is said.
func TestClose(t *testing.T) {
	w := newWorld(t)
	w.commits(1)
	p := w.openReal()
	var effects []driver.Effect
	for i := range 200 {
		effects = append(effects, driver.Append{Records: []codec.LogRecord{w.record(1)}, Mark: driver.Mark(i + 1)}, driver.SyncStore{})
	}
	p.shell.Do(effects)
	p.close()
	p.mu.Lock()
	p.events = nil
	p.mu.Unlock()
	p.shell.Do(effects[:2])
	if len(p.events) > 0 {
		t.Errorf("%+v", p.events)
	}
}

// An Open that is given up, or fails, closes what it has opened.
func TestOpenFails(t *testing.T) {
	w := newWorld(t)
	w.commits(3)
	p := w.peer()
	p.do(w.logged(1, 1), w.logged(2, 2))
	p.close()
	p.mem.Crash(0)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := shell.Open(ctx, shell.Options{
		Genesis: w.genesis, Core: w.core, FS: p.fs, Dir: "peer", Store: p.mem, Votes: true, Sigs: w.sigs, Ballots: w.sigs,
		SegmentSize: segmentSize, Segments: 2, Lanes: p.lane, Deliver: p.deliver, Outside: &p.out,
	}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if _, _, err := p.mem.Get([]byte("k"), 1); err == nil || p.mem.Unsynced() != 0 {
		t.Error("the store is open")
	}
	p.mem.Crash(0)
	p.open()
	if p.r.Head.Header.Seq != 2 {
		t.Errorf("the head is %d", p.r.Head.Header.Seq)
	}
}
