package exchange

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
)

// standing is how far a fetch has come with a peer.
type standing uint8

const (
	waiting standing = iota // for a place, or for the answer to HAVE
	lacking                 // it answered that it lacks the root or the index
	failing                 // it could not be reached, or failed too often
	holding                 // it holds the root
	banned                  // it broke the protocol or stalled
)

// member is a peer that a fetch knows of. Its fields are guarded by the roster.
type member struct {
	info     peer.AddrInfo
	standing standing
	stalled  bool // banned for that only: it may have another chance
	running  bool
	answers  int // HAVE answers, to try again only what may have changed
	err      error
	retryAt  time.Time

	blocks int64
	bytes  int64
	holder *holder

	// Of the session that runs now.
	since time.Time       // when its last block was verified, or it began
	drop  func(error)     // ends it with a cause
	wants chan want       // single blocks it is to bring before leases begin
	gone  <-chan struct{} // closed at its end
}

// roster holds the peers that a fetch knows of.
type roster struct {
	mu       sync.Mutex
	members  map[peer.ID]*member
	order    []*member
	changed  chan struct{}
	found    int
	searches int
	asked    int
	cause    error // why the last search ended early, if it did
}

func newRoster() *roster {
	return &roster{members: make(map[peer.ID]*member), changed: make(chan struct{})}
}

// offer adds a peer, and returns it when a session with it should begin.
func (r *roster) offer(info peer.AddrInfo, now time.Time) *member {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.members[info.ID] == nil && len(r.order) >= maxMembers && !r.forget() {
		return nil
	}
	m := r.join(info)
	for _, a := range info.Addrs {
		if !slices.ContainsFunc(m.info.Addrs, a.Equal) && len(m.info.Addrs) < maxAddrs {
			m.info.Addrs = append(slices.Clip(m.info.Addrs), a)
		}
	}
	if m.running || now.Before(m.retryAt) {
		return nil
	}
	if m.standing == banned {
		if !m.stalled || r.servingLocked() > 0 {
			return nil
		}
		m.standing = waiting // there is nobody better
	}
	m.running = true
	return m
}

// forget makes room for another peer: the one that has been known for the longest of
// those that have no session and have brought nothing is new again when it is found
// again. r.mu is held.
func (r *roster) forget() bool {
	i := slices.IndexFunc(r.order, func(m *member) bool { return !m.running && m.blocks == 0 })
	if i < 0 {
		return false
	}
	delete(r.members, r.order[i].info.ID)
	r.order = slices.Delete(r.order, i, i+1)
	return true
}

const (
	// maxMembers bounds the peers that one fetch remembers.
	maxMembers = 1024
	// maxAddrs bounds the addresses remembered of each.
	maxAddrs = 32
)

// ended notes the end of m's session.
func (r *roster) ended(m *member, to standing, err error, retryAt time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	m.running, m.retryAt, m.since = false, retryAt, time.Time{}
	if m.standing != banned {
		m.standing, m.err = to, err
	}
	r.wake()
}

// beginSession notes how m's session is ended and when it has; it reports whether
// m may have one.
func (r *roster) beginSession(m *member, end func(error), gone <-chan struct{}) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	m.drop, m.holder, m.gone, m.since = end, nil, gone, time.Now()
	m.wants = make(chan want)
	return m.standing != banned
}

// endSession ends m's session with a cause.
func (r *roster) endSession(m *member, cause error) {
	r.mu.Lock()
	end := m.drop
	r.mu.Unlock()
	if end != nil {
		end(cause)
	}
}

// failed notes a failure that may pass.
func (r *roster) failed(m *member, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if m.standing != banned {
		m.standing, m.err = waiting, err
	}
}

// infoOf returns where m can be reached.
func (r *roster) infoOf(m *member) peer.AddrInfo {
	r.mu.Lock()
	defer r.mu.Unlock()
	return m.info
}

func (r *roster) bytesOf(m *member) int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return m.bytes
}

// wantsOf returns where m's session hears of single blocks.
func (r *roster) wantsOf(m *member) <-chan want {
	r.mu.Lock()
	defer r.mu.Unlock()
	return m.wants
}

// setHolder links m to its place in the schedule.
func (r *roster) setHolder(m *member, h *holder) {
	r.mu.Lock()
	defer r.mu.Unlock()
	m.holder, m.err = h, nil
}

// answered notes that m holds the root.
func (r *roster) answered(m *member) {
	r.mu.Lock()
	defer r.mu.Unlock()
	m.answers++
	m.standing = holding
	r.wake()
}

// noteAsked counts a peer that a stream could be opened to.
func (r *roster) noteAsked() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked++
}

// ban marks m as not to be asked again, and reports whether that is new.
func (r *roster) ban(m *member, err error) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if m.standing == banned {
		return false
	}
	m.standing, m.err, m.stalled = banned, err, !isHostile(err)
	r.wake()
	return true
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
	for _, m := range r.order {
		if m.standing == holding && m.running && tried[m] < m.answers {
			tried[m] = m.answers
			return line{wants: m.wants, gone: m.gone}, true
		}
	}
	return line{}, false
}

// serving counts the members that hold the root and have a session.
func (r *roster) serving() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.servingLocked()
}

func (r *roster) servingLocked() int {
	n := 0
	for _, m := range r.order {
		if m.running && m.standing == holding {
			n++
		}
	}
	return n
}

// running counts the members that have a session or wait for one.
func (r *roster) running() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := 0
	for _, m := range r.order {
		if m.running {
			n++
		}
	}
	return n
}

// idlest returns the member whose session has been without a block for the longest, at
// least since before, or nil. That is noted as if it had brought one.
func (r *roster) idlest(before time.Time) (idlest *member) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, m := range r.order {
		if !m.since.IsZero() && m.since.Before(before) {
			idlest, before = m, m.since
		}
	}
	if idlest != nil {
		idlest.since = time.Now()
	}
	return idlest
}

// credit notes a verified block of m.
func (r *roster) credit(m *member, bytes int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	m.blocks++
	m.bytes += int64(bytes)
	if !m.since.IsZero() { // the block may have come without a session
		m.since = time.Now()
	}
}

// failures lists the last failure of each member, and what those brought that were
// still waited for.
func (r *roster) failures() []PeerFailure {
	r.mu.Lock()
	defer r.mu.Unlock()
	var all []PeerFailure
	for _, m := range r.order {
		switch {
		case m.err != nil:
			all = append(all, PeerFailure{Peer: m.info.ID, Err: m.err})
		case m.answers > 0:
			all = append(all, PeerFailure{Peer: m.info.ID, Err: fmt.Errorf("brought %s and then nothing more", plural(int(m.blocks), "block", "blocks"))})
		}
	}
	return all
}

// add returns the member for a peer that brought a block without a session.
func (r *roster) add(info peer.AddrInfo) *member {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.join(info)
}

// join returns the member for a peer, new where there was none. r.mu is held.
func (r *roster) join(info peer.AddrInfo) *member {
	m := r.members[info.ID]
	if m == nil {
		m = &member{info: info}
		r.members[info.ID] = m
		r.order = append(r.order, m)
	}
	return m
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
