package state

import (
	"github.com/decube/decube/internal/sig"
	"github.com/decube/decube/ledger/tx"
)

// The first bytes of the map's keys.
const (
	spaceValidators   = 0x01
	spaceParams       = 0x02
	spaceValidator    = 0x03
	spaceVotes        = 0x04
	spaceAccount      = 0x05
	spaceSnapshot     = 0x06
	spaceRegistration = 0x07
	spaceName         = 0x08
	spaceOwnRecord    = 0x09
	spaceNameRecord   = 0x0a
	spaceGrowth       = 0x0b
	spaceVoterGrowth  = 0x0c
	spaceAdmission    = 0x0d
)

// ValidatorsKey returns the map's key of the validator set.
func ValidatorsKey() []byte { return []byte{spaceValidators} }

// ParamsKey returns the map's key of the parameters.
func ParamsKey() []byte { return []byte{spaceParams} }

// ValidatorKey returns the map's key of a [Validator].
func ValidatorKey(key sig.PublicKey) []byte { return keyOf(spaceValidator, key, "") }

// VotesKey returns the map's key of a validator's open votes, see [ParseVotes].
func VotesKey(voter sig.PublicKey) []byte { return keyOf(spaceVotes, voter, "") }

// AccountKey returns the map's key of an [Account].
func AccountKey(owner sig.PublicKey) []byte { return keyOf(spaceAccount, owner, "") }

// SnapshotKey returns the map's key of a [Snapshot].
func SnapshotKey(root tx.CID) []byte {
	return append(append(make([]byte, 0, 1+len(root)), spaceSnapshot), root...)
}

// RegistrationKey returns the map's key of a [Registration] of an owner who is not
// the first of the [Snapshot], which has that one's.
func RegistrationKey(root tx.CID, owner sig.PublicKey) []byte {
	return keyOf(spaceRegistration, owner, root)
}

// NameKey returns the map's key of a [Name].
func NameKey(name string) []byte {
	return append(append(make([]byte, 0, 1+len(name)), spaceName), name...)
}

// RecordKey returns the map's key of a [Record]: one of the owner's own when the
// namespace is empty, and otherwise one in the namespace of a name of at most
// [tx.MaxName] bytes, whoever the owner is.
func RecordKey(namespace, key string, owner sig.PublicKey) []byte {
	if namespace == "" {
		return keyOf(spaceOwnRecord, owner, key)
	}
	b := make([]byte, 0, 2+len(namespace)+len(key))
	b = append(b, spaceNameRecord, byte(len(namespace)))
	b = append(b, namespace...)
	return append(b, key...)
}

// GrowthKey returns the map's key of what transactions can still add to the ledger.
func GrowthKey() []byte { return []byte{spaceGrowth} }

// VoterGrowthKey returns the map's key of what a validator's votes can still add.
func VoterGrowthKey(voter sig.PublicKey) []byte { return keyOf(spaceVoterGrowth, voter, "") }

// AdmissionKey returns the map's key of the rules of admission.
func AdmissionKey() []byte { return []byte{spaceAdmission} }

func keyOf[T ~string | ~[]byte](space byte, owner sig.PublicKey, rest T) []byte {
	b := make([]byte, 0, 1+len(owner)+len(rest))
	b = append(b, space)
	b = append(b, owner[:]...)
	return append(b, rest...)
}
