package archive

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/dgraph-io/badger/v4"
)

// format is the version of what the package comment describes.
const format = 1

// restore finds out what there is, and cuts off what is not whole.
func (a *Archive) restore() error {
	if err := a.restoreFormat(); err != nil {
		return err
	}
	if err := a.restoreBlocks(); err != nil {
		return err
	}
	if err := a.dropOthers(); err != nil {
		return err
	}
	b, err := a.get(meta.key(kindPruned))
	if err == nil && len(b) == 8 {
		a.pruned.Store(binary.BigEndian.Uint64(b))
		a.db.SetDiscardTs(version(a.pruned.Load()))
	} else if !errors.Is(err, ErrNotFound) {
		return fmt.Errorf("what is pruned: %w: %d bytes, %w", ErrCorrupt, len(b), err)
	}
	if a.evidence, err = a.loadRing(kindEvidence, MaxEvidence); err != nil {
		return err
	}
	a.views, err = a.loadRing(kindNewView, MaxNewViews)
	return err
}

func (a *Archive) restoreFormat() error {
	b, err := a.get(meta.key(kindFormat))
	if errors.Is(err, ErrNotFound) {
		return a.use(1)
	}
	if err != nil {
		return err
	}
	if len(b) != 2 || b[0] != format || b[1] == 0 {
		return fmt.Errorf("%w: %x, this is version %d", ErrFormat, b, format)
	}
	a.gen.Store(uint32(b[1]))
	return nil
}

// use makes a generation the one in use.
func (a *Archive) use(g space) error {
	if err := a.putMeta(meta.key(kindFormat), []byte{format, byte(g)}); err != nil {
		return err
	}
	a.gen.Store(uint32(g))
	return nil
}

// restoreBlocks finds the head: the last block of those that are whole and follow one
// another since what is known to be durable.
func (a *Archive) restoreBlocks() error {
	g := a.space()
	last, ok, err := a.edge(g, true)
	if err != nil || !ok {
		return err
	}
	first, _, err := a.edge(g, false)
	if err != nil {
		return err
	}
	from := first
	if r, err := a.readRecord(g, last); err == nil && r.durable > 0 {
		from = max(first, r.durable-1)
	}
	head, err := a.whole(g, from, last)
	if err != nil {
		return err
	}
	for seq := last; seq > head.decision.Header.Seq; seq-- {
		a.log.Warn("archive: cut off a block that is not whole", "seq", seq)
		if err := a.cut(g, seq); err != nil {
			return err
		}
	}
	seq := head.decision.Header.Seq
	if seq == first && head.parts == 0 {
		first++
	} else if r, err := a.readRecord(g, first); err != nil {
		return err
	} else if r.parts == 0 {
		first++
	}
	a.first.Store(first)
	a.head.Store(place(head.decision))
	for ; ; seq-- {
		r, err := a.readRecord(g, seq)
		if err != nil {
			return err
		}
		if r.stateful {
			a.stateAt.Store(seq + 1)
			return nil
		}
		if seq == 0 {
			return nil
		}
	}
}

// edge returns the first or the last block that has a record.
func (a *Archive) edge(g space, last bool) (seq uint64, ok bool, err error) {
	err = a.db.View(func(txn *badger.Txn) error {
		opts := badger.DefaultIteratorOptions
		opts.PrefetchValues = false
		opts.Reverse = last
		opts.Prefix = g.key(kindBlock)
		it := txn.NewIterator(opts)
		defer it.Close()
		from := g.key(kindBlock)
		if last {
			from = g.key(kindBlock, math.MaxUint64)
		}
		it.Seek(from)
		if !it.Valid() {
			return nil
		}
		key := it.Item().Key()
		if len(key) != 10 {
			return fmt.Errorf("key %x: %w", key, ErrCorrupt)
		}
		seq, ok = binary.BigEndian.Uint64(key[2:]), true
		return nil
	})
	return seq, ok, err
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
	c := a.change(version(seq))
	defer c.discard()
	if err := c.delete(g.key(kindBlock, seq)); err != nil {
		return err
	}
	return c.commit()
}

// dropOthers drops generations that are neither in use nor being built.
func (a *Archive) dropOthers() error {
	for g := space(1); g != 0; g++ {
		if g == a.space() {
			continue
		}
		if _, err := a.get(g.key(kindTransfer)); err == nil {
			continue
		} else if !errors.Is(err, ErrNotFound) {
			return err
		}
		if err := a.dropGeneration(g); err != nil {
			return err
		}
	}
	return nil
}

var errSome = errors.New("there are some")

// dropGeneration deletes all of a generation.
func (a *Archive) dropGeneration(g space) error {
	prefix := []byte{byte(g)}
	err := a.keys(prefix, func([]byte) error { return errSome })
	if !errors.Is(err, errSome) {
		return err
	}
	return a.db.DropPrefix(bytes.Clone(prefix))
}
