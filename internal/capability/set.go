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
	PerIssuer int // capabilities of one issuer
	Total     int // capabilities
}

// DefaultLimits are those of a swarm of a few thousand members: 64 MiB at the most.
var DefaultLimits = Limits{PerIssuer: 4096, Total: 65536}

// perRevoker is how many revocations of one capability count of a revoker. A further one has
// to be the strongest there is, that without heads.
const perRevoker = 4

// Set holds the statements of one swarm that are known, each of them signed by who it says.
type Set struct {
	Document *Succession

	limits  Limits
	verify  Verifier
	held    map[ID]*Capability
	issued  map[sig.PublicKey]int
	revoked map[ID][]*Revocation // by the capability
}

// NewSet returns a set without capabilities.
func NewSet(doc *Succession, l Limits, v Verifier) *Set {
	return &Set{
		Document: doc, limits: l, verify: v,
		held: map[ID]*Capability{}, issued: map[sig.PublicKey]int{}, revoked: map[ID][]*Revocation{},
	}
}

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

// Add takes in a valid capability, and reports whether it is news. It returns ErrInvalid for
// one that is of another swarm or not signed by its issuer, and ErrFull. What it is worth is
// not looked at: what is above it may come later.
func (s *Set) Add(c *Capability) (bool, error) {
	id := c.ID()
	switch {
	case s.held[id] != nil:
		return false, nil
	case c.Swarm != s.Document.Swarm():
		return false, fmt.Errorf("%w: a capability of the swarm %v, this is %v", ErrInvalid, c.Swarm, s.Document.Swarm())
	case s.issued[c.Issuer] >= s.limits.PerIssuer || len(s.held) >= s.limits.Total:
		return false, fmt.Errorf("%w: %d capabilities of %v, %d in all", ErrFull, s.issued[c.Issuer], c.Issuer, len(s.held))
	case !c.Verify(s.verify):
		return false, fmt.Errorf("%w: the signature of %v does not verify", ErrInvalid, c.Issuer)
	}
	s.held[id] = c
	s.issued[c.Issuer]++
	return true, nil
}

// Revoke takes in a valid revocation, and reports whether it is news. It returns ErrUnknown
// as long as the capability, or one above it, is not held; ErrInvalid for one of another
// swarm or not signed by its revoker; ErrDenied for one that is not the revoker's to make,
// and ErrFull.
func (s *Set) Revoke(r *Revocation) (bool, error) {
	if r.Swarm != s.Document.Swarm() {
		return false, fmt.Errorf("%w: a revocation of the swarm %v, this is %v", ErrInvalid, r.Swarm, s.Document.Swarm())
	}
	chain, err := s.chain(r.Capability)
	if err != nil {
		return false, err
	}
	of := chain[len(chain)-1]
	above := slices.ContainsFunc(chain, func(c *Capability) bool { return c.Issuer == r.Revoker })
	if !above && r.Revoker != of.Audience && !slices.Contains(s.Document.Current().Roots, r.Revoker) {
		return false, fmt.Errorf("%w: %v has not issued the capability of %v, nor one above it", ErrDenied, r.Revoker, of.Audience)
	}
	id, his := r.ID(), 0
	for _, o := range s.revoked[r.Capability] {
		if o.ID() == id {
			return false, nil
		}
		if o.Revoker == r.Revoker {
			his++
		}
	}
	if his > perRevoker || his == perRevoker && len(r.Heads) > 0 {
		return false, fmt.Errorf("%w: %d revocations of one capability by %v", ErrFull, his, r.Revoker)
	}
	if !r.Verify(s.verify) {
		return false, fmt.Errorf("%w: the signature of %v does not verify", ErrInvalid, r.Revoker)
	}
	s.revoked[r.Capability] = append(s.revoked[r.Capability], r)
	return true, nil
}

// Get returns a capability that is held, or nil. It must not be changed.
func (s *Set) Get(id ID) *Capability { return s.held[id] }

// Len returns how many capabilities are held.
func (s *Set) Len() int { return len(s.held) }

// chain returns the capabilities from one that has no parent down to that of an ID.
func (s *Set) chain(id ID) ([]*Capability, error) {
	var chain []*Capability
	for !id.IsZero() {
		c := s.held[id]
		if c == nil {
			return nil, fmt.Errorf("%w: %v", ErrUnknown, id)
		}
		if len(chain) == MaxLinks {
			return nil, fmt.Errorf("%w: a chain of more than %d links", ErrDenied, MaxLinks)
		}
		chain = append(chain, c)
		id = c.Parent
	}
	slices.Reverse(chain)
	return chain, nil
}

// Check returns the capability of an ID if it allows a verb at a path, which is empty for
// verbs without one, at an instant in Unix milliseconds that may be off by a grace. It
// returns ErrUnknown where a link is not held, *Revoked where one is revoked and nothing
// else is wrong, and ErrDenied otherwise.
func (s *Set) Check(id ID, verb Verbs, path string, at, grace int64) (*Capability, error) {
	chain, err := s.chain(id)
	if err != nil {
		return nil, err
	}
	if len(chain) == 0 {
		return nil, fmt.Errorf("%w: no capability", ErrDenied)
	}
	denied := func(link int, format string, args ...any) error {
		return fmt.Errorf("%w: link %d of %d, for %v: %w", ErrDenied, link+1, len(chain), chain[link].Audience, fmt.Errorf(format, args...))
	}
	for i, c := range chain {
		var err error
		if i == 0 {
			err = c.rooted(s.Document.Current())
		} else {
			err = c.below(chain[i-1])
		}
		switch {
		case err != nil:
			return nil, denied(i, "%w", err)
		case at < c.NotBefore-grace:
			return nil, denied(i, "it is valid from %d on, and it is %d", c.NotBefore, at)
		case at >= c.Expires+grace:
			return nil, denied(i, "it has expired at %d, and it is %d", c.Expires, at)
		}
	}
	last := len(chain) - 1
	if !chain[last].Allows(verb, path) {
		return nil, denied(last, "%s of %q is not granted", verb, path)
	}
	if r := s.revocation(chain); r != nil {
		return nil, r
	}
	return chain[last], nil
}

// revocation returns what all revocations of a chain's links say together, or nil.
func (s *Set) revocation(chain []*Capability) *Revoked {
	var all *Revoked
	for _, c := range chain {
		for _, r := range s.revoked[c.ID()] {
			if all == nil {
				all = &Revoked{Link: c, Revoker: r.Revoker, Heads: slices.Clone(r.Heads)}
			} else {
				all.Heads = lowest(all.Heads, r.Heads)
			}
		}
	}
	return all
}
