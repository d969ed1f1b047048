package exchange

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
)

// standing is how far a fetch has come with a peer, from the best to the worst.
type standing uint8

const (
	holding standing = iota // it holds the root
	waiting                 // for a probe, or for the answer to HAVE
	lacking                 // it answered that it lacks the root or the index
	failing                 // it could not be reached, or failed too often
	banned                  // it broke the protocol or stalled
)

// member is a peer that a fetch knows of. Its fields are guarded by the roster, but for those
// that a session counts in.
type member struct {
	info     peer.AddrInfo
	at       origin
	burden   int // how much peers of its prefix have stalled and lied
	rank     rank
	seq      int // which came first
	phase    phase
	standing standing
	err      error

	delivered bool      // good blocks, here or before, and has not stalled since
	shunned   time.Time // until then it is asked after all others
	lied      bool      // or not at all
	unreached bool      // it is shunned because it was not where others say that it is
	fresh     bool      // another address was named since it was dialled last
	dropped   bool      // for what it did, and has brought nothing since
	heard     bool      // it has answered whether it holds the root
	busy      bool      // it answered last that it is busy
	tries     int       // probes that came to nothing
	failures  int       // in a row
	lacks     int       // how often it lacked what it was asked for
	losses    int       // places that it had to give up
	retryAt   time.Time

	answers int // to HAVE, to try again only what may have changed
	blocks  int64
	bytes   int64
	holder  *holder

	// Of the session that runs now.
	began   time.Time // its phase
	brought time.Time // its last block was verified, or it got its place
	ended   bool      // it is to end, for a cause
	cause   error
	pace    pace
	drop    func(error)     // ends it with a cause
	wants   chan want       // single blocks it is to bring before leases begin
	gone    <-chan struct{} // closed at its end

	sent atomic.Int64 // bytes that count as an answer
	owes atomic.Bool  // it has been asked for something, and is to act
	part int64        // of sent, bytes of a needed block that is not complete; the session's own
}

func (m *member) probing() bool { return m.phase == dialling || m.phase == asking }
func (m *member) running() bool { return m.probing() || m.phase == placed }

// roster holds the peers that a fetch knows of: a table of them, and what sessions and others
// wait for.
type roster struct {
	mu       sync.Mutex
	table    *table
	changed  chan struct{}
	found    int
	searches int
	asked    int
	cause    error // why the last search ended early, if it did
}

func newRoster(limits Limits, c *conduct) *roster {
	return &roster{table: newTable(limits, c), changed: make(chan struct{})}
}

// sighting is a peer that may be asked, and why.
type sighting struct {
	info peer.AddrInfo
	at   origin
	rank rank
}

// offer adds peers and returns what is to be done then.
func (r *roster) offer(now time.Time, peers ...sighting) moves {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, p := range peers {
		r.table.offer(p.info, p.at, p.rank, now)
	}
	return r.decide(now)
}

// decide returns what is to be done. r.mu is held.
func (r *roster) decide(now time.Time) moves {
	out := r.table.decide(now)
	for _, e := range out.end {
		if e.m.drop != nil {
			e.m.drop(e.err)
		}
	}
	for _, m := range out.begin {
		m.drop, m.holder, m.gone = nil, nil, nil
		m.wants = make(chan want)
	}
	return out
}

// tick looks at what has come, and returns what is to be done, and who has been heard of.
func (r *roster) tick(now time.Time) (moves, []*holder) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.table.look(now)
	var heard []*holder
	for _, m := range r.table.order {
		if m.phase == placed && m.holder != nil && m.pace.quiet(now) == 0 {
			heard = append(heard, m.holder)
		}
	}
	return r.decide(now), heard
}

// beginSession notes how m's session is ended and when it has, and ends it if that has been
// decided already.
func (r *roster) beginSession(m *member, end func(error), gone <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	m.drop, m.gone = end, gone
	if m.ended {
		end(m.cause)
	}
}

// located notes where m turned out to be when it was connected.
func (r *roster) located(m *member, at origin, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked++
	r.table.located(m, at, now)
}

// admit notes that m holds the root, and reports whether it has a place.
func (r *roster) admit(m *member, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.table.admit(m, now) {
		return false
	}
	r.wake()
	return true
}

// ended notes the end of m's session and returns what is to be done then.
func (r *roster) ended(m *member, how outcome, err error, now time.Time) moves {
	r.mu.Lock()
	defer r.mu.Unlock()
	m.drop = nil
	r.table.leave(m, how, err, now)
	r.wake()
	return r.decide(now)
}

// ban ends the use of m for what it did, and reports whether that is new.
func (r *roster) ban(m *member, how outcome, err error, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.table.ban(m, how, err, now) {
		return false
	}
	if m.drop != nil {
		m.drop(err)
	}
	r.wake()
	return true
}

// credit notes a verified block of m.
func (r *roster) credit(m *member, bytes int, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.table.credit(m, bytes, now)
}

