package bundle

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/decube/decube/crdtsync/crdt"
	"github.com/decube/decube/internal/capability"
	"github.com/decube/decube/internal/sig"
	"github.com/decube/decube/internal/wire"
)

const (
	// MaxBundle is the most bytes of a bundle.
	MaxBundle = 64 << 10
	// MaxHeader is the most bytes of a header with its signature.
	MaxHeader = 512
	// MaxSequence is the largest number of a bundle in its origin.
	MaxSequence = int64(1)<<48 - 1

	version = 1
	domain  = "decube/bundle/1\x00"

	// What a bundle charges; see Header.Charge.
	chargePerOperation = 256
	leastCharge        = 1 << 10
	originCharge       = 4 << 10
	maxCharge          = int64(1) << 62
)

// ErrInvalid is returned for bytes that are no bundle, whoever looks at them.
var ErrInvalid = errors.New("invalid bundle")

// ID names a bundle: the SHA-256 of its header, without the signature.
type ID [sha256.Size]byte

// String returns the ID in hexadecimal digits.
func (id ID) String() string { return hex.EncodeToString(id[:]) }

// Origin is one life of a writer.
type Origin struct {
	Writer      sig.PublicKey
	Incarnation uint64
}

// Compare orders origins by writer, then by incarnation.
func (o Origin) Compare(p Origin) int {
	return cmp.Or(bytes.Compare(o.Writer[:], p.Writer[:]), cmp.Compare(o.Incarnation, p.Incarnation))
}

// String returns the writer's peer ID and the incarnation.
func (o Origin) String() string { return fmt.Sprintf("%v.%x", o.Writer, o.Incarnation) }

// Header is what a writer says of a bundle.
type Header struct {
	Swarm capability.ID
	Origin
	Sequence   int64
	Previous   ID // zero in sequence 0
	Time       crdt.Time
	Capability capability.ID
	// Charge is what the origin has cost with this bundle: the sum of what each does, see
	// [Header.Cost].
	Charge int64
	Length int64 // bytes of the body
	Body   ID    // the SHA-256 of it
	Count  int   // operations in it

	// Signature is the writer's.
	Signature sig.Signature
}

// Cost returns what the bundle adds to the charge of its origin: its bytes and 256 for each
// operation, at least 1 KiB, and 4 KiB more where an origin begins.
func (h *Header) Cost() int64 {
	cost := max(leastCharge, int64(len(h.append(nil)))+sig.Size+h.Length+chargePerOperation*int64(h.Count))
	if h.Sequence == 0 {
		cost += originCharge
	}
	return cost
}

// ID names the bundle.
func (h *Header) ID() ID { return sha256.Sum256(h.signed()) }

// Sign signs the header, whose writer the key makes.
func (h *Header) Sign(key sig.PrivateKey) {
	h.Writer = key.Public()
	h.Signature = key.Sign(h.signed())
}

// Item returns what is to be verified of the signature.
func (h *Header) Item() sig.Item {
	return sig.Item{Key: h.Writer, Message: h.signed(), Signature: h.Signature}
}

func (h *Header) signed() []byte { return h.append([]byte(domain)) }

// Encode returns the bytes that DecodeHeader reads.
func (h *Header) Encode() []byte { return append(h.append(nil), h.Signature[:]...) }

func (h *Header) append(b []byte) []byte {
	b = wire.AppendUvarint(b, version)
	b = append(b, h.Swarm[:]...)
	b = append(b, h.Writer[:]...)
	b = binary.BigEndian.AppendUint64(b, h.Incarnation)
	b = wire.AppendUvarint(b, uint64(h.Sequence))
	if h.Sequence > 0 {
		b = append(b, h.Previous[:]...)
	}
	b = wire.AppendUvarint(b, uint64(h.Time.Wall))
	b = wire.AppendUvarint(b, uint64(h.Time.Logical))
	b = append(b, h.Capability[:]...)
	b = wire.AppendUvarint(b, uint64(h.Charge))
	b = wire.AppendUvarint(b, uint64(h.Length))
	b = append(b, h.Body[:]...)
	return wire.AppendUvarint(b, uint64(h.Count))
}

