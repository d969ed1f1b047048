package driver

import (
	"errors"
	"fmt"

	"github.com/decube/decube/crdtsync/bundle"
	"github.com/decube/decube/crdtsync/fault"
	"github.com/decube/decube/internal/capability"
)

// MaxItem is the most bytes of an encoded item.
const MaxItem = 4 << 20

// ErrInvalid is returned for what no honest peer sends.
var ErrInvalid = errors.New("invalid item")

// Kind is what an item is. The numbers are those of the encoding.
type Kind byte

// The kinds, in the order in which they are asked for.
const (
	KindCapability Kind = 1
	KindRevocation Kind = 2
	KindFault      Kind = 3
	KindBundle     Kind = 4
)

// Item is one thing that peers tell each other: one of its fields is set, the others are nil.
type Item struct {
	Capability *capability.Capability
	Revocation *capability.Revocation
	Fault      *fault.Fault
	Bundle     *bundle.Bundle
}

// Kind returns which field is set.
func (i Item) Kind() Kind {
	switch {
	case i.Capability != nil:
		return KindCapability
	case i.Revocation != nil:
		return KindRevocation
	case i.Fault != nil:
		return KindFault
	default:
		return KindBundle
	}
}

// Encode returns the bytes that DecodeItem reads.
func (i Item) Encode() []byte {
	b := []byte{byte(i.Kind())}
	switch i.Kind() {
	case KindCapability:
		return append(b, i.Capability.Encode()...)
	case KindRevocation:
		return append(b, i.Revocation.Encode()...)
	case KindFault:
		return append(b, i.Fault.Encode()...)
	default:
		return append(b, i.Bundle.Encode()...)
	}
}

// DecodeItem returns the item that bytes are of, valid by itself, or ErrInvalid. It shares no
// memory with them. Signatures are not looked at.
func DecodeItem(b []byte) (Item, error) {
	if len(b) == 0 || len(b) > MaxItem {
		return Item{}, fmt.Errorf("%w: %d bytes", ErrInvalid, len(b))
	}
	var i Item
	var err error
	switch body := b[1:]; Kind(b[0]) {
	case KindCapability:
		i.Capability, err = capability.Decode(body)
	case KindRevocation:
		i.Revocation, err = capability.DecodeRevocation(body)
	case KindFault:
		i.Fault, err = fault.Decode(body)
	case KindBundle:
		i.Bundle, err = bundle.Decode(body)
	default:
		err = fmt.Errorf("kind %d", b[0])
	}
	if err != nil {
		return Item{}, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return i, nil
}
