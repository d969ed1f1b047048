package body

import (
	"fmt"

	"github.com/decube/decube/ledger/pbft"
)

// Limits bound what a store retains.
type Limits struct {
	// Window is how many blocks may be in flight above the last committed one. Places
	// exist for twice as many, because others may be ahead by a window.
	Window uint64
	// BodyBytes is the most that one content may be charged with: see [SizeLimit].
	BodyBytes int
}

// Store holds the bodies of blocks in flight. It is for one caller at a time.
type Store struct {
	limits Limits
	view   uint64
	base   uint64 // the last committed block: places lie above it
	slots  map[uint64]*slot
	bodies map[pbft.Digest]*retained

	bytes   int // of all contents
	offered int // of those that only a leader vouches for: no strong place names them
}

// slot has the places of one sequence number.
type slot struct {
	present  place // of the present view
	accepted place // the newest accepted record's
	locked   place
	want     *want // nil unless a Check waits for the present body
}

// place names a root, or none.
type place struct {
	named  bool
	strong bool   // this replica has found the block valid, or has voted for it
	view   uint64 // of the record, for a place that a record names
	root   pbft.Digest
}

// retained is a root that places name, with its content as far as it is here.
type retained struct {
	weak, strong int // places
	content      *Content
}

// New returns an empty store for what follows the genesis block, in view 0.
func New(l Limits) *Store {
	if l.Window < 1 || l.Window > pbft.MaxWindow || l.BodyBytes < 1 {
		panic(fmt.Sprintf("body: limits out of bounds: %+v", l))
	}
	return &Store{limits: l, slots: map[uint64]*slot{}, bodies: map[pbft.Digest]*retained{}}
}

// Reset forgets everything: what follows is the first view of an epoch that begins
// above base.
func (s *Store) Reset(base uint64) {
	*s = Store{limits: s.limits, base: base, slots: map[uint64]*slot{}, bodies: map[pbft.Digest]*retained{}}
}

// SetBodyBytes says that the ledger's parameters have changed. What only leaders vouch
// for and is larger from now on is dropped.
func (s *Store) SetBodyBytes(n int) {
	s.limits.BodyBytes = max(1, n)
	for seq := s.base + 1; seq <= s.horizon(); seq++ {
		if at := s.slots[seq]; at != nil && at.present.named {
			s.cap(s.bodies[at.present.root])
		}
	}
	s.makeRoom()
}

// Enter says how far the core is: places of numbers up to base are given up, and those
// of the view before when the view is another one. What was accepted and locked stays
// with its numbers. The caller has made durable by then what it owes to the old view.
func (s *Store) Enter(view, base uint64) {
	if base > s.base {
		for seq := s.base + 1; seq <= min(base, s.horizon()); seq++ {
			s.forget(seq)
		}
		s.base = base
	}
	if view != s.view {
		s.view = view
		for seq := s.base + 1; seq <= s.horizon(); seq++ {
			if at := s.slots[seq]; at != nil {
				s.assign(&at.present, place{})
				at.want = nil
				s.tidy(seq)
			}
		}
	}
	// The window has moved: fewer of the slots beyond it have to give way.
	s.makeRoom()
}

// horizon is the highest sequence number that has places.
func (s *Store) horizon() uint64 { return s.base + 2*s.limits.Window }

// inPlay reports whether a sequence number has places.
func (s *Store) inPlay(seq uint64) bool { return seq > s.base && seq <= s.horizon() }

// Admits reports whether Propose would find a use for a content with this root, which
// the caller may want to know before it verifies a body's signatures.
func (s *Store) Admits(view, seq uint64, root pbft.Digest) bool {
	if b := s.bodies[root]; b != nil {
		return !b.content.Whole()
	}
	if view != s.view || !s.inPlay(seq) {
		return false
	}
	at := s.slots[seq]
	return at == nil || !at.present.named
}

// Fits reports whether a content is as small as that of a block must be.
func (s *Store) Fits(c *Content) bool { return c.Size() <= s.limits.BodyBytes }

// Propose hands in what came with the proposal of a view's leader, and reports whether
// it is retained. The first proposal for a slot of the present view names the slot's
// body; any other is retained only if its root is referred to already.
func (s *Store) Propose(view, seq uint64, c *Content) bool {
	if view == s.view && s.inPlay(seq) && s.Fits(c) {
		if at := s.slot(seq); !at.present.named {
			s.assign(&at.present, place{named: true, root: c.root})
		}
	}
	return s.Supply(c)
}

// Supply hands in a content, whoever it came from, and reports whether it is retained:
// its root is referred to, and it adds to what is held. A larger one than a block may
// have is not.
func (s *Store) Supply(c *Content) bool {
	b := s.bodies[c.root]
	if b == nil || b.content.Whole() || (b.content != nil && !c.Whole()) || !s.Fits(c) {
		return false
	}
	s.fill(b, c)
	s.makeRoom()
	return b.content == c
}

// Lacks reports whether a root is referred to and its transactions are missing.
func (s *Store) Lacks(root pbft.Digest) bool {
	b := s.bodies[root]
	return b != nil && !b.content.Whole()
}

// Get returns the content with a root as far as it is here, and nil when nothing of it
// is.
func (s *Store) Get(root pbft.Digest) *Content {
	if b := s.bodies[root]; b != nil {
		return b.content
	}
	return nil
}

// Assemble returns the whole content with a root, which it puts together if only the
// IDs are here and all transactions are at hand. Otherwise it returns nil and how many
// transactions are missing, -1 when the IDs are not known either.
func (s *Store) Assemble(root pbft.Digest, lookup Lookup) (c *Content, missing int) {
	known := s.Get(root)
	if known == nil {
		return nil, -1
	}
	if known.Whole() {
		return known, 0
	}
	if c, missing = known.assemble(lookup); c == nil || !s.Supply(c) {
		return nil, missing
	}
	return c, 0
}

// Pin says that a block of the present view was found valid: its body is retained until
// its number is committed or another view has begun, whatever a leader offers. It
// reports false, and does nothing, when either has happened already: nobody will ask
// for the body on the strength of the verdict then.
//
// The content's size is not looked at: what is valid is within the parameters after its
// parent, which may be wider than those that the store knows of.
func (s *Store) Pin(view, seq uint64, c *Content) bool {
	if view != s.view || !s.inPlay(seq) {
		return false
	}
	at := s.slot(seq)
	s.assign(&at.present, place{named: true, strong: true, root: c.root})
	at.want = nil
	if b := s.bodies[c.root]; !b.content.Whole() {
		s.fill(b, c)
	}
	s.makeRoom()
	return true
}

// Accepted says that this replica has accepted a block in a view, or has found a record
// of it. The record of a later view takes the number's place, in whichever order they
// are found.
func (s *Store) Accepted(view, seq uint64, root pbft.Digest) {
	if s.inPlay(seq) {
		s.record(&s.slot(seq).accepted, view, root)
	}
}

// Locked is [Store.Accepted] for the block that this replica is locked on, by the view
// of the lock.
func (s *Store) Locked(view, seq uint64, root pbft.Digest) {
	if s.inPlay(seq) {
		s.record(&s.slot(seq).locked, view, root)
	}
}

// Stats is what a store holds.
type Stats struct {
	Bodies  int // roots that are referred to
	Bytes   int // that all contents are charged with
	Offered int // of these, what only leaders vouch for: at most Window times BodyBytes
}

// Stats returns what the store holds.
func (s *Store) Stats() Stats {
	return Stats{Bodies: len(s.bodies), Bytes: s.bytes, Offered: s.offered}
}
