package streams

import (
	"errors"
	"sync"
	"time"

	"github.com/decube/decube/internal/admission"
)

// errGone is returned to who waits for its turn when its stream has lost its place.
var errGone = errors.New("the stream has ended")

// Turns is the queue of everything that is sent to other peers, of all protocols. Its
// methods are safe for concurrent use.
type Turns struct {
	step int64

	mu    sync.Mutex
	queue *admission.Queue
	asked map[admission.Seat]chan<- struct{} // who waits is told so
	again *time.Timer                        // looks for turns that come with time
}

// NewTurns returns turns with nobody waiting.
func NewTurns(p admission.Pace) (*Turns, error) {
	q, err := admission.NewQueue(p)
	if err != nil {
		return nil, err
	}
	return &Turns{step: p.Step, queue: q, asked: map[admission.Seat]chan<- struct{}{}}, nil
}

func (t *Turns) join(who admission.Holder) admission.Seat {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.queue.Join(who)
}

// leave gives a seat back, if it is one.
func (t *Turns) leave(s admission.Seat) {
	if s == 0 {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.asked, s)
	t.queue.Leave(time.Now(), s)
	t.grant()
}

// wait returns when it is the turn of a seat to send n bytes, which done is to be told of.
// Told is the seat's own, with room for one. When gone is closed it returns errGone, and
// the seat is to be left.
func (t *Turns) wait(s admission.Seat, n int64, told chan struct{}, gone <-chan struct{}) error {
	select {
	case <-gone:
		return errGone
	default:
	}
	t.mu.Lock()
	t.asked[s] = told
	t.queue.Ask(s, n)
	t.grant()
	t.mu.Unlock()
	select {
	case <-told:
		return nil
	case <-gone:
		return errGone
	}
}

func (t *Turns) done(s admission.Seat) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.queue.Done(time.Now(), s)
	t.grant()
}

// grant tells everybody whose turn it is.
func (t *Turns) grant() {
	for {
		now := time.Now()
		s, next := t.queue.Next(now)
		switch {
		case s != 0:
			t.asked[s] <- struct{}{}
			delete(t.asked, s)
			continue
		case next.IsZero():
		case t.again == nil:
			t.again = time.AfterFunc(next.Sub(now), func() {
				t.mu.Lock()
				defer t.mu.Unlock()
				t.grant()
			})
		default:
			t.again.Reset(next.Sub(now))
		}
		return
	}
}
