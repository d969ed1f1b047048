package follow

import (
	"slices"
	"time"
)

// stripe is a run of blocks that is asked for in one go. The first stripe is the one
// that everything waits for, and the only one that several sources are asked for.
type stripe struct {
	from, to uint64
	asks     []*ask
	tried    []*source // in this round
	round    int       // how often all have been tried
	asked    time.Duration
}

// wantsBlocks reports whether blocks are to be fetched in stripes.
func (f *Follower) wantsBlocks() bool {
	switch {
	case f.proven.Seq <= f.frontier.Seq:
		f.lagging = false
		return false
	case f.transfer != nil, f.now < f.paused, f.stateless > 0 && f.bestCheckpoint() != nil:
		return false
	case f.voting:
		// Consensus brings them too, and sooner, unless it has lost this replica.
		f.lagging = f.lagging || f.urged || f.now-f.moved >= StalledAfter
	default:
		f.lagging = f.lagging || f.stream == nil || f.missed()
	}
	return f.lagging
}

// fetch keeps stripes under way.
func (f *Follower) fetch() {
	if !f.wantsBlocks() {
		f.dropStripes(0)
		return
	}
	f.extend()
	for i, s := range f.stripes {
		need := max(s.from, f.frontier.Seq+1)
		switch {
		case f.covered(s, need):
		case !s.open():
			f.askStripe(i, s, need)
		case i == 0 && len(f.stripes) > 0:
			f.escalate(s, need)
		}
	}
	f.sweep()
}

// extend plans stripes up to what is proved. One place is left for a second question
// about the first of them.
func (f *Follower) extend() {
	reserved, _ := f.cfg.share()
	most := max(1, min(stripes, Fetched/reserved-1))
	last := f.frontier.Seq
	if n := len(f.stripes); n > 0 {
		last = f.stripes[n-1].to
	}
	for len(f.stripes) < most && last < f.proven.Seq {
		to := min(last+uint64(f.length()), f.proven.Seq)
		f.stripes = append(f.stripes, &stripe{from: last + 1, to: to})
		last = to
	}
}

// length returns how many blocks a question is for: no more than fit its share.
func (f *Follower) length() int {
	_, until := f.cfg.share()
	return max(1, min(StripeBlocks, until/max(1, f.typical)))
}

// open reports whether a question about the stripe is open.
func (s *stripe) open() bool {
	for _, a := range s.asks {
		if !a.ended {
			return true
		}
	}
	return false
}

// covered reports whether all that is needed of a stripe is here, or being verified.
func (f *Follower) covered(s *stripe, need uint64) bool {
	if c := f.checking; c != nil && c.after.Seq < need && c.after.Seq+uint64(len(c.blobs)) >= need {
		need = c.after.Seq + uint64(len(c.blobs)) + 1
	}
	if need > s.to {
		return true
	}
	for _, a := range s.asks {
		if a.first <= need && a.first+uint64(len(a.items)) > s.to {
			return true
		}
	}
	return false
}

// askStripe asks a source for a stripe that nobody is asked for.
func (f *Follower) askStripe(i int, s *stripe, need uint64) {
	if i > 0 && f.providers() >= 2 {
		return
	}
	busy := func(x *source) bool { return f.serving(x) > 0 }
	free := func(x *source) bool {
		return x.serves(need) && !slices.Contains(s.tried, x) && !busy(x) && !f.streams(x)
	}
	// The first question goes to the fastest. The second gives a chance to whoever has
	// had none: it is not waited for, since the first source goes on meanwhile.
	to := f.best(f.providers() > 0, free)
	if to == nil && i == 0 {
		to = f.lastResort(s, need)
	}
	if to == nil || !f.room(i == 0) {
		return
	}
	f.openStripe(s, to, need)
}

// lastResort returns whom to ask for the first stripe when no source is free that has
// not been tried: one that is busy, or streams, or was tried before, or rests.
func (f *Follower) lastResort(s *stripe, need uint64) *source {
	serves := func(x *source) bool { return x.serves(need) }
	if to := f.best(false, func(x *source) bool { return serves(x) && !slices.Contains(s.tried, x) }); to != nil {
		return to
	}
	if len(s.tried) > 0 {
		s.round++
		s.tried = nil
	}
	if to := f.best(false, serves); to != nil {
		return to
	}
	return f.destitute(serves)
}

func (f *Follower) openStripe(s *stripe, to *source, need uint64) {
	reserved, until := f.cfg.share()
	r := Blocks{From: need, Count: min(f.length(), int(s.to-need+1)), Bytes: until, Largest: f.cfg.LargestBlock}
	a := f.open(to, r, need, reserved)
	s.asks = append(s.asks, a)
	s.tried = append(s.tried, to)
	s.asked = f.now
}

// serving returns how many stripes a source is asked for.
func (f *Follower) serving(x *source) int {
	n := 0
	for _, s := range f.stripes {
		for _, a := range s.asks {
			if a.source == x && !a.ended {
				n++
			}
		}
	}
	return n
}

// providers returns how many sources are asked for stripes.
func (f *Follower) providers() int {
	n := 0
	for _, x := range f.sources {
		if f.serving(x) > 0 {
			n++
		}
	}
	return n
}

func (f *Follower) streams(x *source) bool { return f.stream != nil && f.stream.source == x }

// room reports whether one more question for blocks fits. For the first stripe it is
// made: what is further off gives way.
func (f *Follower) room(first bool) bool {
	reserved, _ := f.cfg.share()
	if f.fetched()+reserved <= Fetched {
		return true
	}
	if !first {
		return false
	}
	for n := len(f.stripes) - 1; n > 0; n-- {
		if f.dropStripes(n); f.fetched()+reserved <= Fetched {
			return true
		}
	}
	if f.stream != nil && len(f.stream.items) == 0 {
		f.drop(f.stream)
		f.sweep()
	}
	return f.fetched()+reserved <= Fetched
}

// dropStripes ends all stripes from one on.
func (f *Follower) dropStripes(from int) {
	for _, s := range f.stripes[from:] {
		for _, a := range s.asks {
			f.drop(a)
		}
	}
	f.stripes = f.stripes[:from]
	f.sweep()
}

// cut makes a stripe as long as what has come of it when the source had to stop there,
// so that the rest can be asked of another while this is verified, and that nobody who
// was asked for the same can hold the rest.
func (f *Follower) cut(a *ask, to uint64) {
	for i, s := range f.stripes {
		if slices.Contains(s.asks, a) && to >= s.from && to < s.to {
			rest := &stripe{from: to + 1, to: s.to}
			s.to = to
			f.stripes = append(f.stripes[:i+1:i+1], append([]*stripe{rest}, f.stripes[i+1:]...)...)
			return
		}
	}
}
