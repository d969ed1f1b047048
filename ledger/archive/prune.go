package archive

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/ledger/tx"
)

const (
	// pruneBlocks and pruneBytes bound how many bodies one call of PruneBodies drops.
	pruneBlocks = 512
	pruneBytes  = 32 << 20
)

// pruned is what is noted of bodies that were dropped.
type pruned struct {
	earliest uint64 // the first block whose body is there
	cleaned  uint64 // of blocks before this one nothing is left of a body
}

// PruneBodies drops bodies of blocks before one, as many as a bounded amount of work
// does, and returns the first block whose body is left. Headers and certificates stay,
// and of each transaction its ID: Find knows it, and IDs. A body that may be needed to
// make a state again after a crash is not dropped, nor one that is not known to be
// durable. It may run beside Append, Sync and readers; a second call meanwhile does
// nothing. After an error nothing more can be appended.
func (a *Archive) PruneBodies(below uint64) (earliest uint64, err error) {
	if !a.pruning.TryLock() {
		return a.Earliest(), nil
	}
	defer a.pruning.Unlock()
	if err := a.broken(); err != nil {
		return 0, err
	}
	c := a.chain.Load()
	to, err := a.pruneTo(c, below)
	if err != nil || to <= c.earliest {
		return c.earliest, err
	}
	if err := a.pruneBodies(c, to); err != nil {
		if errors.Is(err, ErrPruned) {
			return a.Earliest(), nil // a checkpoint was installed meanwhile
		}
		return c.earliest, a.fail(fmt.Errorf("prune bodies before block %d: %w", to, err))
	}
	return a.Earliest(), nil
}

// pruneTo returns up to which block bodies may be dropped in one go.
func (a *Archive) pruneTo(c *chain, below uint64) (uint64, error) {
	durable := a.durable.Load()
	if durable == 0 || c.head == nil {
		return 0, nil
	}
	// The state after a crash is made from the last one that is durable, with the bodies
	// behind it.
	stateful, err := a.lastState(c, min(durable-1, c.head.Header.Seq))
	if err != nil {
		return 0, err
	}
	return min(below, stateful+1, c.earliest+pruneBlocks), nil
}

// pruneBodies drops the bodies from the first one on. A crash may leave any part of
// what was written since the last sync where the disk does as it likes, so that there
// is a sync wherever one thing must not be there without another: the IDs before the
// note that they take the bodies' place, and that before the bodies go. What is left of
// bodies that were to go is dropped again the next time.
func (a *Archive) pruneBodies(c *chain, to uint64) error {
	note, err := a.readPruned(c.space)
	if err != nil {
		return err
	}
	if to, err = a.putIDs(c, to); err != nil {
		return err
	}
	if err := a.store.Sync(); err != nil {
		return err
	}
	cleaned := note.cleaned // behind the last one whose bodies were dropped for sure
	if err := a.putPruned(c, pruned{earliest: to, cleaned: cleaned}); err != nil {
		return err
	}
	if err := a.store.Sync(); err != nil {
		return err
	}
	if err := a.forgetBodies(c, to); err != nil {
		return err
	}
	if err := a.dropBodies(c, max(cleaned, c.origin()), to); err != nil {
		return err
	}
	if err := a.store.Sync(); err != nil {
		return err
	}
	return a.putPruned(c, pruned{earliest: to, cleaned: to})
}

// putIDs stores the IDs of blocks whose bodies are to go, and returns up to which block
// the bounds allow.
func (a *Archive) putIDs(c *chain, to uint64) (uint64, error) {
	bytes := 0
	for seq := c.earliest; seq < to; seq++ {
		r, err := a.readRecord(c.space, seq)
		if err != nil {
			return 0, a.moved(c, err)
		}
		body, batch, err := a.readBody(c.space, r)
		if err != nil {
			return 0, a.moved(c, err)
		}
		if bytes += len(body); bytes > pruneBytes && seq > c.earliest {
			return seq, nil
		}
		w := a.writer(version(seq))
		if err := w.put(c.key(kindIDs, seq), joinIDs(batch.IDs())); err != nil {
			return 0, err
		}
		if err := w.flush(); err != nil {
			return 0, err
		}
	}
	return to, nil
}

// forgetBodies publishes that bodies before a block are gone.
func (a *Archive) forgetBodies(c *chain, to uint64) error {
	a.linking.Lock()
	defer a.linking.Unlock()
	now := *a.chain.Load()
	if now.space != c.space {
		return ErrPruned
	}
	now.earliest = to
	a.chain.Store(&now)
	return nil
}

