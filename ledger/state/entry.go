package state

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/decube/decube/internal/wire"
	"github.com/decube/decube/ledger/genesis"
	"github.com/decube/decube/ledger/sig"
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
	Nonces    Nonces
	Snapshots uint64 // registrations
	Names     uint64
	Records   uint64 // the owner's own, and those in the namespaces of the names
}

// Snapshot is what is known of a root that somebody has registered.
type Snapshot struct {
	// First is who registered it first, of all since anybody has it registered,
	// and Origin when. The owner may have retired it since.
	First sig.PublicKey
	Origin
	// Registrations is how many owners have it registered.
	Registrations uint64
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
}

// Record is what was written under a key.
type Record struct {
	Origin // of the last writing
	// Value must not be changed: it is the state's.
	Value []byte
}

// Validator is what is known of a validator besides its place in the set.
type Validator struct {
	// Since is the sequence number of the block that made it one, and 0 for those
	// of the genesis document.
	Since uint64
	// Addresses are multiaddrs where it said to be reachable, as text.
	Addresses []string
}

// AppendTo appends the account's encoding to b.
func (a Account) AppendTo(b []byte) []byte {
	b = append(b, version)
	b = wire.AppendUvarint(b, a.Nonces.next)
	b = wire.AppendUvarint(b, a.Snapshots)
	b = wire.AppendUvarint(b, a.Names)
	b = wire.AppendUvarint(b, a.Records)
	return append(b, a.Nonces.used...)
}

// ParseAccount reads what AppendTo wrote, which it keeps, and returns ErrMalformed
// for anything else.
func ParseAccount(value []byte) (Account, error) {
	d := decoder(value)
	a := Account{
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

// AppendTo appends the snapshot's encoding to b.
func (s Snapshot) AppendTo(b []byte) []byte {
	b = append(b, version)
	b = append(b, s.First[:]...)
	b = s.Origin.appendTo(b)
	return wire.AppendUvarint(b, s.Registrations)
}

// ParseSnapshot reads what AppendTo wrote, and returns ErrMalformed for anything else.
func ParseSnapshot(value []byte) (Snapshot, error) {
	d := decoder(value)
	return finish(&d, Snapshot{First: publicKey(&d), Origin: origin(&d), Registrations: number(&d)}, "snapshot")
}

// AppendTo appends the registration's encoding to b.
func (r Registration) AppendTo(b []byte) []byte {
	b = append(b, version)
	b = r.Origin.appendTo(b)
	b = wire.AppendUvarint(b, r.Size)
	b = wire.AppendUvarint(b, uint64(r.RetainUntil)) //nolint:gosec // not negative
	return appendText(b, r.Label)
}

// ParseRegistration reads what AppendTo wrote, and returns ErrMalformed for anything else.
func ParseRegistration(value []byte) (Registration, error) {
	d := decoder(value)
	return finish(&d, Registration{
		Origin:      origin(&d),
		Size:        number(&d),
		RetainUntil: int64(number(&d)), //nolint:gosec // of 63 bits
		Label:       text(&d, tx.MaxLabel),
	}, "registration")
}

// AppendTo appends the name's encoding to b.
func (n Name) AppendTo(b []byte) []byte {
	b = append(b, version)
	b = append(b, n.Holder[:]...)
	b = n.Origin.appendTo(b)
	b = wire.AppendUvarint(b, n.Records)
	return appendText(b, n.Target)
}

// ParseName reads what AppendTo wrote, and returns ErrMalformed for anything else.
func ParseName(value []byte) (Name, error) {
	d := decoder(value)
	return finish(&d, Name{Holder: publicKey(&d), Origin: origin(&d), Records: number(&d), Target: text(&d, tx.MaxTarget)}, "name")
}

// AppendTo appends the record's encoding to b.
func (r Record) AppendTo(b []byte) []byte {
	b = append(b, version)
	return append(r.Origin.appendTo(b), r.Value...)
}

// ParseRecord reads what AppendTo wrote, which it keeps, and returns ErrMalformed
// for anything else.
func ParseRecord(value []byte) (Record, error) {
	d := decoder(value)
	r := Record{Origin: origin(&d)}
	if n := d.Len(); n < 1 || n > tx.MaxValue {
		d.Fail(fmt.Errorf("%w: a value of %d bytes, must be 1 to %d", wire.ErrMalformed, n, tx.MaxValue))
	}
	r.Value = d.Bytes(d.Len())
	return finish(&d, r, "record")
}

// AppendTo appends the validator's encoding to b.
func (v Validator) AppendTo(b []byte) []byte {
	b = append(b, version)
	b = binary.BigEndian.AppendUint64(b, v.Since)
	b = wire.AppendUvarint(b, uint64(len(v.Addresses)))
	for _, a := range v.Addresses {
		b = appendText(b, a)
	}
	return b
}

// ParseValidator reads what AppendTo wrote, and returns ErrMalformed for anything else.
func ParseValidator(value []byte) (Validator, error) {
	d := decoder(value)
	v := Validator{Since: fixed(&d)}
	for range d.Uvarint(genesis.MaxAddresses) {
		v.Addresses = append(v.Addresses, text(&d, genesis.MaxAddress))
	}
	return finish(&d, v, "validator")
}

func (o Origin) appendTo(b []byte) []byte {
	b = append(b, o.Tx[:]...)
	b = binary.BigEndian.AppendUint64(b, o.Seq)
	return binary.BigEndian.AppendUint64(b, uint64(o.Time)) //nolint:gosec // two's complement, and back
}

func origin(d *wire.Decoder) Origin {
	var o Origin
	copy(o.Tx[:], d.Bytes(len(o.Tx)))
	o.Seq = fixed(d)
	o.Time = int64(fixed(d)) //nolint:gosec // two's complement, and back
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

func fixed(d *wire.Decoder) uint64 {
	if b := d.Bytes(8); b != nil {
		return binary.BigEndian.Uint64(b)
	}
	return 0
}

func text(d *wire.Decoder, most uint64) string {
	return string(d.Bytes(int(d.Uvarint(most)))) //nolint:gosec // most is small
}

func publicKey(d *wire.Decoder) sig.PublicKey {
	var k sig.PublicKey
	copy(k[:], d.Bytes(len(k)))
	return k
}
