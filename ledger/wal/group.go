package wal

import (
	"hash/crc32"
	"slices"
)

const (
	headerSize   = 40
	recordHeader = 5
)

// header is what a group begins with.
type header struct {
	sum    uint32
	prev   uint32
	group  uint64
	floor  uint64
	index  uint64
	count  uint32
	length uint32
}

func (h header) encode(b []byte) {
	le.PutUint32(b[0:], h.sum)
	le.PutUint32(b[4:], h.prev)
	le.PutUint64(b[8:], h.group)
	le.PutUint64(b[16:], h.floor)
	le.PutUint64(b[24:], h.index)
	le.PutUint32(b[32:], h.count)
	le.PutUint32(b[36:], h.length)
}

func decodeHeader(b []byte) header {
	return header{
		sum:    le.Uint32(b[0:]),
		prev:   le.Uint32(b[4:]),
		group:  le.Uint64(b[8:]),
		floor:  le.Uint64(b[16:]),
		index:  le.Uint64(b[24:]),
		count:  le.Uint32(b[32:]),
		length: le.Uint32(b[36:]),
	}
}

// next returns the index of the record after the group's last.
func (h header) next() uint64 { return h.index + uint64(h.count) }

// builder collects a group's records in memory as it will be on the disk.
type builder struct {
	buf   []byte // aligned, whole blocks
	n     int    // bytes of data so far, the header included
	count uint32
}

func (g *builder) reset() { g.n, g.count = headerSize, 0 }

// fits reports whether a record of n bytes has room.
func (g *builder) fits(n int) bool {
	return g.n+recordHeader+n <= len(g.buf)/sectorSize*sectorData
}

// add appends a record, which fits.
func (g *builder) add(kind byte, data []byte) {
	var head [recordHeader]byte
	head[0] = kind
	le.PutUint32(head[1:], uint32(len(data)))
	g.put(head[:])
	g.put(data)
	g.count++
}

// put appends bytes, leaving out the ends of the sectors.
func (g *builder) put(p []byte) {
	for len(p) > 0 {
		sector, at := g.n/sectorData, g.n%sectorData
		k := copy(g.buf[sector*sectorSize+at:sector*sectorSize+sectorData], p)
		p, g.n = p[k:], g.n+k
	}
}

// blocks returns how many blocks the group occupies.
func (g *builder) blocks() int { return blocksFor(g.n) }

// seal completes the group for a place in a segment and returns it as it goes to
// the disk, and its sum. It fills in the header's count, length and sum.
func (g *builder) seal(h header, c *checksummer, sector int) ([]byte, uint32) {
	out := g.buf[:g.blocks()*blockSize]
	h.count, h.length = g.count, uint32(g.n-headerSize)
	for at := g.n; at < len(out)/sectorSize*sectorData; at += sectorData - at%sectorData {
		s := out[at/sectorData*sectorSize:]
		clear(s[at%sectorData : sectorData])
	}
	h.encode(out)
	sum := uint32(0)
	for left, i := g.n, 0; left > 0; left, i = left-sectorData, i+1 {
		part := out[i*sectorSize:][:min(left, sectorData)]
		if i == 0 {
			part = part[4:] // the sum itself
		}
		sum = crc32.Update(sum, castagnoli, part)
	}
	le.PutUint32(out, sum)
	for i := range len(out) / sectorSize {
		c.finish(out[i*sectorSize:(i+1)*sectorSize], sector+i, h.group)
	}
	return out, sum
}

// gather appends the data of sectors to dst, all n bytes of it.
func gather(dst, sectors []byte, n int) []byte {
	dst = slices.Grow(dst, n)
	for ; n > 0; n -= sectorData {
		dst = append(dst, sectors[:min(n, sectorData)]...)
		sectors = sectors[sectorSize:]
	}
	return dst
}

// checkRecords reports whether b is exactly count records.
func checkRecords(b []byte, count uint32) bool {
	n := uint32(0)
	for len(b) >= recordHeader && n < count {
		size := uint64(le.Uint32(b[1:]))
		if size > uint64(len(b)-recordHeader) {
			return false
		}
		b, n = b[recordHeader+int(size):], n+1
	}
	return len(b) == 0 && n == count
}
