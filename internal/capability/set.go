package capability

import (
	"errors"
	"fmt"
	"slices"

	"github.com/decube/decube/internal/sig"
)

var (
	// ErrUnknown is returned where a statement is needed that the set does not hold: the
	// caller may ask others for it.
	ErrUnknown = errors.New("unknown capability")
	// ErrDenied is returned for what no capability allows. The message names the link of
	// the chain and the rule.
	ErrDenied = errors.New("not allowed")
	// ErrFull is returned for statements of whom the set holds as many as it may.
	ErrFull = errors.New("too many statements")
)

// Limits bound a set. The zero value holds nothing.
type Limits struct {
	// Children is how many capabilities there may be below one, and of one root. Of more those
	// with the lowest IDs count, whichever came first.
	Children int
	// Bytes bounds all statements, as they are encoded. Those of roots go beyond: whoever has
	// their keys has the swarm.
	Bytes int64
}

// DefaultLimits are those of a swarm of some ten thousand members.
var DefaultLimits = Limits{Children: 4096, Bytes: 64 << 20}

// perRevoker is how many revocations of one capability are held of a revoker: one, and another
// one that shows that the revoker has said two things. Heads of neither count then.
const perRevoker = 2

// Set holds the statements of one swarm that are known, each of them signed by who it says and
// below one that is held. In a public swarm there is one for what begins at the roots, and one
// for each space, so that strangers fill none but their own.
//
// As long as Limits.Bytes is not reached, what a set says is a function of the statements that
// it was given, once each was given again after what it was refused for had come.
type Set struct {
	document *Succession
	space    sig.PublicKey // zero for what begins at the roots
	limits   Limits
	verify   Verifier
	bytes    int64

	revocations int // that are held
	held        map[ID]*Capability
	children    map[parent][]ID      // ascending
	revoked     map[ID][]*Revocation // by the capability, in order of their IDs
}

// parent is what the capabilities of a list are below: one, or a key that chains begin at.
type parent struct {
	capability ID
	key        sig.PublicKey
}

// NewSet returns a set without capabilities of what begins at the roots of a document.
func NewSet(doc *Succession, l Limits, v Verifier) *Set {
	return &Set{
		document: doc, limits: l, verify: v,
		held: map[ID]*Capability{}, children: map[parent][]ID{}, revoked: map[ID][]*Revocation{},
	}
}

// NewSpace returns a set without capabilities of what begins at a key in its space, and
// ErrDenied in a private swarm, which has no spaces.
func NewSpace(doc *Succession, key sig.PublicKey, l Limits, v Verifier) (*Set, error) {
	if !doc.Current().Public {
		return nil, fmt.Errorf("%w: %q is private, and has no space of %v", ErrDenied, doc.Current().Name, key)
	}
	if err := key.Check(); err != nil {
		return nil, fmt.Errorf("%w: space: %w", ErrInvalid, err)
	}
	s := NewSet(doc, l, v)
	s.space = key
	return s, nil
}

// Document returns the versions of the swarm's document that the set goes by.
func (s *Set) Document() *Succession { return s.document }

// Revoked is the error of a chain of which a link was revoked.
type Revoked struct {
	Link    *Capability
	Revoker sig.PublicKey
	// Heads are up to where what was written under the chain counts, by all revocations of
	// its links.
	Heads []Head
}

// Error names the link and who has revoked it.
func (r *Revoked) Error() string {
	return fmt.Sprintf("the capability of %v was revoked by %v", r.Link.Audience, r.Revoker)
}

// Unwrap returns ErrDenied.
func (r *Revoked) Unwrap() error { return ErrDenied }

// Add takes in a valid capability, and reports whether it is news. It returns ErrUnknown as
// long as the one above it is not held, ErrDenied for one that grants more than that, or that
// begins where nothing does, ErrInvalid for one of another swarm or not signed by its issuer,
// and ErrFull.
func (s *Set) Add(c *Capability) (bool, error) {
	id := c.ID()
	switch {
	case s.held[id] != nil:
		return false, nil
	case c.Swarm != s.document.Swarm():
		return false, fmt.Errorf("%w: a capability of the swarm %v, this is %v", ErrInvalid, c.Swarm, s.document.Swarm())
	}
	above := parent{capability: c.Parent}
	if c.Parent.IsZero() {
		above.key = c.Issuer
		if err := c.begins(s.space, s.document.root(c.Issuer)); err != nil {
			return false, fmt.Errorf("%w: %w", ErrDenied, err)
		}
	} else if of := s.held[c.Parent]; of == nil {
		return false, fmt.Errorf("%w: %v", ErrUnknown, c.Parent)
	} else if err := c.below(of); err != nil {
		return false, fmt.Errorf("%w: %w", ErrDenied, err)
	}
	siblings := s.children[above]
	if n := len(siblings); n >= s.limits.Children && (n == 0 || siblings[n-1].compare(id) < 0) {
		return false, fmt.Errorf("%w: %d capabilities of %v, and their IDs are lower", ErrFull, n, c.Issuer)
	}
	if !s.spares(c.Issuer, len(c.Encode())) {
		return false, fmt.Errorf("%w: %d bytes", ErrFull, s.bytes)
	}
	if !c.Verify(s.verify) {
		return false, fmt.Errorf("%w: the signature of %v does not verify", ErrInvalid, c.Issuer)
	}
	s.bytes += int64(len(c.Encode()))
	s.held[id] = c
	at, _ := slices.BinarySearchFunc(siblings, id, ID.compare)
	s.children[above] = slices.Insert(siblings, at, id)
	if n := len(s.children[above]); n > s.limits.Children {
		s.drop(s.children[above][n-1])
	}
	return true, nil
}

