package blockstore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/decube/decube/block"
	"github.com/decube/decube/blockstore/internal/kv"
	"github.com/decube/decube/blockstore/internal/pack"
)

// FsckOptions says how thorough a check is.
type FsckOptions struct {
	// ReadData reads and verifies every block. Without it, places and headers
	// are checked only.
	ReadData bool
	// Repair puts damaged blocks into quarantine, stores those anew of which only the
	// record around them is damaged, drops entries that cannot be read, and takes up intact blocks that the index does not know. Those may
	// be garbage; the next collection knows. Pins that were damaged while the store
	// was open are written anew; otherwise it takes RebuildPins.
	Repair bool
	// Progress, if not nil, is called now and then.
	Progress func(Progress)
}

// FsckReport is the result of a check. The store is in order if OK.
type FsckReport struct {
	Blocks       int64 // in the index
	Bytes        int64
	Packs        int
	ReadBlocks   int64 // whose bytes were verified
	Damaged      int64 // the bytes, or the header, are not what they should be
	Missing      int64 // the place does not exist
	Unreadable   int64 // the disk returned an error; never put into quarantine
	Overlapping  int64 // shares bytes with another block
	BadEntries   int64 // index entries that cannot be read
	PinsDamaged  bool  // see Store.PinsDamage
	Unindexed    int64 // intact blocks that the index does not know; with ReadData or Repair
	Quarantined  int64 // put into quarantine by this check
	Adopted      int64 // unindexed blocks taken up
	Unreferenced int64 // disk bytes that the next collection frees
	Findings     []Finding
}

// MaxFindings bounds FsckReport.Findings; the counts go on.
const MaxFindings = 256

// Finding is one thing that is wrong.
type Finding struct {
	Kind   string // damaged, missing, unreadable, overlapping, bad entry, pins
	ID     block.ID
	Pack   uint32
	Offset int64
	Detail string
}

// OK reports whether nothing is wrong. Unindexed blocks and unreferenced space
// are what a crash may leave, and no fault.
func (r FsckReport) OK() bool {
	return r.Damaged+r.Missing+r.Unreadable+r.Overlapping+r.BadEntries == 0 && !r.PinsDamaged
}

// Fsck checks the index against the packs, and with ReadData every byte. It runs
// beside all other calls except GC. It holds about 100 bytes of memory per block.
func (s *Store) Fsck(ctx context.Context, opts FsckOptions) (FsckReport, error) {
	if s.ro && opts.Repair {
		return FsckReport{}, fmt.Errorf("repair the block store: %w", ErrReadOnly)
	}
	if err := s.use(ctx); err != nil {
		return FsckReport{}, err
	}
	defer s.gate.leave()
	if !s.upkeep.TryLock() {
		return FsckReport{}, ErrBusy
	}
	defer s.upkeep.Unlock()
	c := &check{s: s, opts: opts, byPack: map[uint32][]indexed{}, buf: make([]byte, block.MaxSize)}
	if err := c.run(ctx); err != nil {
		return c.report, fmt.Errorf("check the block store: %w", err)
	}
	return c.report, nil
}

// check is one run of the checker.
type check struct {
	s      *Store
	opts   FsckOptions
	report FsckReport
	byPack map[uint32][]indexed
	buf    []byte
	done   int64
}

// indexed is an entry with its key.
type indexed struct {
	digest block.Digest
	e      entry
}

func (c *check) run(ctx context.Context) error {
	packs := c.s.packs.List()
	c.report.Packs = len(packs)
	if err := c.readIndex(ctx); err != nil {
		return err
	}
	for _, info := range packs {
		blocks := c.byPack[info.ID]
		delete(c.byPack, info.ID)
		// What lies behind the end was committed since the list was made.
		blocks = slices.DeleteFunc(blocks, func(b indexed) bool { return info.Appending && b.e.loc.Off >= info.End })
		if err := c.checkPack(ctx, info, blocks); err != nil {
			return err
		}
	}
	for id, blocks := range c.byPack { // of packs that are gone, or new
		if err := c.checkBlocks(ctx, blocks); err != nil {
			return fmt.Errorf("pack %d: %w", id, err)
		}
	}
	if err := c.checkPins(); err != nil {
		return err
	}
	return c.s.ix.sync()
}

