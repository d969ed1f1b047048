package wal

import (
	"encoding/binary"
	"hash/crc32"

	"github.com/decube/decube/internal/durable"
)

const (
	blockSize    = durable.Align
	sectorSize   = 512
	sectorData   = 500
	blockSectors = blockSize / sectorSize
)

var (
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
	le         = binary.LittleEndian
)

// logID is the random identity of a log. Bytes that a stranger chose, inside a
// record, can therefore never pass for sectors of the log.
type logID [16]byte

// checksummer computes the checksums of one segment's sectors.
type checksummer struct {
	seed uint32
	head [12]byte // a field, so that it need not be allocated per sector
}

func newChecksummer(log logID, segment uint32) *checksummer {
	return &checksummer{seed: crc32.Update(crc32.Checksum(log[:], castagnoli), castagnoli, le.AppendUint32(nil, segment))}
}

// sum returns the checksum that sector number index of the segment has if it
// belongs to a group.
func (c *checksummer) sum(sector []byte, index int, group uint64) uint32 {
	le.PutUint32(c.head[:], uint32(index))
	le.PutUint64(c.head[4:], group)
	return crc32.Update(crc32.Update(c.seed, castagnoli, c.head[:]), castagnoli, sector[:sectorData])
}

// finish fills in the end of a sector whose data is complete.
func (c *checksummer) finish(sector []byte, index int, group uint64) {
	le.PutUint32(sector[sectorData:], c.sum(sector, index, group))
	le.PutUint64(sector[sectorData+4:], group)
}

// belongs reports whether a sector is undamaged and belongs to a group. The
// number written in the sector is not looked at: the checksum implies it. If it were,
// a bit of it that is lost could make the last group look like a torn one, or an old one.
// As it is, such a bit may be noticed only after the segment was used again, as the trace
// of a group that never was.
func (c *checksummer) belongs(sector []byte, index int, group uint64) bool {
	return le.Uint32(sector[sectorData:]) == c.sum(sector, index, group)
}

// claim returns the group that a sector says it belongs to.
func claim(sector []byte) uint64 { return le.Uint64(sector[sectorData+4:]) }

// blocksFor returns how many blocks n bytes of a group's data occupy.
func blocksFor(n int) int {
	const data = blockSectors * sectorData
	return (n + data - 1) / data
}
