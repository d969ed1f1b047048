package archive

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/decube/decube/internal/smt"
	"github.com/decube/decube/ledger/codec"
	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/ledger/receipt"
)

// Report says what Check has looked at.
type Report struct {
	Blocks       uint64 // with their bodies, or the IDs in their place
	Transactions uint64
	Epochs       uint64 // whose last block is kept
	Hops         uint64 // from the first block on
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
	if err := k.ends(); err != nil {
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
		if r.parts == 0 {
			continue // it was installed
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

// body checks a block's transactions, or their IDs where those are what is left, and
// that each is found.
func (k *checker) body(r *record) error {
	ids, err := k.a.ids(k.c, r)
	if err != nil {
		return err
	}
	for i, id := range ids {
		seq, at, err := k.a.Find(id)
		if err != nil {
			return damaged(err)
		}
		if seq != r.decision.Header.Seq || at != i {
			return fmt.Errorf("transaction %v: %w: found at %d of block %d, it is at %d of %v", id, ErrCorrupt, at, seq, i, &r.decision.Header)
		}
	}
	k.Blocks++
	k.Transactions += uint64(len(ids))
	return nil
}

// ends checks that the last block of each epoch is known whose blocks are kept, and of
// the one before them, and each hop.
func (k *checker) ends() error {
	hops := map[uint64]receipt.Hop{}
	for hop, err := range k.a.Hops(0) {
		if err != nil {
			return damaged(err)
		}
		hops[hop.Header.Seq] = hop
		k.Hops++
	}
	first, err := k.a.readRecord(k.c.space, k.c.origin())
	if err != nil {
		return damaged(err)
	}
	// The origin's epoch may have begun before what is kept.
	for epoch := max(first.decision.Header.Epoch, 1) - 1; ; epoch++ {
		d, err := k.a.readEnd(k.c, epoch)
		if errors.Is(err, ErrNotFound) && (epoch == k.c.head.Header.Epoch || epoch < first.decision.Header.Epoch && first.decision.Header.Last()) {
			if epoch == k.c.head.Header.Epoch {
				return nil
			}
			continue
		}
		if err != nil {
			return damaged(fmt.Errorf("end of epoch %d: %w", epoch, err))
		}
		if err := k.end(d, hops); err != nil {
			return err
		}
		if epoch == k.c.head.Header.Epoch {
			return nil
		}
	}
}

// end checks the last block of an epoch.
func (k *checker) end(d *pbft.Decision, hops map[uint64]receipt.Hop) error {
	same := func(h *pbft.Header, cert *pbft.Certificate, where string) error {
		if *h != d.Header || !bytes.Equal(codec.AppendCertificate(nil, cert), codec.AppendCertificate(nil, &d.Cert)) {
			return fmt.Errorf("end of epoch %d: %w: it is not %s %v", d.Header.Epoch, ErrCorrupt, where, h)
		}
		return nil
	}
	k.Epochs++
	if receipt.Leads(&d.Header) {
		hop := hops[d.Header.Seq]
		if err := same(&hop.Header, &hop.Cert, "hop"); err != nil {
			return err
		}
	}
	if d.Header.Seq < k.c.origin() {
		return nil
	}
	r, err := k.a.readRecord(k.c.space, d.Header.Seq)
	if err != nil {
		return damaged(err)
	}
	return same(&r.decision.Header, &r.decision.Cert, "block")
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
