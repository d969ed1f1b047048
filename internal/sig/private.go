package sig

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"

	"github.com/oasisprotocol/curve25519-voi/primitives/ed25519"
)

// SeedSize is the length in bytes of the secret that a private key is made from.
const SeedSize = 32

// privatePrefix is the protobuf header of libp2p's private keys: type Ed25519,
// 64 bytes of data.
const privatePrefix = "\x08\x01\x12\x40"

// redacted is what a private key looks like wherever it is printed.
const redacted = "[private key]"

// ErrPrivateKey is returned for bytes that are not an Ed25519 private key in
// libp2p's form. It never carries the bytes.
var ErrPrivateKey = errors.New("not an Ed25519 private key in libp2p's form")

// Signer signs for one public key: a [PrivateKey], or what has one.
type Signer interface {
	Public() PublicKey
	Sign(msg []byte) Signature
}

var _ Signer = PrivateKey{}

// PrivateKey signs for one public key. It never prints or logs what it holds. The
// zero value holds no key. It is safe for concurrent use.
type PrivateKey struct {
	// pair returns seed and public key. It is a function because fmt prints the
	// fields of a value in an unexported field without calling its methods, and
	// follows pointers for some verbs: of a function it prints the address.
	pair func() ed25519.PrivateKey
}

// Generate makes a private key from SeedSize bytes of rand, which must be
// crypto/rand's Reader unless the key protects nothing. The same bytes make the
// same key.
func Generate(rand io.Reader) (PrivateKey, error) {
	var seed [SeedSize]byte
	if _, err := io.ReadFull(rand, seed[:]); err != nil {
		return PrivateKey{}, fmt.Errorf("making a private key: %w", err)
	}
	return FromSeed(seed), nil
}

// FromSeed returns the private key that RFC 8032 makes from a seed.
func FromSeed(seed [SeedSize]byte) PrivateKey {
	pair := ed25519.NewKeyFromSeed(seed[:])
	return PrivateKey{pair: func() ed25519.PrivateKey { return pair }}
}

// ParsePrivateKey reads a private key in libp2p's form, as the repository keeps
// it in identity.key. It returns ErrPrivateKey for anything else, also for a
// public key that is not the seed's. The bytes are copied.
func ParsePrivateKey(b []byte) (PrivateKey, error) {
	if len(b) != len(privatePrefix)+ed25519.PrivateKeySize || !bytes.HasPrefix(b, []byte(privatePrefix)) {
		return PrivateKey{}, ErrPrivateKey
	}
	pair := b[len(privatePrefix):]
	k := FromSeed([SeedSize]byte(pair[:SeedSize]))
	if public := k.Public(); !bytes.Equal(public[:], pair[SeedSize:]) {
		return PrivateKey{}, fmt.Errorf("%w: the public key does not belong to the seed", ErrPrivateKey)
	}
	return k, nil
}

// Encode returns the key in the form that ParsePrivateKey reads. It is the secret
// itself: it belongs into a file that nobody else can read.
func (k PrivateKey) Encode() []byte { return append([]byte(privatePrefix), k.pair()...) }

// Public returns the public key.
func (k PrivateKey) Public() PublicKey { return PublicKey(k.pair()[SeedSize:]) }

// Sign returns the signature of msg. It depends on key and message alone.
func (k PrivateKey) Sign(msg []byte) Signature {
	return Signature(ed25519.Sign(k.pair(), msg))
}

// IsZero reports whether k is the zero value, which holds no key.
func (k PrivateKey) IsZero() bool { return k.pair == nil }

// String returns a text without the key.
func (k PrivateKey) String() string { return redacted }

// Format prints a text without the key, whatever the verb.
func (k PrivateKey) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) } // fmt keeps a write's error

// LogValue returns a text without the key.
func (k PrivateKey) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText refuses: a private key goes nowhere by accident.
func (k PrivateKey) MarshalText() ([]byte, error) {
	return nil, errors.New("a private key is not written as text")
}
