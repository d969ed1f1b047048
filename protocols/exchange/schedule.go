package exchange

import (
	"math/bits"
	"slices"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/decube/decube/block"
)

const (
	// maxLeaseBlocks bounds the ordinals of one lease.
	maxLeaseBlocks = 4096
	// outstanding is the number of leases a provider has at a time: one that is
	// being answered and the next.
	outstanding = 2
)

// schedule decides who fetches what. It does no I/O and reads no clock; a mutex
// makes it safe for concurrent use.
//
// An ordinal is free (nobody fetches it), leased, being verified, or done. The
// number of leases that still have to bring it is its copies: two in the endgame, and
// more only where providers are too slow to count.
type schedule struct {
	index  Index
	limits Limits

	mu        sync.Mutex
	free      bitmap
	verifying bitmap
	done      bitmap
	copies    []uint8
	lowest    int // no ordinal below it is free
	freeBytes int64
	left      int           // not done
	holders   []*holder     // as they joined
	changed   chan struct{} // closed when an idle provider may find work
}

// holder is a provider as the schedule sees it.
type holder struct {
	peer    peer.ID
	have    bitmap
	leases  []*lease // oldest first, which is the one being answered
	nextID  uint64
	rate    meter
	brought int64     // bytes that were needed
	lost    int       // ordinals that it said it holds, and then lacked
	keeps   []request // KEEP requests to be sent with the next message
}

// lease is what one request asks for.
type lease struct {
	id       uint64
	ordinals []int
	next     int  // ordinals before it have been answered
	underWay bool // the one at next is being sent
	keep     int  // ordinals from it on were taken over by somebody else
}

// rest returns the ordinals that l has still to bring. The provider may have sent
// more than it was to keep, when KEEP came too late.
func (l *lease) rest() []int { return l.ordinals[min(l.next, l.keep):l.keep] }

// newSchedule plans to fetch every ordinal that is not in held.
func newSchedule(index Index, held bitmap, limits Limits) *schedule {
	n := index.Len()
	s := &schedule{
		index: index, limits: limits,
		free: newBitmap(n), verifying: newBitmap(n), done: held,
		copies:  make([]uint8, n),
		changed: make(chan struct{}),
	}
	for i := range n {
		if !held.has(i) {
			s.setFree(i)
			s.left++
		}
	}
	s.lowest = 0
	return s
}

// join adds a provider that holds have, whose requests are numbered from id on.
func (s *schedule) join(p peer.ID, have bitmap, id uint64) *holder {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := &holder{peer: p, have: have, nextID: id}
	s.holders = append(s.holders, h)
	return h
}

// leave removes a provider; what it was to bring is free again.
func (s *schedule) leave(h *holder) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.holders = slices.DeleteFunc(s.holders, func(o *holder) bool { return o == h })
	for _, l := range h.leases {
		s.giveBack(l.rest())
	}
	h.leases = nil
	s.wake()
}

// newID returns the next request ID of h.
func (s *schedule) newID(h *holder) uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	h.nextID++
	return h.nextID - 1
}

// heard is told that bytes came from h that are not a block yet.
func (s *schedule) heard(h *holder, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	h.rate.heard = now
}

// update replaces what a provider holds.
func (s *schedule) update(h *holder, have bitmap) {
	s.mu.Lock()
	defer s.mu.Unlock()
	h.have = have
}

// wait returns a channel that is closed at the next change that may give an idle
// provider work, and whether everything is done.
func (s *schedule) wait() (<-chan struct{}, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.changed, s.left == 0
}

func (s *schedule) wake() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// lease returns the next request for h, and false when there is nothing for it
// to do or enough of it.
func (s *schedule) lease(h *holder, root block.ID, now time.Time) (request, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(h.leases) >= outstanding {
		return request{}, false
	}
	ordinals := s.takeFree(h)
	if len(ordinals) == 0 && len(h.leases) == 0 {
		if ordinals = s.takeOver(h, now); len(ordinals) == 0 {
			ordinals = s.duplicate(h, now)
		}
	}
	if len(ordinals) == 0 {
		return request{}, false
	}
	if len(h.leases) == 0 {
		h.rate.begin(now)
	}
	l := &lease{id: h.nextID, ordinals: ordinals, keep: len(ordinals)}
	h.nextID++
	h.leases = append(h.leases, l)
	return request{kind: askRanges, id: l.id, root: root, spans: spansOf(ordinals)}, true
}

