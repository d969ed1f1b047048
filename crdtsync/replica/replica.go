package replica

import (
	"errors"
	"fmt"

	"github.com/decube/decube/crdtsync/bundle"
	"github.com/decube/decube/crdtsync/counting"
	"github.com/decube/decube/crdtsync/fault"
	"github.com/decube/decube/crdtsync/fold"
	"github.com/decube/decube/internal/capability"
	"github.com/decube/decube/internal/sig"
)

var (
	// ErrInvalid is returned for what no replica takes: of another swarm, or not signed.
	ErrInvalid = errors.New("invalid bundle or fault")
	// ErrGap is returned for a bundle that does not follow what is held of its origin.
	ErrGap = errors.New("bundles before it are missing")
)

// Replica is a replica. Use [New]. It is not safe for concurrent use while it is changed.
type Replica struct {
	capabilities *capability.Set
	verify       capability.Verifier
	faults       fault.Set
	state        *fold.State
	origins      map[bundle.Origin]*origin
	accounts     map[holder]*account
}

// origin is the headers of an origin that are linked.
type origin []*bundle.Header

// Len implements counting.Chain.
func (o origin) Len() int64 { return int64(len(o)) }

// Header implements counting.Chain.
func (o origin) Header(sequence int64) *bundle.Header { return o[sequence] }

// holder is a writer under a capability: what a quota and a fault are of.
type holder struct {
	writer     sig.PublicKey
	capability capability.ID
}

// account is what a holder has signed that is linked.
type account struct {
	origins []bundle.Origin
	headers []*bundle.Header // of all of them
	charged int64            // by the last ones of all origins; cut to the most that there is
}

// New returns a replica without bundles of the swarm that a set of capabilities is of. The
// set is the caller's, who calls Judge after it has changed.
func New(c *capability.Set, v capability.Verifier) *Replica {
	r := &Replica{capabilities: c, verify: v, origins: map[bundle.Origin]*origin{}, accounts: map[holder]*account{}}
	r.state = fold.New(func(id capability.ID, path string) bool {
		held := c.Get(id)
		return held != nil && held.Allows(capability.Write, path)
	})
	return r
}

// State returns the documents. They must not be changed.
func (r *Replica) State() *fold.State { return r.state }

// Faults returns what was proved of writers: what others are to be told of. It must not be
// changed.
func (r *Replica) Faults() *fault.Set { return &r.faults }

// Heads returns the last header that is linked of each origin.
func (r *Replica) Heads() map[bundle.Origin]*bundle.Header {
	heads := make(map[bundle.Origin]*bundle.Header, len(r.origins))
	for o, chain := range r.origins {
		heads[o] = (*chain)[len(*chain)-1]
	}
	return heads
}

// Add takes in a bundle, and reports whether it is news. It returns ErrInvalid, ErrGap, or
// capability.ErrUnknown for one whose capability is not known yet. A bundle for a place where
// another one is held proves a fault, and is not kept; one that breaks the chain is kept, and
// does not count.
func (r *Replica) Add(b *bundle.Bundle) (bool, error) {
	chain := r.origins[b.Origin]
	var last *bundle.Header
	if chain != nil {
		if b.Sequence < chain.Len() && (*chain)[b.Sequence].ID() == b.ID() {
			return false, nil
		}
		last = (*chain)[chain.Len()-1]
	}
	switch {
	case b.Swarm != r.capabilities.Document().Swarm():
		return false, fmt.Errorf("%w: of the swarm %v", ErrInvalid, b.Swarm)
	case r.capabilities.Get(b.Capability) == nil:
		return false, fmt.Errorf("%w: %v", capability.ErrUnknown, b.Capability)
	case !r.verify.Verify(b.Item()):
		return false, fmt.Errorf("%w: the signature of %v does not verify", ErrInvalid, b.Writer)
	case last != nil && b.Sequence <= last.Sequence:
		f, err := fault.OfTwo((*chain)[b.Sequence], &b.Header)
		if err != nil {
			return false, fmt.Errorf("%w: %w", ErrInvalid, err)
		}
		return r.convict(f), nil
	case last == nil && b.Sequence > 0, last != nil && (b.Sequence > last.Sequence+1 || b.Previous != last.ID()):
		return false, fmt.Errorf("%w: %v %d", ErrGap, b.Origin, b.Sequence)
	}
	if _, err := r.state.Add(b); err != nil {
		return false, fmt.Errorf("%w: %w", ErrGap, err)
	}
	if chain == nil {
		chain = new(origin)
		r.origins[b.Origin] = chain
	}
	*chain = append(*chain, &b.Header)
	if last != nil {
		if f, err := fault.OfTwo(last, &b.Header); err == nil {
			r.convict(f)
		}
	}
	r.charge(last, &b.Header)
	r.count(b.Origin)
	return true, nil
}

