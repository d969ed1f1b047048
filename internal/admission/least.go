package admission

import "time"

// leastHalf is usageHalf of a queue whose pace has Least. Where hundreds of prefixes share little,
// each has a step in some seconds: that of two minutes is what a newcomer needs to be let in.
const leastHalf = 2 * time.Minute

// mostPast is how many prefixes that have left are remembered.
const mostPast = 1 << 14

// waiters are the prefixes that wait, as a heap: who was sent least lately comes first. Each
// knows its place.
type waiters []*turn

func (w *waiters) add(t *turn) {
	*w = append(*w, t)
	t.place = len(*w)
	w.fix(t)
}

func (w *waiters) remove(t *turn) {
	at, last := t.place-1, len(*w)-1
	w.swap(at, last)
	(*w)[last] = nil
	*w, t.place = (*w)[:last], 0
	if at < last {
		w.fix((*w)[at])
	}
}

// fix puts a prefix where it belongs that was sent something.
func (w *waiters) fix(t *turn) {
	all := *w
	for t.place > 1 && t.used < all[t.place/2-1].used {
		w.swap(t.place-1, t.place/2-1)
	}
	for {
		least := t
		for place := 2 * t.place; place <= min(2*t.place+1, len(all)); place++ {
			if all[place-1].used < least.used {
				least = all[place-1]
			}
		}
		if least == t {
			return
		}
		w.swap(t.place-1, least.place-1)
	}
}

func (w *waiters) swap(i, j int) {
	all := *w
	all[i], all[j] = all[j], all[i]
	all[i].place, all[j].place = i+1, j+1
}

// least returns the prefix that has the next step beside the rounds, nil for none: that of every
// second one, where others wait.
func (q *Queue) least() *turn {
	if !q.pace.Least || len(q.waiters) < 2 {
		return nil
	}
	if q.beside = !q.beside; !q.beside {
		return nil
	}
	return q.waiters[0]
}

// await notes that a prefix waits, or does not any more.
func (q *Queue) await(prefix *turn, waits bool) {
	switch {
	case !q.pace.Least:
	case waits:
		q.waiters.add(prefix)
	default:
		q.waiters.remove(prefix)
	}
}

// recall has a prefix that has come be what it was, if it was here lately: else who leaves and
// comes back would be new each time.
func (q *Queue) recall(prefix *turn) {
	prefix.used = q.past[prefix.key]
	delete(q.past, prefix.key)
}

// remember notes what a prefix that leaves was sent lately.
func (q *Queue) remember(prefix *turn) {
	if prefix.used > 0 && len(q.past) < mostPast {
		q.past[prefix.key] = prefix.used
	}
}
