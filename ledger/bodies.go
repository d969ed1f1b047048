package ledger

import (
	"sync"

	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/ledger/tx"
)

// body is the content of a block that is not committed yet.
type body struct {
	seq     uint64
	ids     []tx.ID
	batch   tx.Batch // nil while transactions are missing
	encoded []byte   // nil while batch is
}

// whole reports whether all transactions are there.
func (b *body) whole() bool { return b != nil && b.encoded != nil }

// newBody returns the body of a batch.
func newBody(seq uint64, ids []tx.ID, batch tx.Batch, encoded []byte) *body {
	return &body{seq: seq, ids: ids, batch: batch, encoded: encoded}
}

// bodies are the contents of blocks in flight, by transaction root. They are
// shared between the loops. A leader cannot fill them up: there are few for each
// sequence number.
type bodies struct {
	mu     sync.Mutex
	byRoot map[pbft.Digest]*body
	perSeq map[uint64]int
	head   uint64
}

// perSeq is how many bodies are kept for one sequence number: those of an honest
// leader and of a few that were replaced.
const maxPerSeq = 8

// ahead is how far above the last committed block bodies are kept.
const ahead = 2 * pbft.MaxWindow

func newBodies() *bodies {
	return &bodies{byRoot: map[pbft.Digest]*body{}, perSeq: map[uint64]int{}}
}

// put keeps a body, in place of one that lacks transactions, if there is room.
func (s *bodies) put(root pbft.Digest, b *body) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if old := s.byRoot[root]; old != nil {
		if old.whole() {
			old.seq = max(old.seq, b.seq)
			return
		}
		b.seq = max(old.seq, b.seq)
	} else {
		if b.seq <= s.head || b.seq > s.head+ahead || s.perSeq[b.seq] >= maxPerSeq {
			return
		}
		s.perSeq[b.seq]++
	}
	s.byRoot[root] = b
}

// get returns a body, or nil. Its content is not changed any more.
func (s *bodies) get(root pbft.Digest) *body {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.byRoot[root]
}

// committed drops what lies at or below the last committed block, but for the
// last ones, which replicas just behind may still ask for.
func (s *bodies) committed(seq uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.head = seq
	for root, b := range s.byRoot {
		if b.seq <= seq {
			delete(s.byRoot, root)
		}
	}
	for at := range s.perSeq {
		if at <= seq {
			delete(s.perSeq, at)
		}
	}
}
