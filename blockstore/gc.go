package blockstore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/decube/decube/block"
	"github.com/decube/decube/blockstore/internal/kv"
	"github.com/decube/decube/blockstore/internal/pack"
)

// GCOptions says what a collection keeps.
type GCOptions struct {
	// DryRun computes the result and changes nothing.
	DryRun bool
	// Mark calls yield with every block that a pin leads to, the root included,
	// in any order and as often as it likes, until yield returns false. An error
	// ends the collection before anything is deleted. It is required.
	Mark func(ctx context.Context, pin Pin, yield func(block.ID) bool) error
	// Removed, if not nil, is told what was deleted, in batches of at most 1024
	// blocks, each after its deletion. It is called without any lock held, one call
	// at a time, and the collection waits for it. A block may have been stored again
	// by then. It must not keep ids.
	Removed func(ctx context.Context, ids []block.ID)
	// Progress, if not nil, is called now and then.
	Progress func(Progress)
}

// GCResult is what a collection did, or with DryRun would do. Bytes are those of
// blocks, except where disk space is meant.
type GCResult struct {
	DryRun       bool
	Epoch        uint32 // threshold: what was touched since is kept
	Pins         int
	KeptBlocks   int64
	KeptBytes    int64
	KeptRecent   int64 // blocks kept only because they are recent
	SweptBlocks  int64
	SweptBytes   int64
	Quarantined  int64 // damaged blocks whose bytes were freed
	FreedBytes   int64 // disk space
	RemovedPacks int
	Took         time.Duration
}

// GC deletes the blocks that no pin leads to and that nobody wrote or touched
// since the collection, and every write session that is open, began. It runs
// beside all other calls. When it returns an error, some garbage may be left for
// the next one. It returns ErrBusy while another collection or check runs.
func (s *Store) GC(ctx context.Context, opts GCOptions) (GCResult, error) {
	if opts.Mark == nil {
		return GCResult{}, errors.New("collect garbage: Mark is required")
	}
	if s.ro && !opts.DryRun {
		return GCResult{}, fmt.Errorf("collect garbage: %w", ErrReadOnly)
	}
	if err := s.use(ctx); err != nil {
		return GCResult{}, err
	}
	defer s.gate.leave()
	if !s.upkeep.TryLock() {
		return GCResult{}, ErrBusy
	}
	defer s.upkeep.Unlock()
	// Pins that are not there keep nothing: everything that they led to would go.
	if err := s.pins.lost(); err != nil {
		return GCResult{}, fmt.Errorf("collect garbage: nothing was removed: %w; \"decubectl repo fsck --repair\" keeps again every snapshot that is here", err)
	}
	began := time.Now()
	res, err := s.collect(ctx, opts)
	res.Took = time.Since(began)
	if err != nil {
		return res, fmt.Errorf("collect garbage: %w", s.space.explain(err))
	}
	if !opts.DryRun {
		s.obs.Collected(res)
	}
	return res, nil
}

// collect collects once, and on a nearly full disk again as long as that gives
// room to delete more.
func (s *Store) collect(ctx context.Context, opts GCOptions) (res GCResult, err error) {
	if !opts.DryRun {
		if err := s.space.ballast.release(indexNeeds); err != nil {
			return res, err
		}
		defer s.space.ballast.regain()
	}
	for {
		c := &collection{s: s, opts: opts, live: map[uint32][]pack.Loc{}}
		c.res.DryRun = opts.DryRun
		err := c.run(ctx)
		freed := c.res.FreedBytes
		c.res.add(res)
		res = c.res
		if err != nil || !c.short || freed == 0 {
			return res, err
		}
	}
}

// add adds what earlier rounds removed.
func (r *GCResult) add(before GCResult) {
	r.SweptBlocks += before.SweptBlocks
	r.SweptBytes += before.SweptBytes
	r.Quarantined += before.Quarantined
	r.FreedBytes += before.FreedBytes
	r.RemovedPacks += before.RemovedPacks
}

// collection is one run of the collector.
type collection struct {
	s    *Store
	opts GCOptions
	res  GCResult

	short  bool // of space: not all garbage was deleted
	marked marks
	ends   []pack.Info           // the packs when the sweep began
	live   map[uint32][]pack.Loc // what stays, by pack
	dead   []victim              // found, not deleted yet
	gone   []block.ID            // the last batch that was deleted, for Removed
}

