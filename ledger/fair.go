package ledger

import (
	"sync"

	"github.com/decube/decube/ledger/sig"
)

// fairQueue is what waits to be verified, by sender. Senders have their turns one after
// another: one who sends without end waits for himself alone. It is safe for concurrent
// use.
type fairQueue struct {
	most  int           // bytes of one sender
	ready chan struct{} // has an element when something may be there

	mu    sync.Mutex
	from  map[sig.PublicKey]*sender
	turns []*sender // those with frames, who is next first
}

// sender is one sender's frames that wait, in order.
type sender struct {
	key    sig.PublicKey
	frames []arrival
	bytes  int
	room   chan struct{} // closed when a frame has left; nil when nobody waits for it
}

func newFairQueue(most int) *fairQueue {
	return &fairQueue{most: most, ready: make(chan struct{}, 1), from: map[sig.PublicKey]*sender{}}
}

// put adds a frame. It waits while too much of the sender's is there already, or until
// one of two channels is closed.
func (q *fairQueue) put(a arrival, end, closing <-chan struct{}) {
	for {
		room := q.tryPut(a)
		if room == nil {
			return
		}
		select {
		case <-room:
		case <-end:
			return
		case <-closing:
			return
		}
	}
}

// tryPut adds a frame, or returns what is closed when there may be room for it. A sender
// without frames has room for one of any size.
func (q *fairQueue) tryPut(a arrival) (room <-chan struct{}) {
	q.mu.Lock()
	defer q.mu.Unlock()
	s := q.from[a.from]
	if s == nil {
		s = &sender{key: a.from}
		q.from[a.from] = s
		q.turns = append(q.turns, s)
	}
	if len(s.frames) > 0 && s.bytes+a.size > q.most {
		if s.room == nil {
			s.room = make(chan struct{})
		}
		return s.room
	}
	s.frames, s.bytes = append(s.frames, a), s.bytes+a.size
	q.signal()
	return nil
}

func (q *fairQueue) signal() {
	select {
	case q.ready <- struct{}{}:
	default:
	}
}

// take appends at most so many frames to batch, one of each sender in turn.
func (q *fairQueue) take(batch []arrival, most int) []arrival {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(batch) < most && len(q.turns) > 0 {
		s := q.turns[0]
		q.turns = q.turns[1:]
		a := s.frames[0]
		s.frames[0] = arrival{}
		s.frames, s.bytes = s.frames[1:], s.bytes-a.size
		if s.room != nil {
			close(s.room)
			s.room = nil
		}
		if len(s.frames) > 0 {
			q.turns = append(q.turns, s)
		} else {
			delete(q.from, s.key)
		}
		batch = append(batch, a)
	}
	if len(q.turns) > 0 {
		q.signal() // somebody else may go on
	}
	return batch
}
