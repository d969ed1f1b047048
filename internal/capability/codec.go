package capability

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/decube/decube/internal/sig"
	"github.com/decube/decube/internal/wire"
)

// ErrInvalid is returned for statements that are none: bytes that do not decode, fields out
// of bounds, signatures that do not verify. What is wrong is in the message.
var ErrInvalid = errors.New("invalid statement")

// version is that of all encodings.
const version = 1

// maxTime is the last millisecond of the year 9999.
const maxTime = 253402300799999

// ID names a statement by its bytes. The zero value names none.
type ID [sha256.Size]byte

// IsZero reports whether it names no statement.
func (id ID) IsZero() bool { return id == ID{} }

// compare orders IDs by their bytes.
func (id ID) compare(o ID) int { return bytes.Compare(id[:], o[:]) }

// String returns the ID in hexadecimal digits.
func (id ID) String() string { return hex.EncodeToString(id[:]) }

// MarshalText returns the same.
func (id ID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// ParseID returns the ID of 64 hexadecimal digits, in lower case as they are written.
func ParseID(s string) (ID, error) {
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != len(ID{}) || hex.EncodeToString(b) != s {
		return ID{}, fmt.Errorf("%w: ID %q, want 64 hexadecimal digits", ErrInvalid, s)
	}
	return ID(b), nil
}

// Verifier verifies signatures, as sig.Verifier does.
type Verifier interface {
	Verify(item sig.Item) bool
}

func digest(parts ...[]byte) ID {
	h := sha256.New()
	for _, p := range parts {
		h.Write(p)
	}
	return ID(h.Sum(nil))
}

// readText reads a text of at most so many bytes, which shares the decoder's memory.
func readText(d *wire.Decoder, limit uint64) []byte { return d.Bytes(int(d.Uvarint(limit))) }

func readArray[A ~[32]byte](d *wire.Decoder) (a A) {
	copy(a[:], d.Bytes(len(a)))
	return a
}

func readSignature(d *wire.Decoder) (s sig.Signature) {
	copy(s[:], d.Bytes(len(s)))
	return s
}

func appendInt(b []byte, n int64) []byte { return wire.AppendUvarint(b, uint64(n)) }

func readInt(d *wire.Decoder, limit int64) int64 { return int64(d.Uvarint(uint64(limit))) }

// readVersion reads what each statement begins with.
func readVersion(d *wire.Decoder) {
	if v := d.Uvarint(wire.MaxUvarint); d.Err() == nil && v != version {
		d.Fail(fmt.Errorf("%w: version %d, this program knows %d", ErrInvalid, v, version))
	}
}

// finish returns the error of a decoder that is to have read all.
func finish(d *wire.Decoder, what string) error {
	if err := d.Finish(); err != nil {
		return fmt.Errorf("%w: %s: %w", ErrInvalid, what, err)
	}
	return nil
}

// checkKeys returns ErrInvalid unless there are so many different keys, in ascending order,
// each of which somebody can hold.
func checkKeys(what string, keys []sig.PublicKey, least, most int) error {
	if len(keys) < least || len(keys) > most {
		return fmt.Errorf("%w: %d %s, must be %d to %d", ErrInvalid, len(keys), what, least, most)
	}
	for i, key := range keys {
		if i > 0 && string(keys[i-1][:]) >= string(key[:]) {
			return fmt.Errorf("%w: %s: %v twice, or out of order", ErrInvalid, what, key)
		}
		if err := key.Check(); err != nil {
			return fmt.Errorf("%w: %s: %w", ErrInvalid, what, err)
		}
	}
	return nil
}
