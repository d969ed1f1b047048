package tx

import (
	"errors"
	"fmt"

	"github.com/decube/decube/internal/sig"
	"github.com/decube/decube/internal/wire"
)

// Type is which operation an [Op] is. The numbers are those of the wire format.
type Type uint8

// The operations.
const (
	TypeSnapshotRegister Type = 1
	TypeSnapshotRetire   Type = 2
	TypeNameClaim        Type = 3
	TypeNameTransfer     Type = 4
	TypeRecordPut        Type = 5
	TypeValidatorAdd     Type = 6
	TypeValidatorRemove  Type = 7
	TypeParamsSet        Type = 8
	TypeNameAccept       Type = 9
)

// typeNames are the names that people use, by number.
var typeNames = [...]string{
	TypeSnapshotRegister: "snapshot.register",
	TypeSnapshotRetire:   "snapshot.retire",
	TypeNameClaim:        "name.claim",
	TypeNameTransfer:     "name.transfer",
	TypeRecordPut:        "record.put",
	TypeValidatorAdd:     "validator.add",
	TypeValidatorRemove:  "validator.remove",
	TypeParamsSet:        "params.set",
	TypeNameAccept:       "name.accept",
}

// ErrType is returned for what is no operation's type.
var ErrType = errors.New("no such operation")

// Valid reports whether t is an operation's.
func (t Type) Valid() bool { return t > 0 && int(t) < len(typeNames) }

// Governs reports whether an operation is a vote, which only validators have.
func (t Type) Governs() bool {
	return t == TypeValidatorAdd || t == TypeValidatorRemove || t == TypeParamsSet
}

// String returns the operation's name, such as "name.claim".
func (t Type) String() string {
	if !t.Valid() {
		return fmt.Sprintf("type(%d)", uint8(t))
	}
	return typeNames[t]
}

// ParseType returns the type of an operation's name, and ErrType when there is none.
func ParseType(name string) (Type, error) {
	for t := TypeSnapshotRegister; t.Valid(); t++ {
		if typeNames[t] == name {
			return t, nil
		}
	}
	return 0, fmt.Errorf("%w: %q", ErrType, name)
}

// MarshalText returns the operation's name.
func (t Type) MarshalText() ([]byte, error) {
	if !t.Valid() {
		return nil, fmt.Errorf("%w: %d", ErrType, uint8(t))
	}
	return []byte(t.String()), nil
}

// UnmarshalText is [ParseType].
func (t *Type) UnmarshalText(text []byte) error {
	got, err := ParseType(string(text))
	if err == nil {
		*t = got
	}
	return err
}

// known reports whether op is one of this package's operations, as a value:
// a pointer to one also has the methods, but no type switch would find it.
func known(op Op) bool {
	switch op.(type) {
	case SnapshotRegister, SnapshotRetire, NameClaim, NameTransfer, NameAccept, RecordPut, ValidatorAdd, ValidatorRemove, ParamsSet:
		return true
	default:
		return false
	}
}

// appendText appends a text or byte string with its length before it.
func appendText[T ~string | ~[]byte](b []byte, s T) []byte {
	b = wire.AppendUvarint(b, uint64(len(s)))
	return append(b, s...)
}

func (o SnapshotRegister) appendFields(b []byte) []byte {
	b = appendText(b, o.Root)
	b = wire.AppendUvarint(b, o.Size)
	b = appendText(b, o.Label)
	return wire.AppendUvarint(b, uint64(o.RetainUntil)) // not negative: valid
}

func (o SnapshotRetire) appendFields(b []byte) []byte { return appendText(b, o.Root) }

func (o NameClaim) appendFields(b []byte) []byte { return appendText(appendText(b, o.Name), o.Target) }

func (o NameTransfer) appendFields(b []byte) []byte { return append(appendText(b, o.Name), o.To[:]...) }

func (o NameAccept) appendFields(b []byte) []byte {
	return wire.AppendUvarint(appendText(b, o.Name), o.Records)
}

func (o RecordPut) appendFields(b []byte) []byte {
	b = appendText(b, o.Namespace)
	b = appendText(b, o.Key)
	return appendText(b, o.Value)
}

func (o ValidatorAdd) appendFields(b []byte) []byte {
	b = append(b, o.Key[:]...)
	b = appendText(b, o.Address)
	b = append(b, o.Replaces[:]...)
	return append(b, o.Salt[:]...)
}

func (o ValidatorRemove) appendFields(b []byte) []byte { return append(b, o.Key[:]...) }

func (o ParamsSet) appendFields(b []byte) []byte {
	return wire.AppendUvarint(appendText(b, o.Name), o.Value)
}

// decodeOp reads an operation. Byte strings share the message's memory.
func decodeOp(d *wire.Decoder) Op {
	switch t := Type(d.Byte()); t {
	case TypeSnapshotRegister:
		return SnapshotRegister{
			Root:        bytesOf(d, MaxRoot),
			Size:        d.Uvarint(wire.MaxUvarint),
			Label:       textOf(d, MaxLabel),
			RetainUntil: int64(d.Uvarint(wire.MaxUvarint)), // of 63 bits
		}
	case TypeSnapshotRetire:
		return SnapshotRetire{Root: bytesOf(d, MaxRoot)}
	case TypeNameClaim:
		return NameClaim{Name: textOf(d, MaxName), Target: textOf(d, MaxTarget)}
	case TypeNameTransfer:
		return NameTransfer{Name: textOf(d, MaxName), To: keyOf(d)}
	case TypeNameAccept:
		return NameAccept{Name: textOf(d, MaxName), Records: d.Uvarint(wire.MaxUvarint)}
	case TypeRecordPut:
		return RecordPut{Namespace: textOf(d, MaxName), Key: textOf(d, MaxKey), Value: bytesOf(d, MaxValue)}
	case TypeValidatorAdd:
		return ValidatorAdd{Key: keyOf(d), Address: textOf(d, MaxAddress), Replaces: keyOf(d), Salt: saltOf(d)}
	case TypeValidatorRemove:
		return ValidatorRemove{Key: keyOf(d)}
	case TypeParamsSet:
		return ParamsSet{Name: textOf(d, MaxName), Value: d.Uvarint(wire.MaxUvarint)}
	default:
		d.Fail(fmt.Errorf("%w: %w: %d", wire.ErrMalformed, ErrType, uint8(t)))
		return nil
	}
}

// bytesOf reads a byte string of at most so many bytes.
func bytesOf(d *wire.Decoder, most uint64) []byte {
	return d.Bytes(int(d.Uvarint(most))) // most is small
}

func textOf(d *wire.Decoder, most uint64) string { return string(bytesOf(d, most)) }

func saltOf(d *wire.Decoder) Salt {
	var s Salt
	copy(s[:], d.Bytes(len(s)))
	return s
}

func keyOf(d *wire.Decoder) sig.PublicKey {
	var k sig.PublicKey
	copy(k[:], d.Bytes(len(k)))
	return k
}
