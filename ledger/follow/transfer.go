package follow

import (
	"slices"
	"time"

	"github.com/decube/decube/ledger/pbft"
)

// transfer is the state after a certified checkpoint on its way here. Its chunks are
// added in their order; who sends them does not matter, since each is proved by the
// state root in the checkpoint.
type transfer struct {
	checkpoint *pbft.Decision
	job        JobID // of what is being done; 0 while a chunk is waited for
	next       [32]byte
	adding     *ask // whose chunk is being added
	installing bool

	asks   []*ask
	tried  []*source
	absent []*source // that have said that they do not have it
	round  int
	asked  time.Duration
}

// moveState fetches the state where blocks would take too long, or cannot be had.
func (f *Follower) moveState() {
	if t := f.transfer; t != nil && !t.installing && t.checkpoint.Header.Seq <= f.head.Seq {
		f.dropTransfer()
	}
	if f.transfer == nil {
		f.startTransfer()
		return
	}
	t := f.transfer
	if t.job != 0 {
		return
	}
	for _, a := range t.asks {
		if len(a.items) > 0 {
			t.job, t.adding = f.job(), a
			f.do(AddChunk{Job: t.job, Blob: a.items[0]})
			return
		}
	}
	f.askChunk()
}

// startTransfer begins a transfer if one is called for.
func (f *Follower) startTransfer() {
	if f.now < f.paused || f.checking != nil || f.applying != nil || len(f.ready) > 0 {
		return // what is here already may make it needless
	}
	if f.proven.Seq <= f.head.Seq+f.cfg.TransferAfter && !f.blocksGone() {
		f.stateless = 0
		return
	}
	if f.stateless == 0 {
		f.stateless = max(1, f.now)
	}
	checkpoint := f.bestCheckpoint()
	if checkpoint == nil || (!f.allHeard() && f.now-f.stateless < HeadTimeout) {
		return // those who are not heard yet may have the blocks, or a better checkpoint
	}
	f.stateless = 0
	f.restart()
	f.transfer = &transfer{checkpoint: checkpoint, job: f.job()}
	f.do(Build{Job: f.transfer.job, Checkpoint: checkpoint})
}

// allHeard reports whether each source that can be asked has shown its head.
func (f *Follower) allHeard() bool {
	for _, s := range f.sources {
		if !s.heard() && s.rested(f.now) {
			return false
		}
	}
	return true
}

// blocksGone reports whether a source beyond the head says that it has not got the
// blocks after it, and none has. One that says it has them, and fails again and again,
// has not; but that it fails is no reason by itself: when a busy swarm is slow and nobody
// has dropped anything, the blocks come in the end.
func (f *Follower) blocksGone() bool {
	next, dropped := f.head.Seq+1, false
	for _, s := range f.sources {
		if s.tip.Seq < next || s.lies > 0 {
			continue
		}
		switch {
		case s.first() > next:
			dropped = true
		case s.failures < abundance:
			return false
		}
	}
	return dropped
}

// bestCheckpoint returns the checkpoint above the head that most sources serve, and of
// those the latest: one that a single source has ends with its good will.
func (f *Follower) bestCheckpoint() *pbft.Decision {
	var best *pbft.Decision
	most := 0
	for _, s := range f.sources {
		c := s.checkpoint
		if c == nil || c.Header.Seq <= f.head.Seq || !s.rested(f.now) || !s.shares(c) {
			continue
		}
		n := 0
		for _, other := range f.sources {
			if other.rested(f.now) && other.shares(c) {
				n++
			}
		}
		if n > most || (n == most && c.Header.Seq > best.Header.Seq) {
			best, most = c, n
		}
	}
	return best
}

// begun reports whether there is something of the state that would be thrown away.
func (t *transfer) begun() bool { return t.next != [32]byte{} }

// shares reports whether a source serves the state at a checkpoint.
func (s *source) shares(c *pbft.Decision) bool {
	return s.checkpoint != nil && placeOf(s.checkpoint) == placeOf(c) && placeOf(c) != s.missing
}

// mayHave reports whether a source may have the state that is being fetched: it serves that
// one, or a later one, and has not said that the one before is gone. While a large state is
// on its way the ledger goes on, and heads show the latest state only. As long as nothing
// of it has come, the later one is as good.
func (t *transfer) mayHave(s *source) bool {
	if s.shares(t.checkpoint) {
		return true
	}
	return t.begun() && s.checkpoint != nil && s.checkpoint.Header.Seq > t.checkpoint.Header.Seq && !slices.Contains(t.absent, s)
}

