package exchange

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
)

// table decides which of the peers that a fetch knows are asked whether they hold the root,
// which of those that do have a place to bring blocks, and who gives up its place for whom.
// It does no I/O and reads no clock.
//
//	idle ──> dialling ──> asking ──> ready ──> placed
//	  ^          │           │         │          │
//	  └──────────┴───────────┴─────────┴──────────┘
//
// A probe dials and asks; Probes of them go on beside the places. Both are dealt by turns
// over prefixes, then over addresses, so that many names at one place get no more turns than
// one. Whoever delivered before comes first, then those who are named, and those who are
// connected.
type table struct {
	limits  Limits
	conduct *conduct
	members map[peer.ID]*member
	order   []*member // as they came
	seq     int

	came    bool      // a block has come, from anybody
	tried   time.Time // when a place last passed on because nothing had come yet
	cleared time.Time // when the place of one without a block was last cleared
	lulled  time.Time // when a place last passed on while nobody was brisk
}

const (
	// maxMembers bounds the peers that one fetch remembers.
	maxMembers = 1024
	// maxAddrs bounds the addresses remembered of each.
	maxAddrs = 32
	// slowPart is the part of the median rate below which a place is given up.
	slowPart = 8
	// maxLackingPause bounds the pause before a peer is asked again; it doubles.
	maxLackingPause = time.Minute
)

func newTable(limits Limits, c *conduct) *table {
	return &table{limits: limits, conduct: c, members: map[peer.ID]*member{}}
}

// phase is where a member is.
type phase uint8

const (
	idle     phase = iota
	dialling       // a probe that is not connected yet
	asking         // a probe that waits for the answer to HAVE
	ready          // it holds the root, and waits for a place without a stream
	placed
)

// rank is why a peer is known.
type rank uint8

const (
	found rank = iota // by a search
	connected
	named // by who wants the fetch
)

// ending is a session that is to end, and why.
type ending struct {
	m   *member
	err error
}

// moves are what is to be done now: sessions that begin, and sessions that end.
type moves struct {
	begin []*member
	end   []ending
}

// offer adds a peer, or what else is known of it. It returns nil if there is no room for it.
func (t *table) offer(info peer.AddrInfo, at origin, r rank, now time.Time) *member {
	m := t.members[info.ID]
	if m == nil {
		if len(t.order) >= maxMembers && !t.forget() {
			return nil
		}
		m = &member{info: peer.AddrInfo{ID: info.ID}, at: at, seq: t.seq}
		t.seq++
		t.members[info.ID] = m
		t.order = append(t.order, m)
		if rep := t.conduct.of(info.ID, now); !rep.until.IsZero() {
			m.lied, m.shunned = rep.lied, rep.until
		} else {
			m.delivered = rep.delivered
		}
		m.burden = t.conduct.burden(at.prefix, now)
	}
	for _, a := range info.Addrs {
		m.hear(a, now)
	}
	m.rank = max(m.rank, r)
	if at.known && !m.at.known { // where it is connected from is more than what is said of it
		m.at, m.burden = at, t.conduct.burden(at.prefix, now)
	}
	return m
}

// hear notes an address of m. Who could not be reached where others said that it is may be there.
func (m *member) hear(a ma.Multiaddr, now time.Time) {
	if slices.ContainsFunc(m.info.Addrs, a.Equal) {
		return
	}
	addrs := slices.Clip(m.info.Addrs)
	if len(addrs) == maxAddrs {
		if !m.unreached {
			return
		}
		addrs = slices.Clone(addrs[1:]) // it was tried in vain
	}
	m.info.Addrs, m.fresh = append(addrs, a), true
	if m.unreached {
		m.unreached, m.shunned, m.retryAt = false, time.Time{}, now
	}
}

// forget makes room for another peer: of those that have no session and have brought
// nothing, the prefix with most loses its worst.
func (t *table) forget() bool {
	of := map[group]int{}
	for _, m := range t.order {
		of[m.at.prefix]++
	}
	worst := -1
	for i, m := range t.order {
		if m.running() || m.blocks > 0 {
			continue
		}
		if worst < 0 || m.worse(t.order[worst], of) {
			worst = i
		}
	}
	if worst < 0 {
		return false
	}
	delete(t.members, t.order[worst].info.ID)
	t.order = slices.Delete(t.order, worst, worst+1)
	return true
}

