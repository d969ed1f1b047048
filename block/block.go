// Package block names and verifies content: an [ID] is a CIDv1 over SHA-256,
// a [Block] is bytes that are known to match their ID.
//
// A Block can be made in two ways only, both of which hash the bytes: [New]
// computes the ID, [Check] compares with a given one. Code that takes a Block
// therefore never has to hash again, and bytes from a disk, a peer or a client
// cannot enter it unverified.
package block

import (
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
)

// MaxSize is the largest block in bytes: 2 MiB, the bound that other IPFS
// software accepts.
const MaxSize = 2 << 20

// Block is a block's bytes with the ID they were verified against. The bytes are
// shared, not copied: whoever made the block must not change them while it is in
// use, and whoever receives it must not change them at all.
type Block struct {
	id   ID
	data []byte
}

// New hashes data and returns it as a block. It panics for a codec that is not
// valid, which is a programming error.
func New(codec Codec, data []byte) Block {
	if !codec.Valid() {
		panic("block: New with " + codec.String())
	}
	return Block{id: MakeID(codec, sha256.Sum256(data)), data: data}
}

// Check returns data as a block when it hashes to id, and ErrMismatch otherwise.
func Check(id ID, data []byte) (Block, error) {
	if len(data) > MaxSize {
		return Block{}, fmt.Errorf("%w: %s: %d bytes, the largest block is %d", ErrMismatch, id, len(data), MaxSize)
	}
	got := sha256.Sum256(data)
	if id.IsZero() || subtle.ConstantTimeCompare(got[:], id.digest[:]) != 1 {
		return Block{}, fmt.Errorf("%w: %s: %d bytes hash to %x", ErrMismatch, id, len(data), got[:8])
	}
	return Block{id: id, data: data}, nil
}

// ID returns the block's name.
func (b Block) ID() ID { return b.id }

// Data returns the block's bytes, which must not be changed.
func (b Block) Data() []byte { return b.data }

// Len returns the number of bytes in the block.
func (b Block) Len() int { return len(b.data) }
