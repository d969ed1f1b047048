package pbft

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
)

// ErrMalformed is returned for bytes and messages that no honest replica makes.
var ErrMalformed = errors.New("malformed message")

// Digest is a SHA-256 sum: of a header, a tree, a set of validators.
type Digest [sha256.Size]byte

// IsZero reports whether nothing was ever assigned to d.
func (d Digest) IsZero() bool { return d == Digest{} }

// String returns the digest in hexadecimal.
func (d Digest) String() string { return hex.EncodeToString(d[:]) }

// Short returns the first four bytes in hexadecimal, for logs and transcripts.
func (d Digest) Short() string { return hex.EncodeToString(d[:4]) }

// Header is what replicas agree on: a block's place in the chain and the roots
// of what it holds. Its digest names the block.
type Header struct {
	Epoch  uint64 // the term of office of the committee that orders it
	Seq    uint64 // the sequence number; the genesis block has 0
	Parent Digest // digest of the header before it
	Time   int64  // Unix time in milliseconds, never less than its parent's
	Count  uint32 // number of transactions
	Body   Digest // RFC 6962 root of the transactions
	State  Digest // root of the state after executing them
	// Committee is the digest of the validator set that orders this block: the one
	// whose signatures its certificate has. The genesis block, which nobody signs,
	// names the first one. Since the header says by whom it is to be signed, a
	// certificate is worth the same to whoever trusts that set, in whichever epoch.
	Committee Digest
	// Next is the digest of the validator set of the next epoch in the last block
	// of an epoch, where it may be the same set again. Otherwise zero.
	Next Digest
}

// HeaderSize is the length of a header's encoding in bytes.
const HeaderSize = 8 + 8 + 32 + 8 + 4 + 32 + 32 + 32 + 32

// domainHeader separates the digests of headers from all others.
const domainHeader = "decube/header/2\x00"

// AppendTo appends the header's encoding to b: the fields in order, integers big
// endian.
func (h *Header) AppendTo(b []byte) []byte {
	b = binary.BigEndian.AppendUint64(b, h.Epoch)
	b = binary.BigEndian.AppendUint64(b, h.Seq)
	b = append(b, h.Parent[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(h.Time))
	b = binary.BigEndian.AppendUint32(b, h.Count)
	b = append(b, h.Body[:]...)
	b = append(b, h.State[:]...)
	b = append(b, h.Committee[:]...)
	return append(b, h.Next[:]...)
}

// ParseHeader reads what AppendTo wrote, which every HeaderSize bytes are.
func ParseHeader(b []byte) (Header, error) {
	if len(b) != HeaderSize {
		return Header{}, fmt.Errorf("%w: a header of %d bytes, want %d", ErrMalformed, len(b), HeaderSize)
	}
	h := Header{
		Epoch: binary.BigEndian.Uint64(b),
		Seq:   binary.BigEndian.Uint64(b[8:]),
		Time:  int64(binary.BigEndian.Uint64(b[48:])),
		Count: binary.BigEndian.Uint32(b[56:]),
	}
	copy(h.Parent[:], b[16:])
	copy(h.Body[:], b[60:])
	copy(h.State[:], b[92:])
	copy(h.Committee[:], b[124:])
	copy(h.Next[:], b[156:])
	return h, nil
}

// Digest returns the name of the block.
func (h *Header) Digest() Digest {
	var buf [len(domainHeader) + HeaderSize]byte
	return sha256.Sum256(h.AppendTo(append(buf[:0], domainHeader...)))
}

// Last reports whether the block is the last of its epoch.
func (h *Header) Last() bool { return !h.Next.IsZero() }

// Following returns the digest of the validator set that orders the block after
// this one.
func (h *Header) Following() Digest {
	if h.Last() {
		return h.Next
	}
	return h.Committee
}

// String returns the header's place and name.
func (h *Header) String() string { return fmt.Sprintf("%d/%d:%s", h.Epoch, h.Seq, h.Digest().Short()) }
