package admission

import "time"

// mostLosers is how many streams one reservation of memory may cost others their place.
const mostLosers = 8

// Table is who is served. Each call takes time that grows with the logarithm of the
// number of places, and Due besides with the number of streams that it returns. Instants
// must not decrease. It is not safe for concurrent use.
type Table struct {
	l       Limits
	streams map[Place]*node
	bands   [bands]*node
	soft    [bands]heap
	hard    heap
	peers   map[string]int // places of each
	places  int            // of those that have not lost theirs
	bytes   int64          // theirs
	last    Place
	waited  time.Time // somebody was refused last
	longest longest   // of strangers and known peers
	now     time.Time // the last instant that was given
}

// New returns an empty table, and ErrInvalid for limits that are not valid.
func New(l Limits) (*Table, error) {
	if err := l.Validate(); err != nil {
		return nil, err
	}
	t := &Table{l: l, streams: map[Place]*node{}, peers: map[string]int{}, hard: heap{by: byHard}, longest: newLongest()}
	for b := range t.bands {
		t.bands[b] = newGroup(nil, key{}, 0)
		t.soft[b].by = bySoft
	}
	return t, nil
}

// Limits returns what New was given.
func (t *Table) Limits() Limits { return t.l }

// Len returns how many streams have a place, and how many have lost theirs and not left.
func (t *Table) Len() (served, ending int) { return t.places, len(t.streams) - t.places }

// Bytes returns how much memory those have that have a place.
func (t *Table) Bytes() int64 { return t.bytes }

// Enter asks for a place. With one comes at most one other stream that has lost its own,
// which is to be reset and then to leave. Without one the code says why, and nobody has
// lost anything.
func (t *Table) Enter(now time.Time, who Holder) (Place, []Place, Code) {
	t.now = now
	if t.peers[who.Peer] >= t.l.PerPeer {
		return 0, nil, Code{Reason: Peer}
	}
	if len(t.streams) >= t.l.Places+t.l.Ending {
		return 0, nil, t.busy(now, Busy)
	}
	loser, reason := t.room(now, who)
	if reason != Admitted {
		return 0, nil, t.busy(now, reason)
	}
	var lost []Place
	if loser != nil {
		lost = append(lost, loser.stream.place)
		t.displace(loser)
	}
	t.last++
	n := &node{seq: uint64(t.last), moved: now, stream: &stream{place: t.last, who: who, since: now}}
	n.held[byPlaces] = 1
	t.streams[t.last] = n
	t.admit(n)
	t.clock(n)
	return t.last, lost, Code{}
}

// room returns who is to lose its place to a newcomer, nil if nobody has to, or why there
// is no room.
func (t *Table) room(now time.Time, who Holder) (*node, Reason) {
	b, path := who.Class.band(), who.path()
	own := t.bands[b]
	if b != protected {
		// Where one address or prefix has all that it may, room is to be made in it.
		if a := own.group(path[:2]...); a != nil && a.held[byPlaces] >= int64(t.l.PerAddr) {
			return orElse(a.loser(byPlaces, who, path[2:], 1), Address)
		}
		if p := own.group(path[:1]...); p != nil && p.held[byPlaces] >= int64(t.l.PerPrefix) {
			return orElse(p.loser(byPlaces, who, path[1:], 1), Address)
		}
	}
	free := t.places < t.l.Places
	if free && (b != common || own.held[byPlaces] < int64(t.l.Places-t.l.Reserved)) {
		return nil, Admitted
	}
	for lower := range b {
		if n := t.late(now, lower); n != nil {
			return n, Admitted
		}
		if n := t.bands[lower].most(byPlaces); n != nil {
			return n, Admitted
		}
	}
	if n := t.late(now, b); n != nil {
		return n, Admitted
	}
	reason := Busy
	if free {
		reason = Unknown
	}
	loser := own.loser(byPlaces, who, path[:], 1)
	if loser == nil && b == common && own.group(path[:1]...) == nil {
		loser = t.longest.loser(now, path[0])
	}
	return orElse(loser, reason)
}

func orElse(n *node, reason Reason) (*node, Reason) {
	if n == nil {
		return nil, reason
	}
	return n, Admitted
}

// late returns the stream of a band that has been too slow for longest, given that others
// wait.
func (t *Table) late(now time.Time, b band) *node {
	if n := t.soft[b].first(); n != nil && !n.stream.soft.After(now) {
		return n
	}
	return nil
}

// busy notes that somebody waits, and says until when there may be room.
func (t *Table) busy(now time.Time, reason Reason) Code {
	t.waited = now
	after := t.l.LeastTime
	for b := range t.soft {
		if n := t.soft[b].first(); n != nil {
			after = min(after, n.stream.soft.Sub(now))
		}
	}
	return Code{Reason: reason, After: max(after, min(time.Second, t.l.LeastTime))}
}

