package journal

import (
	"fmt"
	"slices"

	"github.com/decube/decube/ledger/codec"
	"github.com/decube/decube/ledger/pbft"
)

// Tidy writes again what is needed of a log that has outgrown its segments, if that is
// less than half of what it has, and drops all else. Cut cannot help where nothing is
// committed: each view says anew what is in flight, and a block that was in flight before
// them all holds what came after. Space comes free in large steps.
func (j *Journal) Tidy() error {
	live, segments := j.wal.Live()
	if segments <= j.segments || 2*j.contents.size() > live {
		return nil
	}
	return j.tidy()
}

func (j *Journal) tidy() error {
	if err := j.Sync(); err != nil {
		return err
	}
	needed, bodies := j.contents.needed(), j.contents.referred()
	if err := j.fetch(bodies); err != nil {
		return fmt.Errorf("reading the log again: %w", err)
	}
	start := j.wal.Next()
	j.contents = Contents{decided: j.contents.decided, cut: j.contents.cut}
	for _, n := range needed {
		// Append leaves the body out of all but the first record that has its root.
		rec := n.record
		switch r := rec.(type) {
		case codec.Accepted:
			r.Body = bodies[r.Header.Body]
			rec = r
		case codec.Decided:
			r.Body = bodies[r.Decision.Header.Body]
			rec = r
		}
		if err := j.Append(rec); err != nil {
			return err
		}
	}
	if err := j.Sync(); err != nil {
		return err
	}
	if err := j.wal.TruncateBefore(start); err != nil {
		return fmt.Errorf("tidying the log: %w", err)
	}
	return nil
}

// fetch reads the bodies with the roots that are named, as far as the log has them.
func (j *Journal) fetch(bodies map[pbft.Digest][]byte) error {
	at := map[uint64]bool{}
	for root := range bodies {
		at[j.contents.bodies[root].index] = true
	}
	for r, err := range j.wal.Replay() {
		if err != nil {
			return err
		}
		if !at[r.Index] {
			continue
		}
		rec, err := codec.DecodeLogRecord(r.Data)
		if err != nil {
			return fmt.Errorf("record %d: %w", r.Index, err)
		}
		switch rec := rec.(type) {
		case codec.Accepted:
			bodies[rec.Header.Body] = rec.Body
		case codec.Decided:
			bodies[rec.Decision.Header.Body] = rec.Body
		}
	}
	return nil
}

// slot is what is needed of the records about one sequence number.
type slot struct {
	// accepted are the votes for each block that was proposed there, in the latest view in
	// which it was. Nobody is bound by those of earlier views; but if another replica has
	// prepared the block, the last who can hand its body out may be here.
	accepted []noted
	lock     noted // of the latest view
	decided  noted
}

// add takes note of a record about a block.
func (s *slot) add(n noted) {
	switch rec := n.record.(type) {
	case codec.Accepted:
		at := slices.IndexFunc(s.accepted, func(n noted) bool {
			old, ok := n.record.(codec.Accepted)
			return ok && old.Header == rec.Header
		})
		if at < 0 {
			s.accepted = append(s.accepted, n)
		} else if old, ok := s.accepted[at].record.(codec.Accepted); ok && old.View <= rec.View {
			s.accepted[at] = n
		}
	case codec.Prepared:
		if old, ok := s.lock.record.(codec.Prepared); !ok || !lockedIn(&rec).below(lockedIn(&old)) {
			s.lock = n
		}
	case codec.Decided:
		s.decided = n
	}
}

func lockedIn(p *codec.Prepared) place { return place{p.Lock.Header.Epoch, p.Lock.Cert.View, true} }

// needed returns the records that are needed, in the order in which they are written again.
func (c *Contents) needed() []noted {
	all := []noted{c.view, c.renewal}
	if c.slots[c.decided] == nil {
		all = append(all, c.last)
	}
	for _, seq := range c.Needed() {
		s := c.slots[seq]
		all = append(append(all, s.decided, s.lock), s.accepted...)
	}
	return slices.DeleteFunc(all, func(n noted) bool { return n.record == nil })
}

// size returns about how many bytes the records have that are needed, with their bodies.
func (c *Contents) size() int64 {
	size := int64(0)
	for _, n := range c.needed() {
		size += int64(n.size)
	}
	for root := range c.referred() {
		size += int64(c.bodies[root].size)
	}
	return size
}

// referred returns the roots of the bodies in the log that records refer to which are
// needed, with places for them.
func (c *Contents) referred() map[pbft.Digest][]byte {
	roots := map[pbft.Digest][]byte{}
	for _, n := range c.needed() {
		if h := headerOf(n.record); h != nil && c.HasBody(h.Body) && h.Seq > c.cut {
			roots[h.Body] = nil
		}
	}
	return roots
}

// headerOf returns the header of the block that a record is about, nil for none.
func headerOf(rec codec.LogRecord) *pbft.Header {
	switch rec := rec.(type) {
	case codec.Accepted:
		return &rec.Header
	case codec.Prepared:
		return &rec.Lock.Header
	case codec.Decided:
		return &rec.Decision.Header
	default:
		return nil
	}
}