// dropBodies deletes the parts of bodies. It does so at the version of the last block,
// above that of the parts, so that the store finds out that they are of no use.
func (a *Archive) dropBodies(c *chain, from, to uint64) error {
	w := a.writer(version(c.head.Header.Seq))
	for seq := from; seq < to; seq++ {
		r, err := a.readRecord(c.space, seq)
		if err != nil {
			return a.moved(c, err)
		}
		for i := range r.parts {
			if err := w.delete(c.part(kindBody, seq, i)); err != nil {
				return err
			}
		}
	}
	return w.flush()
}

// readPruned returns what is noted of dropped bodies; zeros if nothing is.
func (a *Archive) readPruned(g space) (pruned, error) {
	b, err := a.get(g.key(kindNote))
	if errors.Is(err, ErrNotFound) {
		return pruned{}, nil
	}
	if err == nil {
		b, err = open(b)
	}
	if err != nil || len(b) != 16 {
		return pruned{}, fmt.Errorf("which bodies are gone: %w: %d bytes, %w", ErrCorrupt, len(b), err)
	}
	return pruned{binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:])}, nil
}

func (a *Archive) putPruned(c *chain, p pruned) error {
	if a.chain.Load().space != c.space {
		return ErrPruned
	}
	w := a.writer(version(c.head.Header.Seq))
	if err := w.put(c.key(kindNote), seal(appendSeq(appendSeq(nil, p.earliest), p.cleaned))); err != nil {
		return err
	}
	return w.flush()
}

// IDs returns the IDs of a block's transactions, whether its body is left or not. The
// errors are Decision's; ErrPruned is also that for a block that was installed.
func (a *Archive) IDs(seq uint64) ([]tx.ID, error) {
	c := a.chain.Load()
	r, err := a.record(c, seq)
	if err != nil {
		return nil, err
	}
	if r.parts == 0 {
		return nil, fmt.Errorf("transactions of block %d: %w", seq, ErrPruned)
	}
	ids, err := a.ids(c, r)
	return ids, a.moved(c, err)
}

// ids returns the IDs of a block's transactions, from where they are.
func (a *Archive) ids(c *chain, r *record) ([]tx.ID, error) {
	seq := r.decision.Header.Seq
	ids, err := a.idsOf(c.space, r, seq < c.earliest)
	if err != nil && seq >= c.earliest && a.chain.Load().earliest > seq {
		return a.idsOf(c.space, r, true) // the body was dropped meanwhile
	}
	return ids, err
}

// idsOf returns the IDs of a block's transactions, whose body was dropped or not.
func (a *Archive) idsOf(g space, r *record, dropped bool) ([]tx.ID, error) {
	if !dropped {
		_, batch, err := a.readBody(g, r)
		return batch.IDs(), err
	}
	h := &r.decision.Header
	seq := h.Seq
	b, err := a.get(g.key(kindIDs, seq))
	if err != nil {
		return nil, damaged(fmt.Errorf("IDs of block %d: %w", seq, err))
	}
	ids, err := splitIDs(b)
	if err == nil && (uint32(len(ids)) != h.Count || pbft.Digest(tx.Root(ids)) != h.Body) {
		err = fmt.Errorf("%d IDs with root %v, the header says %d with %v", len(ids), tx.Root(ids), h.Count, h.Body)
	}
	if err != nil {
		return nil, fmt.Errorf("IDs of block %d: %w: %w", seq, ErrCorrupt, err)
	}
	return ids, nil
}

func joinIDs(ids []tx.ID) []byte {
	b := make([]byte, 0, len(tx.ID{})*len(ids))
	for i := range ids {
		b = append(b, ids[i][:]...)
	}
	return b
}

func splitIDs(b []byte) ([]tx.ID, error) {
	const size = len(tx.ID{})
	if len(b)%size != 0 || len(b) > tx.MaxBatch*size {
		return nil, fmt.Errorf("%d bytes of IDs", len(b))
	}
	ids := make([]tx.ID, len(b)/size)
	for i := range ids {
		copy(ids[i][:], b[i*size:])
	}
	return ids, nil
}

// Reclaim gives back some of the room that bodies and states have left which are no
// longer there, a bounded amount of work. It may run beside all else.
func (a *Archive) Reclaim() error {
	if err := a.broken(); err != nil {
		return err
	}
	_, err := a.store.Reclaim()
	return err
}