// spansOf writes ascending ordinals as ranges.
func spansOf(ordinals []int) []span {
	var spans []span
	for _, o := range ordinals {
		if n := len(spans); n > 0 && spans[n-1].from+spans[n-1].count == o {
			spans[n-1].count++
			continue
		}
		spans = append(spans, span{from: o, count: 1})
	}
	return spans
}

// leaseBytes is how much to ask of h: a second's worth, and not more than a
// fair part of what is left, so that all providers end together.
func (s *schedule) leaseBytes(h *holder) int64 {
	want := s.limits.LeaseMax / 2
	if r := h.rate.perSecond; r > 0 {
		want = int64(r)
	}
	fair := s.freeBytes / int64(2*len(s.holders))
	return max(s.limits.LeaseMin, min(want, fair, s.limits.LeaseMax))
}

// takeFree takes free ordinals that h holds, in ascending order.
func (s *schedule) takeFree(h *holder) []int {
	var (
		picked []int
		bytes  int64
		ranges int
		last   = -2
		most   = s.leaseBytes(h)
	)
	for w := s.lowest / 64; w < len(s.free); w++ {
		if s.free[w] == 0 && w == s.lowest/64 {
			s.lowest = (w + 1) * 64
			continue
		}
		for both := s.free[w] & h.have[w]; both != 0; both &= both - 1 {
			o := w*64 + bits.TrailingZeros64(both)
			if o != last+1 {
				if ranges++; ranges > MaxRanges {
					return picked
				}
			}
			last = o
			s.take(o)
			picked = append(picked, o)
			if bytes += s.size(o); bytes >= most || len(picked) == maxLeaseBlocks {
				return picked
			}
		}
	}
	return picked
}

func (s *schedule) size(o int) int64 {
	_, n := s.index.At(o)
	return int64(n)
}

func (s *schedule) take(o int) {
	s.free.clear(o)
	s.freeBytes -= s.size(o)
	s.copies[o]++
}

func (s *schedule) setFree(o int) {
	s.free.set(o)
	s.freeBytes += s.size(o)
	s.lowest = min(s.lowest, o)
}

// giveBack takes a copy off each ordinal; what nobody brings any more is free.
func (s *schedule) giveBack(ordinals []int) {
	for _, o := range ordinals {
		if s.copies[o]--; s.copies[o] == 0 && !s.done.has(o) && !s.verifying.has(o) {
			s.setFree(o)
		}
	}
}

// current returns the lease that h is answering, which must be id.
func (h *holder) current(id uint64) (*lease, error) {
	if len(h.leases) == 0 || h.leases[0].id != id {
		return nil, hostile("an answer to request %d, which is not outstanding", id)
	}
	return h.leases[0], nil
}

// advance checks that ordinal is the next in l and steps over it.
func (s *schedule) advance(l *lease, ordinal int) error {
	if l.next == len(l.ordinals) || l.ordinals[l.next] != ordinal {
		return hostile("ordinal %d, which is not the next one asked for", ordinal)
	}
	if l.next < l.keep {
		s.copies[ordinal]--
	}
	l.next++
	l.underWay = false
	return nil
}

// announce is called when h begins to send an ordinal in an answer to request id.
// It reports whether the bytes are needed as it looks now. Until they have come
// the ordinal stays leased, so that another provider may bring it first.
func (s *schedule) announce(h *holder, id uint64, ordinal, length int) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l, err := h.current(id)
	if err != nil {
		return false, err
	}
	if l.next == len(l.ordinals) || l.ordinals[l.next] != ordinal {
		return false, hostile("ordinal %d, which is not the next one asked for", ordinal)
	}
	if want := s.size(ordinal); int64(length) != want {
		return false, hostile("ordinal %d has %d bytes, want %d", ordinal, length, want)
	}
	l.underWay = true
	return !s.done.has(ordinal) && !s.verifying.has(ordinal), nil
}

