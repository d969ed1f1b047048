package capability

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/decube/decube/internal/sig"
	"github.com/decube/decube/internal/wire"
)

const (
	// MaxHeads is the most heads of a revocation.
	MaxHeads = 512
	// MaxRevocation is the most bytes of an encoded revocation.
	MaxRevocation = 64 << 10

	revocationDomain = "decube/revocation/1\x00"
	maxSequence      = int64(1)<<48 - 1
)

// Head is how far a writer's bundles of one origin were seen: all up to the sequence, whose
// bundle has that ID.
type Head struct {
	Writer      sig.PublicKey
	Incarnation uint64
	Sequence    int64
	Bundle      ID
}

// compare orders heads by their origin.
func (h Head) compare(o Head) int {
	return cmp.Or(bytes.Compare(h.Writer[:], o.Writer[:]), cmp.Compare(h.Incarnation, o.Incarnation))
}

// Revocation ends a capability and all below it, for ever. What was written under it counts
// as far as the heads go; with none, as after a key was stolen, only what is certified does.
type Revocation struct {
	Swarm      ID
	Revoker    sig.PublicKey
	Capability ID
	Heads      []Head // in ascending order of their origins, of each one at most
	Nonce      [NonceSize]byte

	// Signature is the revoker's.
	Signature sig.Signature
}

// Sign signs the revocation, whose revoker the key makes.
func (r *Revocation) Sign(key sig.PrivateKey) {
	r.Revoker = key.Public()
	r.Signature = key.Sign(r.signed())
}

// ID names the revocation, signature included.
func (r *Revocation) ID() ID { return digest(r.signed(), r.Signature[:]) }

// Encode returns the bytes that DecodeRevocation reads.
func (r *Revocation) Encode() []byte { return append(r.append(nil), r.Signature[:]...) }

func (r *Revocation) signed() []byte { return r.append([]byte(revocationDomain)) }

func (r *Revocation) append(b []byte) []byte {
	b = wire.AppendUvarint(b, version)
	b = append(b, r.Swarm[:]...)
	b = append(b, r.Revoker[:]...)
	b = append(b, r.Capability[:]...)
	b = appendInt(b, int64(len(r.Heads)))
	for _, h := range r.Heads {
		b = append(b, h.Writer[:]...)
		b = binary.BigEndian.AppendUint64(b, h.Incarnation)
		b = append(appendInt(b, h.Sequence), h.Bundle[:]...)
	}
	return append(b, r.Nonce[:]...)
}

// DecodeRevocation returns the revocation that bytes are of, valid by itself, or ErrInvalid.
// Its signature is not looked at; see [Revocation.Verify].
func DecodeRevocation(b []byte) (*Revocation, error) {
	d := wire.NewDecoder(b)
	readVersion(&d)
	r := &Revocation{Swarm: readArray[ID](&d), Revoker: readArray[sig.PublicKey](&d), Capability: readArray[ID](&d)}
	for range readInt(&d, MaxHeads) {
		if d.Err() != nil {
			break
		}
		h := Head{Writer: readArray[sig.PublicKey](&d)}
		if b := d.Bytes(8); b != nil {
			h.Incarnation = binary.BigEndian.Uint64(b)
		}
		h.Sequence, h.Bundle = readInt(&d, maxSequence), readArray[ID](&d)
		r.Heads = append(r.Heads, h)
	}
	copy(r.Nonce[:], d.Bytes(NonceSize))
	r.Signature = readSignature(&d)
	if err := finish(&d, "revocation"); err != nil {
		return nil, err
	}
	if err := r.Validate(); err != nil {
		return nil, err
	}
	return r, nil
}

// Validate returns ErrInvalid unless the revocation means something by itself.
func (r *Revocation) Validate() error {
	if err := r.Revoker.Check(); err != nil {
		return fmt.Errorf("%w: revoker: %w", ErrInvalid, err)
	}
	if r.Capability.IsZero() {
		return fmt.Errorf("%w: a revocation of nothing", ErrInvalid)
	}
	if len(r.Heads) > MaxHeads {
		return fmt.Errorf("%w: %d heads, at most %d", ErrInvalid, len(r.Heads), MaxHeads)
	}
	for i, h := range r.Heads {
		if h.Sequence < 0 || h.Sequence > maxSequence {
			return fmt.Errorf("%w: heads[%d]: sequence %d", ErrInvalid, i, h.Sequence)
		}
		if i > 0 && r.Heads[i-1].compare(h) >= 0 {
			return fmt.Errorf("%w: heads[%d]: an origin twice, or out of order", ErrInvalid, i)
		}
	}
	return nil
}

// Verify reports whether the signature is the revoker's.
func (r *Revocation) Verify(v Verifier) bool {
	return v.Verify(sig.Item{Key: r.Revoker, Message: r.signed(), Signature: r.Signature})
}

// lowest returns the heads that two lists have in common, the lower one of each origin.
func lowest(a, b []Head) []Head {
	var out []Head
	for _, h := range a {
		i, ok := slices.BinarySearchFunc(b, h, Head.compare)
		switch {
		case !ok:
		case lower(b[i], h):
			out = append(out, b[i])
		default:
			out = append(out, h)
		}
	}
	return out
}

// lower reports whether a head of an origin comes before another one. Of two bundles for one
// place, which only a faulty writer makes, one is taken by its ID, so that all take the same.
func lower(a, b Head) bool {
	return cmp.Or(cmp.Compare(a.Sequence, b.Sequence), bytes.Compare(a.Bundle[:], b.Bundle[:])) < 0
}
