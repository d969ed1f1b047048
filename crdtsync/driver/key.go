package driver

import (
	"encoding/binary"

	"github.com/decube/decube/crdtsync/bundle"
	"github.com/decube/decube/crdtsync/crdt"
	"github.com/decube/decube/internal/capability"
	"github.com/decube/decube/internal/sig"
)

// What an entry of a space's tree is of: a kind, and what names it.
//
//	capability, revocation   kind | ID 32                         of nothing
//	fault                    kind | writer 32 | capability 32     from when it cuts: wall 8 | logical 4
//	origin                   kind | writer 32 | incarnation 8     its head: sequence 8 | ID 32
const (
	statementKey = 1 + 32
	faultKey     = 1 + 32 + 32
	originKey    = 1 + 32 + 8
	headValue    = 8 + 32
)

func keyOfStatement(k Kind, id capability.ID) string {
	return string(append([]byte{byte(k)}, id[:]...))
}

func keyOfFault(w sig.PublicKey, c capability.ID) string {
	return string(append(append([]byte{byte(KindFault)}, w[:]...), c[:]...))
}

func keyOfOrigin(o bundle.Origin) string {
	return string(binary.BigEndian.AppendUint64(append([]byte{byte(KindBundle)}, o.Writer[:]...), o.Incarnation))
}

// capabilityOf returns the capability that a key is of, and whether it is of one.
func capabilityOf(key string) (id capability.ID, ok bool) {
	if len(key) != statementKey || Kind(key[0]) != KindCapability {
		return id, false
	}
	copy(id[:], key[1:])
	return id, true
}

// subjectOf returns whose fault a key is of, under which capability, and whether it is of one.
func subjectOf(key string) (w sig.PublicKey, c capability.ID, ok bool) {
	if len(key) != faultKey || Kind(key[0]) != KindFault {
		return w, c, false
	}
	copy(w[:], key[1:])
	copy(c[:], key[1+len(w):])
	return w, c, true
}

// keyOf returns the key of a statement, of the first subject of a fault, or of a bundle's origin.
func keyOf(i Item) string {
	switch i.Kind() {
	case KindCapability:
		return keyOfStatement(KindCapability, i.Capability.ID())
	case KindRevocation:
		return keyOfStatement(KindRevocation, i.Revocation.ID())
	case KindFault:
		h := i.Fault.Headers[0]
		return keyOfFault(h.Writer, h.Capability)
	default:
		return keyOfOrigin(i.Bundle.Origin)
	}
}

// originOf returns the origin that a key is of, and whether it is of one.
func originOf(key string) (o bundle.Origin, ok bool) {
	if len(key) != originKey || Kind(key[0]) != KindBundle {
		return o, false
	}
	copy(o.Writer[:], key[1:])
	o.Incarnation = binary.BigEndian.Uint64([]byte(key[1+len(o.Writer):]))
	return o, true
}

func valueOfCut(at crdt.Time) string {
	return string(binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint64(nil, uint64(at.Wall)), at.Logical))
}

// cutOf returns from when on something is cut, and whether a value says so.
func cutOf(value string) (at crdt.Time, ok bool) {
	if len(value) != 12 {
		return at, false
	}
	at.Wall = int64(binary.BigEndian.Uint64([]byte(value)))
	at.Logical = binary.BigEndian.Uint32([]byte(value[8:]))
	return at, at.Wall >= 0
}

func valueOfHead(h *bundle.Header) string {
	id := h.ID()
	return string(append(binary.BigEndian.AppendUint64(nil, uint64(h.Sequence)), id[:]...))
}

// headOf returns the head that a value says, and whether it says one.
func headOf(value string) (sequence int64, id bundle.ID, ok bool) {
	if len(value) != headValue {
		return 0, id, false
	}
	sequence = int64(binary.BigEndian.Uint64([]byte(value)))
	copy(id[:], value[8:])
	return sequence, id, sequence >= 0 && sequence <= bundle.MaxSequence
}
