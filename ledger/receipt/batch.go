package receipt

import (
	"errors"
	"fmt"

	"github.com/decube/decube/internal/sig"
	"github.com/decube/decube/ledger/genesis"
	"github.com/decube/decube/ledger/pbft"
)

// batch gathers signatures of several sets and owners, to verify them at once.
type batch struct {
	items []sig.Item
	blame []func() error // what a bad one means
}

// add gathers one signature.
func (b *batch) add(item sig.Item, blame func() error) {
	b.items = append(b.items, item)
	b.blame = append(b.blame, blame)
}

// gather returns what the core's verifier is to check the signatures of a block
// with: it says yes to all of them, and leaves the verdict to verify. The part is
// the sentinel of what a bad signature breaks.
func (b *batch) gather(part error, validators genesis.ValidatorSet, h *pbft.Header) func([]pbft.Item) []bool {
	return func(items []pbft.Item) []bool {
		good := make([]bool, len(items))
		for i, it := range items {
			good[i] = true
			key := validators[it.Replica] // the verifier asks for replicas of the committee
			b.add(sig.Item{Key: key, Message: it.Statement, Signature: sig.Signature(it.Sig)}, func() error {
				return fmt.Errorf("%w: %w: replica %d, %v, of block %v", part, ErrSignature, it.Replica, key, h)
			})
		}
		return good
	}
}

// verify returns what is wrong with each signature that does not verify, joined.
func (b *batch) verify(v sig.Checker) error {
	var errs []error
	for _, bad := range v.VerifyBatch(b.items) {
		errs = append(errs, b.blame[bad]())
	}
	return errors.Join(errs...)
}
