package journal

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/decube/decube/ledger/codec"
	"github.com/decube/decube/ledger/pbft"
)

// Memory is what a log's records add up to. It shares no memory with them but their
// bodies.
type Memory struct {
	records  map[uint64][]pbft.Record // by epoch
	bodies   map[pbft.Digest][]byte   // by root
	blocks   []Block
	accepted map[uint64]*pbft.Header // the newest accepted block at each sequence number
	views    map[uint64]uint64       // the view that it was accepted in
	renewals []codec.Renewal
}

// Block is a block that the log has a decision of.
type Block struct {
	Decision *pbft.Decision
	// Body are its transactions, encoded; nil if it has none, or if the log has not
	// got them: then the archive, or others, have.
	Body []byte
}

// Fold returns what records add up to, in whatever order they come and however often.
// It returns ErrContradiction for what no replica writes into one log.
func Fold(records []codec.LogRecord) (*Memory, error) {
	m := &Memory{
		records: map[uint64][]pbft.Record{}, bodies: map[pbft.Digest][]byte{},
		accepted: map[uint64]*pbft.Header{}, views: map[uint64]uint64{},
	}
	decided := map[uint64]*pbft.Decision{}
	for _, rec := range records {
		switch rec := rec.(type) {
		case codec.Accepted:
			m.accept(&rec)
		case codec.Decided:
			h := &rec.Decision.Header
			if old := decided[h.Seq]; old != nil && old.Header != *h {
				return nil, fmt.Errorf("%w: %v and %v are both decided", ErrContradiction, &old.Header, h)
			}
			decided[h.Seq] = rec.Decision
			if rec.Body != nil {
				m.bodies[h.Body] = rec.Body
			}
		case codec.Renewal:
			if !slices.Contains(m.renewals, rec) {
				m.renewals = append(m.renewals, rec)
			}
		}
		if core := codec.CoreRecord(rec); core != nil {
			epoch := epochOf(rec)
			m.records[epoch] = append(m.records[epoch], core)
		}
	}
	for _, d := range decided {
		m.blocks = append(m.blocks, Block{d, m.bodies[d.Header.Body]})
	}
	slices.SortFunc(m.blocks, func(a, b Block) int { return cmp.Compare(a.Decision.Header.Seq, b.Decision.Header.Seq) })
	return m, nil
}

func (m *Memory) accept(rec *codec.Accepted) {
	if rec.Body != nil {
		m.bodies[rec.Header.Body] = rec.Body
	}
	seq := rec.Header.Seq
	old := m.accepted[seq]
	if old == nil || old.Epoch < rec.Header.Epoch || (old.Epoch == rec.Header.Epoch && m.views[seq] <= rec.View) {
		m.accepted[seq], m.views[seq] = &rec.Header, rec.View
	}
}

func epochOf(rec codec.LogRecord) uint64 {
	switch rec := rec.(type) {
	case codec.Accepted:
		return rec.Header.Epoch
	case codec.Prepared:
		return rec.Lock.Header.Epoch
	case codec.Change:
		return rec.Change.Epoch
	case codec.Entered:
		return rec.NewView.Epoch
	case codec.Decided:
		return rec.Decision.Header.Epoch
	default:
		return 0
	}
}

// Records returns the core's records of an epoch, for pbft.Resume.
func (m *Memory) Records(epoch uint64) []pbft.Record { return m.records[epoch] }

// Blocks returns the blocks that the log has decisions of, ascending by sequence
// number; there may be gaps.
func (m *Memory) Blocks() []Block { return m.blocks }

// Decided returns the sequence number of the last of Blocks, 0 if there is none. No
// replica may vote before its head is there: it would not know what it stands on.
func (m *Memory) Decided() uint64 {
	if len(m.blocks) == 0 {
		return 0
	}
	return m.blocks[len(m.blocks)-1].Decision.Header.Seq
}

// Body returns the body with a root that the log has, or nil.
func (m *Memory) Body(root pbft.Digest) []byte { return m.bodies[root] }

// Accepted returns, for each sequence number, the header of the block that was
// accepted there in the latest view, ascending.
func (m *Memory) Accepted() []pbft.Header {
	out := make([]pbft.Header, 0, len(m.accepted))
	for _, h := range m.accepted {
		out = append(out, *h)
	}
	slices.SortFunc(out, func(a, b pbft.Header) int { return cmp.Compare(a.Seq, b.Seq) })
	return out
}

// Locked reports whether the log has a lock on a block, as it has of each that the replica
// has sent COMMIT for since the log was last cut.
func (m *Memory) Locked(block pbft.Digest) bool {
	for _, records := range m.records {
		for _, rec := range records {
			if p, ok := rec.(pbft.PreparedRecord); ok && p.Lock.Header.Digest() == block {
				return true
			}
		}
	}
	return false
}

// Renewals returns the renewals that the log has, in the order in which they were
// first read. The replica has taken its place anew when one of their transactions is
// committed.
func (m *Memory) Renewals() []codec.Renewal { return m.renewals }
