package streams

import (
	"errors"
	"runtime"
	"sync"
	"time"

	"github.com/decube/decube/internal/admission"
)

// errGone is returned to who waits for its turn when its stream has lost its place.
var errGone = errors.New("the stream has ended")

// Turns is the queue of everything that is sent to other peers, of all protocols, or of all
// connections. Its methods are safe for concurrent use.
type Turns struct {
	step int64

	mu    sync.Mutex
	queue *admission.Queue
	asked map[admission.Seat]chan<- struct{} // who waits is told so
	again *time.Timer                        // looks for turns that come with time
	looks time.Time                          // when it does, zero while it does not
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

// ask is a request for a turn.
type ask struct {
	seat  admission.Seat
	bytes int64
	// pass says that who is light may do without: what it sends takes a turn further below.
	pass bool
	told chan struct{}   // the seat's own, with room for one
	gone <-chan struct{} // when it is closed nobody waits any more, and the seat is to be left
}

// wait returns when it is the turn of a seat, which done is to be told of if taken is true.
// When gone is closed it returns errGone.
//
// Those that are not light let others run first, before they ask and before they go on.
// While a processor has goroutines of its own to run, Go's scheduler looks at the network
// every 10 ms only, and takes what it finds there from a queue in which it is behind 60 of
// those: with a hundred streams that always have something to send, what comes from others
// waits for 100 to 200 ms. Who lets others run goes to the end of that same queue.
func (t *Turns) wait(a ask) (taken bool, err error) {
	select {
	case <-a.gone:
		return false, errGone
	default:
	}
	t.mu.Lock()
	if a.pass && t.queue.Pass(time.Now(), a.seat, a.bytes) {
		t.mu.Unlock()
		return false, nil
	}
	yields := !t.queue.Light(a.seat)
	if yields {
		t.mu.Unlock()
		runtime.Gosched()
		t.mu.Lock()
	}
	t.asked[a.seat] = a.told
	t.queue.Ask(a.seat, a.bytes)
	t.grant()
	t.mu.Unlock()
	select {
	case <-a.told:
	case <-a.gone:
		return false, errGone
	}
	if yields {
		runtime.Gosched()
	}
	return true, nil
}

func (t *Turns) done(s admission.Seat) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.queue.Done(time.Now(), s)
	t.grant()
}

// contended reports whether more than one peer waits or has its turn.
func (t *Turns) contended() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.queue.Contended()
}

// grant tells everybody whose turn it is.
func (t *Turns) grant() {
	for {
		now := time.Now()
		s, next := t.queue.Next(now)
		if s == 0 {
			t.look(now, next)
			return
		}
		t.asked[s] <- struct{}{}
		delete(t.asked, s)
	}
}

// look has turns looked for at an instant, if there is one. Where they are looked for before
// then in any case, the timer is left as it is: it is set for a time that hardly ever comes,
// turn after turn.
func (t *Turns) look(now, at time.Time) {
	switch {
	case at.IsZero(), !t.looks.IsZero() && !t.looks.After(at):
		return
	case t.again == nil:
		t.again = time.AfterFunc(at.Sub(now), func() {
			t.mu.Lock()
			defer t.mu.Unlock()
			t.looks = time.Time{}
			t.grant()
		})
	default:
		t.again.Reset(at.Sub(now))
	}
	t.looks = at
}
