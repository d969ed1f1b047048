package sim

// network decides what becomes of what is sent.
type network struct {
	n   int
	cut []int // [from*n+to]: how many faults cut this direction
}

func newNetwork(n int) network { return network{n, make([]int, n*n)} }

func (w *network) link(from, to int) *int { return &w.cut[from*w.n+to] }

// send puts something on the way from one node to another.
func (w *world) send(from, to int, payload any) {
	cond := &w.cfg.Before
	if w.settled {
		cond = &w.cfg.After
	}
	rnd := w.rnd.net
	w.stats.Messages++
	if *w.net.link(from, to) > 0 || (cond.Drop > 0 && rnd.Float64() < cond.Drop) {
		w.stats.Dropped++
		return
	}
	copies := 1
	if cond.Duplicate > 0 && rnd.Float64() < cond.Duplicate {
		copies = 2
	}
	for range copies {
		d := between(rnd, cond.Min, cond.Max)
		if cond.Tail > 0 && rnd.Float64() < cond.Tail {
			d = between(rnd, d, d*Time(cond.TailTimes))
		}
		w.after(d, func() { w.nodes[to].receive(from, payload) })
	}
}
