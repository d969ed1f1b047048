package ledger

import (
	"sync"

	"github.com/decube/decube/ledger/body"
	"github.com/decube/decube/ledger/genesis"
	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/ledger/quorum"
	"github.com/decube/decube/ledger/sig"
	"github.com/decube/decube/ledger/tx"
)

// bodies are the contents of blocks in flight, shared between the loops. Whoever
// verifies proposals offers them; the executor asks for them and pins what is valid; the
// engine alone says where the core is, so that a body which a record needs stays until
// that record is written.
type bodies struct {
	mu      sync.Mutex
	store   *body.Store
	epoch   uint64
	answers body.Answers
}

// newBodies returns the bodies for the first epoch.
func newBodies(p *genesis.Params) *bodies {
	limits := body.Limits{Window: p.Window, BodyBytes: body.SizeLimit(p.MaxBlockBytes, p.MaxBlockTransactions)}
	return &bodies{store: body.New(limits)}
}

// begin forgets what belongs to another epoch than this one, whose last committed block
// is base.
func (s *bodies) begin(epoch, base uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if epoch != s.epoch {
		s.epoch = epoch
		s.store.Reset(base)
	}
}

// enter says how far the core is, when the records about what was before are written.
func (s *bodies) enter(view, base uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.store.Enter(view, base)
}

// resize takes note of the parameters on top of the last committed block.
func (s *bodies) resize(p *genesis.Params) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.store.SetBodyBytes(body.SizeLimit(p.MaxBlockBytes, p.MaxBlockTransactions))
}

// admits reports whether it is worth while to verify the body of a proposal.
func (s *bodies) admits(p *pbft.Proposal) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.store.Admits(p.View, p.Header.Seq, p.Header.Body)
}

// fits reports whether a body is not larger than one may be: then it is worth while to
// verify its transactions.
func (s *bodies) fits(c *body.Content) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.store.Fits(c)
}

// propose hands in the verified body of a verified proposal.
func (s *bodies) propose(p *pbft.Proposal, c *body.Content) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.store.Propose(p.View, p.Header.Seq, c)
}

// lacks reports whether a body is needed and has not come.
func (s *bodies) lacks(root pbft.Digest) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.store.Lacks(root)
}

// supply hands in a verified body, and reports whether it is of use.
func (s *bodies) supply(c *body.Content) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.store.Supply(c)
}

// get returns the body with a root if all of it is here, else nil.
func (s *bodies) get(root pbft.Digest) *body.Content {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.store.Get(root); c.Whole() {
		return c
	}
	return nil
}

// of is get for the body that a header names. A block without transactions has one that
// nobody needs to send.
func (s *bodies) of(h *pbft.Header) *body.Content {
	if h.Count == 0 {
		return body.Empty()
	}
	return s.get(h.Body)
}

// assemble is of for a body whose transactions may be at hand one by one.
func (s *bodies) assemble(h *pbft.Header, lookup body.Lookup) *body.Content {
	if h.Count == 0 {
		return body.Empty()
	}
	return s.assembleRoot(h.Body, lookup)
}

func (s *bodies) assembleRoot(root pbft.Digest, lookup body.Lookup) *body.Content {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, _ := s.store.Assemble(root, lookup)
	return c
}

// check has a body asked for if it is missing.
func (s *bodies) check(c *pbft.Check, sources []quorum.Replica, now body.Instant) {
	if c.Header.Count == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.store.Check(c.View, c.Header.Seq, c.Header.Body, sources, now)
}

// due returns what is to be asked for now, and when to look again, which is false when
// nothing is missing.
func (s *bodies) due(now body.Instant, busy bool) (asks []body.Ask, next body.Instant, missing bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	asks = s.store.Due(now, busy)
	next, missing = s.store.Deadline()
	return asks, next, missing
}

// pin retains the body of a block that was found valid in a view.
func (s *bodies) pin(view uint64, h *pbft.Header, c *body.Content) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.store.Pin(view, h.Seq, c)
}

// recorded retains the body that a record of the log is about. Records of other epochs
// bind nobody any more.
func (s *bodies) recorded(rec pbft.Record) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch rec := rec.(type) {
	case pbft.AcceptedRecord:
		if h := &rec.Header; h.Count > 0 && h.Epoch == s.epoch {
			s.store.Accepted(rec.View, h.Seq, h.Body)
		}
	case pbft.PreparedRecord:
		if h := &rec.Lock.Header; h.Count > 0 && h.Epoch == s.epoch {
			s.store.Locked(rec.Lock.Cert.View, h.Seq, h.Body)
		}
	default:
	}
}

// allow reports whether a validator's question is answered now.
func (s *bodies) allow(from sig.PublicKey, now body.Instant) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.answers.Allow(from, now)
}

// charge notes how large an answer was.
func (s *bodies) charge(to sig.PublicKey, bytes int, now body.Instant) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answers.Charge(to, bytes, now)
}

// lookup returns transactions that wait in the pool.
func (l *Ledger) lookup(ids []tx.ID) (found []*tx.Transaction, missing int) {
	found, count := l.pool.lookup(ids)
	return found, len(ids) - count
}
