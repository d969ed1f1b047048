package tx

import (
	"fmt"

	"github.com/ipfs/go-cid"
	mh "github.com/multiformats/go-multihash"
)

// CID is a binary CIDv1. Its text form is the CID's, in base32.
type CID []byte

// ParseCID returns the CID of a text in any multibase, and a *Rejection unless it
// is a CIDv1 of at most [MaxRoot] bytes.
func ParseCID(s string) (CID, error) {
	c, err := cid.Decode(s)
	if err != nil {
		return nil, Reject(CodeInvalid, "%.100q is no CID: %v", s, err)
	}
	if err := checkRoot(c.Bytes()); err != nil {
		return nil, err
	}
	return c.Bytes(), nil
}

// String returns the CID as text, and the bytes in hexadecimal when they are none.
func (c CID) String() string {
	parsed, err := cid.Cast(c)
	if err != nil {
		return fmt.Sprintf("%x", []byte(c))
	}
	return parsed.String()
}

// MarshalText returns the CID as text.
func (c CID) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText is [ParseCID].
func (c *CID) UnmarshalText(text []byte) error {
	got, err := ParseCID(string(text))
	if err == nil {
		*c = got
	}
	return err
}

// checkRoot returns a *Rejection unless root is a CIDv1, whatever its codec and
// hash. The hash that snapshots are named by must have its full length.
func checkRoot(root CID) error {
	if len(root) > MaxRoot {
		return Reject(CodeTooLarge, "root: %d bytes, at most %d", len(root), MaxRoot)
	}
	parsed, err := cid.Cast(root)
	if err != nil {
		return Reject(CodeInvalid, "root: %v", err)
	}
	prefix := parsed.Prefix()
	if prefix.Version != 1 {
		return Reject(CodeInvalid, "root: %s has version %d, want a CIDv1", parsed, prefix.Version)
	}
	if prefix.MhType == mh.SHA2_256 && prefix.MhLength != 32 {
		return Reject(CodeInvalid, "root: a SHA-256 digest of %d bytes", prefix.MhLength)
	}
	return nil
}
