package records

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
)

const (
	slotSize = 128
	// mostNames is what a key and a provider's ID may have together. A hash of 64 bytes and the
	// ID of an Ed25519 key have as much; of the hashes that this swarm uses there are 32 left.
	mostNames = slotSize - namesAt
	namesAt   = 24

	header = "decube provider records 1\n"
)

// kind is whose record a slot has.
type kind byte

const (
	vacantSlot kind = iota
	anothers
	ours
	oursKnown
)

// record is what a slot has.
type record struct {
	kind     kind
	made     time.Time
	holder   Holder
	key      []byte
	provider peer.ID
}

var (
	errDamaged = errors.New("a slot is damaged")
	errTooLong = errors.New("the names of a record are too long")
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// encode writes a record into a slot.
func (r record) encode(b *[slotSize]byte) error {
	n := len(r.key) + len(r.provider)
	if n > mostNames || len(r.key) == 0 || len(r.provider) == 0 {
		return errTooLong
	}
	clear(b[:])
	b[4], b[5], b[6] = byte(r.kind), byte(len(r.key)), byte(len(r.provider))
	binary.LittleEndian.PutUint64(b[8:], uint64(r.made.UnixNano()))
	binary.LittleEndian.PutUint64(b[16:], uint64(r.holder))
	copy(b[namesAt+copy(b[namesAt:], r.key):], r.provider)
	binary.LittleEndian.PutUint32(b[:], crc32.Checksum(b[4:], castagnoli))
	return nil
}

// decode reads a slot. The key is the slot's memory. A slot without a record is no error.
func decode(b *[slotSize]byte) (record, error) {
	if kind(b[4]) == vacantSlot {
		return record{}, nil
	}
	key, names := int(b[5]), int(b[5])+int(b[6])
	switch {
	case binary.LittleEndian.Uint32(b[:]) != crc32.Checksum(b[4:], castagnoli),
		kind(b[4]) > oursKnown, b[7] != 0, names > mostNames, key == 0, names == key:
		return record{}, errDamaged
	}
	r := record{
		kind:     kind(b[4]),
		made:     time.Unix(0, int64(binary.LittleEndian.Uint64(b[8:]))),
		holder:   Holder(binary.LittleEndian.Uint64(b[16:])),
		key:      b[namesAt : namesAt+key],
		provider: peer.ID(b[namesAt+key : namesAt+names]),
	}
	if (r.holder == Own) != (r.kind != anothers) {
		return record{}, errDamaged
	}
	return r, nil
}