// worse reports whether m is forgotten before o, of which the latter came first.
func (m *member) worse(o *member, of map[group]int) bool {
	if of[m.at.prefix] != of[o.at.prefix] {
		return of[m.at.prefix] > of[o.at.prefix]
	}
	if m.delivered != o.delivered {
		return o.delivered
	}
	return m.standing > o.standing
}

// use counts by prefix and by address who has a probe and who has a place.
type use struct {
	probes, places map[group]int
	probing        int
	placed         int
	ready          int
	ending         int // of those with a place
}

func (t *table) use() use {
	u := use{probes: map[group]int{}, places: map[group]int{}}
	for _, m := range t.order {
		switch m.phase {
		case idle:
		case dialling, asking:
			u.probing++
			u.count(u.probes, m)
		case ready:
			u.ready++
		case placed:
			u.placed++
			u.count(u.places, m)
			if m.ended {
				u.ending++
			}
		}
	}
	return u
}

func (u *use) count(by map[group]int, m *member) {
	by[m.at.prefix]++
	by[m.at.address]++
}

// decide returns what is to be done now. It is asked after whatever happened, and now and
// then.
func (t *table) decide(now time.Time) moves {
	var out moves
	u := t.use()
	t.fill(&u, &out, now)
	if u.ready > 0 {
		t.replace(&u, &out, now)
	}
	t.probe(&u, &out, now)
	return out
}

// fill gives free places to those that wait for one.
func (t *table) fill(u *use, out *moves, now time.Time) {
	for u.placed < t.limits.Peers {
		m := t.waiting(u)
		if m == nil {
			return
		}
		u.ready--
		t.enter(m, placed, now)
		u.placed++
		u.count(u.places, m)
		out.begin = append(out.begin, m)
	}
}

// enter begins a phase of m that has a session.
func (t *table) enter(m *member, p phase, now time.Time) {
	m.phase, m.began, m.brought, m.ended, m.cause = p, now, now, false, nil
	m.standing, m.pace = waiting, pace{}
	m.fresh, m.unreached = false, false
	m.sent.Store(0)
	m.owes.Store(true) // at first an answer to HAVE
	m.pace.look(0, true, int64(t.limits.MinProgress), now)
}

// waiting returns who is to have the next place, nil if nobody waits.
func (t *table) waiting(u *use) *member {
	return t.first(func(m *member) bool { return m.phase == ready }, func(m, o *member) int { return t.turn(u.places, m, o) })
}

// turn compares two who wait for the same thing, of which prefixes and addresses have some
// already: below 0, m comes first. Those who are preferred are so only as long as their
// prefix has little: one good block is cheap.
func (t *table) turn(of map[group]int, m, o *member) int {
	per := t.limits.PeersPerPrefix
	return firstOf(
		m.losses-o.losses,
		before(of[m.at.prefix] < per, of[o.at.prefix] < per),
		before(m.preferred(), o.preferred()),
		of[m.at.prefix]+m.burden-of[o.at.prefix]-o.burden,
		of[m.at.address]-of[o.at.address],
		int(o.rank)-int(m.rank),
		m.tries-o.tries,
		m.seq-o.seq,
	)
}

// yields reports whether next would come before m if that gave up what it has.
func (t *table) yields(of map[group]int, m, next *member) bool {
	keys := []group{m.at.prefix, m.at.address}
	for _, g := range keys {
		of[g]--
	}
	defer func() {
		for _, g := range keys {
			of[g]++
		}
	}()
	return t.turn(of, next, m) < 0
}

// preferred reports whether m has proved to be good, or somebody who is trusted says so.
func (m *member) preferred() bool { return m.delivered || m.rank == named }

func before(m, o bool) int {
	switch {
	case m == o:
		return 0
	case m:
		return -1
	}
	return 1
}

func firstOf(of ...int) int {
	for _, n := range of {
		if n != 0 {
			return n
		}
	}
	return 0
}

// first returns the first of the members that qualify, nil if none does.
func (t *table) first(qualifies func(*member) bool, compare func(m, o *member) int) (first *member) {
	for _, m := range t.order {
		if qualifies(m) && (first == nil || compare(m, first) < 0) {
			first = m
		}
	}
	return first
}