// add returns the member for a peer that brought a block without a session.
func (r *roster) add(s sighting, now time.Time) *member {
	r.mu.Lock()
	defer r.mu.Unlock()
	if m := r.table.offer(s.info, s.at, s.rank, now); m != nil {
		return m
	}
	return &member{info: s.info, at: s.at} // one that is not remembered
}

// infoOf returns where m can be reached.
func (r *roster) infoOf(m *member) peer.AddrInfo {
	r.mu.Lock()
	defer r.mu.Unlock()
	return m.info
}

// wantsOf returns where m's session hears of single blocks.
func (r *roster) wantsOf(m *member) <-chan want {
	r.mu.Lock()
	defer r.mu.Unlock()
	return m.wants
}

// useless returns why m gives up its place that holds nothing which is missing: whoever has
// said that it does, and brought nothing, was waited for in vain.
func (r *roster) useless(m *member, promised bool) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if promised && !m.brought.After(m.began) {
		return errEmpty
	}
	return errUseless
}

// setHolder links m to its place in the schedule.
func (r *roster) setHolder(m *member, h *holder) {
	r.mu.Lock()
	defer r.mu.Unlock()
	m.holder, m.err = h, nil
}

func (r *roster) wake() {
	close(r.changed)
	r.changed = make(chan struct{})
}

// wait returns a channel that is closed when a member's standing changes.
func (r *roster) wait() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.changed
}

// line is the way to a session that brings single blocks.
type line struct {
	wants chan<- want
	gone  <-chan struct{}
}

// pick returns the line to a member that may have single blocks and was not
// tried since it last answered, and notes it as tried.
func (r *roster) pick(tried map[*member]int) (line, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	m := r.table.first(func(m *member) bool { return m.serves() && !m.ended && tried[m] < m.answers }, func(m, o *member) int {
		return firstOf(before(m.delivered, o.delivered), m.seq-o.seq)
	})
	if m == nil {
		return line{}, false
	}
	tried[m] = m.answers
	return line{wants: m.wants, gone: m.gone}, true
}

// serves reports whether m holds the root and has a place.
func (m *member) serves() bool { return m.phase == placed && m.standing == holding }

// serving counts the members that hold the root and have a place.
func (r *roster) serving() int { return r.count((*member).serves) }

// running counts the members that have a session.
func (r *roster) running() int { return r.count((*member).running) }

// queued counts the members that wait for a place.
func (r *roster) queued() int { return r.count(func(m *member) bool { return m.phase == ready }) }

func (r *roster) count(which func(*member) bool) (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, m := range r.table.order {
		if which(m) {
			n++
		}
	}
	return n
}

// hopeful reports whether somebody who brought blocks in this fetch may bring more.
func (r *roster) hopeful(patience time.Duration, now time.Time) bool {
	return r.count(func(m *member) bool { return m.hopeful(patience, now) }) > 0
}

// failures lists the last failure of each member, and what those brought that were
// still waited for.
func (r *roster) failures() []PeerFailure {
	r.mu.Lock()
	defer r.mu.Unlock()
	var all []PeerFailure
	for _, m := range r.table.order {
		switch {
		case m.err != nil:
			all = append(all, PeerFailure{Peer: m.info.ID, Err: m.err})
		case m.answers > 0:
			all = append(all, PeerFailure{Peer: m.info.ID, Err: errors.New(m.about())})
		}
	}
	return all
}

// about says what m does.
func (m *member) about() string {
	brought := "brought " + plural(int(m.blocks), "block", "blocks")
	if m.phase == placed && m.pace.owing && m.pace.rate > 0 {
		return fmt.Sprintf("%s, and sends %.0f bytes a second of the next", brought, m.pace.rate)
	}
	return brought + " and then nothing more"
}

// searched notes the end of a search.
func (r *roster) searched(found int, failure error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.searches++
	r.found = max(r.found, found)
	r.cause = failure
}

func (r *roster) searchedOnce() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.searches > 0
}

// tally returns what the searches found, how many there were, and how many peers
// a stream was opened to.
func (r *roster) tally() (found, searches, asked int, failure error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.found, r.searches, r.asked, r.cause
}

// outcome is how a session ended.
type outcome uint8

const (
	over    outcome = iota // with the fetch
	held                   // it holds the root, and there is no place for it
	yielded                // it gave up its place
	moved                  // it gave up its place to another network
	lacked                 // what it was asked for
	failed                 // in a way that may pass
	refused                // it is busy
	stuck                  // it was waited for in vain
	lied                   // it sent what it must not
)

// outcomeOf classifies the end of a session.
func outcomeOf(ctx context.Context, err error) outcome {
	var c code
	switch {
	case ctx.Err() != nil, err == nil:
		return over
	case isHostile(err):
		return lied
	case errors.Is(err, errStalled):
		return stuck
	case errors.Is(err, errHeld):
		return held
	case errors.Is(err, errCrowded):
		return moved
	case errors.Is(err, errTooSlow), errors.Is(err, errSlow):
		return yielded
	case errors.Is(err, errUseless):
		return lacked
	case errors.As(err, &c) && c == codeBusy:
		return refused
	case errors.As(err, &c) && c != codeFailed:
		return lacked
	}
	return failed
}
