package badgerstore

import (
	"errors"
	"sync"
	"time"

	"github.com/decube/decube/internal/records"
)

// closePatience is how long Close waits for those who use the store. Who reads on behalf
// of a slow peer, between two items of a scan, is no reason not to end.
const closePatience = 10 * time.Second

// errInUse is returned for a store that could not be closed.
var errInUse = errors.New("it is still in use")

// users counts who uses the store: Badger takes the memory away that it has mapped when
// it is closed, whoever reads there.
type users struct {
	mu     sync.Mutex
	count  int
	closed bool
	gone   chan struct{} // closed when the last has left, made by close
}

// enter admits one more, unless the store is being closed. It must leave. Those who are
// there already and come again are refused like others, and not waited for.
func (u *users) enter() error {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.closed {
		return records.ErrClosed
	}
	u.count++
	return nil
}

func (u *users) leave() {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.count--; u.closed && u.count == 0 {
		close(u.gone)
	}
}

// ending reports whether the store is being closed.
func (u *users) ending() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.closed
}

// close admits nobody any more, and waits until all have left. The error is
// records.ErrClosed when it was called before.
func (u *users) close() error {
	u.mu.Lock()
	if u.closed {
		u.mu.Unlock()
		return records.ErrClosed
	}
	u.closed, u.gone = true, make(chan struct{})
	if u.count == 0 {
		close(u.gone)
	}
	u.mu.Unlock()
	timer := time.NewTimer(closePatience)
	defer timer.Stop()
	select {
	case <-u.gone:
		return nil
	case <-timer.C:
		return errInUse
	}
}
