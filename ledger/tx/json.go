package tx

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"

	"github.com/decube/decube/internal/sig"
)

// ParseOp returns the operation of a JSON object, and a *Rejection for an object
// that is not exactly a valid operation.
func ParseOp(data []byte) (Op, error) {
	members, err := parseObject(data)
	if err != nil {
		return nil, Reject(CodeMalformed, "%v", err)
	}
	var t Type
	var fields bytes.Buffer
	for _, m := range members {
		if m.key == "type" {
			if err := json.Unmarshal(m.value, &t); err != nil {
				return nil, Reject(CodeMalformed, "type: %v", err)
			}
			continue
		}
		fmt.Fprintf(&fields, ",%q:%s", m.key, m.value)
	}
	object := []byte("{}")
	if fields.Len() > 0 {
		object = append(fields.Bytes(), '}')
		object[0] = '{'
	}
	op, err := parseFields(t, object)
	if err != nil {
		return nil, asRejection(fmt.Errorf("%s: %w", t, err))
	}
	if err := op.Validate(); err != nil {
		return nil, err
	}
	return op, nil
}

// asRejection returns the *Rejection that err is or wraps, or makes it one of a
// malformed text.
func asRejection(err error) error {
	if r, ok := errors.AsType[*Rejection](err); ok {
		return r
	}
	return Reject(CodeMalformed, "%v", err)
}

// parseFields reads the fields of an operation.
func parseFields(t Type, object []byte) (Op, error) {
	switch t {
	case TypeSnapshotRegister:
		return parseInto[SnapshotRegister](object)
	case TypeSnapshotRetire:
		return parseInto[SnapshotRetire](object)
	case TypeNameClaim:
		return parseInto[NameClaim](object)
	case TypeNameTransfer:
		return parseInto[NameTransfer](object)
	case TypeNameAccept:
		return parseInto[NameAccept](object)
	case TypeRecordPut:
		return parseInto[RecordPut](object)
	case TypeValidatorAdd:
		return parseInto[ValidatorAdd](object)
	case TypeValidatorRemove:
		return parseInto[ValidatorRemove](object)
	case TypeParamsSet:
		return parseInto[ParamsSet](object)
	default:
		return nil, errors.New("type: missing")
	}
}

// parseInto reads an object into a value that has a field for each of its keys.
func parseInto[T any](object []byte) (T, error) {
	var out T
	d := json.NewDecoder(bytes.NewReader(object))
	d.DisallowUnknownFields()
	err := d.Decode(&out)
	return out, err
}

// member is one key of a JSON object with its value.
type member struct {
	key   string
	value json.RawMessage
}

// parseObject returns the members of a text that is one JSON object. It is
// stricter than encoding/json: a key may not come twice or in capitals, a value
// may not be null, and bytes that are not UTF-8 are not replaced.
func parseObject(data []byte) ([]member, error) {
	if !utf8.Valid(data) {
		return nil, errors.New("not UTF-8")
	}
	d := json.NewDecoder(bytes.NewReader(data))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, errors.New("not a JSON object")
	}
	var out []member
	seen := map[string]bool{}
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return nil, err
		}
		key, ok := t.(string)
		if !ok || !fieldName(key) {
			return nil, fmt.Errorf("unknown field %q", t)
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return nil, err
		}
		if seen[key] {
			return nil, fmt.Errorf("field %q comes twice", key)
		}
		if string(value) == "null" {
			return nil, fmt.Errorf("field %q is null", key)
		}
		seen[key] = true
		out = append(out, member{key, value})
	}
	if _, err := d.Token(); err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("something follows the object")
	}
	return out, nil
}

// fieldName reports whether a key is written as fields are: encoding/json takes
// capitals, and letters that fold to others, for the same.
func fieldName(key string) bool {
	for i := range len(key) {
		if c := key[i]; (c < 'a' || c > 'z') && c != '_' {
			return false
		}
	}
	return key != ""
}

