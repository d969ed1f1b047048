package intake

import (
	"github.com/decube/decube/internal/sig"
	"github.com/decube/decube/ledger/tx"
)

// Slot is what at most one transaction can use: one nonce of one owner.
type Slot struct {
	Owner sig.PublicKey
	Nonce uint64
}

// SlotOf returns the slot that a transaction uses.
func SlotOf(t *tx.Transaction) Slot { return Slot{Owner: t.Owner, Nonce: t.Nonce} }

// before returns the slot that the owner uses before this one, as a rule.
func (s Slot) before() (Slot, bool) {
	if s.Nonce == 0 {
		return Slot{}, false
	}
	return Slot{Owner: s.Owner, Nonce: s.Nonce - 1}, true
}

// keyOf returns the key of the state that different owners race for by an operation, so
// that one which is ordered makes the other one invalid, and "" when there is none.
//
// Only names are such keys. Nobody can have a valid operation on a name that is held but
// its holder, and who was offered it by the holder: no stranger can hold up another's
// operation by having one on the same key in flight all the time. That would be possible
// with keys that several owners write to side by side, such as a snapshot's root or a
// parameter that is voted on; there the order does not matter either.
func keyOf(op tx.Op) string {
	switch o := op.(type) {
	case tx.NameClaim:
		return o.Name
	case tx.NameTransfer:
		return o.Name
	case tx.NameAccept:
		return o.Name
	default:
		return ""
	}
}

// race is what is known about a key that owners race for.
type race struct {
	waiting  int    // transactions in the pool that write it
	inFlight int    // transactions of blocks in flight that do
	decided  uint64 // sequence number of the last block that has one
}

// enter returns the race for a transaction's key, nil when it has none.
func (p *Pool) enter(t *tx.Transaction) *race {
	key := keyOf(t.Op)
	if key == "" {
		return nil
	}
	r := p.races[key]
	if r == nil {
		r = new(race)
		p.races[key] = r
	}
	return r
}

// leave forgets a race that no transaction is in any more.
func (p *Pool) leave(t *tx.Transaction, r *race) {
	if r != nil && r.waiting == 0 && r.inFlight == 0 {
		delete(p.races, keyOf(t.Op))
	}
}