// victim is a block that seems to be garbage.
type victim struct {
	digest block.Digest
	e      entry
}

const (
	// sweepBatch bounds how long the sweep locks the index at a time.
	sweepBatch = 1024
	// reportEvery is how many blocks pass between reports.
	reportEvery = 1 << 16
)

func (c *collection) run(ctx context.Context) error {
	if err := c.begin(); err != nil {
		return err
	}
	if err := c.mark(ctx); err != nil {
		return err
	}
	// What is committed from here on lies behind these ends, or has a stamp that
	// saves it.
	c.ends = c.s.packs.List()
	old, err := c.emptyQuarantine(ctx)
	if err != nil {
		return err
	}
	if err := c.sweep(ctx); err != nil {
		return err
	}
	if err := c.keepQuarantine(ctx, old); err != nil {
		return err
	}
	if !c.opts.DryRun {
		if err := c.s.ix.sync(); err != nil {
			return err
		}
		c.s.sweeps.Add(1)
	}
	return c.reclaim(ctx)
}

// begin starts an epoch and learns the threshold.
func (c *collection) begin() (err error) {
	if c.opts.DryRun {
		c.res.Epoch = c.s.epochs.peek()
		return nil
	}
	if err := c.s.space.shortage(indexNeeds); err != nil {
		return err
	}
	c.res.Epoch, err = c.s.epochs.next()
	return err
}

// mark collects what the pins lead to. Pins set later belong to sessions that
// were open when the epoch began, or to blocks touched since.
func (c *collection) mark(ctx context.Context) error {
	pins := c.s.pins.list()
	c.res.Pins = len(pins)
	for i, pin := range pins {
		report(c.opts.Progress, Progress{Stage: "mark", Done: int64(i), Total: int64(len(pins))})
		c.marked.add(pin.Root.Digest())
		err := c.opts.Mark(ctx, pin, func(id block.ID) bool {
			c.marked.add(id.Digest())
			return ctx.Err() == nil
		})
		if err := cmp.Or(err, ctx.Err()); err != nil {
			return fmt.Errorf("mark what pin %s leads to: %w", pin.Root, err)
		}
	}
	return nil
}

// sweep goes through the index once.
func (c *collection) sweep(ctx context.Context) error {
	var seen int64
	err := c.s.ix.scan(ctx, prefixBlock, func(d block.Digest, e entry) error {
		if seen++; seen%reportEvery == 0 {
			report(c.opts.Progress, Progress{Stage: "sweep", Done: seen})
		}
		switch {
		case c.marked.has(d):
			c.keep(e)
			return nil
		case e.stamp >= c.res.Epoch:
			c.res.KeptRecent++
			c.keep(e)
			return nil
		}
		c.dead = append(c.dead, victim{d, e})
		if len(c.dead) < sweepBatch {
			return nil
		}
		return c.remove(ctx)
	}, nil)
	if err != nil {
		return err
	}
	return c.remove(ctx)
}

func (c *collection) keep(e entry) {
	c.res.KeptBlocks++
	c.res.KeptBytes += int64(e.loc.Len)
	c.live[e.loc.Pack] = append(c.live[e.loc.Pack], e.loc)
}

// remove deletes the batch of victims and tells of it.
func (c *collection) remove(ctx context.Context) error {
	c.gone = c.gone[:0]
	if err := c.deleteDead(); err != nil {
		return err
	}
	if c.opts.Removed != nil && len(c.gone) > 0 {
		c.opts.Removed(ctx, c.gone)
	}
	return nil
}

