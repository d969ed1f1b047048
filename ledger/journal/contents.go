package journal

import (
	"maps"
	"slices"

	"github.com/decube/decube/ledger/codec"
	"github.com/decube/decube/ledger/pbft"
)

// Contents knows which records of a log are needed. It is pure, and not safe for
// concurrent use. The zero value is that of an empty log.
type Contents struct {
	// first is, for each sequence number, the lowest index of what is needed to know
	// of it: its records, and the bodies that they refer to.
	first map[uint64]uint64
	// slots are, for each of those, the records that are needed, without the bodies.
	slots map[uint64]*slot
	// bodies is where the log has the body with a root.
	bodies map[pbft.Digest]logged
	// cut is the sequence number up to which the log was cut.
	cut uint64
	// decided is the highest sequence number with a decision.
	decided uint64

	last    noted // the record of that decision, without the body
	view    noted // the record of the highest view
	renewal noted // the last renewal that is not over
}

// noted is a record with its index, without its body; none if record is nil.
type noted struct {
	record codec.LogRecord
	index  uint64
	size   int // in bytes
}

// logged is where a body is, and how many bytes it has.
type logged struct {
	index uint64
	size  int
}

// HasBody reports whether the log has the body with a root, so that it need not be
// logged again.
func (c *Contents) HasBody(root pbft.Digest) bool {
	_, ok := c.bodies[root]
	return ok
}

// Decided returns the highest sequence number of which the log has had a decision,
// 0 for none.
func (c *Contents) Decided() uint64 { return c.decided }

// Add takes note of a record that has so many bytes. Those of one log are added in the
// order of their indices.
func (c *Contents) Add(index uint64, size int, rec codec.LogRecord) {
	switch rec := rec.(type) {
	case codec.Accepted:
		body := rec.Body
		rec.Body = nil
		c.addBlock(noted{rec, index, size - len(body)}, &rec.Header, body)
	case codec.Prepared:
		// A lock's body came with the vote for the block, or with the decision of it.
		c.addBlock(noted{rec, index, size}, &rec.Lock.Header, nil)
	case codec.Decided:
		body := rec.Body
		rec.Body = nil // if it is to be written again, the archive has it
		n := noted{rec, index, size - len(body)}
		c.addBlock(n, &rec.Decision.Header, body)
		if seq := rec.Decision.Header.Seq; seq >= c.decided {
			c.decided, c.last = seq, n
		}
	case codec.Change, codec.Entered:
		if c.view.record == nil || !placeOf(rec).below(placeOf(c.view.record)) {
			c.view = noted{rec, index, size}
		}
	case codec.Renewal:
		c.renewal = noted{rec, index, size}
	}
}

func (c *Contents) addBlock(n noted, h *pbft.Header, body []byte) {
	if c.first == nil {
		c.first, c.slots, c.bodies = map[uint64]uint64{}, map[uint64]*slot{}, map[pbft.Digest]logged{}
	}
	index := n.index
	if _, known := c.bodies[h.Body]; !known && body != nil {
		c.bodies[h.Body] = logged{index, len(body)}
	}
	// A block that is proposed again, at another place too, has its body where it was
	// logged first.
	if at, known := c.bodies[h.Body]; known {
		index = min(index, at.index)
	}
	if c.slots[h.Seq] == nil {
		c.slots[h.Seq] = &slot{}
	}
	c.slots[h.Seq].add(n)
	if at, known := c.first[h.Seq]; !known || index < at {
		c.first[h.Seq] = index
	}
}

// RenewalOver says that the replica has taken its place anew, or that the renewal of
// the log is of no use any more.
func (c *Contents) RenewalOver() { c.renewal = noted{} }

// Cut says how the log is to be cut, now that the archive is durable up to a sequence
// number: the records to append again, and the index below which nothing is needed
// once those are synced. next is the index of the first of them.
func (c *Contents) Cut(stored, next uint64) (again []codec.LogRecord, before uint64) {
	before, c.cut = next, max(c.cut, stored)
	maps.DeleteFunc(c.slots, func(seq uint64, _ *slot) bool { return seq <= stored })
	maps.DeleteFunc(c.first, func(seq, index uint64) bool {
		if seq > stored {
			before = min(before, index) // the least of all: their order does not show
		}
		return seq <= stored
	})
	for _, n := range []noted{c.last, c.view, c.renewal} {
		if n.record != nil && n.index < before {
			again = append(again, n.record)
		}
	}
	return again, before
}

// Dropped takes note of a cut that was made: what lay below an index may be gone.
func (c *Contents) Dropped(before uint64) {
	maps.DeleteFunc(c.bodies, func(_ pbft.Digest, at logged) bool { return at.index < before })
}

// Needed returns the sequence numbers about which records are needed, ascending.
func (c *Contents) Needed() []uint64 { return slices.Sorted(maps.Keys(c.first)) }

// place is where a record of a view stands among those.
type place struct {
	epoch, view uint64
	entered     bool
}

func placeOf(rec codec.LogRecord) place {
	switch rec := rec.(type) {
	case codec.Change:
		return place{rec.Change.Epoch, rec.Change.View, false}
	case codec.Entered:
		return place{rec.NewView.Epoch, rec.NewView.View, true}
	default:
		return place{}
	}
}

// below reports whether p binds to less than q: to have entered a view is more than
// to have asked for it.
func (p place) below(q place) bool {
	switch {
	case p.epoch != q.epoch:
		return p.epoch < q.epoch
	case p.view != q.view:
		return p.view < q.view
	default:
		return !p.entered && q.entered
	}
}
