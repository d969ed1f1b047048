package kernel

// queue holds what is going to happen, earliest first; what is due at the same
// time happens in the order in which it was asked for.
type queue struct {
	heap  []event
	order uint64
}

type event struct {
	at    Time
	order uint64
	do    func()
}

func (e *event) before(f *event) bool {
	return e.at < f.at || (e.at == f.at && e.order < f.order)
}

// push adds something to happen at a time.
func (q *queue) push(at Time, do func()) {
	q.order++
	q.heap = append(q.heap, event{at, q.order, do})
	for i := len(q.heap) - 1; i > 0; {
		up := (i - 1) / 2
		if !q.heap[i].before(&q.heap[up]) {
			break
		}
		q.heap[i], q.heap[up] = q.heap[up], q.heap[i]
		i = up
	}
}

// pop takes the earliest; ok is false when nothing is left.
func (q *queue) pop() (e event, ok bool) {
	if len(q.heap) == 0 {
		return event{}, false
	}
	e = q.heap[0]
	last := len(q.heap) - 1
	q.heap[0] = q.heap[last]
	q.heap[last] = event{}
	q.heap = q.heap[:last]
	for i := 0; ; {
		least := i
		for child := 2*i + 1; child <= 2*i+2 && child < last; child++ {
			if q.heap[child].before(&q.heap[least]) {
				least = child
			}
		}
		if least == i {
			return e, true
		}
		q.heap[i], q.heap[least] = q.heap[least], q.heap[i]
		i = least
	}
}
