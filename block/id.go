package block

import (
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/ipfs/go-cid"
	mh "github.com/multiformats/go-multihash"
)

// DigestSize is the length of a block's SHA-256 digest in bytes.
const DigestSize = sha256.Size

// IDSize is the length of an ID's binary form in bytes: CID version, codec,
// hash function, hash length, digest.
const IDSize = 4 + DigestSize

// Codec says how a block's bytes are to be read. Only the codecs named here
// exist in a swarm.
type Codec uint8

const (
	// Raw is the codec of chunks: bytes without structure.
	Raw Codec = 0x55
	// DagCBOR is the codec of manifest nodes.
	DagCBOR Codec = 0x71
)

// String returns the codec's multicodec name.
func (c Codec) String() string {
	switch c {
	case Raw:
		return "raw"
	case DagCBOR:
		return "dag-cbor"
	default:
		return fmt.Sprintf("codec 0x%x", uint8(c))
	}
}

// Valid reports whether c is a codec that blocks may have.
func (c Codec) Valid() bool { return c == Raw || c == DagCBOR }

var (
	// ErrSyntax is returned for text or bytes that are not a CID.
	ErrSyntax = errors.New("not a CID")
	// ErrUnsupported is returned for a CID that is well formed but names
	// something that DeCube does not store: another version, codec or hash.
	ErrUnsupported = errors.New("unsupported CID")
	// ErrMismatch is returned for bytes that do not hash to the ID they came under.
	ErrMismatch = errors.New("bytes do not match their CID")
	// ErrNotFound is what stores, sessions and peers return, wrapped, for a block, or what is
	// kept of one, that they do not hold.
	ErrNotFound = errors.New("not found")
)

// Digest is the SHA-256 of a block's bytes. Storage is keyed by digest, so that
// the same bytes are stored once whatever codec they are named with.
type Digest [DigestSize]byte

// Multihash returns the digest as a sha2-256 multihash, the key under which
// the DHT knows the block.
func (d Digest) Multihash() mh.Multihash {
	m := make([]byte, 2+DigestSize)
	m[0], m[1] = mh.SHA2_256, DigestSize
	copy(m[2:], d[:])
	return m
}

// ID names a block: a CIDv1 with a sha2-256 multihash and one of the codecs of
// this package. It is a comparable value; the zero ID names nothing.
type ID struct {
	codec  Codec
	digest Digest
}

// MakeID returns the ID of a block whose digest is known already. A codec that
// is not valid gives the zero ID.
func MakeID(codec Codec, digest Digest) ID {
	if !codec.Valid() {
		return ID{}
	}
	return ID{codec: codec, digest: digest}
}

// Parse reads an ID from a CID's text. It returns ErrSyntax or ErrUnsupported.
func Parse(s string) (ID, error) {
	c, err := cid.Decode(s)
	if err != nil {
		return ID{}, fmt.Errorf("%w: %q: %w", ErrSyntax, clip(s), err)
	}
	id, err := FromCID(c)
	if err != nil {
		return ID{}, fmt.Errorf("%q: %w", clip(s), err)
	}
	return id, nil
}

// FromCID converts a CID. It returns ErrUnsupported for what cannot name a block.
func FromCID(c cid.Cid) (ID, error) {
	if !c.Defined() {
		return ID{}, fmt.Errorf("%w: the CID is empty", ErrSyntax)
	}
	p := c.Prefix()
	switch {
	case p.Version != 1:
		return ID{}, fmt.Errorf("%w: CIDv%d, want CIDv1", ErrUnsupported, p.Version)
	case p.Codec > 0xff || !Codec(p.Codec).Valid():
		return ID{}, fmt.Errorf("%w: codec 0x%x, want raw (0x55) or dag-cbor (0x71)", ErrUnsupported, p.Codec)
	case p.MhType != mh.SHA2_256 || p.MhLength != DigestSize:
		return ID{}, fmt.Errorf("%w: hash 0x%x of %d bytes, want sha2-256 of %d", ErrUnsupported, p.MhType, p.MhLength, DigestSize)
	}
	h := c.Hash()
	return ID{codec: Codec(p.Codec), digest: Digest(h[len(h)-DigestSize:])}, nil
}

// FromBytes reads an ID from its binary form, which must be exactly IDSize long.
func FromBytes(b []byte) (ID, error) {
	if len(b) != IDSize {
		return ID{}, fmt.Errorf("%w: %d bytes, want %d", ErrSyntax, len(b), IDSize)
	}
	if b[0] != 1 || !Codec(b[1]).Valid() || b[2] != mh.SHA2_256 || b[3] != DigestSize {
		return ID{}, fmt.Errorf("%w: prefix % x", ErrUnsupported, b[:4])
	}
	return ID{codec: Codec(b[1]), digest: Digest(b[4:])}, nil
}

// IsZero reports whether the ID names nothing.
func (id ID) IsZero() bool { return id == ID{} }

// Codec returns the codec the block is to be read with.
func (id ID) Codec() Codec { return id.codec }

// Digest returns the SHA-256 of the block's bytes.
func (id ID) Digest() Digest { return id.digest }

// AppendBytes appends the ID's binary form, IDSize bytes, to b.
func (id ID) AppendBytes(b []byte) []byte {
	b = append(b, 1, byte(id.codec), mh.SHA2_256, DigestSize)
	return append(b, id.digest[:]...)
}

// Bytes returns the ID's binary form, a new slice of IDSize bytes.
func (id ID) Bytes() []byte { return id.AppendBytes(make([]byte, 0, IDSize)) }

// CID returns the ID as a CID of the libraries; the zero ID gives cid.Undef.
func (id ID) CID() cid.Cid {
	if id.IsZero() {
		return cid.Undef
	}
	return cid.NewCidV1(uint64(id.codec), id.digest.Multihash())
}

// String returns the CID in base32, the form that users see; the zero ID gives "".
func (id ID) String() string {
	if id.IsZero() {
		return ""
	}
	return id.CID().String()
}

// MarshalText implements encoding.TextMarshaler.
func (id ID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler; empty text gives the zero ID.
func (id *ID) UnmarshalText(b []byte) error {
	if len(b) == 0 {
		*id = ID{}
		return nil
	}
	parsed, err := Parse(string(b))
	if err != nil {
		return err
	}
	*id = parsed
	return nil
}

// clip keeps hostile input from flooding an error message.
func clip(s string) string {
	const most = 96
	if len(s) <= most {
		return s
	}
	return s[:most] + "..."
}
