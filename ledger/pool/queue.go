package pool

// queue is what waits of one origin's.
type queue struct {
	count, bytes int // with what is reserved
	queued       int // without
	head, tail   *item
	credit       int // bytes that the origin may spend, see Next
}

func (q *queue) pushBack(it *item) { q.insert(it, q.tail, nil) }

// insert puts an item between two neighbours, nil for none.
func (q *queue) insert(it, prev, next *item) {
	it.prev, it.next = prev, next
	if prev == nil {
		q.head = it
	} else {
		prev.next = it
	}
	if next == nil {
		q.tail = it
	} else {
		next.prev = it
	}
	q.queued++
}

func (q *queue) unlink(it *item) {
	if it.prev == nil {
		q.head = it.next
	} else {
		it.prev.next = it.next
	}
	if it.next == nil {
		q.tail = it.prev
	} else {
		it.next.prev = it.prev
	}
	it.prev, it.next = nil, nil
	q.queued--
}

// putBack returns items, in order of arrival, to where they belong. They are among
// the oldest as a rule, so that it is quick.
func (q *queue) putBack(items []*item) {
	at := q.head
	for _, it := range items {
		for at != nil && at.number < it.number {
			at = at.next
		}
		if at == nil {
			q.pushBack(it)
		} else {
			q.insert(it, at.prev, at)
		}
	}
}
