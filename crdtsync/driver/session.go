package driver

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/decube/decube/crdtsync/bundle"
	"github.com/decube/decube/crdtsync/crdt"
	"github.com/decube/decube/crdtsync/digest"
	"github.com/decube/decube/crdtsync/replica"
	"github.com/decube/decube/internal/capability"
	"github.com/decube/decube/internal/sig"
)

const (
	// mostAsks is how many questions a session has. What it did not come to is for the next one.
	mostAsks = 4096
	// mostLacks is how much is known to be lacking before it is asked for, and no more looked for.
	mostLacks = 8192
	// mostIdle is how many questions for what is lacking may bring nothing, one after the other.
	mostIdle = 256
	// back is how many bundles before the head are asked for where that is another one than this
	// peer's, and how many before these if they are others too.
	back = 64
	// passedOn is how old what was asked for may be for it to be told to all.
	passedOn = 30 * time.Second
)

// ErrPromise is returned for a peer that does not give what it has said that it holds.
var ErrPromise = errors.New("a peer does not give what it says that it holds")

// Session is this peer asking another one for all that it lacks. Use [Driver.Compare]. While it
// lasts the driver may be given other things.
type Session struct {
	d      *Driver
	branch []place // to be looked at, the next one last: however wide a tree is, few wait at a time
	lacks  []lack
	found  int  // keys and origins that lacks has had since it was empty
	asking bool // for what is lacking, until nothing is
	asked  Ask
	places []place // that the question is about
	asks   int
	idle   int  // questions that brought nothing, one after the other
	news   bool // something has come
	own    bool // the other one has said what it holds of this peer's own space
	differ bool // something differs
	lags   bool // something is missing that the other holds, and was refused
}

// place is a part of a tree.
type place struct {
	space  sig.PublicKey
	all    bool
	prefix digest.Prefix
}

// lack is what the other one has of a space.
type lack struct {
	space sig.PublicKey
	keys  []string      // of one kind
	from  bundle.Origin // without keys: bundles up to a head
	next  int64
	head  int64
	id    bundle.ID
}

// Compare returns a session with a peer.
func (d *Driver) Compare() *Session {
	return &Session{d: d, branch: []place{{all: true}}}
}

// InStep reports whether nothing was lacking, once the session has ended.
func (s *Session) InStep() bool { return !s.differ }

// Own reports whether the other one has told what it holds of what this peer has written, once the
// session has ended.
func (s *Session) Own() bool { return s.own || !s.d.public() }

// Whole reports whether this peer has got all that it lacked, once the session has ended.
func (s *Session) Whole() bool { return !s.lags && s.asks < mostAsks }

// Brought reports whether something has come.
func (s *Session) Brought() bool { return s.news }

// Next returns the next question, and false at the end of the session. Its answer is for Told.
func (s *Session) Next() (Ask, bool) {
	if s.asks++; s.asks > mostAsks {
		return Ask{}, false
	}
	// Half of the questions are for what was found, however much there is still to be looked at: so
	// each session brings something.
	switch {
	case len(s.lacks) == 0:
		s.asking, s.found = false, 0
	case !s.asking && (len(s.branch) == 0 || s.found >= mostLacks || s.asks > mostAsks/2):
		s.asking = true
		slices.SortStableFunc(s.lacks, func(a, b lack) int { return int(a.kind()) - int(b.kind()) })
	}
	switch {
	case s.asking:
		l := s.lacks[0]
		s.asked, s.places = Ask{Space: l.space, Keys: l.keys}, nil
		if l.keys == nil {
			s.asked.Bundles = &Range{Origin: l.from, From: l.next}
		}
	case len(s.branch) > 0:
		next := s.branch[len(s.branch)-1]
		s.asked, s.places = Ask{Space: next.space, All: next.all}, nil
		for n := len(s.branch); n > 0 && len(s.places) < MostPrefixes && s.branch[n-1].space == next.space && s.branch[n-1].all == next.all; n-- {
			s.places = append(s.places, s.branch[n-1])
			s.asked.Prefixes = append(s.asked.Prefixes, s.branch[n-1].prefix)
			s.branch = s.branch[:n-1]
		}
	default:
		return Ask{}, false
	}
	return s.asked, true
}

