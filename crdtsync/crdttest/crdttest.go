// Package crdttest has what tests of the catalog's packages have in common.
package crdttest

import (
	"testing"

	"github.com/decube/decube/internal/capability"
	"github.com/decube/decube/internal/sig"
)

// Verifier verifies signatures.
var Verifier = sig.NewVerifier(0)

// Key returns the key of a name of at most 32 bytes.
func Key(name string) sig.PrivateKey {
	var seed [sig.SeedSize]byte
	copy(seed[:], name)
	return sig.FromSeed(seed)
}

// Unowned returns the succession of the public swarm of a name, which nobody owns.
func Unowned(tb testing.TB, name string) *capability.Succession {
	tb.Helper()
	s, err := capability.NewUnowned(name, Verifier)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}