// spares reports whether there is room for n bytes of a statement.
func (s *Set) spares(by sig.PublicKey, n int) bool {
	return s.bytes+int64(n) <= s.limits.Bytes || slices.Contains(s.document.Current().Roots, by)
}

// drop forgets a capability and all below it.
func (s *Set) drop(id ID) {
	c := s.held[id]
	for _, child := range slices.Clone(s.children[parent{capability: id}]) {
		s.drop(child)
	}
	above := parent{capability: c.Parent}
	if c.Parent.IsZero() {
		above.key = c.Issuer
	}
	at, _ := slices.BinarySearchFunc(s.children[above], id, ID.compare)
	if s.children[above] = slices.Delete(s.children[above], at, at+1); len(s.children[above]) == 0 {
		delete(s.children, above)
	}
	for _, r := range s.revoked[id] {
		s.bytes -= int64(len(r.Encode()))
	}
	s.revocations -= len(s.revoked[id])
	delete(s.revoked, id)
	delete(s.held, id)
	s.bytes -= int64(len(c.Encode()))
}

// Revoke takes in a valid revocation, and reports whether it is news. It returns ErrUnknown
// as long as the capability is not held, ErrDenied for one that is not the revoker's to make,
// ErrInvalid for one of another swarm or not signed by its revoker, and ErrFull.
func (s *Set) Revoke(r *Revocation) (bool, error) {
	if r.Swarm != s.document.Swarm() {
		return false, fmt.Errorf("%w: a revocation of the swarm %v, this is %v", ErrInvalid, r.Swarm, s.document.Swarm())
	}
	chain, err := s.chain(r.Capability)
	if err != nil {
		return false, err
	}
	if !entitled(chain, r.Revoker) && !s.document.root(r.Revoker) {
		return false, fmt.Errorf("%w: %v has not issued the capability of %v, nor one above it", ErrDenied, r.Revoker, chain[len(chain)-1].Audience)
	}
	id := r.ID()
	var his []*Revocation
	for _, o := range s.revoked[r.Capability] {
		if o.ID() == id {
			return false, nil
		}
		if o.Revoker == r.Revoker {
			his = append(his, o)
		}
	}
	if len(his) == perRevoker && his[perRevoker-1].ID().compare(id) < 0 {
		return false, fmt.Errorf("%w: %d revocations of one capability by %v", ErrFull, len(his), r.Revoker)
	}
	if len(r.Heads) > 0 && !s.spares(r.Revoker, len(r.Encode())) { // without any it is short, and says most
		return false, fmt.Errorf("%w: %d bytes", ErrFull, s.bytes)
	}
	if !r.Verify(s.verify) {
		return false, fmt.Errorf("%w: the signature of %v does not verify", ErrInvalid, r.Revoker)
	}
	if len(his) == perRevoker {
		last := his[perRevoker-1]
		s.revoked[r.Capability] = slices.DeleteFunc(s.revoked[r.Capability], func(o *Revocation) bool { return o == last })
		s.bytes -= int64(len(last.Encode()))
		s.revocations--
	}
	s.revocations++
	s.bytes += int64(len(r.Encode()))
	at, _ := slices.BinarySearchFunc(s.revoked[r.Capability], id, func(o *Revocation, id ID) int { return o.ID().compare(id) })
	s.revoked[r.Capability] = slices.Insert(s.revoked[r.Capability], at, r)
	return true, nil
}

// entitled reports whether a key has issued the last capability of a chain, or one above it,
// or is its audience.
func entitled(chain []*Capability, key sig.PublicKey) bool {
	return chain[len(chain)-1].Audience == key || slices.ContainsFunc(chain, func(c *Capability) bool { return c.Issuer == key })
}

// Get returns a capability that is held, or nil. It must not be changed.
func (s *Set) Get(id ID) *Capability { return s.held[id] }

