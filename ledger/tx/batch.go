package tx

import (
	"fmt"

	"github.com/decube/decube/internal/wire"
)

const (
	// MaxBatch is the most transactions of a block.
	MaxBatch = 10_000
	// MaxBatchSize is the largest encoding of a block's body in bytes.
	MaxBatchSize = 8 << 20
)

// Batch is the body of a block: transactions in the order they are carried out in.
type Batch []*Transaction

// DecodeBatch returns the transactions of a body, which it keeps: the body must
// not change as long as any of them is in use. The error is or wraps a *Rejection,
// for a body that breaks a limit or has anything but well-formed transactions in it.
func DecodeBatch(body []byte) (Batch, error) {
	if len(body) > MaxBatchSize {
		return nil, Reject(CodeTooLarge, "a body of %d bytes, at most %d", len(body), MaxBatchSize)
	}
	d := wire.NewDecoder(body)
	count := int(d.Uvarint(MaxBatch)) // at most MaxBatch
	if count > d.Len()/minSize {
		return nil, Reject(CodeMalformed, "%d transactions in %d bytes", count, d.Len())
	}
	transactions := make([]Transaction, count)
	batch := make(Batch, count)
	h := newLeafHasher()
	for i := range batch {
		raw := bytesOf(&d, MaxSize)
		if d.Err() != nil {
			break
		}
		if err := transactions[i].decode(raw, h); err != nil {
			return nil, fmt.Errorf("transaction %d of %d: %w", i, count, err)
		}
		batch[i] = &transactions[i]
	}
	if err := d.Finish(); err != nil {
		return nil, rejectWire(err)
	}
	return batch, nil
}

// Size returns the length of the body's encoding in bytes.
func (b Batch) Size() int {
	size := uvarintLen(len(b))
	for _, t := range b {
		size += EncodedSize(t)
	}
	return size
}

// EncodedSize returns how many bytes a transaction takes in a body.
func EncodedSize(t *Transaction) int { return uvarintLen(len(t.raw)) + len(t.raw) }

// uvarintLen returns the length of n, which is not negative, as a varint.
func uvarintLen(n int) int {
	size := 1
	for ; n >= 0x80; n >>= 7 {
		size++
	}
	return size
}

// Check returns a *Rejection unless the batch keeps the limits of a body.
func (b Batch) Check() error {
	if len(b) > MaxBatch {
		return Reject(CodeTooLarge, "%d transactions, at most %d", len(b), MaxBatch)
	}
	if size := b.Size(); size > MaxBatchSize {
		return Reject(CodeTooLarge, "a body of %d bytes, at most %d", size, MaxBatchSize)
	}
	return nil
}

// AppendTo appends the body's encoding to dst. Decoders take it if [Batch.Check]
// does.
func (b Batch) AppendTo(dst []byte) []byte {
	dst = wire.AppendUvarint(dst, uint64(len(b)))
	for _, t := range b {
		dst = wire.AppendFrame(dst, t.raw)
	}
	return dst
}

// Encode returns the body's encoding, and a *Rejection when it breaks a limit.
func (b Batch) Encode() ([]byte, error) {
	if err := b.Check(); err != nil {
		return nil, err
	}
	return b.AppendTo(make([]byte, 0, b.Size())), nil
}

// IDs returns the transactions' IDs, in order.
func (b Batch) IDs() []ID {
	ids := make([]ID, len(b))
	for i, t := range b {
		ids[i] = t.id
	}
	return ids
}

// AppendIDs appends the encoding of a list of IDs to b.
func AppendIDs(b []byte, ids []ID) []byte {
	b = wire.AppendUvarint(b, uint64(len(ids)))
	for i := range ids {
		b = append(b, ids[i][:]...)
	}
	return b
}

// DecodeIDs returns the IDs of an encoded list of at most [MaxBatch], and a
// *Rejection for anything else.
func DecodeIDs(b []byte) ([]ID, error) {
	d := wire.NewDecoder(b)
	ids := idsOf(&d)
	if err := d.Finish(); err != nil {
		return nil, rejectWire(err)
	}
	return ids, nil
}

// idsOf reads a list of IDs.
func idsOf(d *wire.Decoder) []ID {
	count := int(d.Uvarint(MaxBatch)) // it is small
	b := d.Bytes(count * len(ID{}))
	if d.Err() != nil {
		return nil
	}
	ids := make([]ID, count)
	for i := range ids {
		copy(ids[i][:], b[i*len(ID{}):])
	}
	return ids
}
