package body

import (
	"fmt"

	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/ledger/tx"
)

// Content is the body of a block: its transactions, or their IDs while transactions
// are missing. It never changes, and is safe for concurrent use. What its methods
// return shares its memory and must not be changed.
type Content struct {
	root    pbft.Digest
	ids     []tx.ID
	batch   tx.Batch
	encoded []byte // nil while transactions are missing
}

// perTransaction is what a transaction is charged beside its encoded bytes: its ID, its
// decoded fields and its operation, about as many bytes as they take in memory.
const perTransaction = 384

// Decode returns the content of an encoded body, which it keeps: nobody may change it
// afterwards. Signatures are not verified. The error is or wraps a *[tx.Rejection].
func Decode(encoded []byte) (*Content, error) {
	batch, err := tx.DecodeBatch(encoded)
	if err != nil {
		return nil, err
	}
	return whole(batch, encoded), nil
}

// FromBatch returns the content with these transactions, which it keeps, and a
// *[tx.Rejection] when they break the limits of a body.
func FromBatch(batch tx.Batch) (*Content, error) {
	encoded, err := batch.Encode()
	if err != nil {
		return nil, err
	}
	return whole(batch, encoded), nil
}

func whole(batch tx.Batch, encoded []byte) *Content {
	ids := batch.IDs()
	return &Content{root: tx.Root(ids), ids: ids, batch: batch, encoded: encoded}
}

// FromIDs returns the content of which only the transactions' IDs are known. It keeps
// them. A body without transactions is whole.
func FromIDs(ids []tx.ID) *Content {
	if len(ids) == 0 {
		return Empty()
	}
	return &Content{root: tx.Root(ids), ids: ids}
}

// Empty returns the content of a block without transactions. Nobody has to send it.
func Empty() *Content { return whole(nil, tx.Batch{}.AppendTo(nil)) }

// Root returns the transaction root that headers name the body by.
func (c *Content) Root() pbft.Digest { return c.root }

// IDs returns the transactions' IDs in order.
func (c *Content) IDs() []tx.ID { return c.ids }

// Batch returns the transactions in order, nil unless the content is whole.
func (c *Content) Batch() tx.Batch { return c.batch }

// Encoded returns the encoding of the transactions, nil unless the content is whole.
func (c *Content) Encoded() []byte { return c.encoded }

// Whole reports whether all transactions are there. It is false for nil.
func (c *Content) Whole() bool { return c != nil && c.encoded != nil }

// Size returns how many bytes the content is charged with: its encoding, and a fixed
// amount for each transaction, whether it is there already or not.
func (c *Content) Size() int { return len(c.encoded) + len(c.ids)*perTransaction }

// SizeLimit returns the most that the content of a block may be charged with when the
// ledger's parameters allow it so many encoded bytes and transactions.
func SizeLimit(bytes, transactions uint64) int {
	bytes, transactions = min(bytes, tx.MaxBatchSize), min(transactions, tx.MaxBatch)
	return int(bytes) + int(transactions)*perTransaction
}

// Lookup returns the transactions with these IDs as far as they are at hand, in the
// same order with nil for each that is not, and how many are missing.
type Lookup func(ids []tx.ID) (found []*tx.Transaction, missing int)

// assemble returns the content with its transactions, or nil with how many are missing.
func (c *Content) assemble(lookup Lookup) (*Content, int) {
	found, missing := lookup(c.ids)
	if missing > 0 {
		return nil, missing
	}
	batch := tx.Batch(found)
	encoded, err := batch.Encode()
	if err != nil {
		// The IDs are of more bytes than a block may have: no whole body exists.
		return nil, len(c.ids)
	}
	return &Content{root: c.root, ids: c.ids, batch: batch, encoded: encoded}, 0
}

// String returns the content's name and size, for logs.
func (c *Content) String() string {
	return fmt.Sprintf("%s: %d transactions of %d bytes", c.root.Short(), len(c.ids), len(c.encoded))
}
