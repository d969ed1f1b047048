package blockstore

import (
	"encoding/binary"

	"github.com/decube/decube/block"
)

// marks is a set of digests that remembers eight bytes of each: about 16 MB for
// a million. Two digests that agree in these bytes are taken for one, which at
// worst keeps a block of garbage. The zero value is empty.
type marks struct {
	slots []uint64 // open addressing; 0 is free
	n     int
}

const firstSlots = 1 << 10

func markOf(d block.Digest) uint64 {
	// A digest that begins with eight zero bytes shares the mark 1.
	return max(1, binary.LittleEndian.Uint64(d[:]))
}

func (m *marks) add(d block.Digest) {
	if m.n*2 >= len(m.slots) {
		m.grow()
	}
	if m.insert(markOf(d)) {
		m.n++
	}
}

func (m *marks) has(d block.Digest) bool {
	if len(m.slots) == 0 {
		return false
	}
	v := markOf(d)
	return m.slots[m.find(v)] == v
}

func (m *marks) insert(v uint64) bool {
	i := m.find(v)
	if m.slots[i] == v {
		return false
	}
	m.slots[i] = v
	return true
}

// find returns the slot of v, or the free one where it belongs. Digests are
// random already, so no further hashing is needed.
func (m *marks) find(v uint64) int {
	mask := len(m.slots) - 1
	i := int(v>>1) & mask
	for m.slots[i] != 0 && m.slots[i] != v {
		i = (i + 1) & mask
	}
	return i
}

func (m *marks) grow() {
	old := m.slots
	m.slots = make([]uint64, max(firstSlots, 2*len(old)))
	for _, v := range old {
		if v != 0 {
			m.insert(v)
		}
	}
}
