package exchange

import "time"

// paceStep is over how long a rate is measured at least.
const paceStep = time.Second

// pace is how fast a peer sends what it was asked for, as far as that can be seen by looking
// now and then. While it was asked for nothing, or this peer itself holds things up, no
// clock runs. The zero pace has seen nothing.
type pace struct {
	owing bool
	moved time.Time // when least bytes had come, or it began to owe
	mark  int64     // how many had come by then

	rate     float64       // bytes a second, lately
	measured time.Duration // for how long in all
	since    time.Time     // of the step that goes on
	at       int64         // bytes that had come when it began
}

// look is told how many bytes have come in all, whether more are owed, and how many count
// as a sign of life.
func (p *pace) look(came int64, owes bool, least int64, now time.Time) {
	if !owes || !p.owing {
		p.owing, p.moved, p.mark = owes, now, came
		p.since, p.at = now, came
		return
	}
	if came-p.mark >= least {
		p.moved, p.mark = now, came
	}
	if d := now.Sub(p.since); d >= paceStep {
		r := float64(came-p.at) / d.Seconds()
		if p.measured > 0 {
			r = (p.rate + r) / 2
		}
		p.rate, p.measured = r, p.measured+d
		p.since, p.at = now, came
	}
}

// quiet returns for how long the peer has owed something and has not sent enough to count.
func (p *pace) quiet(now time.Time) time.Duration {
	if !p.owing {
		return 0
	}
	return now.Sub(p.moved)
}