// probe begins probes, and ends those that keep others waiting for too long.
func (t *table) probe(u *use, out *moves, now time.Time) {
	for u.probing < t.limits.Probes {
		m := t.candidate(u, now)
		if m == nil {
			return
		}
		t.enter(m, dialling, now)
		u.probing++
		u.count(u.probes, m)
		out.begin = append(out.begin, m)
	}
	next := t.candidate(u, now)
	if next == nil || slices.ContainsFunc(t.order, func(m *member) bool { return m.probing() && m.ended }) {
		return // or one is about to end
	}
	more := func(m, o *member) int { return u.probes[o.at.prefix] - u.probes[m.at.prefix] }
	if m := t.first(func(m *member) bool { return m.probing() && t.late(m, now) }, more); m != nil {
		t.end(out, m, errLate)
		return
	}
	// Of a prefix that has more than it would have by turns, the one that has had the longest.
	crowds := func(m *member) bool {
		return m.probing() && u.probes[m.at.prefix] > u.probes[next.at.prefix]+1 && t.yields(u.probes, m, next)
	}
	if m := t.first(crowds, more); m != nil {
		t.end(out, m, errCrowded)
	}
}

// candidate returns who is to be probed next, nil if nobody is.
func (t *table) candidate(u *use, now time.Time) *member {
	compare := func(m, o *member) int { return t.turn(u.probes, m, o) }
	may := func(m *member) bool { return m.phase == idle && !now.Before(m.retryAt) }
	serving := slices.ContainsFunc(t.order, func(m *member) bool { return t.serves(m, now) })
	heard := t.heard()
	best := t.first(func(m *member) bool {
		return may(m) && !now.Before(m.shunned) && (!serving || m.rank != connected || m.delivered || t.mayHear(heard, m))
	}, compare)
	if best != nil || u.ready > 0 || serving || slices.ContainsFunc(t.order, func(m *member) bool {
		return m.probing() && !now.Before(m.shunned) && !t.late(m, now)
	}) {
		return best
	}
	// Nobody serves, or is about to: those that stalled have another chance.
	return t.first(func(m *member) bool { return may(m) && (!m.lied || !now.Before(m.shunned)) }, func(m, o *member) int {
		return firstOf(m.tries-o.tries, compare(m, o))
	})
}

// serves reports whether m brings blocks, as far as can be told.
func (t *table) serves(m *member, now time.Time) bool {
	lately := m.pace.owing && m.pace.quiet(now) < t.limits.Quiet || m.brought.After(m.began) && now.Sub(m.brought) < t.limits.Quiet
	return m.serves() && lately
}

// heard counts by prefix who has answered of those that only happen to be connected.
func (t *table) heard() map[group]int {
	of := map[group]int{}
	for _, m := range t.order {
		if m.heard && m.rank == connected {
			of[m.at.prefix]++
		}
	}
	return of
}

// mayHear reports whether m, which only happens to be connected, may hear of the fetch while
// somebody serves: without a bound everybody would hear of every fetch. It is a bound on
// prefixes and on peers of each, and those that do not answer do not count, so that many at
// one place do not keep everybody else from being asked.
func (t *table) mayHear(heard map[group]int, m *member) bool {
	of := heard[m.at.prefix]
	return of > 0 && of < t.limits.ConnectedPeers || of == 0 && len(heard) < t.limits.ConnectedPeers
}

// late reports whether a probe has had its time: DialPatience to connect, HavePatience for
// an answer or more of it, and longer each time that it is tried.
func (t *table) late(m *member, now time.Time) bool {
	if m.phase == dialling {
		return now.Sub(m.began) >= t.limits.DialPatience<<min(m.tries, 4)
	}
	return m.pace.quiet(now) >= t.limits.HavePatience<<min(m.tries, 4)
}

// end has a session end.
func (t *table) end(out *moves, m *member, err error) {
	m.ended, m.cause = true, err
	out.end = append(out.end, ending{m, err})
}

// Why sessions are ended while others wait.
var (
	errUseless = errors.New("holds nothing that is missing")
	errTooSlow = errors.New("brought no block for so long that another peer gets its turn")
	errSlow    = errors.New("sends far less than others, of whom another gets its turn")
	errCrowded = errors.New("gives its turn to a peer that comes first")
	errHeld    = errors.New("holds the root, and waits for a place")
	errLate    = fmt.Errorf("%w: it has not answered in time", errStalled)
	errEmpty   = fmt.Errorf("%w: it has nothing of what it said it holds", errStalled)
	errQuiet   = fmt.Errorf("%w: it sends nothing of what it was asked for", errStalled)
)
