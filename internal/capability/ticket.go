package capability

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"

	"github.com/decube/decube/internal/oneline"
	"github.com/decube/decube/internal/sig"
	"github.com/decube/decube/internal/wire"
)

const (
	// MaxTicket is the most characters of a ticket.
	MaxTicket = 2 << 10
	// MaxAddresses is the most addresses of a ticket.
	MaxAddresses = 8
	// MaxAddress is the most bytes of one.
	MaxAddress = 256
	// SwarmKeySize is the length of the key that a private swarm's connections need.
	SwarmKeySize = 32
)

// Kind says what a text is of.
type Kind string

// The kinds.
const (
	KindDocument   Kind = "document"
	KindCapability Kind = "capability"
	KindRevocation Kind = "revocation"
	KindTicket     Kind = "ticket"
)

const (
	textPrefix = "decube-"
	checksum   = 4
)

// Text returns bytes as a text that survives being copied by hand: what it is of, and the
// bytes with a checksum, in letters, digits, - and _.
func Text(kind Kind, b []byte) string {
	sum := sha256.Sum256(append([]byte(kind+"\x00"), b...))
	return textPrefix + string(kind) + "." + base64.RawURLEncoding.EncodeToString(append(slices.Clip(b), sum[:checksum]...))
}

// ParseText returns what a text is of and its bytes, or ErrInvalid. Spaces around it do not
// matter. The error does not carry the text, which may be a secret.
func ParseText(s string) (Kind, []byte, error) {
	name, data, ok := strings.Cut(strings.TrimPrefix(strings.TrimSpace(s), textPrefix), ".")
	kind := Kind(name)
	switch {
	case !ok || !strings.HasPrefix(strings.TrimSpace(s), textPrefix):
		return "", nil, fmt.Errorf("%w: a text that does not begin with %sKIND and a dot", ErrInvalid, textPrefix)
	case kind != KindDocument && kind != KindCapability && kind != KindRevocation && kind != KindTicket:
		return "", nil, fmt.Errorf("%w: a text of an unknown kind", ErrInvalid)
	case len(data) > base64.RawURLEncoding.EncodedLen(MaxRevocation+checksum):
		return "", nil, fmt.Errorf("%w: a %s of %d characters", ErrInvalid, kind, len(data))
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(data)
	if err != nil || len(b) < checksum {
		return "", nil, fmt.Errorf("%w: a %s with characters that it cannot have, or too short", ErrInvalid, kind)
	}
	b = b[:len(b)-checksum]
	if Text(kind, b) != textPrefix+string(kind)+"."+data {
		return "", nil, fmt.Errorf("%w: a %s with a character that is wrong, missing or too much", ErrInvalid, kind)
	}
	return kind, b, nil
}

// Ticket has whoever holds it join a swarm: it is a password until its capability expires.
// It never prints or logs its secrets.
type Ticket struct {
	Swarm      ID
	Document   Document // the version in force, which the newcomer trusts
	Addresses  []string // multiaddrs of peers
	SwarmKey   []byte   // of SwarmKeySize bytes, or none
	Capability Capability
	Seed       [sig.SeedSize]byte // of the key that the capability is for
}

// String returns a text without the secrets.
func (t Ticket) String() string {
	return fmt.Sprintf("ticket of the swarm %q (%v)", t.Document.Name, t.Swarm)
}

// Format prints a text without the secrets, whatever the verb.
func (t Ticket) Format(f fmt.State, _ rune) { _, _ = fmt.Fprint(f, t.String()) }

// MarshalText returns a text without the secrets, for logs and JSON.
func (t Ticket) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// Validate returns ErrInvalid unless whoever holds the ticket can use it.
func (t Ticket) Validate() error {
	if err := t.Document.Validate(); err != nil {
		return err
	}
	if err := t.Capability.Validate(); err != nil {
		return err
	}
	switch {
	case t.Document.Number == 0 && t.Document.ID() != t.Swarm, t.Capability.Swarm != t.Swarm:
		return fmt.Errorf("%w: a ticket with parts of several swarms", ErrInvalid)
	case sig.FromSeed(t.Seed).Public() != t.Capability.Audience:
		return fmt.Errorf("%w: a ticket with a key that its capability is not for", ErrInvalid)
	case len(t.SwarmKey) != 0 && len(t.SwarmKey) != SwarmKeySize:
		return fmt.Errorf("%w: a swarm key of %d bytes", ErrInvalid, len(t.SwarmKey))
	case len(t.Addresses) < 1 || len(t.Addresses) > MaxAddresses:
		return fmt.Errorf("%w: %d addresses, must be 1 to %d", ErrInvalid, len(t.Addresses), MaxAddresses)
	}
	for i, a := range t.Addresses {
		if a == "" || len(a) > MaxAddress || !oneline.Printable(a) {
			return fmt.Errorf("%w: addresses[%d]: %q", ErrInvalid, i, a)
		}
	}
	return nil
}

// Encode returns the text that ParseTicket reads, or ErrInvalid for a ticket that is not
// valid or too long.
func (t Ticket) Encode() (string, error) {
	if err := t.Validate(); err != nil {
		return "", err
	}
	b := wire.AppendUvarint(nil, version)
	b = t.Document.append(append(b, t.Swarm[:]...))
	b = appendInt(b, int64(len(t.Addresses)))
	for _, a := range t.Addresses {
		b = wire.AppendFrame(b, []byte(a))
	}
	b = wire.AppendFrame(b, t.SwarmKey)
	b = wire.AppendFrame(b, t.Capability.Encode())
	text := Text(KindTicket, append(b, t.Seed[:]...))
	if len(text) > MaxTicket {
		return "", fmt.Errorf("%w: a ticket of %d characters, at most %d: with less addresses it is shorter", ErrInvalid, len(text), MaxTicket)
	}
	return text, nil
}

// ParseTicket returns the ticket of a text, or ErrInvalid.
func ParseTicket(s string) (*Ticket, error) {
	if len(strings.TrimSpace(s)) > MaxTicket {
		return nil, fmt.Errorf("%w: a ticket of %d characters, at most %d", ErrInvalid, len(s), MaxTicket)
	}
	kind, b, err := ParseText(s)
	if err != nil {
		return nil, err
	}
	if kind != KindTicket {
		return nil, fmt.Errorf("%w: a %s where a ticket is needed", ErrInvalid, kind)
	}
	d := wire.NewDecoder(b)
	readVersion(&d)
	t := &Ticket{Swarm: readArray[ID](&d)}
	t.Document = *readDocument(&d)
	for range readInt(&d, MaxAddresses) {
		t.Addresses = append(t.Addresses, string(readText(&d, MaxAddress)))
	}
	if key := readText(&d, SwarmKeySize); len(key) > 0 {
		t.SwarmKey = append([]byte(nil), key...)
	}
	encoded := readText(&d, MaxCapability)
	copy(t.Seed[:], d.Bytes(len(t.Seed)))
	if err := finish(&d, "ticket"); err != nil {
		return nil, err
	}
	c, err := Decode(encoded)
	if err != nil {
		return nil, err
	}
	t.Capability = *c
	if err := t.Validate(); err != nil {
		return nil, err
	}
	return t, nil
}
