// Package admission says whose operations a ledger orders. It is part of the rules of
// its blocks, so it is deterministic and pure: whether a key is allowed an operation
// depends on the ledger's genesis document and the block's time, and on nothing else.
//
// There are two modes. In an open ledger everybody may have everything ordered, and
// what bounds them are the limits of each owner and of the ledger's growth. A ledger
// with a list orders operations of the keys on it.
//
// Neither is asked about governance (validator.add, validator.remove, params.set): the
// validators of the day have that right, and nobody else; see package state.
package admission

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"github.com/decube/decube/internal/sig"
	"github.com/decube/decube/ledger/tx"
)

// MaxKeys is the most keys of a list.
const MaxKeys = 1024

// ErrInvalid is returned for rules that are none.
var ErrInvalid = errors.New("invalid admission")

// Mode is how a ledger admits. The numbers are those of the formats.
type Mode uint8

// The modes.
const (
	ModeOpen Mode = 0
	ModeList Mode = 1
)

var modes = [...]string{ModeOpen: "open", ModeList: "list"}

// String returns the mode's name in a genesis document.
func (m Mode) String() string {
	if int(m) >= len(modes) {
		return fmt.Sprintf("mode(%d)", uint8(m))
	}
	return modes[m]
}

// ParseMode returns the mode of a name, and ErrInvalid when there is none.
func ParseMode(name string) (Mode, error) {
	if i := slices.Index(modes[:], name); i >= 0 {
		return Mode(i), nil
	}
	return 0, fmt.Errorf("%w: mode %q, must be %q or %q", ErrInvalid, name, modes[ModeOpen], modes[ModeList])
}

// Rules are what a genesis document says of admission. The zero value is an open
// ledger's. The keys must not change while the rules are in use.
type Rules struct {
	Mode Mode
	Keys []sig.PublicKey // 1 to MaxKeys different ones in ModeList, else none
}

// Validate returns ErrInvalid unless the rules are of a mode there is, with the keys
// that it takes.
func (r Rules) Validate() error {
	switch r.Mode {
	case ModeOpen:
		if len(r.Keys) > 0 {
			return fmt.Errorf("%w: keys: an open ledger has no list", ErrInvalid)
		}
		return nil
	case ModeList:
	default:
		return fmt.Errorf("%w: there is no %v", ErrInvalid, r.Mode)
	}
	if len(r.Keys) < 1 || len(r.Keys) > MaxKeys {
		return fmt.Errorf("%w: keys: %d, must be 1 to %d", ErrInvalid, len(r.Keys), MaxKeys)
	}
	at := make(map[sig.PublicKey]int, len(r.Keys))
	for i, key := range r.Keys {
		if first, twice := at[key]; twice {
			return fmt.Errorf("%w: keys[%d]: %v is keys[%d] already", ErrInvalid, i, key, first)
		}
		at[key] = i
		if err := key.Check(); err != nil {
			return fmt.Errorf("%w: keys[%d]: %w", ErrInvalid, i, err)
		}
	}
	return nil
}

// Policy decides who is admitted. It is safe for concurrent use.
type Policy interface {
	// Allowed returns nil, or a *tx.Rejection that says why a key may not have an
	// operation ordered in a block of that time, in Unix milliseconds.
	Allowed(key sig.PublicKey, verb tx.Type, timeMillis int64) error
}

// Policy returns the policy of valid rules.
func (r Rules) Policy() Policy {
	if r.Mode == ModeOpen {
		return Open{}
	}
	return NewList(r.Keys)
}

// Open admits everybody to everything.
type Open struct{}

// Allowed implements [Policy].
func (Open) Allowed(sig.PublicKey, tx.Type, int64) error { return nil }

// List admits the keys on it to everything, at all times. The zero value admits nobody.
type List struct{ sorted []sig.PublicKey }

// NewList returns a list of keys, which it copies.
func NewList(keys []sig.PublicKey) List {
	return List{sorted: slices.SortedFunc(slices.Values(keys), compareKeys)}
}

func compareKeys(a, b sig.PublicKey) int { return bytes.Compare(a[:], b[:]) }

// Allowed implements [Policy].
func (l List) Allowed(key sig.PublicKey, verb tx.Type, _ int64) error {
	if _, ok := slices.BinarySearchFunc(l.sorted, key, compareKeys); !ok {
		return tx.Reject(tx.CodeNotAdmitted, "%s is not on the ledger's list, and may have no %v ordered", key, verb)
	}
	return nil
}
