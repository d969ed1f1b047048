package consensus

import "sync"

// queue holds frames for one writer, oldest first.
type queue struct {
	limit Queue
	ready chan struct{} // holds a token when something was pushed since the writer last looked

	mu     sync.Mutex
	frames [][]byte // from head on
	head   int
	bytes  int
	open   bool // a stream takes the frames
}

func newQueue(limit Queue) *queue { return &queue{limit: limit, ready: make(chan struct{}, 1)} }

// push queues a frame, and reports whether it did and how many frames had to go:
// with a stream open the new one, while there is none the oldest.
func (q *queue) push(frame []byte) (queued bool, dropped int) {
	q.mu.Lock()
	for q.full(len(frame)) {
		if q.open || q.head == len(q.frames) {
			q.mu.Unlock()
			return false, dropped + 1
		}
		q.take()
		dropped++
	}
	if len(q.frames) == cap(q.frames) && q.head > len(q.frames)/2 {
		n := copy(q.frames, q.frames[q.head:])
		clear(q.frames[n:])
		q.frames, q.head = q.frames[:n], 0
	}
	q.frames = append(q.frames, frame)
	q.bytes += len(frame)
	q.mu.Unlock()
	select {
	case q.ready <- struct{}{}:
	default:
	}
	return true, dropped
}

func (q *queue) full(more int) bool {
	return len(q.frames)-q.head >= q.limit.Frames || q.bytes+more > q.limit.Bytes
}

// pop returns the oldest frame, or nil when there is none.
func (q *queue) pop() []byte {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.head == len(q.frames) {
		return nil
	}
	return q.take()
}

func (q *queue) take() []byte {
	frame := q.frames[q.head]
	q.frames[q.head] = nil
	q.bytes -= len(frame)
	if q.head++; q.head == len(q.frames) {
		q.frames, q.head = q.frames[:0], 0
	}
	return frame
}

// setOpen says whether a stream takes the frames.
func (q *queue) setOpen(open bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.open = open
}