// deleteDead takes the batch of victims out of the index, except those that
// somebody touched since they were looked at: check and deletion are one step
// for everyone who stamps.
func (c *collection) deleteDead() error {
	defer func() { c.dead = c.dead[:0] }()
	if !c.opts.DryRun && !c.short && c.s.space.shortage(deletesNeed) != nil {
		c.short = true
	}
	if c.short { // the rest waits for what this round gives back
		for _, v := range c.dead {
			c.keep(v.e)
		}
		return nil
	}
	if c.opts.DryRun || len(c.dead) == 0 {
		for _, v := range c.dead {
			c.swept(v.e)
		}
		return nil
	}
	keys := blockKeys(len(c.dead), func(i int) block.Digest { return c.dead[i].digest })
	batch := &kv.Batch{}
	var blocks, bytes int64
	c.s.ix.change.Lock()
	defer c.s.ix.change.Unlock()
	c.s.ix.unwritten.forget(c.res.Epoch)
	err := c.s.ix.lookupMany(keys, func(i int, e entry) {
		if max(e.stamp, c.s.ix.unwritten[c.dead[i].digest]) >= c.res.Epoch {
			c.res.KeptRecent++
			c.keep(e)
			return
		}
		batch.Delete(keys[i])
		blocks++
		bytes += int64(e.loc.Len)
		c.swept(e)
		if c.opts.Removed != nil {
			c.gone = append(c.gone, block.MakeID(e.codec, c.dead[i].digest))
		}
	})
	if err != nil {
		return err
	}
	if err := c.s.ix.apply(batch); err != nil {
		return err
	}
	c.s.counts.add(-blocks, -bytes)
	return nil
}

func (c *collection) swept(e entry) {
	c.res.SweptBlocks++
	c.res.SweptBytes += int64(e.loc.Len)
}

// emptyQuarantine forgets the damaged blocks that are known so far.
func (c *collection) emptyQuarantine(ctx context.Context) (old map[block.Digest]bool, err error) {
	old = map[block.Digest]bool{}
	batch := &kv.Batch{}
	err = c.s.ix.scan(ctx, prefixQuarantine, func(d block.Digest, _ entry) error {
		old[d] = true
		batch.Delete(digestKey(prefixQuarantine, d))
		return nil
	}, nil)
	c.res.Quarantined = int64(len(old))
	if err != nil || c.opts.DryRun {
		return old, err
	}
	return old, c.s.ix.apply(batch)
}

// keepQuarantine saves the bytes of what was found damaged while the collection
// ran: they wait for the next one.
func (c *collection) keepQuarantine(ctx context.Context, old map[block.Digest]bool) error {
	return c.s.ix.scan(ctx, prefixQuarantine, func(d block.Digest, e entry) error {
		if !old[d] {
			c.live[e.loc.Pack] = append(c.live[e.loc.Pack], e.loc)
		}
		return nil
	}, nil)
}

// reclaim frees the disk space that nothing refers to, whatever left it there:
// this sweep, one that a crash interrupted, or a commit that did not come about.
func (c *collection) reclaim(ctx context.Context) error {
	batch := &kv.Batch{}
	for i, info := range c.ends {
		if err := ctx.Err(); err != nil {
			return err
		}
		report(c.opts.Progress, Progress{Stage: "free", Done: int64(i), Total: int64(len(c.ends))})
		removed, err := c.reclaimPack(info)
		if err != nil {
			return err
		}
		if removed {
			c.res.RemovedPacks++
			batch.Delete(packKey(info.ID))
		}
	}
	if c.opts.DryRun || batch.Len() == 0 {
		return nil
	}
	// A pack that is remembered but not there does no harm, so the order of the
	// two does not matter.
	if err := c.s.packs.SyncDir(); err != nil {
		return err
	}
	return c.s.ix.apply(batch)
}

func (c *collection) reclaimPack(info pack.Info) (removed bool, err error) {
	live := c.live[info.ID]
	slices.SortFunc(live, func(a, b pack.Loc) int { return cmp.Compare(a.Off, b.Off) })
	whole := len(live) == 0 && !info.Appending
	gaps := pack.Gaps(live, info.End)
	if c.opts.DryRun {
		n, err := c.s.packs.Reclaimable(info.ID, gaps, whole)
		c.res.FreedBytes += n
		return whole, ignoreGone(err)
	}
	if whole {
		freed, removed, err := c.s.packs.Remove(info.ID, info.End)
		if err != nil || removed {
			c.res.FreedBytes += freed
			return removed, err
		}
	}
	n, err := c.s.packs.Punch(info.ID, gaps)
	c.res.FreedBytes += n
	return false, ignoreGone(err)
}

// ignoreGone forgives that a pack vanished: then there is nothing to free.
func ignoreGone(err error) error {
	if errors.Is(err, pack.ErrGone) {
		return nil
	}
	return err
}
