package ledger

import (
	"context"
	"sync"
)

// credit is how many more bytes of a stream may be read.
type credit struct {
	mu   sync.Mutex
	left int
	more chan struct{}
}

func (c *credit) add(bytes int) {
	c.mu.Lock()
	c.left += bytes
	c.mu.Unlock()
	select {
	case c.more <- struct{}{}:
	default:
	}
}

// spend uses credit up and waits until there is some again.
func (c *credit) spend(ctx context.Context, bytes int) bool {
	c.mu.Lock()
	c.left -= bytes
	left := c.left
	c.mu.Unlock()
	for left <= 0 {
		select {
		case <-c.more:
		case <-ctx.Done():
			return false
		}
		c.mu.Lock()
		left = c.left
		c.mu.Unlock()
	}
	return true
}
