package tx

import (
	"bytes"
	"cmp"
	"encoding/hex"
	"fmt"

	"github.com/decube/decube/internal/sig"
)

// The bounds of the operations' fields, in bytes.
const (
	MaxRoot    = 64       // a snapshot's root, a binary CID
	MaxLabel   = 128      // a snapshot's label
	MaxName    = 64       // a name, a namespace, a parameter
	MaxTarget  = 256      // what a name stands for
	MaxKey     = 128      // a record's key
	MaxValue   = 64 << 10 // a record's value
	MaxAddress = 256      // a validator's address
	SaltSize   = 16       // the salt of a renewal
)

// Op is an operation: one of the types of this package, as a value. Whether the
// ledger's state permits it is not known here.
type Op interface {
	// Type returns which operation it is.
	Type() Type
	// Validate returns a *Rejection unless the fields keep the operation's rules.
	Validate() error
	// Summary returns the operation in one line of text.
	Summary() string

	// appendFields appends the fields as the package comment describes them. The
	// operation is valid.
	appendFields(b []byte) []byte
}

// SnapshotRegister records a snapshot under its owner and promises to retain it.
type SnapshotRegister struct {
	Root        CID    `json:"root"`
	Size        uint64 `json:"size"`         // bytes, as the owner states it
	Label       string `json:"label"`        // printable, may be empty
	RetainUntil int64  `json:"retain_until"` // Unix seconds, or 0 for no promise
}

// SnapshotRetire takes a registration of the owner's back.
type SnapshotRetire struct {
	Root CID `json:"root"`
}

// NameClaim takes a name that nobody holds, or gives the owner's own a new target.
// Without one, the owner's own keeps that which it has.
type NameClaim struct {
	Name   string `json:"name"`
	Target string `json:"target"` // printable, may be empty
}

// NameTransfer offers one of the owner's names to somebody, who becomes its holder by a
// [NameAccept]. It takes the place of an earlier offer of the name.
type NameTransfer struct {
	Name string        `json:"name"`
	To   sig.PublicKey `json:"to,omitzero"` // zero or the owner to take the offer back
}

// NameAccept makes the owner the holder of a name that was offered to the owner.
type NameAccept struct {
	Name string `json:"name"`
	// Records is the most records in the name's namespace that the owner is ready to
	// hold from then on: the giver may write some while this is on its way.
	Records uint64 `json:"records"`
}

// RecordPut writes a record, in place of the one with the same key.
type RecordPut struct {
	Namespace string `json:"namespace"` // a name the owner holds, or "" for the owner's own records
	Key       string `json:"key"`       // printable
	Value     []byte `json:"value"`     // shares the memory of what it was decoded from
}

// ValidatorAdd makes a key a validator's. When the key replaces itself, it is a
// renewal: the committee stays and its epoch ends.
type ValidatorAdd struct {
	Key      sig.PublicKey `json:"key"`
	Address  string        `json:"address"`           // a multiaddress, may be empty
	Replaces sig.PublicKey `json:"replaces,omitzero"` // the validator that leaves for it, or zero
	// Salt makes one renewal another transaction than each earlier one, signatures
	// being deterministic. It is zero in all that is no renewal: votes for the same
	// change must be equal.
	Salt Salt `json:"salt,omitzero"`
}

// Renews reports whether the operation is a renewal.
func (o ValidatorAdd) Renews() bool { return o.Key == o.Replaces }

// Salt are random bytes. As text, it is in lower-case hexadecimal digits.
type Salt [SaltSize]byte

// MarshalText returns the salt in hexadecimal digits.
func (s Salt) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, s[:]), nil }

// UnmarshalText reads what MarshalText writes, and nothing else.
func (s *Salt) UnmarshalText(text []byte) error {
	var got Salt
	if len(text) != hex.EncodedLen(SaltSize) || bytes.ContainsAny(text, "ABCDEF") {
		return fmt.Errorf("%q is no salt: must be %d lower-case hexadecimal digits", text, hex.EncodedLen(SaltSize))
	}
	if _, err := hex.Decode(got[:], text); err != nil {
		return fmt.Errorf("%q is no salt: %w", text, err)
	}
	*s = got
	return nil
}

// ValidatorRemove takes a validator's key off the list.
type ValidatorRemove struct {
	Key sig.PublicKey `json:"key"`
}

// ParamsSet changes a parameter of the network.
type ParamsSet struct {
	Name  string `json:"name"`
	Value uint64 `json:"value"`
}

// Type implements [Op].
func (SnapshotRegister) Type() Type { return TypeSnapshotRegister }

// Type implements [Op].
func (SnapshotRetire) Type() Type { return TypeSnapshotRetire }

// Type implements [Op].
func (NameClaim) Type() Type { return TypeNameClaim }

// Type implements [Op].
func (NameTransfer) Type() Type { return TypeNameTransfer }

