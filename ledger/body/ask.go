package body

import (
	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/ledger/quorum"
)

// Instant is a moment in milliseconds of a clock that does not go back.
type Instant int64

const (
	// patience is how long the first replica has for sending a body. Each one more
	// has twice as long, up to 16 times: a swarm that is slow is not helped by more to
	// carry.
	patience Instant = 100
	// doublings is how often patience grows.
	doublings = 4
	// knownPatience is how long transactions whose IDs are known may be on their way
	// before the body is asked for: they travel apart from the proposal.
	knownPatience Instant = 50
	// busyPatience is the same while transactions that have come are verified.
	busyPatience Instant = 250
)

// want is a Check that waits for a body.
type want struct {
	sources []quorum.Replica
	since   Instant
	next    Instant // when to ask
	asked   int     // how often it was asked for
}

// Ask is a question for a body.
type Ask struct {
	To   quorum.Replica
	Seq  uint64
	Root pbft.Digest
}

// Check says that the core waits for a block of the present view, or of one that is
// certified, to be checked: the slot's body is this one from now on, and if it is
// missing it is asked for at sources in turn, which the caller has put in order: the
// leader, then who has voted for the block, and not this replica itself. To say it
// again changes the sources only. It reports false when the view or the number is over.
func (s *Store) Check(view, seq uint64, root pbft.Digest, sources []quorum.Replica, now Instant) bool {
	if view != s.view || !s.inPlay(seq) {
		return false
	}
	at := s.slot(seq)
	if !at.present.named || at.present.root != root {
		s.assign(&at.present, place{named: true, root: root})
		at.want = nil
		s.makeRoom()
	}
	if at.want == nil {
		at.want = &want{since: now, next: now}
		if s.Get(root) != nil {
			at.want.next = now + knownPatience
		}
	}
	at.want.sources = sources
	return true
}

// Due returns the questions whose time has come, and takes them for asked. With busy,
// bodies whose IDs are known wait longer before they are asked for at first: their
// transactions may be among those that are being verified.
func (s *Store) Due(now Instant, busy bool) []Ask {
	var out []Ask
	for seq := s.base + 1; seq <= s.horizon(); seq++ {
		at := s.missing(seq)
		if at == nil || at.want.next > now {
			continue
		}
		w := at.want
		if busy && w.asked == 0 && s.Get(at.present.root) != nil && now < w.since+busyPatience {
			w.next = w.since + busyPatience
			continue
		}
		w.next = now + patience<<min(w.asked, doublings)
		if len(w.sources) > 0 {
			out = append(out, Ask{To: w.sources[w.asked%len(w.sources)], Seq: seq, Root: at.present.root})
		}
		w.asked++
	}
	return out
}

// Deadline returns when the next question is due, and false when no body is waited for.
func (s *Store) Deadline() (next Instant, ok bool) {
	for seq := s.base + 1; seq <= s.horizon(); seq++ {
		if at := s.missing(seq); at != nil && (!ok || at.want.next < next) {
			next, ok = at.want.next, true
		}
	}
	return next, ok
}

// missing returns the slot of a sequence number if a Check waits for its body.
func (s *Store) missing(seq uint64) *slot {
	at := s.slots[seq]
	if at == nil || at.want == nil || s.Get(at.present.root).Whole() {
		return nil
	}
	return at
}