// checkPins looks at what was wrong when the store was opened, and at the file as
// it is now. What only the file lacks is in memory, and needs no rebuilding.
func (c *check) checkPins() error {
	damage, inMemory := c.s.pins.lost(), false
	if damage == nil {
		damage, inMemory = c.s.pins.check(), true
	}
	if damage == nil {
		return nil
	}
	c.find(Finding{Kind: "pins", Detail: damage.Error()})
	if inMemory && c.opts.Repair {
		return c.s.pins.rewrite()
	}
	c.report.PinsDamaged = true
	return nil
}

func (c *check) readIndex(ctx context.Context) error {
	var bad [][]byte
	keepLive := func(d block.Digest, e entry) error {
		c.report.Blocks++
		c.report.Bytes += int64(e.loc.Len)
		c.byPack[e.loc.Pack] = append(c.byPack[e.loc.Pack], indexed{d, e})
		return nil
	}
	err := c.s.ix.scan(ctx, prefixBlock, keepLive, func(key []byte, err error) {
		c.report.BadEntries++
		c.find(Finding{Kind: "bad entry", Detail: err.Error()})
		bad = append(bad, slices.Clone(key))
	})
	if err != nil || !c.opts.Repair || len(bad) == 0 {
		return err
	}
	batch := &kv.Batch{}
	for _, key := range bad {
		batch.Delete(key)
	}
	return c.s.ix.apply(batch)
}

// find records a finding, as long as there is room.
func (c *check) find(f Finding) {
	if len(c.report.Findings) < MaxFindings {
		c.report.Findings = append(c.report.Findings, f)
	}
}

func (c *check) checkPack(ctx context.Context, info pack.Info, blocks []indexed) error {
	if err := c.checkBlocks(ctx, blocks); err != nil {
		return err
	}
	live := make([]pack.Loc, len(blocks))
	for i, b := range blocks {
		live[i] = b.e.loc
	}
	gaps := pack.Gaps(live, info.End)
	n, err := c.s.packs.Reclaimable(info.ID, gaps, false)
	if err != nil {
		return ignoreGone(err)
	}
	c.report.Unreferenced += n
	if n == 0 || !c.opts.ReadData && !c.opts.Repair {
		return nil
	}
	// Small blocks lie less than a page apart, so the search is not confined to
	// the gaps; it skips what is live in between.
	return c.searchGaps(ctx, info, live)
}

// checkBlocks sorts the blocks of one pack by their places and checks them.
func (c *check) checkBlocks(ctx context.Context, blocks []indexed) error {
	slices.SortFunc(blocks, func(a, b indexed) int { return cmp.Compare(a.e.loc.Off, b.e.loc.Off) })
	var end int64
	for _, b := range blocks {
		if err := ctx.Err(); err != nil {
			return err
		}
		if c.done++; c.done%1024 == 0 {
			report(c.opts.Progress, Progress{Stage: "check", Done: c.done, Total: c.report.Blocks})
		}
		if b.e.loc.Off < end {
			c.report.Overlapping++
			c.fault("overlapping", b, fmt.Errorf("it starts before offset %d", end))
		}
		end = max(end, b.e.loc.End())
		if err := c.verify(b); err != nil {
			if err := c.damaged(ctx, b, err); err != nil {
				return err
			}
		}
	}
	return nil
}

