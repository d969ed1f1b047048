package archive

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// format is the version of what the package comment describes.
const format = 1

// restore finds out what there is, and cuts off what is not whole.
func (a *Archive) restore() error {
	g, err := a.restoreFormat()
	if err != nil {
		return err
	}
	c, err := a.restoreBlocks(g)
	if err != nil {
		return err
	}
	a.chain.Store(c)
	if err := a.dropOthers(); err != nil {
		return err
	}
	b, err := a.get(meta.key(kindPruned))
	if err == nil && len(b) == 8 {
		a.pruned.Store(binary.BigEndian.Uint64(b))
		a.store.Discard(version(a.pruned.Load()))
	} else if !errors.Is(err, ErrNotFound) {
		return fmt.Errorf("what is pruned: %w: %d bytes, %w", ErrCorrupt, len(b), err)
	}
	return a.loadRings()
}

func (a *Archive) restoreFormat() (space, error) {
	b, err := a.get(meta.key(kindFormat))
	if errors.Is(err, ErrNotFound) {
		return 1, a.use(1)
	}
	if err != nil {
		return 0, err
	}
	if len(b) != 2 || b[0] != format || b[1] == 0 {
		return 0, fmt.Errorf("%w: %x, this is version %d", ErrFormat, b, format)
	}
	return space(b[1]), nil
}

// use notes which generation is the one in use.
func (a *Archive) use(g space) error {
	return a.putMeta(meta.key(kindFormat), []byte{format, byte(g)})
}

// restoreBlocks returns the chain of the blocks that are whole and follow one another
// since what is known to be durable, and cuts off the rest.
func (a *Archive) restoreBlocks(g space) (*chain, error) {
	c := &chain{space: g, index: newIndex(0)}
	last, ok, err := a.edge(g, true)
	if err != nil || !ok {
		return c, err
	}
	first, _, err := a.edge(g, false)
	if err != nil {
		return nil, err
	}
	r, err := a.readRecord(g, first)
	if err != nil {
		return nil, err
	}
	if c.first, c.earliest = first, first; r.parts == 0 {
		c.earliest++
	}
	note, err := a.readPruned(g)
	if err != nil {
		return nil, err
	}
	c.earliest = max(c.earliest, note.earliest)
	// Bodies are dropped of durable blocks only.
	from := max(first, note.earliest)
	if note.earliest > first {
		from--
	}
	if r, err := a.readRecord(g, last); err == nil && r.durable > 0 {
		from = max(from, r.durable-1)
	}
	head, err := a.whole(g, from, last)
	if err != nil {
		return nil, err
	}
	c.head = place(head.decision)
	for seq := last; seq > c.head.Header.Seq; seq-- {
		a.log.Warn("archive: cut off a block that is not whole", "seq", seq)
		if err := a.cut(g, seq); err != nil {
			return nil, err
		}
	}
	if err := a.restoreIndex(c, head.base); err != nil {
		return nil, err
	}
	c.stateful, err = a.lastStateful(c)
	return c, err
}

// lastStateful returns the last block whose state is stored, plus 1.
func (a *Archive) lastStateful(c *chain) (uint64, error) {
	for seq := c.head.Header.Seq + 1; seq > c.origin(); seq-- {
		r, err := a.readRecord(c.space, seq-1)
		if err != nil || r.stateful {
			return seq, err
		}
	}
	return 0, nil
}

// restoreIndex puts into memory what no group has.
func (a *Archive) restoreIndex(c *chain, base uint64) error {
	c.index = newIndex(base)
	for seq := max(base, c.first); seq <= c.head.Header.Seq; seq++ {
		r, err := a.readRecord(c.space, seq)
		if err != nil {
			return err
		}
		if r.parts == 0 {
			continue // it was installed
		}
		ids, err := a.idsOf(c.space, r, seq < c.earliest)
		if err != nil {
			return err
		}
		c.index.add(seq, ids)
	}
	return nil
}

// edge returns the first or the last block that has a record.
func (a *Archive) edge(g space, last bool) (seq uint64, ok bool, err error) {
	for item, err := range a.store.Scan(Range{Prefix: g.key(kindBlock), Reverse: last, KeysOnly: true}) {
		if err != nil {
			return 0, false, err
		}
		if len(item.Key) != 10 {
			return 0, false, fmt.Errorf("key %x: %w", item.Key, ErrCorrupt)
		}
		return binary.BigEndian.Uint64(item.Key[2:]), true, nil
	}
	return 0, false, nil
}

// whole returns the last block up to which all are whole. The first is known to be
// durable, or is the only one there was.
func (a *Archive) whole(g space, first, last uint64) (*record, error) {
	head, err := a.readRecord(g, first)
	if err != nil {
		return nil, err
	}
	for seq := first + 1; seq <= last; seq++ {
		r, err := a.wholeBlock(g, seq)
		if err == nil && r.decision.Header.Parent != head.decision.Header.Digest() {
			err = fmt.Errorf("block %d: %w: it does not follow the one before", seq, ErrCorrupt)
		}
		if errors.Is(err, ErrCorrupt) || errors.Is(err, ErrNotFound) {
			a.log.Warn("archive: not whole after a crash", "err", err)
			return head, nil
		}
		if err != nil {
			return nil, err
		}
		head = r
	}
	return head, nil
}

// wholeBlock returns a block's record if everything that was written with it is
// there.
func (a *Archive) wholeBlock(g space, seq uint64) (*record, error) {
	r, err := a.readRecord(g, seq)
	if err != nil {
		return nil, err
	}
	for i := 1; i <= r.changes; i++ {
		if _, err := a.get(g.part(kindPart, seq, i)); err != nil {
			return nil, err
		}
	}
	_, _, err = a.readBody(g, r)
	return r, err
}

// cut takes a block's record away. The rest of it is out of reach then, and is written
// again when the block is.
func (a *Archive) cut(g space, seq uint64) error {
	w := a.writer(version(seq))
	if err := w.delete(g.key(kindBlock, seq)); err != nil {
		return err
	}
	return w.flush()
}

// dropOthers drops generations that are neither in use nor being built.
func (a *Archive) dropOthers() error {
	for g := space(1); g != 0; g++ {
		if g == a.chain.Load().space {
			continue
		}
		// Nearly all generations are empty: the one look at each is at whether it is.
		empty, err := a.empty(g)
		if err != nil {
			return err
		}
		if empty {
			continue
		}
		if _, err := a.get(g.key(kindTransfer)); err == nil {
			continue
		} else if !errors.Is(err, ErrNotFound) {
			return err
		}
		if err := a.store.Drop([]byte{byte(g)}); err != nil {
			return err
		}
	}
	return nil
}

// empty reports whether there is nothing of a generation.
func (a *Archive) empty(g space) (bool, error) {
	for _, err := range a.store.Scan(Range{Prefix: []byte{byte(g)}, KeysOnly: true}) {
		return false, err
	}
	return true, nil
}

// dropGeneration deletes all of a generation, if there is any.
func (a *Archive) dropGeneration(g space) error {
	if empty, err := a.empty(g); empty || err != nil {
		return err
	}
	return a.store.Drop([]byte{byte(g)})
}
