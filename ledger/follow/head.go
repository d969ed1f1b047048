package follow

import (
	"bytes"
	"crypto/sha256"
)

// heard reports whether a source has shown how far it is.
func (s *source) heard() bool { return s.headSum != [sha256.Size]byte{} }

// poll asks for heads: each source at once when it is new, and then one after another.
// So each source that stands in no other's way is heard within Poll times their number,
// and none alone says what there is.
func (f *Follower) poll() {
	for _, s := range f.sources {
		if !s.asked {
			f.askHead(s)
		}
	}
	if f.now-f.polled < Poll || (f.voting && !f.urged && f.now-f.moved < StalledAfter) {
		return
	}
	var next *source
	for _, s := range f.sources {
		if f.canAskHead(s) && (next == nil || s.polled < next.polled) {
			next = s
		}
	}
	if next == nil && len(f.asks) == 0 {
		next = f.destitute(func(*source) bool { return true })
	}
	if next != nil {
		f.askHead(next)
		f.polled = f.now
	}
}

func (f *Follower) canAskHead(s *source) bool {
	if !s.rested(f.now) || s.head != nil || (s.mute > 0 && f.now-s.polled < doubled(HeadTimeout, s.mute, MaxBackoff)) {
		return false
	}
	for _, h := range f.heads {
		if h.source == s {
			return false
		}
	}
	return true
}

func (f *Follower) askHead(s *source) {
	if !f.canAskHead(s) {
		return
	}
	s.asked, s.polled = true, f.now
	s.head = f.open(s, Head{}, 0, MaxHead)
}

// expire gives up heads that do not come, and measures what comes of the rest.
func (f *Follower) expire() {
	for _, s := range f.sources {
		if s.head == nil || f.now-s.head.started < HeadTimeout {
			continue
		}
		if f.occupied(s) {
			// Blocks may be in its way, and are measured by themselves.
			f.drop(s.head)
			s.mute++
			continue
		}
		f.fail(s, false)
	}
	f.sweep()
	for _, a := range f.asks {
		f.measure(a)
	}
}

// occupied reports whether a source is asked for more than its head.
func (f *Follower) occupied(s *source) bool {
	for _, a := range f.asks {
		if a.source == s && a != s.head && !a.ended {
			return true
		}
	}
	return false
}

// checkHead has a head verified. The same bytes prove the same, whoever sends them, but a
// block that was beyond what is here is to be compared once it is not: a source that has
// stopped on the other side of a fork says the same for ever.
func (f *Follower) checkHead(s *source, blob []byte) {
	s.mute = 0
	if len(blob) > MaxHead {
		f.fail(s, true)
		return
	}
	sum := sha256.Sum256(blob)
	for _, other := range f.sources {
		if other.heard() && bytes.Equal(other.headSum[:], sum[:]) && (other.compared || other.tip.Seq > f.head.Seq) {
			s.headSum, s.shown, s.tip, s.compared = sum, f.now, other.tip, other.compared
			s.checkpoint, s.earliest, s.denied, s.missing = other.checkpoint, other.earliest, 0, Place{}
			return
		}
	}
	job := f.job()
	f.heads = append(f.heads, headCheck{job, s, sum, f.atRest()})
	f.do(CheckHead{Job: job, Blob: blob})
}

// headChecked takes note of what a source has proved.
func (f *Follower) headChecked(e HeadChecked) {
	for i, h := range f.heads {
		if h.job != e.Job {
			continue
		}
		f.heads = append(f.heads[:i:i], f.heads[i+1:]...)
		switch {
		case e.Fork != nil:
			f.alarm(*e.Fork)
			f.fail(h.source, true)
		case e.Lie:
			f.fail(h.source, true)
		default:
			f.stand(&h, &e.Standing)
		}
		return
	}
}

// atRest returns the last block that is sure to be stored here: the head, once it has been
// that for a while.
func (f *Follower) atRest() uint64 {
	if f.now-f.moved < Poll {
		return 0
	}
	return f.head.Seq
}

func (f *Follower) stand(h *headCheck, proved *Standing) {
	s := h.source
	s.headSum, s.shown, s.compared = h.sum, f.now, proved.Tip == nil || proved.Tip.Header.Seq <= h.below
	s.checkpoint, s.earliest, s.denied, s.missing = proved.Checkpoint, proved.Earliest, 0, Place{}
	if proved.Tip == nil {
		return // nothing is committed there beyond the first block
	}
	tip := placeOf(proved.Tip)
	if tip.Seq == f.proven.Seq && tip.Digest != f.proven.Digest && f.proof != nil {
		f.alarm(Fork{First: f.proof, Second: proved.Tip})
		f.fail(s, true)
		return
	}
	if tip.Seq == f.frontier.Seq && tip.Digest != f.frontier.Digest {
		f.alarm(Fork{First: f.last, Second: proved.Tip})
		f.fail(s, true)
		return
	}
	if tip.Seq >= s.tip.Seq {
		s.tip = tip
	}
	f.raise(tip, proved.Tip)
}