// opJSON returns the object of an operation, whose fields are given as a type
// without methods.
func opJSON(t Type, fields any) ([]byte, error) {
	object, err := json.Marshal(fields)
	if err != nil {
		return nil, err
	}
	return append(fmt.Appendf(nil, `{"type":%q,`, t.String()), object[1:]...), nil
}

// MarshalJSON returns the operation as the package comment describes it.
func (o SnapshotRegister) MarshalJSON() ([]byte, error) {
	type fields SnapshotRegister
	return opJSON(o.Type(), fields(o))
}

// MarshalJSON returns the operation as the package comment describes it.
func (o SnapshotRetire) MarshalJSON() ([]byte, error) {
	type fields SnapshotRetire
	return opJSON(o.Type(), fields(o))
}

// MarshalJSON returns the operation as the package comment describes it.
func (o NameClaim) MarshalJSON() ([]byte, error) {
	type fields NameClaim
	return opJSON(o.Type(), fields(o))
}

// MarshalJSON returns the operation as the package comment describes it.
func (o NameTransfer) MarshalJSON() ([]byte, error) {
	type fields NameTransfer
	return opJSON(o.Type(), fields(o))
}

// MarshalJSON returns the operation as the package comment describes it.
func (o NameAccept) MarshalJSON() ([]byte, error) {
	type fields NameAccept
	return opJSON(o.Type(), fields(o))
}

// MarshalJSON returns the operation as the package comment describes it.
func (o RecordPut) MarshalJSON() ([]byte, error) {
	type fields RecordPut
	if o.Value == nil {
		o.Value = []byte{} // an empty string, not null
	}
	return opJSON(o.Type(), fields(o))
}

// MarshalJSON returns the operation as the package comment describes it.
func (o ValidatorAdd) MarshalJSON() ([]byte, error) {
	type fields ValidatorAdd
	return opJSON(o.Type(), fields(o))
}

// MarshalJSON returns the operation as the package comment describes it.
func (o ValidatorRemove) MarshalJSON() ([]byte, error) {
	type fields ValidatorRemove
	return opJSON(o.Type(), fields(o))
}

// MarshalJSON returns the operation as the package comment describes it.
func (o ParamsSet) MarshalJSON() ([]byte, error) {
	type fields ParamsSet
	return opJSON(o.Type(), fields(o))
}

// transactionJSON is the JSON form of a transaction. The network is 64 lower-case
// hexadecimal digits, as an ID is.
type transactionJSON struct {
	ID        ID              `json:"id,omitzero"`
	Network   ID              `json:"network"`
	Owner     sig.PublicKey   `json:"owner"`
	Nonce     uint64          `json:"nonce"`
	Op        json.RawMessage `json:"op"`
	Signature sig.Signature   `json:"signature"`
}

// MarshalJSON returns the transaction as the package comment describes it.
func (t *Transaction) MarshalJSON() ([]byte, error) {
	op, err := json.Marshal(t.Op)
	if err != nil {
		return nil, err
	}
	return json.Marshal(transactionJSON{t.id, t.Network, t.Owner, t.Nonce, op, t.Signature})
}

// UnmarshalJSON reads what MarshalJSON writes, and returns a *Rejection for
// anything else. The signature is not verified.
func (t *Transaction) UnmarshalJSON(data []byte) error {
	if _, err := parseObject(data); err != nil {
		return Reject(CodeMalformed, "%v", err)
	}
	in, err := parseInto[transactionJSON](data)
	if err != nil {
		return asRejection(err)
	}
	op, err := ParseOp(in.Op)
	if err != nil {
		return err
	}
	got, err := New(in.Network, in.Owner, in.Nonce, op, in.Signature)
	if err != nil {
		return err
	}
	if in.ID != (ID{}) && in.ID != got.id {
		return Reject(CodeMalformed, "id: %s is of another transaction, this is %s", in.ID, got.id)
	}
	*t = *got
	return nil
}
