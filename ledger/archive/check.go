package archive

import (
	"bytes"
	"context"
	"fmt"

	"github.com/decube/decube/ledger/codec"
	"github.com/decube/decube/ledger/smt"
)

// Report says what Check has looked at.
type Report struct {
	Blocks       uint64 // with their bodies
	Transactions uint64
	Epochs       uint64 // that have ended
	StateKeys    uint64
	StateNodes   uint64
}

// Check reads everything that belongs to the blocks up to the head: headers and their
// digests in certificates and in the next header, bodies, the index, validator sets,
// and the whole state. The error says what is damaged, and is or wraps ErrCorrupt,
// unless reading fails altogether or the context is done. It does not verify
// signatures, see package receipt. Others may use the archive meanwhile.
func (a *Archive) Check(ctx context.Context) (Report, error) {
	k := checker{a: a, c: a.chain.Load()}
	if k.c.head == nil {
		return k.Report, nil
	}
	if err := k.blocks(ctx); err != nil {
		return k.Report, a.moved(k.c, err)
	}
	if err := k.transitions(); err != nil {
		return k.Report, a.moved(k.c, err)
	}
	if k.c.stateful == 0 {
		return k.Report, nil
	}
	return k.Report, a.moved(k.c, k.state(ctx))
}

type checker struct {
	Report
	a *Archive
	c *chain
}

// blocks checks each block, and that it follows the one before.
func (k *checker) blocks(ctx context.Context) error {
	var before *record
	for seq := k.c.origin(); seq <= k.c.head.Header.Seq; seq++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		r, err := k.a.readRecord(k.c.space, seq)
		if err != nil {
			return damaged(err)
		}
		h := &r.decision.Header
		if before != nil && h.Parent != before.decision.Header.Digest() {
			return fmt.Errorf("block %v: %w: it does not follow the one before", h, ErrCorrupt)
		}
		before = r
		if seq < k.c.earliest {
			continue
		}
		if err := k.body(r); err != nil {
			return err
		}
	}
	if before.decision.Header.Digest() != k.c.head.digest {
		return fmt.Errorf("block %v: %w: it is not the head", &before.decision.Header, ErrCorrupt)
	}
	return nil
}

// body checks a block's transactions, and that each is found.
func (k *checker) body(r *record) error {
	_, batch, err := k.a.readBody(k.c.space, r)
	if err != nil {
		return err
	}
	for i, id := range batch.IDs() {
		seq, at, err := k.a.Find(id)
		if err != nil {
			return damaged(err)
		}
		if seq != r.decision.Header.Seq || at != i {
			return fmt.Errorf("transaction %v: %w: found at %d of block %d, it is at %d of %v", id, ErrCorrupt, at, seq, i, &r.decision.Header)
		}
	}
	k.Blocks++
	k.Transactions += uint64(len(batch))
	return nil
}

// transitions checks that there is one for each epoch that has ended.
func (k *checker) transitions() error {
	h := &k.c.head.Header
	ended := h.Epoch
	if h.Last() {
		ended++
	}
	for ; k.Epochs < ended; k.Epochs++ {
		t, err := k.a.Transition(k.Epochs)
		if err != nil {
			return damaged(err)
		}
		if t.Header.Seq < k.c.origin() {
			continue
		}
		r, err := k.a.readRecord(k.c.space, t.Header.Seq)
		if err != nil {
			return damaged(err)
		}
		if r.decision.Header != t.Header || !bytes.Equal(codec.AppendCertificate(nil, &r.decision.Cert), codec.AppendCertificate(nil, &t.Cert)) {
			return fmt.Errorf("end of epoch %d: %w: it is not block %v", k.Epochs, ErrCorrupt, &r.decision.Header)
		}
	}
	return nil
}

// shedEvery is how many keys are read before they are let go from memory.
const shedEvery = 1 << 14

// state reads all of the last state that is stored.
func (k *checker) state(ctx context.Context) error {
	r, err := k.a.readRecord(k.c.space, k.c.stateful-1)
	if err != nil {
		return damaged(err)
	}
	m := smt.Open(&nodes{a: k.a, space: k.c.space, seq: k.c.stateful - 1}, r.ref)
	if err := readAll(ctx, m, &k.StateKeys); err != nil {
		return err
	}
	for _, err := range m.Keys() {
		if err != nil {
			return damaged(err)
		}
		k.StateNodes++
		if k.StateNodes%shedEvery == 0 {
			m.Shed(shedTo)
		}
	}
	return nil
}

// readAll reads a map's entries, each held against its hash, and counts them.
func readAll(ctx context.Context, m smt.Map, n *uint64) error {
	for _, err := range m.All() {
		if err != nil {
			return damaged(err)
		}
		*n++
		if *n%shedEvery == 0 {
			m.Shed(shedTo)
			if err := ctx.Err(); err != nil {
				return err
			}
		}
	}
	if *n != m.Len() {
		return fmt.Errorf("state: %w: %d keys, want %d", ErrCorrupt, *n, m.Len())
	}
	return nil
}