// DecodeHeader returns the header that bytes are of, valid by itself, or ErrInvalid. Its
// signature is not looked at.
func DecodeHeader(b []byte) (*Header, error) {
	d := wire.NewDecoder(b)
	h := readHeader(&d)
	if err := d.Finish(); err != nil {
		return nil, fmt.Errorf("%w: header: %w", ErrInvalid, err)
	}
	return h, h.Validate()
}

func readHeader(d *wire.Decoder) *Header {
	if v := d.Uvarint(wire.MaxUvarint); d.Err() == nil && v != version {
		d.Fail(fmt.Errorf("version %d, this program knows %d", v, version))
	}
	h := new(Header)
	copy(h.Swarm[:], d.Bytes(len(h.Swarm)))
	h.Origin = readOrigin(d)
	if h.Sequence = int64(d.Uvarint(uint64(MaxSequence))); h.Sequence > 0 {
		copy(h.Previous[:], d.Bytes(len(h.Previous)))
	}
	h.Time.Wall = int64(d.Uvarint(wire.MaxUvarint))
	h.Time.Logical = uint32(d.Uvarint(1<<32 - 1))
	copy(h.Capability[:], d.Bytes(len(h.Capability)))
	h.Charge = int64(d.Uvarint(uint64(maxCharge)))
	h.Length = int64(d.Uvarint(MaxBundle))
	copy(h.Body[:], d.Bytes(len(h.Body)))
	h.Count = int(d.Uvarint(MaxOperations))
	copy(h.Signature[:], d.Bytes(len(h.Signature)))
	return h
}

func readOrigin(d *wire.Decoder) (o Origin) {
	copy(o.Writer[:], d.Bytes(len(o.Writer)))
	if b := d.Bytes(8); b != nil {
		o.Incarnation = binary.BigEndian.Uint64(b)
	}
	return o
}

// Validate returns ErrInvalid unless a writer that follows the rules can have made the
// header.
func (h *Header) Validate() error {
	if err := h.Writer.Check(); err != nil {
		return fmt.Errorf("%w: writer: %w", ErrInvalid, err)
	}
	if err := h.validPlace(); err != nil {
		return err
	}
	cost, before := h.Cost(), int64(0)
	if h.Sequence > 0 { // what those before it have cost at least
		before = originCharge + leastCharge*h.Sequence
	}
	switch {
	case h.Count < 1 || h.Count > MaxOperations:
		return fmt.Errorf("%w: %d operations, must be 1 to %d", ErrInvalid, h.Count, MaxOperations)
	case h.Length < 1 || h.Length+MaxHeader > MaxBundle:
		return fmt.Errorf("%w: a body of %d bytes, must be 1 to %d", ErrInvalid, h.Length, MaxBundle-MaxHeader)
	case h.Charge < before+cost || h.Charge > maxCharge || h.Sequence == 0 && h.Charge != cost:
		return fmt.Errorf("%w: a charge of %d, and this bundle alone costs %d, those before it at least %d", ErrInvalid, h.Charge, cost, before)
	}
	return nil
}

// validPlace returns ErrInvalid unless there is such a place in an origin.
func (h *Header) validPlace() error {
	switch {
	case h.Sequence < 0 || h.Sequence > MaxSequence:
		return fmt.Errorf("%w: sequence %d", ErrInvalid, h.Sequence)
	case h.Sequence == 0 && h.Previous != ID{}:
		return fmt.Errorf("%w: an origin begins after %v", ErrInvalid, h.Previous)
	case h.Time.Wall < 0:
		return fmt.Errorf("%w: time %v", ErrInvalid, h.Time)
	}
	return nil
}
