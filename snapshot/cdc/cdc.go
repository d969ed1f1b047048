// Package cdc finds the cut points of FastCDC with normalised chunking (Xia et al.,
// USENIX ATC 2016; the improved variant of IEEE TPDS 2020).
//
// Its cuts are those of the algorithm "fastcdc-v1.0.0" of go-cdc-chunkers, whose gear
// table it uses and against which it is tested: that library remains the definition.
// What differs is speed. The gear hash forgets a byte after 64 shifts, so its value
// anywhere follows from the 64 bytes before; this package hashes four stretches of
// the data side by side, where the plain loop waits for one addition after the other.
package cdc

import (
	"fmt"
	"math/bits"

	"github.com/PlakarKorp/go-cdc-chunkers/chunkers/fastcdc"
)

// Sizes are the parameters of a cutter, in bytes. Normal is a power of two, and
// 64 <= Min < Normal < Max.
type Sizes struct{ Min, Normal, Max int }

// Cutter finds cut points. It is a value without state, safe for concurrent use.
type Cutter struct {
	sizes        Sizes
	strict, lazy uint64 // masks before and after the normal size
}

// New returns a cutter, or an error for sizes that do not fit together.
func New(s Sizes) (Cutter, error) {
	if s.Min < window || s.Min >= s.Normal || s.Normal >= s.Max || s.Max > 1<<30 || s.Normal&(s.Normal-1) != 0 {
		return Cutter{}, fmt.Errorf("cdc: sizes %d, %d, %d: want 64 <= min < normal < max <= 1 GiB, normal a power of two", s.Min, s.Normal, s.Max)
	}
	level := bits.TrailingZeros(uint(s.Normal))
	return Cutter{sizes: s, strict: spread(level + normalLevel), lazy: spread(level - normalLevel)}, nil
}

const (
	// normalLevel is how many bits the masks have more and less than the normal
	// size asks for.
	normalLevel = 2
	// window is how many bytes decide a hash.
	window = 64
)

// spread returns a mask of n ones, evenly over 64 bits from the top.
func spread(n int) (mask uint64) {
	for i := range n {
		mask |= 1 << (63 - i*(64/n))
	}
	return mask
}

// Cut returns the length of the first chunk of data. A chunk that ends with the data
// and is shorter than Max may have been longer, had there been more.
func (c Cutter) Cut(data []byte) int {
	n := len(data)
	if n <= c.sizes.Min {
		return n
	}
	data = data[:min(n, c.sizes.Max)]
	normal := min(c.sizes.Normal, len(data))
	// The hash begins anew at Min.
	s := scan{data: data, floor: c.sizes.Min}
	if at := s.find(c.sizes.Min, normal, c.strict); at < normal {
		return at
	}
	return s.find(normal, len(data), c.lazy)
}

// scan is a search in the data of one chunk. Bytes before floor are not hashed.
type scan struct {
	data  []byte
	floor int
}

const (
	lanes = 4
	// stretch is how many bytes a lane hashes at a time. The hash is warmed up for
	// each with the 64 bytes before, and what lies behind a cut is hashed in vain:
	// 1% of the first, and on average 16 KiB a chunk of the second.
	stretch = 8 << 10
)

// find returns the first position in [from, to) at which the hash has no bit of
// mask, or to.
func (s scan) find(from, to int, mask uint64) int {
	for ; to-from >= lanes*stretch; from += lanes * stretch {
		if at := s.findInLanes(from, mask); at >= 0 {
			return at
		}
	}
	_, at := gear(s.hash(from), s.data[from:to], mask)
	if at < 0 {
		return to
	}
	return from + at
}

// findInLanes searches lanes*stretch bytes at from; -1 when there is no cut.
func (s scan) findInLanes(from int, mask uint64) int {
	table := &fastcdc.G
	a, b, c, d := s.hash(from), s.hash(from+stretch), s.hash(from+2*stretch), s.hash(from+3*stretch)
	part := s.data[from : from+lanes*stretch]
	pa, pb := (*[stretch]byte)(part), (*[stretch]byte)(part[stretch:])
	pc, pd := (*[stretch]byte)(part[2*stretch:]), (*[stretch]byte)(part[3*stretch:])
	for i := range stretch {
		a = a<<1 + table[pa[i]]
		b = b<<1 + table[pb[i]]
		c = c<<1 + table[pc[i]]
		d = d<<1 + table[pd[i]]
		if a&mask != 0 && b&mask != 0 && c&mask != 0 && d&mask != 0 {
			continue
		}
		// A lane was hit. One before it may be later on, and that counts.
		for lane, h := range [lanes]uint64{a, b, c, d} {
			at := lane*stretch + i
			if h&mask == 0 {
				return from + at
			}
			if _, more := gear(h, part[at+1:(lane+1)*stretch], mask); more >= 0 {
				return from + at + 1 + more
			}
		}
	}
	return -1
}

// hash returns the hash of what is before a position.
func (s scan) hash(at int) uint64 {
	h, _ := gear(0, s.data[max(s.floor, at-window):at], 0)
	return h
}

// gear hashes data on from h until the hash has no bit of mask, and returns where
// that is, or -1. With no mask it goes to the end.
func gear(h uint64, data []byte, mask uint64) (uint64, int) {
	table := &fastcdc.G
	for i, b := range data {
		h = h<<1 + table[b]
		if h&mask == 0 && mask != 0 {
			return h, i
		}
	}
	return h, -1
}
