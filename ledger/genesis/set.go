package genesis

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"

	"github.com/decube/decube/internal/sig"
	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/ledger/quorum"
)

// domainSet separates the digests of validator sets from all others.
const domainSet = "decube/validators/1\x00"

// ValidatorSet are the keys of one epoch's validators. The order is the replicas'
// numbers: the key at i signs as replica i.
type ValidatorSet []sig.PublicKey

// Validate returns ErrInvalid unless the set is of 1 to [quorum.MaxReplicas]
// different keys that somebody can hold.
func (s ValidatorSet) Validate() error {
	if len(s) < 1 || len(s) > quorum.MaxReplicas {
		return invalid("validators", "%d, must be 1 to %d", len(s), quorum.MaxReplicas)
	}
	at := make(map[sig.PublicKey]int, len(s))
	for i, key := range s {
		if first, taken := at[key]; taken {
			return invalid(fmt.Sprintf("validators[%d].key", i), "%v is validators[%d]'s", key, first)
		}
		at[key] = i
		if err := key.Check(); err != nil {
			return invalid(fmt.Sprintf("validators[%d].key", i), "%w", err)
		}
	}
	return nil
}

// Committee returns the committee of as many replicas, and quorum.ErrSize for a
// size that no committee has.
func (s ValidatorSet) Committee() (quorum.Committee, error) { return quorum.New(len(s)) }

// Replica returns the number of the replica that signs with a key.
func (s ValidatorSet) Replica(key sig.PublicKey) (r quorum.Replica, ok bool) {
	for i := range s {
		if s[i] == key {
			return quorum.Replica(i), true // at most quorum.MaxReplicas
		}
	}
	return 0, false
}

// Checker returns what pbft.Verifier asks to check signatures of the set's
// replicas with: all of a call at once. It is safe for concurrent use. The set
// must not change any more.
func (s ValidatorSet) Checker(v sig.Checker) func([]pbft.Item) []bool {
	return func(items []pbft.Item) []bool {
		good := make([]bool, len(items))
		known := make([]sig.Item, 0, len(items))
		which := make([]int, 0, len(items))
		for i := range items {
			if r := int(items[i].Replica); r < len(s) {
				known = append(known, sig.Item{Key: s[r], Message: items[i].Statement, Signature: sig.Signature(items[i].Sig)})
				which = append(which, i)
				good[i] = true
			}
		}
		for _, bad := range v.VerifyBatch(known) {
			good[which[bad]] = false
		}
		return good
	}
}

// AppendTo appends the set's encoding to b. The set must be valid.
func (s ValidatorSet) AppendTo(b []byte) []byte {
	b = binary.BigEndian.AppendUint16(b, uint16(len(s))) // at most quorum.MaxReplicas
	for i := range s {
		b = append(b, s[i][:]...)
	}
	return b
}

// ParseValidatorSet reads what AppendTo wrote, all of b, and returns ErrInvalid
// for anything else. It keeps nothing of b.
func ParseValidatorSet(b []byte) (ValidatorSet, error) {
	if len(b) < 2 {
		return nil, invalid("validators", "%d bytes, at least 2", len(b))
	}
	n, keys := int(binary.BigEndian.Uint16(b)), b[2:]
	if n > quorum.MaxReplicas || len(keys) != n*sig.PublicKeySize {
		return nil, invalid("validators", "%d keys in %d bytes: at most %d, %d bytes each", n, len(keys), quorum.MaxReplicas, sig.PublicKeySize)
	}
	s := make(ValidatorSet, n)
	for i := range s {
		s[i] = sig.PublicKey(keys[i*sig.PublicKeySize : (i+1)*sig.PublicKeySize])
	}
	if err := s.Validate(); err != nil {
		return nil, err
	}
	return s, nil
}

// Digest returns what a header names the set by.
func (s ValidatorSet) Digest() pbft.Digest {
	return sha256.Sum256(s.AppendTo([]byte(domainSet)))
}
