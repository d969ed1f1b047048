package genesis

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/decube/decube/internal/oneline"
	"github.com/decube/decube/internal/sig"
	"github.com/decube/decube/ledger/admission"
	"github.com/decube/decube/ledger/pbft"
)

// ErrInvalid is returned for documents and validator sets that make no ledger.
// The message names the field.
var ErrInvalid = errors.New("invalid genesis")

const (
	// MaxName is the most bytes that the name of a network or a validator has.
	MaxName = 64
	// MaxAddresses is the most addresses that one validator has.
	MaxAddresses = 8
	// MaxAddress is the most bytes of an address.
	MaxAddress = 256
)

// domain separates the genesis ID from all other digests.
const domain = "decube/genesis/1\x00"

// maxCreated is the last millisecond of the year 9999, which RFC 3339 can write.
const maxCreated = 253402300799999

// Genesis is the document that makes a ledger. Those that [New] and [Parse] return
// are valid; nobody should change one that is in use. It is safe for concurrent
// reading.
type Genesis struct {
	Network    string
	Created    time.Time // UTC, whole milliseconds
	Validators []Validator
	Params     Params
	Admission  admission.Rules
}

// Validator is a member of the first committee.
type Validator struct {
	Key sig.PublicKey
	// Name is what people call it, or empty.
	Name string
	// Addresses are multiaddrs where it was reachable when the ledger was made.
	// They are kept as text and not looked into.
	Addresses []string
}

// New returns the document for a new ledger that is open to everybody, or ErrInvalid.
// The creation time is cut to milliseconds. The validators are copied, their addresses
// are not.
func New(network string, created time.Time, validators []Validator, params Params) (*Genesis, error) {
	g := &Genesis{
		Network:    network,
		Created:    created.UTC().Truncate(time.Millisecond),
		Validators: append([]Validator(nil), validators...),
		Params:     params,
	}
	if err := g.Validate(); err != nil {
		return nil, err
	}
	return g, nil
}

// WithAdmission returns the document with other rules of admission, whose keys it
// copies, or ErrInvalid. All else is shared.
func (g *Genesis) WithAdmission(rules admission.Rules) (*Genesis, error) {
	out := *g
	rules.Keys = slices.Clone(rules.Keys)
	out.Admission = rules
	if err := out.Validate(); err != nil {
		return nil, err
	}
	return &out, nil
}

// Validate returns ErrInvalid with the field that is out of bounds.
func (g *Genesis) Validate() error {
	if err := checkNetwork(g.Network); err != nil {
		return invalid("network", "%w", err)
	}
	switch ms := g.Created.UnixMilli(); {
	case ms < 0 || ms > maxCreated:
		return invalid("created", "%v is not in the years 1970 to 9999", g.Created)
	case g.Created != time.UnixMilli(ms).UTC():
		return invalid("created", "%v is not UTC in whole milliseconds", g.Created)
	}
	if err := g.Set().Validate(); err != nil {
		return err
	}
	named := make(map[string]int, len(g.Validators))
	for i := range g.Validators {
		v := &g.Validators[i]
		if err := v.validate(fmt.Sprintf("validators[%d]", i)); err != nil {
			return err
		}
		if first, taken := named[v.Name]; taken && v.Name != "" {
			return invalid(fmt.Sprintf("validators[%d].name", i), "%q is validators[%d]'s", v.Name, first)
		}
		named[v.Name] = i
	}
	if err := g.Admission.Validate(); err != nil {
		return invalid("admission", "%w", err)
	}
	if err := g.Params.Validate(); err != nil {
		return err
	}
	return g.Params.Fit(len(g.Validators))
}

// validate checks all but the key, which is the set's concern.
func (v *Validator) validate(path string) error {
	if len(v.Name) > MaxName {
		return invalid(path+".name", "%d bytes, at most %d", len(v.Name), MaxName)
	}
	if !oneline.Printable(v.Name) {
		return invalid(path+".name", "%q has characters that do not print", v.Name)
	}
	if len(v.Addresses) > MaxAddresses {
		return invalid(path+".addresses", "%d, at most %d", len(v.Addresses), MaxAddresses)
	}
	for i, a := range v.Addresses {
		if err := checkAddress(a); err != nil {
			return invalid(fmt.Sprintf("%s.addresses[%d]", path, i), "%w", err)
		}
	}
	return nil
}

