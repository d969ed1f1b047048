package pinlog

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"strings"

	"github.com/decube/decube/internal/durable"
)

const (
	magic        = "DCPINS\x00\x02"
	recordMagic  = "DCPN"
	recordFormat = 1

	page        = durable.Align
	recordHead  = 40
	recordAlign = 64 // where records of the base may begin
	ownerSize   = 64
)

const (
	kindSet    = 1
	kindRemove = 2
)

const (
	// MaxKey is the longest key in bytes.
	MaxKey = 256
	// MaxValue is the longest value in bytes.
	MaxValue = 96 << 10
)

var (
	errHeader = errors.New("the header is damaged")
	errRecord = errors.New("not a record")
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Change is a change to the map: key gets a value, or is removed.
type Change struct {
	Key, Value []byte
	Remove     bool
}

// header is the first page.
type header struct {
	lossy bool
	nonce uint64
	seq   uint64
	count uint64
	end   int64
	owner string
}

// encode returns the page.
func (h header) encode() []byte {
	b := make([]byte, page)
	copy(b, magic)
	if h.lossy {
		b[12] = 1
	}
	binary.LittleEndian.PutUint64(b[16:], h.nonce)
	binary.LittleEndian.PutUint64(b[24:], h.seq)
	binary.LittleEndian.PutUint64(b[32:], h.count)
	binary.LittleEndian.PutUint64(b[40:], uint64(h.end))
	copy(b[48:48+ownerSize], h.owner)
	binary.LittleEndian.PutUint32(b[8:], checksum(b, 8))
	return b
}

func decodeHeader(b []byte) (header, error) {
	if len(b) < page || string(b[:len(magic)]) != magic || binary.LittleEndian.Uint32(b[8:]) != checksum(b[:page], 8) {
		return header{}, errHeader
	}
	return header{
		lossy: b[12] == 1,
		nonce: binary.LittleEndian.Uint64(b[16:]),
		seq:   binary.LittleEndian.Uint64(b[24:]),
		count: binary.LittleEndian.Uint64(b[32:]),
		end:   int64(binary.LittleEndian.Uint64(b[40:])),
		owner: strings.TrimRight(string(b[48:48+ownerSize]), "\x00"),
	}, nil
}

// checksum is over b with the four bytes at skip taken for zeros.
func checksum(b []byte, skip int) uint32 {
	sum := crc32.Update(0, castagnoli, b[:skip])
	sum = crc32.Update(sum, castagnoli, []byte{0, 0, 0, 0})
	return crc32.Update(sum, castagnoli, b[skip+4:])
}

// record is a change as it lies in the file.
type record struct {
	Change

	seq, nonce uint64
	off        int64
}

// size returns the bytes of the record.
func (r record) size() int { return recordHead + len(r.Key) + len(r.Value) }

// encode appends the record to b, which stays aligned to slots.
func (r record) encode(b []byte) []byte {
	from := len(b)
	b = append(b, make([]byte, align(r.size(), recordAlign))...)
	out := b[from : from+r.size()]
	copy(out, recordMagic)
	out[4], out[5] = recordFormat, kindSet
	if r.Remove {
		out[5] = kindRemove
	}
	binary.LittleEndian.PutUint16(out[6:], uint16(len(r.Key)))
	binary.LittleEndian.PutUint32(out[8:], uint32(len(r.Key)+len(r.Value)))
	binary.LittleEndian.PutUint64(out[16:], r.seq)
	binary.LittleEndian.PutUint64(out[24:], r.nonce)
	binary.LittleEndian.PutUint64(out[32:], uint64(r.off))
	copy(out[recordHead:], r.Key)
	copy(out[recordHead+len(r.Key):], r.Value)
	binary.LittleEndian.PutUint32(out[12:], checksum(out, 12))
	return b
}

// decodeRecord reads the record that begins at off in the file. What merely looks
// like one, such as a value that holds a copy of another file, does not have the
// right offset.
func decodeRecord(data []byte, off int64) (record, error) {
	b := data[off:]
	if len(b) < recordHead || string(b[:4]) != recordMagic || b[4] != recordFormat {
		return record{}, errRecord
	}
	key, both := int(binary.LittleEndian.Uint16(b[6:])), int(binary.LittleEndian.Uint32(b[8:]))
	if key == 0 || key > MaxKey || both < key || both-key > MaxValue || len(b) < recordHead+both {
		return record{}, errRecord
	}
	b = b[:recordHead+both]
	if binary.LittleEndian.Uint32(b[12:]) != checksum(b, 12) || int64(binary.LittleEndian.Uint64(b[32:])) != off {
		return record{}, errRecord
	}
	r := record{
		Change: Change{Key: b[recordHead : recordHead+key : recordHead+key], Value: b[recordHead+key:], Remove: b[5] == kindRemove},
		seq:    binary.LittleEndian.Uint64(b[16:]),
		nonce:  binary.LittleEndian.Uint64(b[24:]),
		off:    off,
	}
	return r, nil
}

func align[T int | int64](n, to T) T { return (n + to - 1) / to * to }
