package state

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/decube/decube/internal/sig"
	"github.com/decube/decube/internal/wire"
	"github.com/decube/decube/ledger/genesis"
	"github.com/decube/decube/ledger/tx"
)

// ErrMalformed is returned for values that no entry of a state has, and for maps
// that are no state's.
var ErrMalformed = errors.New("malformed state entry")

// version is the first byte of every value.
const version = 1

// Origin says which transaction made an entry what it is.
type Origin struct {
	Tx   tx.ID
	Seq  uint64 // sequence number of its block
	Time int64  // of its block, Unix milliseconds
}

// Account is what is counted of an owner. That of an owner the ledger has never met
// is the zero value.
type Account struct {
	// Created is the time of the block with the owner's first transaction, Unix
	// milliseconds. Nobody else's transactions make an account.
	Created   int64
	Nonces    Nonces
	Snapshots uint64 // registrations
	Names     uint64
	Records   uint64 // the owner's own, and those in the namespaces of the names
}

// Snapshot is what is known of a root that somebody has registered.
type Snapshot struct {
	// First is who registered it first, of all since anybody has it registered,
	// and Origin when.
	First sig.PublicKey
	Origin
	// Held reports whether First has it registered, or again, and Registration is
	// that registration then. Those of other owners are entries of their own.
	Held         bool
	Registration Registration
	// Others is how many other owners have it registered.
	Others uint64
}

// Registrations returns how many owners have the snapshot registered.
func (s Snapshot) Registrations() uint64 {
	if s.Held {
		return s.Others + 1
	}
	return s.Others
}

// Registration is an owner's registration of a snapshot.
type Registration struct {
	Origin             // of the first transaction, not of those that extended the promise
	Size        uint64 // bytes, as the owner states it
	RetainUntil int64  // Unix seconds, or 0 for no promise
	Label       string
}

// Name is a name that somebody holds.
type Name struct {
	Holder  sig.PublicKey
	Origin         // since when it is the holder's
	Records uint64 // in its namespace
	Target  string
	// Offered is to whom the holder offers it, and zero for nobody.
	Offered sig.PublicKey
}

// Record is what was written under a key.
type Record struct {
	Origin // of the last writing
	// Value must not be changed: it is the state's.
	Value []byte
}

// Validator is what is known of a validator besides its place in the set.
type Validator struct {
	// Since is the sequence number of the block that made it one, or in which it
	// last took its place anew, and 0 for those of the genesis document.
	Since uint64
	// By is the transaction that did so, and zero for those of the genesis document.
	By tx.ID
	// Renewals are how often it may take its place anew.
	Renewals Renewals
	// Addresses are multiaddrs where it said to be reachable, as text.
	Addresses []string
}

func (a Account) appendTo(b []byte) []byte {
	b = appendFixed(append(b, version), uint64(a.Created)) // two's complement, and back
	b = wire.AppendUvarint(b, a.Nonces.next)
	b = wire.AppendUvarint(b, a.Snapshots)
	b = wire.AppendUvarint(b, a.Names)
	b = wire.AppendUvarint(b, a.Records)
	return append(b, a.Nonces.used...)
}

// ParseAccount reads an account's entry, whose bytes it keeps, and returns ErrMalformed for
// what no such entry is.
func ParseAccount(value []byte) (Account, error) {
	d := decoder(value)
	a := Account{
		Created:   int64(fixed(&d)),
		Nonces:    Nonces{next: number(&d)},
		Snapshots: number(&d),
		Names:     number(&d),
		Records:   number(&d),
	}
	switch used := d.Bytes(d.Len()); {
	case len(used) > maxUsed:
		d.Fail(fmt.Errorf("%w: %d bytes of used nonces, at most %d", wire.ErrTooLarge, len(used), maxUsed))
	case len(used) > 0 && used[len(used)-1] == 0:
		d.Fail(fmt.Errorf("%w: used nonces end with a zero byte", wire.ErrMalformed))
	case len(used) > 0:
		a.Nonces.used = used
	}
	return finish(&d, a, "account")
}

// How the first owner of a snapshot has it registered.
const (
	heldNot   = 0
	heldFirst = 1 // by the first registration, whose origin is not repeated
	heldAgain = 2 // by a later one
)

func (s Snapshot) appendTo(b []byte) []byte {
	b = append(b, version)
	b = append(b, s.First[:]...)
	b = s.Origin.appendTo(b)
	b = wire.AppendUvarint(b, s.Others)
	switch {
	case !s.Held:
		return append(b, heldNot)
	case s.Registration.Origin == s.Origin:
		b = append(b, heldFirst)
	default:
		b = s.Registration.Origin.appendTo(append(b, heldAgain))
	}
	return s.Registration.appendTerms(b)
}

// ParseSnapshot reads a snapshot's entry, and returns ErrMalformed for what no such entry is.
func ParseSnapshot(value []byte) (Snapshot, error) {
	d := decoder(value)
	s := Snapshot{First: publicKey(&d), Origin: origin(&d), Others: number(&d)}
	switch held := d.Byte(); held {
	case heldNot:
		if d.Err() == nil && s.Others == 0 {
			d.Fail(fmt.Errorf("%w: nobody has it registered", wire.ErrMalformed))
		}
	case heldFirst:
		s.Held, s.Registration = true, terms(&d, s.Origin)
	case heldAgain:
		s.Held, s.Registration = true, terms(&d, origin(&d))
		if s.Registration.Origin == s.Origin {
			d.Fail(fmt.Errorf("%w: the first registration's origin is repeated", wire.ErrMalformed))
		}
	default:
		d.Fail(fmt.Errorf("%w: registered in manner %d", wire.ErrMalformed, held))
	}
	return finish(&d, s, "snapshot")
}

