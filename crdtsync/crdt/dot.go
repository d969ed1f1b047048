package crdt

import (
	"bytes"
	"cmp"
	"encoding/hex"
	"errors"
	"fmt"
)

// ErrSequence is returned for a bundle sequence above [MaxSequence].
var ErrSequence = errors.New("bundle sequence out of range")

// Writer is a writer's public key.
type Writer [32]byte

// Origin is one life of a writer. Its bundles form one chain.
type Origin struct {
	Writer      Writer
	Incarnation uint32
}

// Compare orders origins by writer, then by incarnation.
func (o Origin) Compare(p Origin) int {
	return cmp.Or(bytes.Compare(o.Writer[:], p.Writer[:]), cmp.Compare(o.Incarnation, p.Incarnation))
}

// String returns the beginning of the writer's key and the incarnation.
func (o Origin) String() string {
	return fmt.Sprintf("%s.%d", hex.EncodeToString(o.Writer[:4]), o.Incarnation)
}

const (
	indexBits = 16

	// MaxSequence is the largest sequence number of a bundle. Sequences count
	// from 0 without gaps.
	MaxSequence = 1<<(64-indexBits) - 1

	// MaxOperations is the largest number of operations in a bundle.
	MaxOperations = 1 << indexBits
)

// Position is a place in an origin's line of operations: the bundle's sequence
// in the upper 48 bits, the index within the bundle in the lower 16.
type Position uint64

// At returns the position of the operation at index in the bundle with the
// sequence given, and ErrSequence for a sequence above [MaxSequence].
func At(sequence uint64, index uint16) (Position, error) {
	if sequence > MaxSequence {
		return 0, fmt.Errorf("%w: %d, the largest is %d", ErrSequence, sequence, uint64(MaxSequence))
	}
	return Position(sequence<<indexBits | uint64(index)), nil
}

// Sequence returns the sequence of the position's bundle.
func (p Position) Sequence() uint64 { return uint64(p) >> indexBits }

// Index returns the index within the position's bundle.
func (p Position) Index() uint16 { return uint16(p & (MaxOperations - 1)) }

// Dot names one operation.
type Dot struct {
	Origin Origin
	Position
}

// Compare orders dots by origin, then by position.
func (d Dot) Compare(e Dot) int {
	return cmp.Or(d.Origin.Compare(e.Origin), cmp.Compare(d.Position, e.Position))
}

// String returns origin, sequence and index.
func (d Dot) String() string {
	return fmt.Sprintf("%s:%d.%d", d.Origin, d.Sequence(), d.Index())
}