// Type implements [Op].
func (NameAccept) Type() Type { return TypeNameAccept }

// Type implements [Op].
func (RecordPut) Type() Type { return TypeRecordPut }

// Type implements [Op].
func (ValidatorAdd) Type() Type { return TypeValidatorAdd }

// Type implements [Op].
func (ValidatorRemove) Type() Type { return TypeValidatorRemove }

// Type implements [Op].
func (ParamsSet) Type() Type { return TypeParamsSet }

// Validate implements [Op].
func (o SnapshotRegister) Validate() error {
	if o.RetainUntil < 0 {
		return Reject(CodeInvalid, "retain_until: %d is before 1970", o.RetainUntil)
	}
	return cmp.Or(
		checkRoot(o.Root),
		checkNumber("size", o.Size),
		checkText("label", o.Label, 0, MaxLabel),
	)
}

// Validate implements [Op].
func (o SnapshotRetire) Validate() error { return checkRoot(o.Root) }

// Validate implements [Op].
func (o NameClaim) Validate() error {
	return cmp.Or(checkName("name", o.Name), checkText("target", o.Target, 0, MaxTarget))
}

// Validate implements [Op].
func (o NameTransfer) Validate() error {
	if o.To.IsZero() {
		return checkName("name", o.Name)
	}
	return cmp.Or(checkName("name", o.Name), checkKey("to", o.To))
}

// Validate implements [Op].
func (o NameAccept) Validate() error {
	return cmp.Or(checkName("name", o.Name), checkNumber("records", o.Records))
}

// Validate implements [Op].
func (o RecordPut) Validate() error {
	if len(o.Value) > MaxValue {
		return Reject(CodeTooLarge, "value: %d bytes, at most %d", len(o.Value), MaxValue)
	}
	if o.Namespace != "" {
		if err := checkName("namespace", o.Namespace); err != nil {
			return err
		}
	}
	return checkText("key", o.Key, 1, MaxKey)
}

// Validate implements [Op].
func (o ValidatorAdd) Validate() error {
	if o.Salt != (Salt{}) && !o.Renews() {
		return Reject(CodeInvalid, "salt: only a validator that takes its own place anew gives one")
	}
	return cmp.Or(checkKey("key", o.Key), checkText("address", o.Address, 0, MaxAddress))
}

// Validate implements [Op].
func (o ValidatorRemove) Validate() error {
	return checkKey("key", o.Key)
}

// Validate implements [Op].
func (o ParamsSet) Validate() error {
	return cmp.Or(checkName("name", o.Name), checkNumber("value", o.Value))
}

// Summary implements [Op].
func (o SnapshotRegister) Summary() string {
	s := fmt.Sprintf("register snapshot %s of %d bytes", o.Root, o.Size)
	if o.Label != "" {
		s += fmt.Sprintf(" as %q", o.Label)
	}
	if o.RetainUntil != 0 {
		s += ", retained until " + date(o.RetainUntil)
	}
	return s
}

// Summary implements [Op].
func (o SnapshotRetire) Summary() string { return fmt.Sprintf("retire snapshot %s", o.Root) }

// Summary implements [Op].
func (o NameClaim) Summary() string {
	if o.Target == "" {
		return "claim name " + o.Name
	}
	return fmt.Sprintf("claim name %s for %q", o.Name, o.Target)
}

// Summary implements [Op].
func (o NameTransfer) Summary() string {
	if o.To.IsZero() {
		return fmt.Sprintf("take back the offer of name %s", o.Name)
	}
	return fmt.Sprintf("offer name %s to %s", o.Name, o.To)
}

// Summary implements [Op].
func (o NameAccept) Summary() string {
	return fmt.Sprintf("accept name %s with at most %d records", o.Name, o.Records)
}

// Summary implements [Op].
func (o RecordPut) Summary() string {
	if o.Namespace == "" {
		return fmt.Sprintf("put record %q, %d bytes", o.Key, len(o.Value))
	}
	return fmt.Sprintf("put record %q in %s, %d bytes", o.Key, o.Namespace, len(o.Value))
}

// Summary implements [Op].
func (o ValidatorAdd) Summary() string {
	if o.Renews() {
		s := fmt.Sprintf("renew validator %s", o.Key)
		if o.Address != "" {
			s += fmt.Sprintf(" at %q", o.Address)
		}
		return s
	}
	s := fmt.Sprintf("add validator %s", o.Key)
	if o.Address != "" {
		s += fmt.Sprintf(" at %q", o.Address)
	}
	if !o.Replaces.IsZero() {
		s += fmt.Sprintf(" in place of %s", o.Replaces)
	}
	return s
}

// Summary implements [Op].
func (o ValidatorRemove) Summary() string { return fmt.Sprintf("remove validator %s", o.Key) }

// Summary implements [Op].
func (o ParamsSet) Summary() string { return fmt.Sprintf("set parameter %s to %d", o.Name, o.Value) }
