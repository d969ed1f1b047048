package ledger

import "sync"

// mailbox is a queue between two loops that never blocks the one that puts. How
// long it gets is bounded by what its users have in flight at most: a few windows
// of blocks.
type mailbox[T any] struct {
	mu    sync.Mutex
	items []T
	ready chan struct{} // has a token while there are items
}

func newMailbox[T any]() *mailbox[T] { return &mailbox[T]{ready: make(chan struct{}, 1)} }

// put adds items.
func (m *mailbox[T]) put(items ...T) {
	if len(items) == 0 {
		return
	}
	m.mu.Lock()
	m.items = append(m.items, items...)
	m.mu.Unlock()
	select {
	case m.ready <- struct{}{}:
	default:
	}
}

// take returns all items there are, in order.
func (m *mailbox[T]) take() []T {
	m.mu.Lock()
	defer m.mu.Unlock()
	items := m.items
	m.items = nil
	return items
}
