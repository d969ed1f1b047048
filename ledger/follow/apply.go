package follow

import (
	"slices"

	"github.com/decube/decube/ledger/pbft"
)

// blockCheck is a run of blocks that is being verified.
type blockCheck struct {
	job   JobID
	ask   *ask
	after Place
	blobs [][]byte
	bytes int
}

// verified is a block that waits to be applied.
type verified struct {
	block Block
	place Place
	ask   *ask
	bytes int
}

// application is a run of blocks that is being applied.
type application struct {
	job    JobID
	blocks []verified
	bytes  int
}

// verify has blocks checked that follow the last verified one. They are checked in
// their order, since each says by whom the next is signed.
func (f *Follower) verify() {
	if f.checking != nil {
		return
	}
	var from *ask
	for _, a := range f.asks {
		switch a.request.(type) {
		case Blocks, Stream:
			f.trim(a)
			if a.first == f.frontier.Seq+1 && len(a.items) > 0 && (from == nil || len(a.items) > len(from.items)) {
				from = a
			}
		}
	}
	if from == nil {
		return
	}
	n := min(len(from.items), StripeBlocks)
	c := &blockCheck{job: f.job(), ask: from, after: f.frontier, blobs: from.items[:n:n]}
	for _, b := range c.blobs {
		c.bytes += len(b)
	}
	from.items, from.first, from.held = from.items[n:], from.first+uint64(n), from.held-c.bytes
	f.checking = c
	f.do(CheckBlocks{Job: c.job, After: c.after, Blobs: c.blobs})
}

// trim drops what has come and is verified already.
func (f *Follower) trim(a *ask) {
	for len(a.items) > 0 && a.first <= f.frontier.Seq {
		n := len(a.items[0])
		a.items, a.first, a.held = a.items[1:], a.first+1, a.held-n
		f.credit(a, n)
	}
}

// blocksChecked takes up blocks that are verified.
func (f *Follower) blocksChecked(e BlocksChecked) {
	c := f.checking
	if c == nil || c.job != e.Job {
		return
	}
	f.checking = nil
	n, bytes := min(len(e.Blocks), len(c.blobs)), 0
	for i := range n {
		bytes += len(c.blobs[i])
		f.accept(c, e.Blocks[i], len(c.blobs[i]))
	}
	if n > 0 {
		if f.typical == 0 {
			f.typical = bytes / n
		}
		f.typical += (bytes/n - f.typical) / 4
	}
	if _, ok := c.ask.request.(Blocks); ok && n > 0 {
		c.ask.source.succeed(bytes, c.ask.latest-c.ask.counted)
		c.ask.counted = c.ask.latest
	}
	f.overtake(c.ask)
	switch {
	case e.Fork != nil:
		f.alarm(*e.Fork)
		f.fail(c.ask.source, true)
	case e.Lie || n == 0:
		f.fail(c.ask.source, true)
	case n < len(c.blobs) && !c.ask.dropped:
		// Who checks may stop where the validators change. The rest is looked at again.
		rest := c.blobs[n:]
		c.ask.items = append(append([][]byte(nil), rest...), c.ask.items...)
		c.ask.first -= uint64(len(rest))
		c.ask.held += c.bytes - bytes
		if !slices.Contains(f.asks, c.ask) {
			f.asks = append(f.asks, c.ask)
		}
	}
	f.finish()
}

// accept takes up one verified block.
func (f *Follower) accept(c *blockCheck, b Block, bytes int) {
	d := b.Decision()
	p := placeOf(d)
	if p.Seq <= f.head.Seq || p.Seq <= f.frontier.Seq {
		if p.Seq == f.frontier.Seq && p.Digest != f.frontier.Digest {
			f.alarm(Fork{First: f.last, Second: d})
		}
		f.credit(c.ask, bytes)
		return
	}
	f.ready = append(f.ready, verified{block: b, place: p, ask: c.ask, bytes: bytes})
	f.reach(p, d)
	f.raise(p, d)
}

// reach moves the frontier.
func (f *Follower) reach(p Place, d *pbft.Decision) {
	f.frontier, f.last = p, d
	f.finish()
}

// finish ends the stripes that are verified as a whole. Who was asked for the same and
// was slow or late has been beaten, and rests.
func (f *Follower) finish() {
	var beaten []*source
	for len(f.stripes) > 0 && f.stripes[0].to <= f.frontier.Seq {
		for _, a := range f.stripes[0].asks {
			if !a.ended && (a.slow || a.late) {
				beaten = append(beaten, a.source)
			}
			f.drop(a)
		}
		f.stripes = f.stripes[1:]
	}
	f.sweep()
	for _, s := range beaten {
		f.fail(s, false)
	}
}

// apply hands on what is verified, one run at a time.
func (f *Follower) apply() {
	if f.applying != nil || len(f.ready) == 0 {
		return
	}
	x := &application{job: f.job(), blocks: f.ready}
	blocks := make([]Block, len(f.ready))
	for i, v := range f.ready {
		blocks[i] = v.block
		x.bytes += v.bytes
	}
	f.applying, f.ready = x, nil
	f.do(Apply{Job: x.job, Blocks: blocks})
}

func (f *Follower) applied(e Applied) {
	if f.applying != nil && f.applying.job == e.Job {
		for _, v := range f.applying.blocks {
			f.credit(v.ask, v.bytes)
		}
		f.applying = nil
	}
	f.advance(e.Head)
}

// failed gives up what this peer itself could not do, and tries again after a while.
func (f *Follower) failed(e Failed) {
	switch {
	case f.applying != nil && f.applying.job == e.Job:
		f.applying = nil
		f.restart()
	case f.transfer != nil && f.transfer.job == e.Job:
		f.dropTransfer()
	case f.checking != nil && f.checking.job == e.Job:
		f.drop(f.checking.ask)
		f.checking = nil
		f.sweep()
	default:
		for i, h := range f.heads {
			if h.job == e.Job {
				f.heads = append(f.heads[:i:i], f.heads[i+1:]...)
				break
			}
		}
		return
	}
	f.paused = f.now + MinBackoff
}

// restart forgets what is fetched and not applied.
func (f *Follower) restart() {
	f.dropStripes(0)
	f.drop(f.stream)
	f.sweep()
	f.checking, f.ready = nil, nil
	f.frontier, f.last = f.head, nil
}