func (r Registration) appendTo(b []byte) []byte {
	return r.appendTerms(r.Origin.appendTo(append(b, version)))
}

// ParseRegistration reads a registration's entry, and returns ErrMalformed for what no such entry is.
func ParseRegistration(value []byte) (Registration, error) {
	d := decoder(value)
	return finish(&d, terms(&d, origin(&d)), "registration")
}

func (r Registration) appendTerms(b []byte) []byte {
	b = wire.AppendUvarint(b, r.Size)
	b = wire.AppendUvarint(b, uint64(r.RetainUntil)) // not negative
	return appendText(b, r.Label)
}

// terms reads what a registration says besides where it comes from.
func terms(d *wire.Decoder, o Origin) Registration {
	return Registration{
		Origin:      o,
		Size:        number(d),
		RetainUntil: int64(number(d)), // of 63 bits
		Label:       text(d, tx.MaxLabel),
	}
}

func (n Name) appendTo(b []byte) []byte {
	b = append(b, version)
	b = append(b, n.Holder[:]...)
	b = n.Origin.appendTo(b)
	b = wire.AppendUvarint(b, n.Records)
	b = appendText(b, n.Target)
	if !n.Offered.IsZero() {
		b = append(b, n.Offered[:]...)
	}
	return b
}

// ParseName reads a name's entry, and returns ErrMalformed for what no such entry is.
func ParseName(value []byte) (Name, error) {
	d := decoder(value)
	n := Name{Holder: publicKey(&d), Origin: origin(&d), Records: number(&d), Target: text(&d, tx.MaxTarget)}
	if d.Len() > 0 {
		if n.Offered = publicKey(&d); n.Offered.IsZero() || n.Offered == n.Holder {
			d.Fail(fmt.Errorf("%w: offered to %v", wire.ErrMalformed, n.Offered))
		}
	}
	return finish(&d, n, "name")
}

func (r Record) appendTo(b []byte) []byte {
	b = append(b, version)
	return append(r.Origin.appendTo(b), r.Value...)
}

// ParseRecord reads a record's entry, whose bytes it keeps, and returns ErrMalformed for
// what no such entry is.
func ParseRecord(value []byte) (Record, error) {
	d := decoder(value)
	r := Record{Origin: origin(&d)}
	if n := d.Len(); n < 1 || n > tx.MaxValue {
		d.Fail(fmt.Errorf("%w: a value of %d bytes, must be 1 to %d", wire.ErrMalformed, n, tx.MaxValue))
	}
	r.Value = d.Bytes(d.Len())
	return finish(&d, r, "record")
}

func (v Validator) appendTo(b []byte) []byte {
	b = append(b, version)
	b = appendFixed(b, v.Since)
	b = append(b, v.By[:]...)
	b = v.Renewals.appendTo(b)
	b = wire.AppendUvarint(b, uint64(len(v.Addresses)))
	for _, a := range v.Addresses {
		b = appendText(b, a)
	}
	return b
}

// ParseValidator reads a validator's entry, and returns ErrMalformed for what no such entry is.
func ParseValidator(value []byte) (Validator, error) {
	d := decoder(value)
	v := Validator{Since: fixed(&d)}
	copy(v.By[:], d.Bytes(len(v.By)))
	v.Renewals = renewals(&d)
	for range d.Uvarint(genesis.MaxAddresses) {
		v.Addresses = append(v.Addresses, text(&d, genesis.MaxAddress))
	}
	return finish(&d, v, "validator")
}

func (o Origin) appendTo(b []byte) []byte {
	b = append(b, o.Tx[:]...)
	b = appendFixed(b, o.Seq)
	return appendFixed(b, uint64(o.Time)) // two's complement, and back
}

func origin(d *wire.Decoder) Origin {
	var o Origin
	copy(o.Tx[:], d.Bytes(len(o.Tx)))
	o.Seq = fixed(d)
	o.Time = int64(fixed(d)) // two's complement, and back
	return o
}

func appendText(b []byte, s string) []byte {
	b = wire.AppendUvarint(b, uint64(len(s)))
	return append(b, s...)
}

// decoder returns a decoder of what follows the version.
func decoder(value []byte) wire.Decoder {
	d := wire.NewDecoder(value)
	if v := d.Byte(); d.Err() == nil && v != version {
		d.Fail(fmt.Errorf("%w: version %d, want %d", wire.ErrMalformed, v, version))
	}
	return d
}

// finish returns the entry that was read, or ErrMalformed.
func finish[T any](d *wire.Decoder, entry T, what string) (T, error) {
	if err := d.Finish(); err != nil {
		var zero T
		return zero, fmt.Errorf("%w: %s: %w", ErrMalformed, what, err)
	}
	return entry, nil
}

func number(d *wire.Decoder) uint64 { return d.Uvarint(wire.MaxUvarint) }

func appendFixed(b []byte, v uint64) []byte { return binary.BigEndian.AppendUint64(b, v) }

func fixed(d *wire.Decoder) uint64 {
	if b := d.Bytes(8); b != nil {
		return binary.BigEndian.Uint64(b)
	}
	return 0
}

func text(d *wire.Decoder, most uint64) string {
	return string(d.Bytes(int(d.Uvarint(most)))) // most is small
}

func publicKey(d *wire.Decoder) sig.PublicKey {
	var k sig.PublicKey
	copy(k[:], d.Bytes(len(k)))
	return k
}
