package blockstore

import (
	"context"
	"encoding/binary"
	"fmt"
	"sync"

	"github.com/decube/decube/block"
	"github.com/decube/decube/blockstore/internal/kv"
)

// Stat describes a store. Sizes are in bytes.
type Stat struct {
	Blocks      int64
	Bytes       int64 // of the blocks themselves
	DiskBytes   int64 // occupied, index and reserved space included
	IndexBytes  int64 // of these, by the index
	Packs       int
	Pins        int
	Quarantined int
	Epoch       uint32
	Quota       int64 // 0 means none
	MinFree     int64
	Free        int64 // on the disk
}

// Stat returns figures about the store. It is cheap, except once after a crash,
// when the blocks are counted anew (about 0.5 s for a million).
func (s *Store) Stat(ctx context.Context) (Stat, error) {
	if err := s.use(ctx); err != nil {
		return Stat{}, err
	}
	defer s.gate.leave()
	st := Stat{Quota: s.cfg.Quota, MinFree: s.cfg.MinFree, Epoch: s.epochs.now(), Pins: s.pins.len(), Packs: len(s.packs.List())}
	var err error
	if st.Blocks, st.Bytes, err = s.counts.get(ctx, s.ix); err != nil {
		return Stat{}, fmt.Errorf("count the blocks: %w", err)
	}
	if st.IndexBytes, err = s.ix.db.Size(); err != nil {
		return Stat{}, err
	}
	st.DiskBytes = st.IndexBytes + s.packs.Occupied()
	if st.Free, err = s.fs.Free(s.dir); err != nil {
		return Stat{}, err
	}
	err = s.ix.db.Scan(ctx, kv.Range{Prefix: []byte{prefixQuarantine}, KeysOnly: true}, func(_, _ []byte) error {
		st.Quarantined++
		return nil
	})
	return st, err
}

// CheckWritable returns nil, or an error that matches ErrNoSpace when the disk is so
// full that nothing can be added, not even to a Datastore: pins can be removed and
// garbage can be collected all the same. Of a store that is open for reading only it
// returns ErrReadOnly.
func (s *Store) CheckWritable(ctx context.Context) error {
	if err := s.change(ctx); err != nil {
		return err
	}
	defer s.gate.leave()
	return s.space.shortage(s.space.keepForIndex())
}

// counts are the number of blocks and of their bytes. They are saved at Close
// and taken away at Open, so that after a crash they are missing rather than wrong.
type counts struct {
	mu     sync.Mutex
	known  bool
	blocks int64
	bytes  int64
}

// add is called with ix.change held, after the change is visible.
func (c *counts) add(blocks, bytes int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.blocks += blocks
	c.bytes += bytes
}

func (c *counts) get(ctx context.Context, ix *index) (blocks, bytes int64, err error) {
	if blocks, bytes, known := c.read(); known {
		return blocks, bytes, nil
	}
	ix.change.Lock()
	defer ix.change.Unlock()
	err = ix.scan(ctx, prefixBlock, func(_ block.Digest, e entry) error {
		blocks++
		bytes += int64(e.loc.Len)
		return nil
	}, func([]byte, error) {})
	if err != nil {
		return 0, 0, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.known, c.blocks, c.bytes = true, blocks, bytes
	return blocks, bytes, nil
}

func (c *counts) read() (blocks, bytes int64, known bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.blocks, c.bytes, c.known
}

// load takes the saved counts. A new store has none, and needs none.
func (c *counts) load(ix *index) error {
	val, err := ix.meta(keyCounts)
	if err != nil || len(val) != 16 {
		return err
	}
	c.blocks = int64(binary.LittleEndian.Uint64(val))
	c.bytes = int64(binary.LittleEndian.Uint64(val[8:]))
	c.known = true
	// Later changes are never durable without this one.
	b := &kv.Batch{}
	b.Delete(keyCounts)
	return ix.apply(b)
}

func (c *counts) save(ix *index) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.known {
		return nil
	}
	val := binary.LittleEndian.AppendUint64(nil, uint64(c.blocks))
	val = binary.LittleEndian.AppendUint64(val, uint64(c.bytes))
	return ix.setMeta(keyCounts, val)
}
