package follow

import (
	"crypto/sha256"
	"time"

	"github.com/decube/decube/ledger/pbft"
)

// source is what is known of a peer: what it has proved and how it has served.
type source struct {
	name string
	gone bool

	tip        Place          // the highest that it has proved
	checkpoint *pbft.Decision // whose state it serves; verified
	earliest   uint64         // the first block that it says it has
	denied     uint64         // it had no block below, though its head said so; until its next head
	excused    bool           // for that, since it last served, because its head was old
	missing    Place          // the checkpoint that it turned out not to serve; until its next head
	headSum    [sha256.Size]byte
	compared   bool          // what the head shows was compared with what is stored here
	head       *ask          // the question for its head that is open
	shown      time.Duration // when its last head was found good

	rate     float64       // verified bytes a second; 0 while it is not known
	stripe   time.Duration // how long its last stripe was under way; 0 while it is not known
	failures int
	lies     int
	good     int           // good answers since the last failure, or since one was made up for
	until    time.Duration // when it may be asked again
	failed   time.Duration // when it last failed
	polled   time.Duration // when its head was last asked for
	asked    bool          // whether it ever was
	mute     int           // heads in a row that did not come while other answers were under way
}

// rested reports whether a source may be asked.
func (s *source) rested(now time.Duration) bool { return !s.gone && now >= s.until }

// serves reports whether a source has proved that it is beyond a block and does not
// say that it has dropped it.
func (s *source) serves(seq uint64) bool { return s.tip.Seq >= seq && s.first() <= seq }

// first returns the first block that a source may have.
func (s *source) first() uint64 { return max(s.earliest, s.denied) }

// succeed notes verified bytes. A failure is made up for by several good answers, so
// that nobody is trusted anew for serving one in two.
func (s *source) succeed(bytes int, took time.Duration) {
	s.excused = false
	rate := float64(bytes) / max(took, Look).Seconds()
	if s.rate == 0 {
		s.rate = rate
	} else {
		s.rate += (rate - s.rate) / 4
	}
	if s.good++; s.good >= forgiven {
		s.good, s.failures = 0, max(0, s.failures-1)
	}
}

// backoff returns how long a source is left alone after its failures and lies.
func (s *source) backoff() time.Duration {
	if s.lies > 0 {
		return doubled(LieBackoff, s.lies-1, MaxBackoff)
	}
	return doubled(MinBackoff, s.failures-1, MaxBackoff)
}

// doubled returns a time doubled so many times, up to a limit.
func doubled(d time.Duration, times int, limit time.Duration) time.Duration {
	for ; times > 0 && d < limit; times-- {
		d *= 2
	}
	return min(d, limit)
}

// fail leaves a source alone for a while, and ends what it is asked.
func (f *Follower) fail(s *source, lied bool) {
	s.good = 0
	if lied {
		s.lies++
	} else {
		s.failures++
		s.failed = f.now
	}
	wait := s.backoff()
	s.until = max(s.until, f.now+wait)
	f.do(Note{Source: s.name, Lied: lied, For: wait})
	f.release(s)
}

// release ends all that a source is asked.
func (f *Follower) release(s *source) {
	for _, a := range f.asks {
		if a.source == s && !a.ended {
			f.drop(a)
		}
	}
	if s.lies > 0 {
		// What a liar has sent and nobody has verified is not worth verifying.
		for _, a := range f.asks {
			if a.source == s {
				f.drop(a)
			}
		}
	}
	f.sweep()
}

// setSources replaces the list of who can be asked. A peer that was away comes back
// with its lies, and without its failures: those may have been the line's.
func (f *Follower) setSources(names []string) {
	listed := make([]*source, 0, len(names))
	for _, name := range names[:min(len(names), MaxSources)] {
		s := find(f.sources, name)
		if s == nil {
			if s = find(f.away, name); s != nil {
				f.away = without(f.away, s)
				s.gone, s.failures = false, 0
				if s.lies == 0 {
					s.until = f.now
				}
			} else {
				s = &source{name: name}
			}
		}
		if find(listed, name) == nil {
			listed = append(listed, s)
		}
	}
	for _, s := range f.sources {
		if find(listed, s.name) == nil {
			s.gone = true
			f.release(s)
			f.away = append(f.away, s)
		}
	}
	if extra := len(f.away) - 4*MaxSources; extra > 0 {
		f.away = f.away[extra:]
	}
	f.sources = listed
}

func find(sources []*source, name string) *source {
	for _, s := range sources {
		if s.name == name {
			return s
		}
	}
	return nil
}

func without(sources []*source, out *source) []*source {
	var others []*source
	for _, s := range sources {
		if s != out {
			others = append(others, s)
		}
	}
	return others
}

// best returns the source to ask next among those that fit: the fastest one, or with
// explore the first that has not been measured. It is nil when none does.
func (f *Follower) best(explore bool, fits func(*source) bool) *source {
	var best *source
	for _, s := range f.sources {
		switch {
		case !s.rested(f.now) || !fits(s):
		case best == nil:
			best = s
		case explore && (s.rate == 0) != (best.rate == 0):
			if s.rate == 0 {
				best = s
			}
		case s.rate > best.rate:
			best = s
		}
	}
	return best
}

// destitute lets the one be asked again that failed longest ago when nobody is left who
// fits: waiting longer would help no one. Liars are not asked before their time.
func (f *Follower) destitute(fits func(*source) bool) *source {
	var least *source
	for _, s := range f.sources {
		if s.lies == 0 && f.now-s.failed >= Destitute && fits(s) && (least == nil || s.failed < least.failed) {
			least = s
		}
	}
	if least != nil {
		least.until = f.now
	}
	return least
}
