package exchange

import (
	"encoding/binary"
	"fmt"
	"math/bits"

	"github.com/decube/decube/internal/wire"
)

// bitmap is a set of ordinals. Bits beyond the last ordinal are zero.
type bitmap []uint64

func newBitmap(n int) bitmap { return make(bitmap, (n+63)/64) }

func (b bitmap) has(i int) bool { return b[i/64]&(1<<(i%64)) != 0 }
func (b bitmap) set(i int)      { b[i/64] |= 1 << (i % 64) }
func (b bitmap) clear(i int)    { b[i/64] &^= 1 << (i % 64) }

func (b bitmap) count() int {
	n := 0
	for _, w := range b {
		n += bits.OnesCount64(w)
	}
	return n
}

// fill sets the first n bits.
func (b bitmap) fill(n int) {
	for i := range b {
		b[i] = ^uint64(0)
	}
	if n%64 != 0 {
		b[len(b)-1] = 1<<(n%64) - 1
	}
}

// appendBitmap appends the first n bits in the protocol's form.
func appendBitmap(dst []byte, b bitmap, n int) []byte {
	size := bitmapSize(n)
	for _, w := range b {
		dst = binary.LittleEndian.AppendUint64(dst, w)
	}
	return dst[:len(dst)-(len(b)*8-size)]
}

func bitmapSize(n int) int { return (n + 7) / 8 }

// parseBitmap reads n bits from exactly bitmapSize(n) bytes.
func parseBitmap(p []byte, n int) (bitmap, error) {
	if len(p) != bitmapSize(n) {
		return nil, fmt.Errorf("%w: bitmap of %d bytes for %d ordinals", wire.ErrMalformed, len(p), n)
	}
	if n%8 != 0 && p[len(p)-1]>>(n%8) != 0 {
		return nil, fmt.Errorf("%w: bitmap beyond its last ordinal", wire.ErrMalformed)
	}
	b := newBitmap(n)
	for i, v := range p {
		b[i/8] |= uint64(v) << (8 * (i % 8))
	}
	return b, nil
}
