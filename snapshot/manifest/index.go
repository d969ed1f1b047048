package manifest

import (
	"encoding/binary"

	"github.com/decube/decube/block"
)

// AppendRecord appends the record of a block of size bytes.
func AppendRecord(dst []byte, id block.ID, size int) []byte {
	digest := id.Digest()
	dst = append(dst, byte(id.Codec()))
	dst = append(dst, digest[:]...)
	return binary.BigEndian.AppendUint32(dst, uint32(size))
}

// Len returns the number of records.
func (p *IndexPage) Len() int { return len(p.Records) / RecordSize }

// At returns record i: a block's ID and its size in bytes. The zero ID stands for
// a codec that is not valid.
func (p *IndexPage) At(i int) (id block.ID, size int) {
	r := p.Records[i*RecordSize : (i+1)*RecordSize]
	id = block.MakeID(block.Codec(r[0]), block.Digest(r[1:1+block.DigestSize]))
	return id, int(binary.BigEndian.Uint32(r[1+block.DigestSize:]))
}