// arrive is called when h has sent an ordinal in an answer to request id. It
// reports whether the bytes are needed: then verified must be called.
func (s *schedule) arrive(h *holder, id uint64, ordinal, length int, now time.Time) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l, err := h.current(id)
	if err != nil {
		return false, err
	}
	if err := s.advance(l, ordinal); err != nil {
		return false, err
	}
	needed := !s.done.has(ordinal) && !s.verifying.has(ordinal)
	if needed {
		if s.free.has(ordinal) { // taken over, and given up by who took it
			s.free.clear(ordinal)
			s.freeBytes -= s.size(ordinal)
		}
		s.verifying.set(ordinal)
		h.brought += int64(length)
	}
	if want := s.size(ordinal); int64(length) != want {
		if needed {
			s.settle(ordinal, false)
		}
		return false, hostile("ordinal %d has %d bytes, want %d", ordinal, length, want)
	}
	h.rate.add(int64(length), now)
	return needed, nil
}

// missing is called when h says that it does not hold count ordinals from one on.
func (s *schedule) missing(h *holder, id uint64, from, count int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	l, err := h.current(id)
	if err != nil {
		return err
	}
	defer s.wake()
	for o := from; o < from+count; o++ {
		if err := s.advance(l, o); err != nil {
			return err
		}
		h.have.clear(o)
		h.lost++
		if s.copies[o] == 0 && !s.done.has(o) && !s.verifying.has(o) && !s.free.has(o) {
			s.setFree(o)
		}
	}
	return nil
}

// end is called when h has answered request id.
func (s *schedule) end(h *holder, id uint64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	l, err := h.current(id)
	if err != nil {
		return err
	}
	if l.next < l.keep {
		return hostile("request %d ended %d blocks early", id, l.keep-l.next)
	}
	h.leases = h.leases[1:]
	return nil
}

// verified is called when an ordinal that was needed turned out good or not.
func (s *schedule) verified(ordinal int, good bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.settle(ordinal, good)
}

func (s *schedule) settle(ordinal int, good bool) {
	s.verifying.clear(ordinal)
	switch {
	case good:
		s.done.set(ordinal)
		if s.left--; s.left == 0 {
			s.wake()
		}
	case s.copies[ordinal] == 0:
		s.setFree(ordinal)
		s.wake()
	}
}

// useful reports whether h holds anything that is not done.
func (s *schedule) useful(h *holder) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for w, held := range h.have {
		if held&^s.done[w] != 0 {
			return true
		}
	}
	return false
}

// promised reports whether h said that it holds what it then lacked.
func (s *schedule) promised(h *holder) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return h.lost > 0
}

// busy reports whether h has leases.
func (s *schedule) busy(h *holder) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(h.leases) > 0
}

// takeKeeps returns the KEEP requests that h is to be sent.
func (s *schedule) takeKeeps(h *holder) []request {
	s.mu.Lock()
	defer s.mu.Unlock()
	keeps := h.keeps
	h.keeps = nil
	return keeps
}

// rate returns what h sends, in bytes a second.
func (s *schedule) rate(h *holder) float64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return h.rate.perSecond
}

// claimOrphans takes up to n free ordinals that no provider holds. The caller
// brings them by itself and ends each claim with release.
func (s *schedule) claimOrphans(n int) []int {
	s.mu.Lock()
	defer s.mu.Unlock()
	var picked []int
	for w := range s.free {
		orphans := s.free[w]
		for _, h := range s.holders {
			orphans &^= h.have[w]
		}
		for ; orphans != 0 && len(picked) < n; orphans &= orphans - 1 {
			o := w*64 + bits.TrailingZeros64(orphans)
			s.take(o)
			picked = append(picked, o)
		}
	}
	return picked
}

// release ends the claim on an orphan: brought says that its block is verified.
func (s *schedule) release(ordinal int, brought bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.copies[ordinal]--
	if s.done.has(ordinal) || s.verifying.has(ordinal) {
		return
	}
	s.settle(ordinal, brought)
}