// Told takes in the answer to the last question, at a time in nanoseconds since 1970. An error
// ends the session: ErrInvalid or ErrPromise, which no honest peer gives cause for, unless what
// it holds has changed since it said so.
func (s *Session) Told(now int64, a Answer) error {
	if s.asked.Prefixes != nil {
		if len(a.Branches) != len(s.places) {
			return fmt.Errorf("%w: %d branches, %d were asked for", ErrInvalid, len(a.Branches), len(s.places))
		}
		for i, b := range a.Branches {
			if err := s.looked(s.places[i], b); err != nil {
				return err
			}
		}
		return nil
	}
	l := s.lacks[0]
	s.lacks = s.lacks[1:]
	s.idle++
	var err error
	if l.keys != nil {
		err = s.stated(now, l, a.Items)
	} else {
		err = s.linked(now, l, a.Items)
	}
	if err == nil && s.idle > mostIdle {
		err = fmt.Errorf("%w: %d answers have brought nothing", ErrPromise, s.idle)
	}
	return err
}

func (l *lack) kind() Kind {
	if l.keys != nil {
		return Kind(l.keys[0][0])
	}
	return KindBundle
}

// looked compares a branch with this peer's.
func (s *Session) looked(at place, b digest.Branch) error {
	tree := &s.d.all
	if !at.all {
		if tree = new(digest.Tree); s.d.spaces[at.space] != nil {
			tree = &s.d.spaces[at.space].tree
		}
	}
	if b.Hashes != nil {
		if len(b.Hashes) != digest.Fan || len(at.prefix) == digest.MaxDepth {
			return fmt.Errorf("%w: a branch of %d hashes", ErrInvalid, len(b.Hashes))
		}
		for i, h := range b.Hashes {
			p := at.prefix + digest.Prefix([]byte{byte(i)})
			switch {
			case h == (digest.Hash{}):
			case h != tree.At(p):
				s.branch = append(s.branch, place{at.space, at.all, p})
			case at.all && strings.HasPrefix(string(s.d.place), string(p)):
				s.own = true // of all that is there it holds the same
			}
		}
		return nil
	}
	if len(b.Entries) > digest.Few {
		return fmt.Errorf("%w: a branch of %d entries", ErrInvalid, len(b.Entries))
	}
	for _, e := range b.Entries {
		s.own = s.own || at.all && e.Key == string(s.d.self[:])
		if mine, ok := tree.Get(e.Key); ok && mine == e.Value {
			continue
		}
		if err := s.differs(at, e); err != nil {
			return err
		}
	}
	return nil
}

// differs has what is behind an entry be asked for.
func (s *Session) differs(at place, e digest.Entry) error {
	if at.all {
		var key sig.PublicKey
		if len(e.Key) != len(key) {
			return fmt.Errorf("%w: a space of %d bytes", ErrInvalid, len(e.Key))
		}
		copy(key[:], e.Key)
		if s.d.wants(key) {
			s.branch = append(s.branch, place{space: key})
		}
		return nil
	}
	if o, ok := originOf(e.Key); ok {
		sequence, id, ok := headOf(e.Value)
		if !ok {
			return fmt.Errorf("%w: a head of %d bytes", ErrInvalid, len(e.Value))
		}
		next := int64(0)
		if held := s.d.spaces[at.space]; held != nil {
			next = held.replica.Next(o)
			if mine := held.replica.Head(o); mine != nil && mine.Sequence > sequence {
				if b := held.replica.State().Bundle(o, sequence); b.ID() == id {
					return nil // the other one is behind
				}
			}
		}
		if next > sequence { // it is another one than is held in its place
			next = max(0, sequence-back)
		}
		s.differ = true
		s.found++
		s.lacks = append(s.lacks, lack{space: at.space, from: o, next: next, head: sequence, id: id})
		return nil
	}
	if !s.asksFor(at.space, e) {
		return nil
	}
	s.differ = true
	s.found++
	kind := Kind(e.Key[0])
	for i := len(s.lacks) - 1; i >= 0 && s.lacks[i].space == at.space; i-- {
		if l := &s.lacks[i]; l.keys != nil && l.kind() == kind && len(l.keys) < MostKeys {
			l.keys = append(l.keys, e.Key)
			return nil
		}
	}
	s.lacks = append(s.lacks, lack{space: at.space, keys: []string{e.Key}})
	return nil
}

