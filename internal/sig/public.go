package sig

import (
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/mr-tron/base58"
	"github.com/oasisprotocol/curve25519-voi/curve"
)

const (
	// PublicKeySize is the length of a public key in bytes.
	PublicKeySize = 32
	// Size is the length of a signature in bytes.
	Size = 64
)

// peerIDPrefix is what precedes the key in a peer ID: the identity multihash of
// 36 bytes, and the protobuf header of an Ed25519 public key.
const peerIDPrefix = "\x00\x24\x08\x01\x12\x20"

// peerIDLen is the length of every Ed25519 peer ID in characters.
const peerIDLen = 52

var (
	// ErrPublicKey is returned for text that is no Ed25519 peer ID, and for a
	// key that nobody can hold.
	ErrPublicKey = errors.New("not an Ed25519 public key")
	// ErrSignature is returned for text that is no signature.
	ErrSignature = errors.New("not an Ed25519 signature")
)

// PublicKey is an Ed25519 public key, comparable and usable as a map's key. Any
// 32 bytes are a value; whether a key pair can have it is for [PublicKey.Check].
type PublicKey [PublicKeySize]byte

// ParsePublicKey returns the key of an Ed25519 peer ID ("12D3Koo..."), and
// ErrPublicKey for any other text.
func ParsePublicKey(s string) (PublicKey, error) {
	if len(s) != peerIDLen {
		return PublicKey{}, fmt.Errorf("%w: %d characters, want the %d of a peer ID that begins with 12D3Koo", ErrPublicKey, len(s), peerIDLen)
	}
	b, err := base58.Decode(s)
	if err != nil {
		return PublicKey{}, fmt.Errorf("%w: %q: %w", ErrPublicKey, s, err)
	}
	if len(b) != len(peerIDPrefix)+PublicKeySize || string(b[:len(peerIDPrefix)]) != peerIDPrefix {
		return PublicKey{}, fmt.Errorf("%w: %q is no peer ID of an Ed25519 key", ErrPublicKey, s)
	}
	return PublicKey(b[len(peerIDPrefix):]), nil
}

// String returns the peer ID of the key's holder.
func (k PublicKey) String() string {
	var b [len(peerIDPrefix) + PublicKeySize]byte
	copy(b[:], peerIDPrefix)
	copy(b[len(peerIDPrefix):], k[:])
	return base58.Encode(b[:])
}

// IsZero reports whether k is the zero value, which stands for no key.
func (k PublicKey) IsZero() bool { return k == PublicKey{} }

// Check returns ErrPublicKey unless k can be somebody's: a point of the curve, in
// its canonical encoding, and not of small order, for which anybody can sign.
// Verification does not ask for this (ZIP-215 takes such keys); it is for keys
// that something is entrusted to.
func (k PublicKey) Check() error {
	if k.IsSmallOrder() {
		return fmt.Errorf("%w: %s has small order: anybody can sign for it", ErrPublicKey, k)
	}
	compressed := curve.CompressedEdwardsY(k)
	var p curve.EdwardsPoint
	if _, err := p.SetCompressedY(&compressed); err != nil {
		return fmt.Errorf("%w: %s is no point of the curve", ErrPublicKey, k)
	}
	if !compressed.IsCanonicalVartime() {
		return fmt.Errorf("%w: %s is not the canonical encoding", ErrPublicKey, k)
	}
	return nil
}

// smallOrder are the y coordinates, little-endian, of the eight points of small
// order, also where they are not reduced modulo p. With either sign of x they
// decode to such a point.
var smallOrder = keySet(
	"0000000000000000000000000000000000000000000000000000000000000000", // 0, order 4
	"0100000000000000000000000000000000000000000000000000000000000000", // 1, order 1
	"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", // -1, order 2
	"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a", // order 8
	"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05", // order 8
	"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", // p, which is 0
	"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", // p+1, which is 1
)

// keySet returns the keys that are given in hexadecimal, of 64 digits each.
func keySet(digits ...string) map[PublicKey]bool {
	set := make(map[PublicKey]bool, len(digits))
	for _, d := range digits {
		var k PublicKey
		if n, err := hex.Decode(k[:], []byte(d)); err != nil || n != len(k) {
			panic(fmt.Sprintf("sig: %q is no key", d))
		}
		set[k] = true
	}
	return set
}

// IsSmallOrder reports whether k encodes a point of small order, as the zero value
// does. Signatures for such a key can be made without any secret.
func (k PublicKey) IsSmallOrder() bool {
	k[PublicKeySize-1] &= 0x7f // the sign of x
	return smallOrder[k]
}

// MarshalText returns the peer ID, for JSON and other text.
func (k PublicKey) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText is [ParsePublicKey].
func (k *PublicKey) UnmarshalText(text []byte) error {
	got, err := ParsePublicKey(string(text))
	if err == nil {
		*k = got
	}
	return err
}

// Signature is an Ed25519 signature. Any 64 bytes are a value.
type Signature [Size]byte

// String returns the signature in hexadecimal.
func (s Signature) String() string { return hex.EncodeToString(s[:]) }

// MarshalText returns the signature in hexadecimal.
func (s Signature) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads what MarshalText writes, and returns ErrSignature for
// anything else.
func (s *Signature) UnmarshalText(text []byte) error {
	if len(text) != hex.EncodedLen(Size) {
		return fmt.Errorf("%w: %d characters, want %d", ErrSignature, len(text), hex.EncodedLen(Size))
	}
	var got Signature
	if _, err := hex.Decode(got[:], text); err != nil {
		return fmt.Errorf("%w: %w", ErrSignature, err)
	}
	if got.String() != string(text) {
		return fmt.Errorf("%w: upper-case digits", ErrSignature)
	}
	*s = got
	return nil
}