// checkNetwork takes names that can stand in a path, a host name and a log.
func checkNetwork(s string) error {
	if s == "" || len(s) > MaxName {
		return fmt.Errorf("%d bytes, must be 1 to %d", len(s), MaxName)
	}
	for i := range len(s) {
		c := s[i]
		alphanumeric := 'a' <= c && c <= 'z' || '0' <= c && c <= '9'
		inside := i > 0 && i < len(s)-1 && (c == '.' || c == '-')
		if !alphanumeric && !inside {
			return fmt.Errorf("%q: must be of a-z, 0-9 and, inside, '.' and '-'", s)
		}
	}
	return nil
}

func checkAddress(s string) error {
	if s == "" || len(s) > MaxAddress {
		return fmt.Errorf("%d bytes, must be 1 to %d", len(s), MaxAddress)
	}
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return fmt.Errorf("%q has characters that are not printable ASCII", s)
		}
	}
	return nil
}

// invalid returns ErrInvalid for a field of the document.
func invalid(field, format string, args ...any) error {
	return fmt.Errorf("%w: %s: %w", ErrInvalid, field, fmt.Errorf(format, args...))
}

// ID returns the genesis ID: the digest of all that the document says, and the
// cluster digest in every signature of its ledger.
func (g *Genesis) ID() pbft.Digest {
	b := []byte(domain)
	b = appendText(b, g.Network)
	b = binary.BigEndian.AppendUint64(b, uint64(g.Created.UnixMilli())) // 0 to maxCreated
	b = appendCount(b, len(g.Validators))
	for i := range g.Validators {
		v := &g.Validators[i]
		b = append(b, v.Key[:]...)
		b = appendText(b, v.Name)
		b = appendCount(b, len(v.Addresses))
		for _, a := range v.Addresses {
			b = appendText(b, a)
		}
	}
	b = appendCount(b, len(params))
	for i := range params {
		b = binary.BigEndian.AppendUint64(b, *params[i].of(&g.Params))
	}
	b = append(b, byte(g.Admission.Mode))
	b = appendCount(b, len(g.Admission.Keys))
	for i := range g.Admission.Keys {
		b = append(b, g.Admission.Keys[i][:]...)
	}
	return sha256.Sum256(b)
}

func appendCount(b []byte, n int) []byte {
	return binary.BigEndian.AppendUint32(b, uint32(n)) // bounded by Validate
}

func appendText(b []byte, s string) []byte { return append(appendCount(b, len(s)), s...) }

// Set returns the first epoch's validators.
func (g *Genesis) Set() ValidatorSet {
	set := make(ValidatorSet, len(g.Validators))
	for i := range g.Validators {
		set[i] = g.Validators[i].Key
	}
	return set
}

// Name returns what the document calls the holder of a key, or an empty string.
func (g *Genesis) Name(key sig.PublicKey) string {
	for i := range g.Validators {
		if g.Validators[i].Key == key {
			return g.Validators[i].Name
		}
	}
	return ""
}

// Header returns the genesis block's header: sequence number 0 of epoch 0, without
// transactions, on top of the document, and names the first validators. The state root is that of the initial
// state, which the caller derives from the document.
func (g *Genesis) Header(stateRoot pbft.Digest) pbft.Header {
	return pbft.Header{
		Parent:    g.ID(),
		Time:      g.Created.UnixMilli(),
		Body:      sha256.Sum256(nil), // the empty tree of RFC 6962
		State:     stateRoot,
		Committee: g.Set().Digest(),
	}
}

// Config returns cfg with what the document settles: the cluster and the
// parameters that all replicas share. The times in cfg are each replica's own.
func (g *Genesis) Config(cfg pbft.Config) pbft.Config {
	cfg.Cluster = g.ID()
	cfg.Window = g.Params.Window
	cfg.CheckpointInterval = g.Params.CheckpointInterval
	return cfg
}
