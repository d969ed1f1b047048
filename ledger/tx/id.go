package tx

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"

	"github.com/transparency-dev/merkle/rfc6962"
)

// ID names a transaction: the RFC 6962 leaf hash of its encoding.
type ID [32]byte

// ErrID is returned for a text that is no transaction's ID.
var ErrID = errors.New("not a transaction ID")

// ParseID returns the ID of 64 lower-case hexadecimal digits, and ErrID for any
// other text.
func ParseID(s string) (ID, error) {
	var id ID
	if len(s) != hex.EncodedLen(len(id)) {
		return ID{}, fmt.Errorf("%w: %d characters, want %d hexadecimal digits", ErrID, len(s), hex.EncodedLen(len(id)))
	}
	if _, err := hex.Decode(id[:], []byte(s)); err != nil || id.String() != s {
		return ID{}, fmt.Errorf("%w: %q, want lower-case hexadecimal digits", ErrID, s)
	}
	return id, nil
}

// String returns the ID in hexadecimal.
func (id ID) String() string { return hex.EncodeToString(id[:]) }

// MarshalText returns the ID in hexadecimal.
func (id ID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText is [ParseID].
func (id *ID) UnmarshalText(text []byte) error {
	got, err := ParseID(string(text))
	if err == nil {
		*id = got
	}
	return err
}

// leafHasher computes IDs, one after the other, without allocating for each.
type leafHasher struct {
	h      hash.Hash
	prefix [1]byte
	sum    ID
}

func newLeafHasher() *leafHasher {
	return &leafHasher{h: sha256.New(), prefix: [1]byte{rfc6962.RFC6962LeafHashPrefix}}
}

// hash returns the RFC 6962 leaf hash of an encoding.
func (l *leafHasher) hash(raw []byte) ID {
	l.h.Reset()
	_, _ = l.h.Write(l.prefix[:]) // a hash takes everything
	_, _ = l.h.Write(raw)
	l.h.Sum(l.sum[:0])
	return l.sum
}
