package wal

import "hash/crc32"

// image is the content of a segment, or of its beginning, in memory.
type image struct {
	b    []byte // whole blocks
	sums *checksummer
}

// found is a whole group in an image.
type found struct {
	header
	block, blocks int
	data          []byte // of its sectors, put together, without the padding
}

func (m image) sectors() int        { return len(m.b) / sectorSize }
func (m image) sector(i int) []byte { return m.b[i*sectorSize : (i+1)*sectorSize] }
func (m image) claim(i int) uint64  { return claim(m.sector(i)) }
func (m image) belongs(i int, group uint64) bool {
	return m.sums.belongs(m.sector(i), i, group)
}

// groupAt returns the group of a number that begins in a block, if all of it is
// there. Its data is appended to buf[:0].
func (m image) groupAt(block int, group uint64, buf []byte) (found, bool) {
	at := block * blockSectors
	if at >= m.sectors() || !m.belongs(at, group) {
		return found{}, false
	}
	h := decodeHeader(m.sector(at))
	room := len(m.b)/blockSize - block
	if h.group != group || int64(h.length) > int64(room)*blockSectors*sectorData-headerSize {
		return found{}, false
	}
	n := headerSize + int(h.length)
	blocks := blocksFor(n)
	for i := at + 1; i < at+blocks*blockSectors; i++ {
		if !m.belongs(i, group) {
			return found{}, false
		}
	}
	data := gather(buf[:0], m.b[at*sectorSize:], blocks*blockSectors*sectorData)
	if crc32.Checksum(data[4:n], castagnoli) != h.sum || !allZero(data[n:]) || !checkRecords(data[headerSize:n], h.count) {
		return found{}, false
	}
	return found{header: h, block: block, blocks: blocks, data: data[:n]}, true
}

// summary is what Open needs to know of a segment.
type summary struct {
	groups   []header // the run of whole groups at its beginning
	blocks   []int    // the block that each begins in
	whole    int      // how many blocks they occupy
	newest   uint64   // of the undamaged sectors behind them, the highest group
	from, to int      // its first sector and the one behind its last
	broken   []stray  // sectors behind them that fit no checksum
}

// stray is a sector whose checksum fails, with the group that it claims.
type stray struct {
	sector int
	claim  uint64
}

// summarize reads through a whole segment.
func (m image) summarize() summary {
	var s summary
	var buf []byte
	for group, ok := m.start(); ok; group++ {
		var g found
		if g, ok = m.groupAt(s.whole, group, buf); ok {
			s.groups, s.blocks = append(s.groups, g.header), append(s.blocks, g.block)
			s.whole, buf = g.block+g.blocks, g.data
		}
	}
	for i := s.whole * blockSectors; i < m.sectors(); i++ {
		switch c := m.claim(i); {
		case allZero(m.sector(i)):
		case !m.belongs(i, c):
			s.broken = append(s.broken, stray{i, c})
		case c > s.newest:
			s.newest, s.from, s.to = c, i, i+1
		case c == s.newest:
			s.to = i + 1
		}
	}
	return s
}

// start returns the number of the group that begins the segment: one that a
// sector of the first block claims, and that the first sector belongs to.
func (m image) start() (uint64, bool) {
	for i := range min(blockSectors, m.sectors()) {
		if c := m.claim(i); c > 0 && m.belongs(0, c) {
			return c, true
		}
	}
	return 0, false
}

func allZero(b []byte) bool {
	for len(b) >= 8 && le.Uint64(b) == 0 {
		b = b[8:]
	}
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}
