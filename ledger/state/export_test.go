package state

import (
	"github.com/decube/decube/ledger/admission"
	"github.com/decube/decube/ledger/genesis"
	"github.com/decube/decube/ledger/tx"
)

// Encode returns an entry's encoding.
func Encode(entry Entry) []byte { return entry.appendTo(nil) }

// Entry is a kind of entry that has a type of its own.
type Entry interface{ appendTo(b []byte) []byte }

// EncodeVotes returns the encoding of a validator's open votes.
func EncodeVotes(open []tx.Op) []byte { return appendVotes(nil, open) }

// EncodeParams returns the encoding of the parameters.
func EncodeParams(p genesis.Params) []byte { return appendParams(nil, p) }

// EncodeValidators returns the encoding of a validator set.
func EncodeValidators(set genesis.ValidatorSet) []byte { return appendValidators(nil, set) }

// ParseBucket reads the entry of what can still be added to the ledger.
var ParseBucket = parseBucket

// EncodeAdmission returns the encoding of the rules of admission.
func EncodeAdmission(rules admission.Rules) []byte { return appendAdmission(nil, rules) }
