package smt

import (
	"bytes"
	"crypto/sha256"
	"math/bits"
)

// Digest is a SHA-256 digest: a root, a node's hash or a key's path.
type Digest = [sha256.Size]byte

const (
	// pathBits is the number of bits of a path, and the largest depth of a leaf.
	pathBits = 8 * sha256.Size

	domainLeaf  = 0x00
	domainInner = 0x01
)

// Path returns the path of a key: where its leaf is, and the order of iteration.
func Path(key []byte) Digest { return sha256.Sum256(key) }

func hashLeaf(path, value *Digest) Digest {
	var b [1 + 2*sha256.Size]byte
	b[0] = domainLeaf
	copy(b[1:], path[:])
	copy(b[1+sha256.Size:], value[:])
	return sha256.Sum256(b[:])
}

func hashInner(left, right *Digest) Digest {
	var b [1 + 2*sha256.Size]byte
	b[0] = domainInner
	copy(b[1:], left[:])
	copy(b[1+sha256.Size:], right[:])
	return sha256.Sum256(b[:])
}

// bit returns the path's bit that decides at an inner node of that depth.
func bit(path *Digest, depth int) byte { return path[depth>>3] >> (7 - depth&7) & 1 }

// setBit sets that bit to 1, clearBit to 0.
func setBit(path *Digest, depth int)   { path[depth>>3] |= 0x80 >> (depth & 7) }
func clearBit(path *Digest, depth int) { path[depth>>3] &^= 0x80 >> (depth & 7) }

// comparePrefix compares the first n bits of two paths.
func comparePrefix(a, b *Digest, n int) int {
	whole := n >> 3
	if c := bytes.Compare(a[:whole], b[:whole]); c != 0 || n&7 == 0 {
		return c
	}
	x, y := a[whole], b[whole]
	if bits.LeadingZeros8(x^y) >= n&7 {
		return 0
	}
	if x < y {
		return -1
	}
	return 1
}

func compare(a, b *Digest) int { return bytes.Compare(a[:], b[:]) }

// increment returns the path that follows, and false after the last one.
func increment(path Digest) (Digest, bool) {
	for i := len(path) - 1; i >= 0; i-- {
		path[i]++
		if path[i] != 0 {
			return path, true
		}
	}
	return path, false
}

// lastPath is the greatest path.
func lastPath() Digest {
	var p Digest
	for i := range p {
		p[i] = 0xff
	}
	return p
}
