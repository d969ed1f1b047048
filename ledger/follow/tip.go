package follow

import "time"

// due is the oldest block that a head has shown and the stream has not brought.
type due struct {
	seq   uint64
	since time.Duration
}

// followTip has one source send blocks as they are committed, while the heads of the
// others show what it leaves out.
func (f *Follower) followTip() {
	if f.voting || f.transfer != nil {
		if f.stream != nil {
			f.drop(f.stream)
			f.sweep()
		}
		f.due = due{}
		return
	}
	if f.stream == nil {
		f.due = due{}
		f.openStream()
		return
	}
	f.watchTip()
}

// openStream has the best source stream once nothing else is under way.
func (f *Follower) openStream() {
	if len(f.stripes) > 0 || f.proven.Seq > f.frontier.Seq || f.now < f.paused || !f.room(false) {
		return
	}
	// A source that is a little behind is good enough: it will have the next block too.
	near := func(s *source) bool { return s.heard() && s.tip.Seq+StripeBlocks >= f.frontier.Seq }
	to := f.best(false, near)
	if to == nil {
		if to = f.destitute(near); to == nil {
			return
		}
	}
	reserved, until := f.cfg.share()
	next := f.frontier.Seq + 1
	f.stream = f.open(to, Stream{From: next, Bytes: until, Largest: f.cfg.LargestBlock}, next, reserved)
}

// behindStream returns the first block that the stream has not brought.
func (f *Follower) behindStream() uint64 {
	r, _ := f.stream.request.(Stream)
	return r.From + uint64(f.stream.received)
}

// watchTip compares what the stream brings with what heads have shown.
func (f *Follower) watchTip() {
	next := f.behindStream()
	_, until := f.cfg.share()
	held := f.stream.got - f.stream.credited
	switch {
	case f.due.seq > 0 && next <= f.due.seq && held < until:
		// See missed. The stream is left alone until somebody else has brought the block:
		// its source may be behind the one that has shown the head.
	case next <= f.proven.Seq && held < until:
		f.due = due{f.proven.Seq, f.now}
	default:
		// It is even, or waits for this peer to apply what it has brought.
		f.due = due{}
	}
}

// missed reports whether the stream has left a block out for too long. It is asked of
// another source then. The stream goes on meanwhile: on a line that is slow for all,
// going from one to the next would bring nothing.
func (f *Follower) missed() bool {
	return f.stream != nil && f.due.seq > 0 && f.now-f.due.since >= TipAfter && f.behindStream() <= f.due.seq
}

// overtake changes places when another source has brought what the stream left out.
func (f *Follower) overtake(winner *ask) {
	if !f.missed() || winner == f.stream || f.behindStream() > f.frontier.Seq {
		return
	}
	if loser := f.stream.source; loser != winner.source {
		f.fail(loser, false)
		return
	}
	f.drop(f.stream)
	f.sweep()
}