// asksFor reports whether a statement or a fault of another one is news to this peer.
func (s *Session) asksFor(space sig.PublicKey, e digest.Entry) bool {
	if w, c, ok := subjectOf(e.Key); ok {
		from, ok := cutOf(e.Value)
		if held := s.d.spaces[space]; ok && held != nil {
			if mine, cut := held.replica.Faults().From(w, c); cut && mine.Compare(from) <= 0 {
				return false
			}
		}
		return ok
	}
	return len(e.Key) == statementKey && (Kind(e.Key[0]) == KindCapability || Kind(e.Key[0]) == KindRevocation)
}

// stated takes in statements and faults. Those that lack one that comes later are tried again.
func (s *Session) stated(now int64, l lack, items []Item) error {
	if len(items) == 0 {
		return fmt.Errorf("%w: %d statements", ErrPromise, len(l.keys))
	}
	if len(items) < len(l.keys) { // the answer was full; what is still lacking is asked for again
		given := map[string]bool{}
		for _, i := range items {
			given[keyOf(i)] = true
		}
		if rest := slices.DeleteFunc(slices.Clone(l.keys), func(k string) bool { return given[k] }); len(rest) < len(l.keys) {
			s.lacks = append([]lack{{space: l.space, keys: rest}}, s.lacks...)
		}
	}
	for waiting := items; len(waiting) > 0; {
		var later []Item
		for _, i := range waiting {
			if !slices.Contains(l.keys, keyOf(i)) && i.Fault == nil {
				return fmt.Errorf("%w: what was not asked for", ErrInvalid)
			}
			news, err := s.d.Take(now, i)
			switch {
			case news:
				s.pass(now, i)
			case errors.Is(err, capability.ErrUnknown):
				later = append(later, i)
			case errors.Is(err, ErrInvalid):
				return err
			case err != nil:
				s.lags = true
			}
		}
		if len(later) == len(waiting) {
			s.lags = true
			return nil
		}
		waiting = later
	}
	return nil
}

// linked takes in bundles of an origin, and asks for more where there are.
func (s *Session) linked(now int64, l lack, items []Item) error {
	if len(items) == 0 {
		return fmt.Errorf("%w: bundle %d of %v", ErrPromise, l.next, l.from)
	}
	first := s.held(l, l.next)
	for n, i := range items {
		if i.Bundle == nil || i.Bundle.Origin != l.from || i.Bundle.Sequence != l.next+int64(n) {
			return fmt.Errorf("%w: what was not asked for", ErrInvalid)
		}
		news, err := s.d.Take(now, i)
		switch {
		case news:
			s.pass(now, i)
		case errors.Is(err, ErrInvalid):
			return err
		case errors.Is(err, replica.ErrGap) && n == 0 && l.next > 0:
			// It follows another one than is held: they differ before.
			s.lacks = append([]lack{{space: l.space, from: l.from, next: max(0, l.next-back), head: l.head, id: l.id}}, s.lacks...)
			return nil
		case err != nil:
			s.lags = s.lags || !errors.Is(err, replica.ErrCut)
			return nil
		}
	}
	switch {
	case first != nil && first.ID() != items[0].Bundle.ID() && l.next > 0:
		l.next = max(0, l.next-back) // there is a fork here, which begins before
	case l.next+int64(len(items)) <= l.head:
		l.next += int64(len(items))
	default:
		return nil
	}
	s.lacks = append([]lack{l}, s.lacks...)
	return nil
}

// pass has what was asked for be told to all if it is new: it was published a moment ago, and has
// not come here, so that those to whom it would have come from here lack it too. Who has it
// already does not pass it on.
func (s *Session) pass(now int64, i Item) {
	at := int64(0)
	switch i.Kind() {
	case KindCapability:
		at = crdt.Milli(i.Capability.NotBefore).Wall
	case KindBundle:
		at = i.Bundle.Time.Wall
	case KindRevocation, KindFault: // faults are told of in any case
		at = now - int64(passedOn)
	}
	s.news, s.idle = true, 0
	if now-at < int64(passedOn) {
		s.d.effects.Publish = append(s.d.effects.Publish, i)
	}
}

// held returns the bundle that this peer holds at a place, or nil.
func (s *Session) held(l lack, sequence int64) *bundle.Bundle {
	if sp := s.d.spaces[l.space]; sp != nil {
		return sp.replica.State().Bundle(l.from, sequence)
	}
	return nil
}

// wants reports whether something of a space is taken in.
func (d *Driver) wants(key sig.PublicKey) bool {
	return key.IsZero() != d.public() && !d.evicted[key]
}
