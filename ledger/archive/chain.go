package archive

import (
	"fmt"

	"github.com/decube/decube/ledger/pbft"
)

// chain is what readers go by: where the blocks are and how far they go. A chain is
// never changed, the next one takes its place; its index grows.
type chain struct {
	space
	head     *placed // nil while there is no block
	first    uint64  // the first block that has a record: 0, or the one that was installed
	earliest uint64  // the first block whose body is kept
	stateful uint64  // the last block whose state is stored, plus 1; 0 for none
	index    *index
}

// placed is a decision with the digest of its header.
type placed struct {
	*pbft.Decision
	digest pbft.Digest
}

func place(d *pbft.Decision) *placed { return &placed{d, d.Header.Digest()} }

// within returns an error unless the block is one of the chain's, from first on.
func (c *chain) within(seq, first uint64) error {
	if c.head == nil || seq > c.head.Header.Seq {
		return fmt.Errorf("block %d: %w", seq, ErrNotFound)
	}
	if seq < first {
		return fmt.Errorf("block %d: %w", seq, ErrPruned)
	}
	return nil
}

// origin returns the first block that has a record.
func (c *chain) origin() uint64 { return c.first }

// Head returns the last block's sequence number, and false when there is no block.
func (a *Archive) Head() (seq uint64, ok bool) {
	h := a.chain.Load().head
	if h == nil {
		return 0, false
	}
	return h.Header.Seq, true
}

// Earliest returns the sequence number of the first block whose body is kept: 0, the
// one after the checkpoint that was installed, which may still be to come, or the one
// up to which bodies were pruned.
func (a *Archive) Earliest() uint64 { return a.chain.Load().earliest }

// StateSeq returns the last block whose state is stored, and false when there is
// none.
func (a *Archive) StateSeq() (seq uint64, ok bool) {
	n := a.chain.Load().stateful
	return n - 1, n > 0
}

// moved says ErrPruned in place of an error that came from reading what an
// installation has replaced meanwhile.
func (a *Archive) moved(c *chain, err error) error {
	if err == nil || a.chain.Load().space == c.space {
		return err
	}
	return fmt.Errorf("replaced by a checkpoint: %w", ErrPruned)
}
