package ledger

import (
	"slices"
	"sync"
	"time"
)

// nonceMemory is how long a nonce is left alone that was given out and is not used, unless
// it is known that it will not be.
const nonceMemory = 30 * time.Second

// nonces are the nonces of this peer's own transactions. Each is given out once, one after
// the other, and again when what it was for is not committed: a ledger takes none that is
// too far above the lowest that is not used, so that one that is left out for good would
// be the end of all.
type nonces struct {
	mu   sync.Mutex
	next uint64
	at   time.Time // when one was given out last
	back []unused
}

// unused is a nonce that was given out, and may be again from an instant on.
type unused struct {
	nonce uint64
	from  time.Time
}

// choose gives a nonce out. Lowest is the lowest one that is not used.
func (n *nonces) choose(lowest uint64, now time.Time) uint64 {
	n.mu.Lock()
	defer n.mu.Unlock()
	if now.Sub(n.at) >= nonceMemory {
		n.next, n.back = lowest, nil
	}
	n.at = now
	n.back = slices.DeleteFunc(n.back, func(u unused) bool { return u.nonce < lowest })
	best := -1
	for i, u := range n.back {
		if !now.Before(u.from) && (best < 0 || u.nonce < n.back[best].nonce) {
			best = i
		}
	}
	if best >= 0 {
		nonce := n.back[best].nonce
		n.back = slices.Delete(n.back, best, best+1)
		return nonce
	}
	nonce := max(lowest, n.next)
	n.next = nonce + 1
	return nonce
}

// unused says that a transaction was not committed. Refused says that it will not be;
// otherwise it, or another one with its nonce, still may.
func (n *nonces) unused(nonce uint64, refused bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	from := time.Now()
	if !refused {
		from = from.Add(nonceMemory)
	}
	n.back = append(n.back, unused{nonce, from})
}
