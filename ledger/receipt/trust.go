package receipt

import (
	"fmt"

	"github.com/decube/decube/ledger/genesis"
	"github.com/decube/decube/ledger/pbft"
)

// Trust says which validator set is believed without proof. From it, hops prove all
// that come later. What a receipt proves is worth as much as the assumption that of no
// set on the way from there have 2f+1 keys been given away, then or since: whoever has
// those can sign another history. Who fears for old keys trusts a later set.
type Trust struct {
	genesis    *genesis.Genesis
	set        pbft.Digest
	validators genesis.ValidatorSet // nil when what is verified has to bring them
}

// FromGenesis returns trust in the first validators of a ledger. The document must be
// valid, and must not change any more.
func FromGenesis(g *genesis.Genesis) Trust {
	set := g.Set()
	return Trust{genesis: g, set: set.Digest(), validators: set}
}

// FromSet returns trust in the validator set with a digest, of the ledger with a
// genesis, whose own validators are not believed then. Without the validators, nil, a
// receipt must have them: one that begins earlier and passes the set does. The error
// is ErrTrust when the digest is not theirs.
func FromSet(g *genesis.Genesis, digest pbft.Digest, validators genesis.ValidatorSet) (Trust, error) {
	if validators == nil && g.Set().Digest() == digest {
		validators = g.Set()
	}
	if validators != nil && validators.Digest() != digest {
		return Trust{}, fmt.Errorf("%w: the validators given have digest %v, not %v", ErrTrust, validators.Digest(), digest)
	}
	return Trust{genesis: g, set: digest, validators: validators}, nil
}

// anchor returns where verification of a receipt begins: the trusted set, and the hops
// of the receipt from there on. Those before it are not looked at.
func (t *Trust) anchor(r *Receipt) (anchor, []Hop, error) {
	first := t.genesis.Set()
	if t.set == first.Digest() {
		a, err := newAnchor(first)
		a.time = t.genesis.Created.UnixMilli()
		return a, r.Hops, err
	}
	validators := t.validators
	from := len(r.Hops)
	for i := len(r.Hops) - 1; i >= 0; i-- {
		h := &r.Hops[i]
		if h.Header.Committee == t.set {
			from = i
		}
		if validators == nil && h.Header.Next == t.set && h.Validators.Digest() == t.set {
			validators = h.Validators
		}
	}
	if validators == nil || from == len(r.Hops) && r.Header.Committee != t.set {
		return anchor{}, nil, fmt.Errorf("%w: validator set %v is not on the receipt's way", ErrTrust, t.set)
	}
	a, err := newAnchor(validators)
	a.time = t.genesis.Created.UnixMilli()
	return a, r.Hops[from:], err
}
