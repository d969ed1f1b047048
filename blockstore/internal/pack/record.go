package pack

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"github.com/decube/decube/block"
	"github.com/decube/decube/internal/durable"
)

const (
	// HeaderSize is the length of a record's header and of a pack's, in bytes.
	HeaderSize = 64
	// FirstRecord is where the first record of a pack may start.
	FirstRecord = durable.Align
	// LargeRecord is the number of bytes from which on a block starts on a page
	// of its own, so that its space can be freed wholly.
	LargeRecord = 32 << 10

	smallAlign  = 64
	recordMagic = "DCBK"
	// Records of version 1 have no checksum of the block's bytes.
	recordPlain  = 1
	recordSummed = 2
	packMagic    = "DCPACK\x00\x01"
	// maxPack is the largest pack in which a record's place fits its header.
	maxPack = (1 << 32) * smallAlign
)

var (
	// ErrHeader is returned for bytes that are not a header of a known version at
	// this place of this pack.
	ErrHeader = errors.New("not a record header")
	// ErrChecksum is returned for bytes that do not match their record's checksum.
	ErrChecksum = errors.New("the bytes do not match their checksum")
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Header describes a record.
type Header struct {
	Codec  block.Codec
	Len    uint32 // bytes of the block
	Digest block.Digest
	Nonce  uint64 // of the pack
	Off    int64  // of the header, from the start of the pack
	// Summed says that Sum is there: the record is of version 2.
	Summed bool
	Sum    uint32 // CRC-32C of the block's bytes
}

// Sum returns the checksum of a block's bytes.
func Sum(data []byte) uint32 { return crc32.Checksum(data, castagnoli) }

// Append appends the encoded header, HeaderSize bytes, to b.
func (h Header) Append(b []byte) []byte {
	start := len(b)
	b = append(b, recordMagic...)
	version := byte(recordPlain)
	if h.Summed {
		version = recordSummed
	}
	b = append(b, version, byte(h.Codec), 0, 0)
	b = binary.LittleEndian.AppendUint32(b, h.Len)
	b = append(b, 0, 0, 0, 0)
	b = append(b, h.Digest[:]...)
	b = binary.LittleEndian.AppendUint64(b, h.Nonce)
	if h.Summed {
		b = binary.LittleEndian.AppendUint32(b, uint32(h.Off/smallAlign))
		b = binary.LittleEndian.AppendUint32(b, h.Sum)
	} else {
		b = binary.LittleEndian.AppendUint64(b, uint64(h.Off))
	}
	binary.LittleEndian.PutUint32(b[start+12:], crc32.Checksum(b[start:], castagnoli))
	return b
}

// DecodeHeader reads a header from the first HeaderSize bytes of b. It returns
// ErrHeader for anything that Append did not produce.
func DecodeHeader(b []byte) (Header, error) {
	if len(b) < HeaderSize || string(b[:4]) != recordMagic {
		return Header{}, ErrHeader
	}
	b = b[:HeaderSize]
	if b[4] != recordPlain && b[4] != recordSummed {
		return Header{}, fmt.Errorf("%w: version %d", ErrHeader, b[4])
	}
	if binary.LittleEndian.Uint32(b[12:]) != checksum(b) {
		return Header{}, fmt.Errorf("%w: checksum", ErrHeader)
	}
	h := Header{
		Codec:  block.Codec(b[5]),
		Len:    binary.LittleEndian.Uint32(b[8:]),
		Digest: block.Digest(b[16:48]),
		Nonce:  binary.LittleEndian.Uint64(b[48:]),
		Summed: b[4] == recordSummed,
	}
	if h.Summed {
		h.Off = int64(binary.LittleEndian.Uint32(b[56:])) * smallAlign
		h.Sum = binary.LittleEndian.Uint32(b[60:])
	} else {
		h.Off = int64(binary.LittleEndian.Uint64(b[56:]))
	}
	if !h.Codec.Valid() || b[6]|b[7] != 0 || h.Len > block.MaxSize || h.Off < FirstRecord || h.Off%smallAlign != 0 {
		return Header{}, fmt.Errorf("%w: fields out of range", ErrHeader)
	}
	return h, nil
}

// checksum is the CRC of a header whose checksum field, at 12, counts as zero.
func checksum(b []byte) uint32 {
	var zero [4]byte
	c := crc32.Update(0, castagnoli, b[:12])
	c = crc32.Update(c, castagnoli, zero[:])
	return crc32.Update(c, castagnoli, b[16:])
}

// appendPackHeader appends the first FirstRecord bytes of a pack to b.
func appendPackHeader(b []byte, id uint32, nonce uint64) []byte {
	start := len(b)
	b = append(b, make([]byte, FirstRecord)...)
	h := b[start:]
	copy(h, packMagic)
	binary.LittleEndian.PutUint32(h[8:], id)
	binary.LittleEndian.PutUint64(h[16:], nonce)
	binary.LittleEndian.PutUint32(h[12:], checksum(h[:24]))
	return b
}

// decodePackHeader returns a pack's nonce.
func decodePackHeader(b []byte, id uint32) (uint64, error) {
	if len(b) < 24 || string(b[:8]) != packMagic {
		return 0, fmt.Errorf("%w: not a pack", ErrHeader)
	}
	if got := binary.LittleEndian.Uint32(b[8:]); got != id || binary.LittleEndian.Uint32(b[12:]) != checksum(b[:24]) {
		return 0, fmt.Errorf("%w: the header of pack %d is damaged or belongs to pack %d", ErrHeader, id, got)
	}
	return binary.LittleEndian.Uint64(b[16:]), nil
}

// RecordSize returns the bytes from the start of a record to its end.
func RecordSize(n int) int64 { return HeaderSize + int64(n) }

// placeRecord returns where a record of n bytes may start, at or after off.
func placeRecord(off int64, n int) int64 {
	if n >= LargeRecord {
		return alignUp(off, durable.Align)
	}
	return alignUp(off, smallAlign)
}

func alignUp(n, to int64) int64 { return (n + to - 1) / to * to }
