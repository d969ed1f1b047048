package archive

import (
	"errors"
	"fmt"

	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/ledger/tx"
)

// get returns the newest value of a key, and ErrNotFound.
func (a *Archive) get(key []byte) ([]byte, error) {
	value, _, err := a.store.Get(key, newest)
	return value, err
}

// record returns what is kept of a block.
func (a *Archive) record(c *chain, seq uint64) (*record, error) {
	if err := c.within(seq, c.origin()); err != nil {
		return nil, err
	}
	r, err := a.readRecord(c.space, seq)
	return r, a.moved(c, err)
}

// readRecord returns a block's record, whether it is in the chain or not.
func (a *Archive) readRecord(g space, seq uint64) (*record, error) {
	b, err := a.get(g.key(kindBlock, seq))
	if err != nil {
		return nil, fmt.Errorf("block %d: %w", seq, err)
	}
	r, err := decodeRecord(b)
	if err != nil {
		return nil, fmt.Errorf("block %d: %w: %w", seq, ErrCorrupt, err)
	}
	if r.decision.Header.Seq != seq {
		return nil, fmt.Errorf("block %d: %w: it is %v", seq, ErrCorrupt, &r.decision.Header)
	}
	if err := checkCertificate(r.decision); err != nil {
		return nil, fmt.Errorf("block %d: %w: %w", seq, ErrCorrupt, err)
	}
	return r, nil
}

// Decision returns a block's header with its certificate. The error is ErrNotFound
// for a block that is not there yet, ErrPruned for one before the archive begins, or
// ErrCorrupt.
func (a *Archive) Decision(seq uint64) (*pbft.Decision, error) {
	c := a.chain.Load()
	if c.head != nil && c.head.Header.Seq == seq {
		return c.head.Decision, nil
	}
	r, err := a.record(c, seq)
	if err != nil {
		return nil, err
	}
	return r.decision, nil
}

// Body returns the encoding of a block's transactions, as its header says they are.
// The errors are Decision's.
func (a *Archive) Body(seq uint64) ([]byte, error) {
	body, _, err := a.body(seq)
	return body, err
}

// Batch returns a block's transactions. The errors are Decision's.
func (a *Archive) Batch(seq uint64) (tx.Batch, error) {
	_, batch, err := a.body(seq)
	return batch, err
}

func (a *Archive) body(seq uint64) ([]byte, tx.Batch, error) {
	c := a.chain.Load()
	if err := c.within(seq, c.earliest); err != nil {
		return nil, nil, err
	}
	r, err := a.readRecord(c.space, seq)
	if err != nil {
		return nil, nil, a.moved(c, err)
	}
	body, batch, err := a.readBody(c.space, r)
	if err != nil && a.chain.Load().earliest > seq {
		err = fmt.Errorf("block %d: %w", seq, ErrPruned) // dropped meanwhile
	}
	return body, batch, a.moved(c, err)
}

// readBody returns a body that is what the header says.
func (a *Archive) readBody(g space, r *record) ([]byte, tx.Batch, error) {
	h := &r.decision.Header
	var body []byte
	for i := range r.parts {
		part, err := a.get(g.part(kindBody, h.Seq, i))
		switch {
		case errors.Is(err, ErrNotFound):
			return nil, nil, fmt.Errorf("body of %v: %w: part %d of %d is missing", h, ErrCorrupt, i, r.parts)
		case err != nil:
			return nil, nil, fmt.Errorf("body of %v: %w", h, err)
		case len(body)+len(part) > tx.MaxBatchSize:
			return nil, nil, fmt.Errorf("body of %v: %w: more than %d bytes", h, ErrCorrupt, tx.MaxBatchSize)
		case body == nil:
			body = part
		default:
			body = append(body, part...)
		}
	}
	batch, err := tx.DecodeBatch(body)
	if err != nil {
		return nil, nil, fmt.Errorf("body of %v: %w: %w", h, ErrCorrupt, err)
	}
	if root := pbft.Digest(tx.Root(batch.IDs())); root != h.Body || uint32(len(batch)) != h.Count {
		return nil, nil, fmt.Errorf("body of %v: %w: %d transactions with root %v, the header says %d with %v",
			h, ErrCorrupt, len(batch), root, h.Count, h.Body)
	}
	return body, batch, nil
}

// Checkpoints returns the decisions above a sequence number at which a checkpoint is
// due: those at multiples of Options.CheckpointInterval, and the last ones of epochs.
func (a *Archive) Checkpoints(above uint64) ([]*pbft.Decision, error) {
	last, ok := a.Head()
	if !ok {
		return nil, nil
	}
	var ds []*pbft.Decision
	for seq := max(above, a.chain.Load().first) + 1; seq <= last; seq++ {
		d, err := a.Decision(seq)
		if err != nil {
			return nil, err
		}
		if n := a.interval; d.Header.Last() || n > 0 && seq%n == 0 {
			ds = append(ds, d)
		}
	}
	return ds, nil
}
