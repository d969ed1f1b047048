package crdtsync

import (
	"sync"
	"time"

	"golang.org/x/time/rate"
)

const (
	// published is how many bytes a second are taken in of what one peer has published or passes
	// on, and publishedAtOnce how many at once. An honest one passes on what all of the swarm says.
	published       = 1 << 20
	publishedAtOnce = 8 << 20
	// publishedByAll and publishedByAllAtOnce are the same for all peers together.
	publishedByAll       = 4 << 20
	publishedByAllAtOnce = 32 << 20
	// leastCost is what a message counts at least: its signature takes as long as so many bytes.
	leastCost = 512
	// mostBudgets is how many peers are told apart.
	mostBudgets = 4096
)

// budgets bounds what is taken in of what others publish. What is beyond it is asked for later,
// which is at this peer's pace.
type budgets struct {
	mu  sync.Mutex
	of  map[string]*rate.Limiter
	all *rate.Limiter
}

func newBudgets() *budgets {
	return &budgets{of: map[string]*rate.Limiter{}, all: rate.NewLimiter(publishedByAll, publishedByAllAtOnce)}
}

// allow reports whether a message of a peer is within its budget, and counts it if it is.
func (b *budgets) allow(now time.Time, from string, bytes int) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	cost := max(bytes, leastCost)
	own := b.of[from]
	if own == nil {
		if len(b.of) >= mostBudgets {
			b.forget(now)
		}
		own = rate.NewLimiter(published, publishedAtOnce)
		b.of[from] = own
	}
	return own.AllowN(now, cost) && b.all.AllowN(now, cost)
}

// forget forgets who has all of its budget, and if everybody is in debt, everybody.
func (b *budgets) forget(now time.Time) {
	for from, own := range b.of {
		if own.TokensAt(now) >= publishedAtOnce {
			delete(b.of, from)
		}
	}
	if len(b.of) >= mostBudgets {
		clear(b.of)
	}
}