// Leave gives a place back, with the memory that is reserved with it. It is called once
// for each place, also for one that was lost; further calls do nothing.
func (t *Table) Leave(p Place) {
	n := t.streams[p]
	if n == nil {
		return
	}
	if !n.stream.ending {
		t.displace(n)
	}
	delete(t.streams, p)
}

// displace takes a stream its place.
func (t *Table) displace(n *node) {
	n.stream.ending = true
	t.dismiss(n)
	t.clock(n)
}

// admit counts a stream.
func (t *Table) admit(n *node) {
	b := n.stream.who.Class.band()
	t.bands[b].attach(n)
	if b == common {
		if prefix := n.prefix(); prefix.held[byPlaces] == 1 {
			t.longest.enters(t.now, prefix)
		}
		n.stream.began = n.prefix().began
	}
	t.places++
	t.bytes += n.held[byBytes]
	t.peers[n.stream.who.Peer]++
}

// dismiss does not count it any more.
func (t *Table) dismiss(n *node) {
	prefix := n.prefix()
	n.detach()
	if n.stream.who.Class.band() == common && prefix.held[byPlaces] == 0 {
		t.longest.leaves(t.now, prefix)
	}
	t.places--
	t.bytes -= n.held[byBytes]
	peer := n.stream.who.Peer
	if t.peers[peer]--; t.peers[peer] == 0 {
		delete(t.peers, peer)
	}
}

// served returns the node of a stream that has a place, nil for all others.
func (t *Table) served(p Place) *node {
	if n := t.streams[p]; n != nil && !n.stream.ending {
		return n
	}
	return nil
}

// Reserve asks for memory for a stream, n bytes and at least 1, at the size that is going
// to be allocated and before it is. It may cost others their place, as in Enter: whoever
// holds more memory than this one would. Their memory is free when they have left. Without
// it nobody has lost anything.
func (t *Table) Reserve(now time.Time, p Place, n int64) ([]Place, Code) {
	t.now = now
	self := t.served(p)
	if self == nil {
		return nil, Code{Reason: Busy}
	}
	who := self.stream.who
	most := t.l.Most(who.Class)
	if n < 1 || n > most {
		return nil, Code{Reason: Memory}
	}
	lost, ok := t.evict(who, n, most-n)
	if !ok {
		return nil, t.busy(now, Memory)
	}
	t.hold(self, n)
	return lost, Code{}
}

// Yield is asked for n bytes by somebody who is in another table that has the same memory:
// whoever holds more here than n bytes would be loses its place, as in Reserve, until they are
// free. It returns who does, and nobody if that would not be enough.
func (t *Table) Yield(who Holder, n int64) []Place {
	lost, _ := t.evict(who, n, max(0, t.bytes-n))
	return lost
}

// Spares reports whether Reserve would have n bytes for a holder. Nobody loses anything; if there
// are none, somebody waits, as with Reserve.
func (t *Table) Spares(now time.Time, who Holder, n int64) bool {
	losers, ok := t.pick(who, n, t.l.Most(who.Class)-n)
	t.restore(losers)
	if !ok {
		t.waited = now
	}
	return ok
}

// evict takes those their place who hold more than n bytes more of a holder would be, until no
// more than so many bytes are held; or nobody if that is not to be had.
func (t *Table) evict(who Holder, n, most int64) (lost []Place, ok bool) {
	losers, ok := t.pick(who, n, most)
	if !ok {
		t.restore(losers)
		return nil, false
	}
	for _, other := range losers {
		other.stream.ending = true
		t.clock(other)
		lost = append(lost, other.stream.place)
	}
	return lost, true
}

// pick dismisses those whom evict is to take their place, as far as there are such.
func (t *Table) pick(who Holder, n, most int64) (losers []*node, ok bool) {
	for t.bytes > most {
		loser := t.memory(who, n)
		if loser == nil || loser.held[byBytes] == 0 || len(losers) == mostLosers || len(t.streams)-t.places >= t.l.Ending {
			return losers, false
		}
		t.dismiss(loser)
		losers = append(losers, loser)
	}
	return losers, true
}

// restore counts those again whom pick has dismissed.
func (t *Table) restore(losers []*node) {
	for _, other := range losers {
		t.admit(other)
	}
}

// memory returns who is to lose its memory to n bytes more of a holder, nil if nobody.
func (t *Table) memory(who Holder, n int64) *node {
	b, path := who.Class.band(), who.path()
	for lower := range b {
		if loser := t.bands[lower].most(byBytes); loser != nil && loser.held[byBytes] > 0 {
			return loser
		}
	}
	return t.bands[b].loser(byBytes, who, path[:], n)
}

// Release gives memory back. More than was reserved is all of it.
func (t *Table) Release(p Place, n int64) {
	if self := t.served(p); self != nil && n > 0 {
		t.hold(self, -min(n, self.held[byBytes]))
	}
}

// hold changes the memory of a stream.
func (t *Table) hold(n *node, bytes int64) {
	n.held[byBytes] += bytes
	n.above.fix(n)
	n.above.count([measures]int64{byBytes: bytes}, 1)
	t.bytes += bytes
}