// Convict takes in a fault that somebody else shows, and reports whether it is news. It
// returns ErrInvalid for one that is none, and capability.ErrUnknown for one that cannot be
// judged yet.
func (r *Replica) Convict(f *fault.Fault) (bool, error) {
	c := r.capabilities.Get(f.Headers[0].Capability)
	switch {
	case f.Headers[0].Swarm != r.capabilities.Document().Swarm():
		return false, fmt.Errorf("%w: of the swarm %v", ErrInvalid, f.Headers[0].Swarm)
	case c == nil && f.Kind == fault.Overdraft:
		return false, fmt.Errorf("%w: %v", capability.ErrUnknown, f.Headers[0].Capability)
	}
	if err := f.Verify(c, r.verify); err != nil {
		return false, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return r.convict(f), nil
}

// convict takes in a fault whose headers were verified.
func (r *Replica) convict(f *fault.Fault) bool {
	news := r.faults.Add(f)
	for _, cut := range news {
		if a := r.accounts[holder{cut.Writer, cut.Capability}]; a != nil {
			for _, o := range a.origins {
				r.count(o)
			}
		}
	}
	return len(news) > 0
}

// Judge has everything judged anew, after capabilities or revocations have come, or another
// version of the swarm's document.
func (r *Replica) Judge() {
	for o := range r.origins {
		r.count(o)
	}
}

// count has the documents follow from what counts of an origin.
func (r *Replica) count(o bundle.Origin) {
	rules := counting.Rules{Capabilities: r.capabilities, Faults: &r.faults}
	span, err := rules.Span(*r.origins[o])
	if err != nil {
		span = counting.Span{}
	}
	r.state.Count(o, span.From, span.To)
}

// charge counts what a header charges after the one before it in its origin, nil for none,
// and convicts a writer who has exceeded its quota at any time.
func (r *Replica) charge(last, h *bundle.Header) {
	of := holder{h.Writer, (*r.origins[h.Origin])[0].Capability}
	a := r.accounts[of]
	if a == nil {
		a = new(account)
		r.accounts[of] = a
	}
	before := int64(0)
	if last == nil {
		a.origins = append(a.origins, h.Origin)
	} else {
		before = last.Charge
	}
	if h.Capability != of.capability || h.Charge <= before {
		return // the chain is broken, and this does not count
	}
	a.headers = append(a.headers, h)
	const most = int64(1) << 62
	a.charged = min(most, a.charged+h.Charge-before)
	c := r.capabilities.Get(of.capability)
	if a.charged <= fault.Granted(c, h.Time) {
		return // then also later, when no less is granted; and before nothing has changed
	}
	if cut, ok := r.faults.From(of.writer, of.capability); ok && cut.Compare(h.Time) <= 0 {
		return // nor does it change what is before the cut
	}
	if f := fault.Audit(a.sound(), c); f != nil {
		r.convict(f)
	}
}

// sound returns the headers up to where the chains of their origins break.
func (a *account) sound() []*bundle.Header {
	last := map[bundle.Origin]*bundle.Header{}
	broken := map[bundle.Origin]bool{}
	var out []*bundle.Header
	for _, h := range a.headers { // in the order of each origin
		before := last[h.Origin]
		if before != nil && !broken[h.Origin] {
			_, err := fault.OfTwo(before, h)
			broken[h.Origin] = err == nil
		}
		last[h.Origin] = h
		if !broken[h.Origin] {
			out = append(out, h)
		}
	}
	return out
}
