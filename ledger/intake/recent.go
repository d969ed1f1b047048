package intake

import "github.com/decube/decube/ledger/tx"

// recent remembers the last so many IDs, and at most twice as many: what is put goes
// to the younger generation, and the older one is forgotten when that is full.
type recent struct {
	size           int
	younger, older map[tx.ID]struct{}
}

func (r *recent) put(id tx.ID) {
	if r.younger == nil {
		r.younger, r.older = make(map[tx.ID]struct{}), make(map[tx.ID]struct{})
	}
	if len(r.younger) >= r.size {
		clear(r.older)
		r.younger, r.older = r.older, r.younger
	}
	r.younger[id] = struct{}{}
}

func (r *recent) has(id tx.ID) bool {
	if _, ok := r.younger[id]; ok {
		return true
	}
	_, ok := r.older[id]
	return ok
}
