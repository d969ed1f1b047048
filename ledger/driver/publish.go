package driver

import "time"

// shown is what others know.
type shown struct {
	head *Head // archived, and durable enough to be shown
	view *View // the last one
}

// publishEvery is how often what changes all the time is shown.
const publishEvery = 100 * time.Millisecond

// publish shows others how the ledger is: at once where the head or a role has changed,
// now and then what changes all the time.
func (d *Driver) publish() {
	s := &d.shown
	if s.head == nil {
		s.head = d.chain.head
	}
	core := d.coreView()
	last := s.view
	fresh := last == nil || last.Head != s.head || last.Halted != d.stand.halted || last.Fork != d.stand.fork ||
		last.Recovering != d.recovering() || last.CatchingUp != d.catchingUp() || !sameCore(last.Core, core)
	if !fresh && d.now.Mono-last.At.Mono < publishEvery {
		if last.Waiting != d.market.pool.Len() || d.market.pool.Len() > 0 {
			d.wake(last.At.Mono + publishEvery)
		}
		return
	}
	s.view = &View{
		Head: s.head, Core: core, Recovering: d.recovering(), CatchingUp: d.catchingUp(), Halted: d.stand.halted, Fork: d.stand.fork,
		Waiting: d.market.pool.Len(), Oldest: d.market.pool.Oldest(d.now.Mono), Heard: d.heard(s.head), At: d.now,
	}
	d.do(Publish{s.view})
}

// recovering reports whether this peer is a validator that must not vote yet.
func (d *Driver) recovering() bool { return d.voter != nil && d.stand.lost }

// catchingUp reports whether this peer is a validator that is about to vote.
func (d *Driver) catchingUp() bool {
	return d.member() && d.voter == nil && d.stand.able && d.stand.halted == ""
}

func (d *Driver) coreView() *CoreView {
	v := d.voter
	if v == nil {
		return nil
	}
	view, active := v.core.View()
	return &CoreView{Epoch: v.epoch, View: view, Changing: !active, Leader: v.set[v.core.Leader()], Stable: v.core.Stable()}
}

func sameCore(a, b *CoreView) bool {
	if a == nil || b == nil {
		return a == b
	}
	return *a == *b
}

// heard returns when the validators of the next block were last heard.
func (d *Driver) heard(h *Head) []Heard {
	out := make([]Heard, len(h.Next))
	for i, key := range h.Next {
		if s := d.inbox.senders[key]; s != nil {
			out[i] = s.heard
		}
	}
	return out
}
