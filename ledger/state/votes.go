package state

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/decube/decube/internal/sig"
	"github.com/decube/decube/internal/wire"
	"github.com/decube/decube/ledger/tx"
)

// MaxVotes is the most open votes of one validator.
const MaxVotes = 16

// votes are a validator's open votes: changes in the order of their subjects, one
// each. A change is a [tx.ValidatorAdd], [tx.ValidatorRemove] or [tx.ParamsSet], so
// two of them can be compared. The slice is shared and never changes.
type votes []tx.Op

// subject is what a change is about: a key, or the parameter of a name.
type subject struct {
	key   sig.PublicKey
	param string
}

func subjectOf(change tx.Op) subject {
	switch c := change.(type) {
	case tx.ValidatorAdd:
		return subject{key: c.Key}
	case tx.ValidatorRemove:
		return subject{key: c.Key}
	case tx.ParamsSet:
		return subject{param: c.Name}
	default:
		return subject{}
	}
}

func compareSubjects(a, b tx.Op) int {
	x, y := subjectOf(a), subjectOf(b)
	return cmp.Or(strings.Compare(x.param, y.param), slices.Compare(x.key[:], y.key[:]))
}

// about returns where the vote on a change's subject is, or would be.
func (v votes) about(change tx.Op) (int, bool) {
	return slices.BinarySearchFunc(v, change, compareSubjects)
}

// has reports whether one of the votes is for exactly this change.
func (v votes) has(change tx.Op) bool {
	i, ok := v.about(change)
	return ok && v[i] == change
}

// with returns the votes with one for a change, in place of another on the subject.
func (v votes) with(change tx.Op) votes {
	i, ok := v.about(change)
	out := slices.Clone(v)
	if ok {
		out[i] = change
		return out
	}
	return slices.Insert(out, i, change)
}

// without returns the votes without the one on a change's subject, and whether
// there was one.
func (v votes) without(change tx.Op) (votes, bool) {
	i, ok := v.about(change)
	if !ok {
		return v, false
	}
	return slices.Delete(slices.Clone(v), i, i+1), true
}

func appendVotes(b []byte, open votes) []byte {
	b = append(b, version)
	b = wire.AppendUvarint(b, uint64(len(open)))
	for _, change := range open {
		b = append(b, byte(change.Type()))
		switch c := change.(type) {
		case tx.ValidatorAdd:
			b = append(b, c.Key[:]...)
			b = appendText(b, c.Address)
			b = append(b, c.Replaces[:]...) // no salt: no vote is for a renewal
		case tx.ValidatorRemove:
			b = append(b, c.Key[:]...)
		case tx.ParamsSet:
			b = appendText(b, c.Name)
			b = wire.AppendUvarint(b, c.Value)
		}
	}
	return b
}

// ParseVotes reads the changes that a validator has voted for, and returns
// ErrMalformed for what no such entry is.
func ParseVotes(value []byte) ([]tx.Op, error) {
	d := decoder(value)
	n := int(d.Uvarint(MaxVotes)) // at most MaxVotes
	if d.Err() == nil && n == 0 {
		d.Fail(fmt.Errorf("%w: no votes", wire.ErrMalformed))
	}
	open := make([]tx.Op, 0, n)
	for range n {
		change := decodeChange(&d)
		if d.Err() != nil {
			break
		}
		if k := len(open); k > 0 && compareSubjects(open[k-1], change) >= 0 {
			d.Fail(fmt.Errorf("%w: subjects are not in ascending order", wire.ErrMalformed))
		}
		open = append(open, change)
	}
	return finish(&d, open, "votes")
}

func decodeChange(d *wire.Decoder) tx.Op {
	switch t := tx.Type(d.Byte()); t {
	case tx.TypeValidatorAdd:
		c := tx.ValidatorAdd{Key: publicKey(d), Address: text(d, tx.MaxAddress), Replaces: publicKey(d)}
		if c.Renews() {
			d.Fail(fmt.Errorf("%w: a vote for a renewal", wire.ErrMalformed))
		}
		return c
	case tx.TypeValidatorRemove:
		return tx.ValidatorRemove{Key: publicKey(d)}
	case tx.TypeParamsSet:
		name := text(d, tx.MaxName)
		if name == "" {
			d.Fail(fmt.Errorf("%w: a parameter without a name", wire.ErrMalformed))
		}
		return tx.ParamsSet{Name: name, Value: number(d)}
	default:
		d.Fail(fmt.Errorf("%w: %v is not put to the vote", wire.ErrMalformed, t))
		return nil
	}
}