// askChunk asks a source for the next chunk, and further ones while it does not come.
func (f *Follower) askChunk() {
	t := f.transfer
	pending := len(t.asks) > 0
	if pending && f.now-t.asked < stretched(SlowAfter, t.round) {
		return
	}
	to := f.best(!pending, func(x *source) bool { return t.mayHave(x) && !slices.Contains(t.tried, x) })
	if to == nil {
		if pending && f.elsewhere() && (!t.begun() || f.now-t.asks[0].started >= Patience) {
			// Those who alone have a state that others have no more, and do not give it, hold
			// nobody.
			for _, a := range slices.Clone(t.asks) {
				f.fail(a.source, false)
			}
			return
		}
		if f.best(false, t.mayHave) != nil && (!pending || len(t.tried) > len(t.asks)) {
			t.round++
			t.tried = nil
			for _, a := range t.asks {
				t.tried = append(t.tried, a.source)
			}
			return
		}
		switch {
		case !pending:
			f.abandonCheckpoint()
		case f.now-t.asked >= stretched(Patience, t.round):
			// There is nobody to ask beside. Others may serve a later checkpoint by now, and
			// if not, the same source may answer when it is asked anew.
			t.round++
			f.fail(t.asks[0].source, false)
		}
		return
	}
	if len(t.asks) >= together {
		f.fail(t.asks[0].source, false)
	}
	a := f.open(to, Chunk{Seq: t.checkpoint.Header.Seq, Start: t.next}, 0, MaxChunk)
	t.asks, t.tried, t.asked = append(t.asks, a), append(t.tried, to), f.now
}

// elsewhere reports whether somebody who is not asked for a chunk serves another state.
func (f *Follower) elsewhere() bool {
	t := f.transfer
	for _, s := range f.sources {
		c := s.checkpoint
		if c == nil || c.Header.Seq <= f.head.Seq || !s.rested(f.now) || !s.shares(c) || s.shares(t.checkpoint) {
			continue
		}
		if !slices.ContainsFunc(t.asks, func(a *ask) bool { return a.source == s }) {
			return true
		}
	}
	return false
}

// abandonCheckpoint goes over to another checkpoint when nobody serves this one any
// more, or else waits for one of those who did.
func (f *Follower) abandonCheckpoint() {
	t := f.transfer
	if other := f.bestCheckpoint(); other != nil {
		f.dropTransfer()
		return
	}
	if !slices.ContainsFunc(f.sources, t.mayHave) {
		f.dropTransfer()
		return
	}
	f.destitute(t.mayHave)
}

func (f *Follower) dropTransfer() {
	for _, a := range f.transfer.asks {
		f.drop(a)
	}
	f.transfer = nil
	f.sweep()
}

// built takes note of how far the state is.
func (f *Follower) built(e Building) {
	t := f.transfer
	if t == nil || t.job != e.Job || t.installing {
		return
	}
	t.job, t.next = 0, e.Next
	if a := t.adding; a != nil {
		// Who has turned out to be a liar meanwhile has nothing under way any more: what it
		// has sent was good, and is no credit to it.
		if len(a.items) > 0 {
			a.source.succeed(len(a.items[0]), a.latest-a.started)
		}
		t.adding = nil
		f.endChunk(a)
	}
	if !e.More {
		t.job, t.installing = f.job(), true
		f.do(Install{Job: t.job})
	}
}

// endChunk ends what others were asked for besides the one whose chunk was added. Who
// had time enough has been beaten, and rests.
func (f *Follower) endChunk(winner *ask) {
	t := f.transfer
	var beaten []*source
	for _, a := range t.asks {
		if a != winner && !a.ended && f.now-a.started >= stretched(SlowAfter, t.round) {
			beaten = append(beaten, a.source)
		}
		f.drop(a)
	}
	t.tried, t.round = nil, 0
	f.sweep()
	for _, s := range beaten {
		f.fail(s, false)
	}
}

func (f *Follower) chunkRefused(e ChunkRefused) {
	t := f.transfer
	if t == nil || t.job != e.Job || t.adding == nil {
		return
	}
	a := t.adding
	t.job, t.adding = 0, nil
	f.drop(a)
	f.sweep()
	f.fail(a.source, true)
}

func (f *Follower) installed(e Installed) {
	t := f.transfer
	if t == nil || t.job != e.Job {
		return
	}
	f.dropTransfer()
	f.advance(e.Head)
	f.restart()
}
