package tx

import (
	"bytes"

	"github.com/decube/decube/internal/sig"
	"github.com/decube/decube/internal/wire"
)

// Clone returns the same transaction in memory of its own. A transaction of a batch
// shares the batch's memory, all of which stays as long as one of them is in use: who
// retains some of them clones these.
func (t *Transaction) Clone() *Transaction {
	c := *t
	c.raw = bytes.Clone(t.raw)
	// The operation is decoded anew, since its byte strings share the encoding's memory.
	d := wire.NewDecoder(c.raw[:len(c.raw)-sig.Size])
	d.Byte()
	d.Bytes(len(c.Network) + len(c.Owner))
	d.Uvarint(wire.MaxUvarint)
	c.Op = decodeOp(&d)
	return &c
}
