package ledger

import (
	"context"
	"sync"

	"github.com/decube/decube/internal/sig"
	"github.com/decube/decube/ledger/driver"
)

// inbox is the events that wait for the driver, in the order in which they came. What
// others send waits outside while too much of theirs is here: streams are not read on,
// and callers stand in line. Completions have a place always: there are as many as the
// driver has jobs.
type inbox struct {
	calls int           // transactions of callers at most
	ready chan struct{} // has an element when events may be there

	mu     sync.Mutex
	events []entry
	frames map[sig.PublicKey]int // bytes of each validator's frames here
	called int                   // transactions here
	room   chan struct{}         // closed when something has left; nil when nobody waits for it
}

// entry is an event with what it counts for.
type entry struct {
	event driver.Event
	from  sig.PublicKey // of a frame
	size  int           // of a frame, in bytes
	call  bool
}

// frameRoom is how many bytes of one validator's frames wait here beside the first.
const frameRoom = 1 << 20

func newInbox(calls int) *inbox {
	return &inbox{calls: calls, ready: make(chan struct{}, 1), frames: map[sig.PublicKey]int{}}
}

// put adds an event that has a place always.
func (q *inbox) put(e driver.Event) {
	q.mu.Lock()
	q.events = append(q.events, entry{event: e})
	q.mu.Unlock()
	q.signal()
}

// completed adds what lanes deliver.
func (q *inbox) completed(events []driver.Event) {
	q.mu.Lock()
	for _, e := range events {
		q.events = append(q.events, entry{event: e})
	}
	q.mu.Unlock()
	q.signal()
}

// frame adds a frame of a validator, and waits for room first. It returns false when
// closing comes before.
func (q *inbox) frame(e driver.Arrived, closing <-chan struct{}) bool {
	return q.sent(e, e.From, e.Frame.Size, closing)
}

// malformedSize is about how many bytes it takes to say that a frame cannot be read.
const malformedSize = 512

// malformed is frame for one of some bytes that cannot be read: it is held back like any
// other, for one who sends nothing else sends fast.
func (q *inbox) malformed(e driver.Malformed, size int, closing <-chan struct{}) bool {
	return q.sent(e, e.From, size+malformedSize, closing)
}

func (q *inbox) sent(e driver.Event, from sig.PublicKey, size int, closing <-chan struct{}) bool {
	return q.wait(context.Background(), closing, func() bool {
		if n := q.frames[from]; n > 0 && n+size > frameRoom {
			return false
		}
		q.frames[from] += size
		q.events = append(q.events, entry{event: e, from: from, size: size})
		return true
	})
}

// call adds a caller's transaction, and waits for room first. It returns false when ctx
// ends, or closing comes, before.
func (q *inbox) call(ctx context.Context, e driver.Submitted, closing <-chan struct{}) bool {
	return q.wait(ctx, closing, func() bool {
		if q.called >= q.calls {
			return false
		}
		q.called++
		q.events = append(q.events, entry{event: e, call: true})
		return true
	})
}

// wait calls add, under the lock, until it returns true.
func (q *inbox) wait(ctx context.Context, closing <-chan struct{}, add func() bool) bool {
	for {
		q.mu.Lock()
		if add() {
			q.mu.Unlock()
			q.signal()
			return true
		}
		if q.room == nil {
			q.room = make(chan struct{})
		}
		room := q.room
		q.mu.Unlock()
		select {
		case <-room:
		case <-ctx.Done():
			return false
		case <-closing:
			return false
		}
	}
}

func (q *inbox) signal() {
	select {
	case q.ready <- struct{}{}:
	default:
	}
}

// next returns the first events that are there, appended to buf.
func (q *inbox) next(buf []driver.Event, most int) []driver.Event {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := min(most, len(q.events))
	for i := range q.events[:n] {
		e := &q.events[i]
		buf = append(buf, e.event)
		switch {
		case e.call:
			q.called--
		case e.size > 0:
			if q.frames[e.from] -= e.size; q.frames[e.from] <= 0 {
				delete(q.frames, e.from)
			}
		}
	}
	rest := copy(q.events, q.events[n:])
	clear(q.events[rest:])
	q.events = q.events[:rest]
	if rest > 0 {
		q.signal()
	}
	if q.room != nil {
		close(q.room)
		q.room = nil
	}
	return buf
}