// verify compares a block with its entry.
func (c *check) verify(b indexed) error {
	h, err := c.s.packs.ReadHeader(b.e.loc)
	if err != nil {
		return err
	}
	if h.Digest != b.digest || h.Len != b.e.loc.Len {
		return fmt.Errorf("%w: it is of another block", pack.ErrHeader)
	}
	if !c.opts.ReadData {
		return nil
	}
	data := c.buf[:b.e.loc.Len]
	if err := c.s.packs.ReadBlock(b.e.loc, data); err != nil {
		return err
	}
	c.report.ReadBlocks++
	if _, err = block.Check(block.MakeID(b.e.codec, b.digest), data); err != nil {
		return err
	}
	if h.Summed && pack.Sum(data) != h.Sum {
		return pack.ErrChecksum
	}
	return nil
}

// damaged counts a block that did not pass, unless it moved in the meantime.
func (c *check) damaged(ctx context.Context, b indexed, damage error) error {
	now, err := c.s.ix.lookup(b.digest)
	if errors.Is(err, block.ErrNotFound) || err == nil && now.loc != b.e.loc {
		return nil
	}
	if err != nil {
		return err
	}
	switch {
	case errors.Is(damage, pack.ErrGone) || errors.Is(damage, pack.ErrShort):
		c.report.Missing++
		c.fault("missing", b, damage)
	case isDamage(damage):
		c.report.Damaged++
		c.fault("damaged", b, damage)
	default:
		c.report.Unreadable++
		c.fault("unreadable", b, damage)
		return nil // the next attempt may succeed
	}
	if !c.opts.Repair {
		return nil
	}
	if good, ok := c.whole(b, damage); ok {
		return c.s.relocate(ctx, good, b.e.loc)
	}
	taken, err := c.s.takeOut(b.digest, b.e, damage)
	if taken {
		c.report.Quarantined++
		c.s.obs.Corrupted(block.MakeID(b.e.codec, b.digest), damage)
	}
	return err
}

// whole returns the block whose record is damaged, if its bytes are not.
func (c *check) whole(b indexed, damage error) (block.Block, bool) {
	if !errors.Is(damage, pack.ErrHeader) && !errors.Is(damage, pack.ErrChecksum) {
		return block.Block{}, false
	}
	data := c.buf[:b.e.loc.Len]
	if c.s.packs.ReadBlock(b.e.loc, data) != nil {
		return block.Block{}, false
	}
	good, err := block.Check(block.MakeID(b.e.codec, b.digest), data)
	return good, err == nil
}

func (c *check) fault(kind string, b indexed, err error) {
	c.find(Finding{Kind: kind, ID: block.MakeID(b.e.codec, b.digest), Pack: b.e.loc.Pack, Offset: b.e.loc.Off, Detail: err.Error()})
}

// searchGaps looks for intact blocks between the live ones.
func (c *check) searchGaps(ctx context.Context, info pack.Info, live []pack.Loc) error {
	at := int64(pack.FirstRecord)
	for _, l := range append(live, pack.Loc{Off: info.End}) {
		if l.Off > at {
			if err := c.s.packs.Scan(ctx, info.ID, at, l.Off, c.adopt); err != nil {
				return ignoreGone(err)
			}
		}
		at = max(at, l.End())
	}
	return nil
}

// adopt takes up a block that the index does not know.
func (c *check) adopt(r pack.Record) error {
	if !r.OK {
		return nil
	}
	c.s.ix.change.Lock()
	defer c.s.ix.change.Unlock()
	_, err := c.s.ix.lookup(r.Digest)
	if !errors.Is(err, block.ErrNotFound) {
		return err // known: this is a second copy
	}
	c.report.Unindexed++
	if !c.opts.Repair {
		return nil
	}
	e := entry{codec: r.Codec, stamp: c.s.epochs.now(), loc: r.Loc}
	batch := &kv.Batch{}
	batch.Set(digestKey(prefixBlock, r.Digest), e.append(nil))
	if err := c.s.ix.apply(batch); err != nil {
		return err
	}
	c.report.Adopted++
	c.s.counts.add(1, int64(r.Loc.Len))
	return nil
}
