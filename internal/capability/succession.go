package capability

import (
	"fmt"
	"slices"

	"github.com/decube/decube/internal/sig"
)

// Succession is the versions of a swarm's document that follow one which this peer trusts,
// because it was given it: version 0, or the one of a ticket.
//
// Where two versions follow one, neither counts, nor does what follows them: roots who sign
// both have lost their keys, or their heads, and each peer would believe what it saw first.
// The version before is in force then. People end that by agreeing on a version and trusting
// it; what its forebears signed beside it does not matter any more.
type Succession struct {
	verify   Verifier
	swarm    ID
	versions []*Version // the first is trusted
	fork     *Version   // the other version of the lowest number of which there are two
}

// NewSuccession returns the succession that begins with a trusted document, of the swarm that
// has that ID. It returns ErrInvalid for one that is not valid, or version 0 of another swarm.
func NewSuccession(swarm ID, trusted *Document, verify Verifier) (*Succession, error) {
	if err := trusted.Validate(); err != nil {
		return nil, err
	}
	if id := trusted.ID(); trusted.Number == 0 && id != swarm {
		return nil, fmt.Errorf("%w: %q makes the swarm %v, not %v", ErrInvalid, trusted.Name, id, swarm)
	}
	return &Succession{verify: verify, swarm: swarm, versions: []*Version{{Document: *trusted}}}, nil
}

// NewUnowned returns the succession of the public swarm of a name that nobody owns; see [Unowned].
func NewUnowned(name string, verify Verifier) (*Succession, error) {
	doc := Unowned(name)
	return NewSuccession(doc.ID(), doc, verify)
}

// Swarm returns the ID of the swarm.
func (s *Succession) Swarm() ID { return s.swarm }

// at returns the version of a number, which is one of those that are held.
func (s *Succession) at(number int64) *Version {
	return s.versions[number-s.versions[0].Document.Number]
}

// last returns the number of the last version in force.
func (s *Succession) last() int64 {
	if s.fork != nil {
		return s.fork.Document.Number - 1
	}
	return s.versions[0].Document.Number + int64(len(s.versions)) - 1
}

// Current returns the document in force, which must not be changed.
func (s *Succession) Current() *Document { return &s.at(s.last()).Document }

// root reports whether a key is a root of any version that is held, whichever is in force.
func (s *Succession) root(key sig.PublicKey) bool { return isRoot(s.versions, key) }

// wasRoot reports whether a key is a root of the version in force or was of one before it.
func (s *Succession) wasRoot(key sig.PublicKey) bool {
	return isRoot(s.versions[:s.last()-s.versions[0].Document.Number+1], key)
}

func isRoot(versions []*Version, key sig.PublicKey) bool {
	return slices.ContainsFunc(versions, func(v *Version) bool { return slices.Contains(v.Document.Roots, key) })
}

// Conflict returns two versions that follow the current one, or nil and nil.
func (s *Succession) Conflict() (a, b *Version) {
	if s.fork == nil {
		return nil, nil
	}
	return s.at(s.last() + 1), s.fork
}

// Add takes in a version, and reports whether that changed which is in force, or has shown a
// conflict. It returns ErrInvalid for a version that follows none of those in force.
func (s *Succession) Add(v *Version) (bool, error) {
	n, first := v.Document.Number, s.versions[0].Document.Number
	if n <= first {
		return false, nil // before what is trusted, or instead of it
	}
	if n > s.last()+1 {
		return false, fmt.Errorf("%w: version %d of %q follows none in force, the last of which is %d", ErrInvalid, n, v.Document.Name, s.last())
	}
	known := n <= first+int64(len(s.versions))-1
	if known && v.Document.ID() == s.at(n).Document.ID() {
		return false, nil
	}
	if err := v.Follows(&s.at(n-1).Document, s.verify); err != nil {
		return false, err
	}
	switch {
	case !known:
		s.versions = append(s.versions, v)
	case s.fork != nil && s.fork.Document.Number == n:
		return false, nil // a third one, or the second once more
	default:
		s.fork, s.versions = v, s.versions[:n-first+1]
	}
	return true, nil
}
