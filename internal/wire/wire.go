// Package wire frames and decodes small messages with bounded memory.
//
// Integers are unsigned varints of at most 63 bits in their shortest form
// (multiformats unsigned-varint), so every value has one encoding. A frame is
//
//	varint length | length bytes
//
// and is read into memory that grows with the bytes that have arrived, never
// with what the sender announced.
package wire

import (
	"bufio"
	"errors"
	"fmt"
	"io"

	"github.com/multiformats/go-varint"
)

var (
	// ErrTooLarge is returned for a frame or a number above the reader's bound.
	ErrTooLarge = errors.New("message above its bound")
	// ErrMalformed is returned for bytes that no encoder writes.
	ErrMalformed = errors.New("malformed message")
)

// growStep is the largest amount of memory in bytes that is allocated ahead of
// the bytes that fill it.
const growStep = 4 << 10

// MaxUvarint is the largest number that a varint can carry.
const MaxUvarint = uint64(varint.MaxValueUvarint63)

// AppendUvarint appends v to b. It panics for v above MaxUvarint, which no
// reader would take.
func AppendUvarint(b []byte, v uint64) []byte {
	if v > MaxUvarint {
		panic(fmt.Sprintf("wire: %d does not fit a varint", v))
	}
	for v >= 0x80 {
		b = append(b, byte(v)|0x80)
		v >>= 7
	}
	return append(b, byte(v))
}

// AppendFrame appends body, preceded by its length, to b.
func AppendFrame(b, body []byte) []byte {
	b = AppendUvarint(b, uint64(len(body)))
	return append(b, body...)
}

// ReadUvarint reads a number no greater than limit. It returns io.EOF only when
// no byte came, ErrTooLarge or ErrMalformed for what the sender did wrong, and
// the reader's own error otherwise.
func ReadUvarint(r io.ByteReader, limit uint64) (uint64, error) {
	v, err := varint.ReadUvarint(r)
	switch {
	case errors.Is(err, varint.ErrOverflow):
		return 0, fmt.Errorf("%w: %w", ErrTooLarge, err)
	case errors.Is(err, varint.ErrNotMinimal):
		return 0, fmt.Errorf("%w: %w", ErrMalformed, err)
	case err != nil:
		return 0, err
	case v > limit:
		return 0, fmt.Errorf("%w: %d, at most %d", ErrTooLarge, v, limit)
	}
	return v, nil
}

// ReadFrame reads one frame whose body is at most limit bytes. The body is
// appended to buf[:0], whose capacity is used when it is large enough. A body
// that ends early gives io.ErrUnexpectedEOF.
func ReadFrame(r *bufio.Reader, limit int, buf []byte) ([]byte, error) {
	n, err := ReadUvarint(r, uint64(max(limit, 0)))
	if err != nil {
		return nil, err
	}
	return ReadBytes(r, int(n), buf)
}

// ReadBytes reads exactly n bytes, appended to buf[:0] as ReadFrame does. The
// caller bounds n.
func ReadBytes(r io.Reader, n int, buf []byte) ([]byte, error) {
	buf = buf[:0]
	for len(buf) < n {
		if len(buf) == cap(buf) {
			grown := make([]byte, len(buf), min(n, max(growStep, 2*cap(buf))))
			copy(grown, buf)
			buf = grown
		}
		at := len(buf)
		buf = buf[:min(n, cap(buf))]
		if _, err := io.ReadFull(r, buf[at:]); err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return nil, err
		}
	}
	return buf, nil
}

// Decoder reads the fields of one message from memory. The first error sticks:
// every later call returns a zero value, and Finish reports it. The zero
// Decoder is an empty message.
type Decoder struct {
	rest []byte
	err  error
}

// NewDecoder returns a decoder over b, which must not change while it is used.
func NewDecoder(b []byte) Decoder { return Decoder{rest: b} }

// Byte reads one byte.
func (d *Decoder) Byte() byte {
	if b := d.Bytes(1); b != nil {
		return b[0]
	}
	return 0
}

// Uvarint reads a number no greater than limit.
func (d *Decoder) Uvarint(limit uint64) uint64 {
	if d.err != nil {
		return 0
	}
	v, n, err := varint.FromUvarint(d.rest)
	switch {
	case err != nil:
		d.err = fmt.Errorf("%w: %w", ErrMalformed, err)
		return 0
	case v > limit:
		d.err = fmt.Errorf("%w: %d, at most %d", ErrTooLarge, v, limit)
		return 0
	}
	d.rest = d.rest[n:]
	return v
}

// Bytes reads n bytes; the slice shares the message's memory. It is nil when
// fewer are left.
func (d *Decoder) Bytes(n int) []byte {
	if d.err != nil {
		return nil
	}
	if n < 0 || n > len(d.rest) {
		d.err = fmt.Errorf("%w: %d bytes wanted, %d left", ErrMalformed, n, len(d.rest))
		return nil
	}
	b := d.rest[:n:n]
	d.rest = d.rest[n:]
	return b
}

// Len returns the number of bytes left.
func (d *Decoder) Len() int { return len(d.rest) }

// Fail records err unless an error came before it.
func (d *Decoder) Fail(err error) {
	if d.err == nil {
		d.err = err
	}
}

// Err returns the first error.
func (d *Decoder) Err() error { return d.err }

// Finish returns the first error, or ErrMalformed when bytes are left over.
func (d *Decoder) Finish() error {
	if d.err == nil && len(d.rest) > 0 {
		d.err = fmt.Errorf("%w: %d bytes too many", ErrMalformed, len(d.rest))
	}
	return d.err
}
