package state

import (
	"math/bits"

	"github.com/decube/decube/internal/wire"
	"github.com/decube/decube/ledger/tx"
)

// maxUsed is the most bytes of the bitmap of used nonces: what the largest nonce
// window takes.
const maxUsed = 1 << 16 / 8

// Nonces are which nonces an owner has used: all below the lowest unused one, and
// some above it. The zero value is that of an owner who has used none.
type Nonces struct {
	next uint64 // the lowest unused nonce
	// used has a bit for each nonce above next, from the least significant of the
	// first byte. The last byte is not 0. The bytes are shared and never change.
	used []byte
}

// Next returns the lowest unused nonce.
func (n Nonces) Next() uint64 { return n.next }

// Used reports whether a nonce has been used.
func (n Nonces) Used(nonce uint64) bool {
	if nonce <= n.next {
		return nonce < n.next
	}
	i := nonce - n.next - 1
	return i/8 < uint64(len(n.used)) && n.used[i/8]>>(i%8)&1 == 1
}

// use returns the nonces with one more used, or a *Rejection when it is used
// already or not one of the window's from the lowest unused on.
func (n Nonces) use(nonce, window uint64) (Nonces, error) {
	switch {
	case n.Used(nonce):
		return n, tx.Reject(tx.CodeNonceUsed, "nonce %d; the lowest unused one is %d", nonce, n.next)
	case nonce-n.next >= window || nonce == wire.MaxUvarint: // so that there is always a next one
		return n, tx.Reject(tx.CodeNonceTooFar, "nonce %d; the lowest unused one is %d, at most %d after it", nonce, n.next, window-1)
	case nonce == n.next:
		return n.advance(), nil
	}
	i := nonce - n.next - 1
	used := make([]byte, max(len(n.used), int(i/8)+1)) // below the window
	copy(used, n.used)
	used[i/8] |= 1 << (i % 8)
	return Nonces{next: n.next, used: used}, nil
}

// advance returns the nonces with the lowest unused one used.
func (n Nonces) advance() Nonces {
	if len(n.used) == 0 {
		return Nonces{next: n.next + 1}
	}
	whole := 0
	for whole < len(n.used) && n.used[whole] == 0xff {
		whole++
	}
	if whole == len(n.used) {
		return Nonces{next: n.next + 1 + 8*uint64(whole)} // not negative
	}
	// What follows the run of used nonces is the lowest unused one, and its bit goes.
	run := bits.TrailingZeros8(^n.used[whole])
	next := n.next + 1 + 8*uint64(whole) + uint64(run) // not negative
	return Nonces{next: next, used: shift(n.used[whole:], run+1)}
}

// shift returns the bitmap without its first n bits, of which there are at most 8.
func shift(bitmap []byte, n int) []byte {
	out := make([]byte, len(bitmap))
	for i := range bitmap {
		word := uint(bitmap[i])
		if i+1 < len(bitmap) {
			word |= uint(bitmap[i+1]) << 8
		}
		out[i] = byte(word >> n) // the low byte is meant
	}
	for len(out) > 0 && out[len(out)-1] == 0 {
		out = out[:len(out)-1]
	}
	return out
}