// Below reports whether a capability that is held is another one, or below it.
func (s *Set) Below(id, above ID) bool {
	for c := s.held[id]; c != nil; c = s.held[c.Parent] {
		if c.ID() == above {
			return true
		}
	}
	return false
}

// Revocations returns those of a capability that are held, in order of their IDs. They must not
// be changed.
func (s *Set) Revocations(of ID) []*Revocation { return s.revoked[of] }

// Statements returns how many capabilities and revocations are held.
func (s *Set) Statements() int { return len(s.held) + s.revocations }

// Len returns how many capabilities are held.
func (s *Set) Len() int { return len(s.held) }

// chain returns the capabilities from one that has no parent down to that of an ID, or
// ErrUnknown. What is above one that is held is held.
func (s *Set) chain(id ID) ([]*Capability, error) {
	if s.held[id] == nil {
		return nil, fmt.Errorf("%w: %v", ErrUnknown, id)
	}
	var chain []*Capability
	for ; !id.IsZero(); id = chain[len(chain)-1].Parent {
		chain = append(chain, s.held[id])
	}
	slices.Reverse(chain)
	return chain, nil
}

// Check returns the capability of an ID if it allows a verb at a path, which is empty for
// verbs without one, at an instant in Unix milliseconds that may be off by a grace. It
// returns ErrUnknown where it is not held, *Revoked where a link is revoked and nothing else
// is wrong, and ErrDenied otherwise. A chain that begins at a root which is none any more, in
// the document in force, allows nothing; what such a root has revoked stays revoked.
func (s *Set) Check(id ID, verb Verbs, path string, at, grace int64) (*Capability, error) {
	chain, err := s.chain(id)
	if err != nil {
		return nil, err
	}
	if err := s.founded(chain); err != nil {
		return nil, err
	}
	for i, c := range chain {
		switch {
		case at < c.NotBefore-grace:
			return nil, denied(chain, i, "it is valid from %d on, and it is %d", c.NotBefore, at)
		case at >= c.Expires+grace:
			return nil, denied(chain, i, "it has expired at %d, and it is %d", c.Expires, at)
		}
	}
	last := len(chain) - 1
	if !chain[last].Allows(verb, path) {
		return nil, denied(chain, last, "%s of %q is not granted", verb, path)
	}
	if r := s.revocation(chain); r != nil {
		return nil, r
	}
	return chain[last], nil
}

// Standing returns the capability of an ID for who judges by other times than the present:
// its times are within those of all links, and what was written under it after it was
// revoked is to be judged by the heads, nil where no link is revoked. It returns ErrUnknown
// where it is not held, and ErrDenied where it is not the key's, or where its chain begins at
// a root which is none any more.
func (s *Set) Standing(id ID, audience sig.PublicKey) (*Capability, *Revoked, error) {
	chain, err := s.chain(id)
	if err != nil {
		return nil, nil, err
	}
	if err := s.founded(chain); err != nil {
		return nil, nil, err
	}
	leaf := chain[len(chain)-1]
	if leaf.Audience != audience {
		return nil, nil, fmt.Errorf("%w: the capability %v is of %v, not of %v", ErrDenied, id, leaf.Audience, audience)
	}
	return leaf, s.revocation(chain), nil
}

// founded returns ErrDenied unless a chain begins where one may, by the document in force.
func (s *Set) founded(chain []*Capability) error {
	if err := chain[0].begins(s.space, slices.Contains(s.document.Current().Roots, chain[0].Issuer)); err != nil {
		return denied(chain, 0, "%w", err)
	}
	return nil
}

// denied returns ErrDenied for a link of a chain.
func denied(chain []*Capability, link int, format string, args ...any) error {
	return fmt.Errorf("%w: link %d of %d, for %v: %w", ErrDenied, link+1, len(chain), chain[link].Audience, fmt.Errorf(format, args...))
}

// revocation returns what all revocations of a chain's links say together, or nil: of each
// origin the lowest head that all of them have, and none where a revoker has said two things.
func (s *Set) revocation(chain []*Capability) *Revoked {
	var all *Revoked
	for i, c := range chain {
		said := map[sig.PublicKey]bool{}
		for _, r := range s.revoked[c.ID()] {
			if !entitled(chain[:i+1], r.Revoker) && !s.document.wasRoot(r.Revoker) {
				continue // it is a root's of a version that does not count
			}
			switch {
			case all == nil:
				all = &Revoked{Link: c, Revoker: r.Revoker, Heads: slices.Clone(r.Heads)}
			case said[r.Revoker]:
				all.Heads = nil
			default:
				all.Heads = lowest(all.Heads, r.Heads)
			}
			said[r.Revoker] = true
		}
	}
	return all
}
