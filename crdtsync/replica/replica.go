package replica

import (
	"errors"
	"fmt"
	"maps"
	"slices"

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
	// ErrCut is returned for a bundle that does not count, and of which nothing would: by a
	// fault of its writer, a revocation, or because its capability had expired or is another's.
	ErrCut = errors.New("it does not count")
)

// Replica is a replica. Use [New]. It is not safe for concurrent use while it is changed.
type Replica struct {
	capabilities *capability.Set
	verify       capability.Verifier
	// known are the capabilities that something is linked under, whether the set holds them still:
	// what a bundle writes is to be undone when it does not.
	known     map[capability.ID]*capability.Capability
	faults    fault.Set
	state     *fold.State
	origins   map[bundle.Origin]*origin
	accounts  map[holder]*account
	changed   map[bundle.Origin]bool // heads since Changed was called
	convicted []*fault.Fault         // since Convicted was called
}

// origin is what is linked of an origin.
type origin struct {
	chain
	span counting.Span // what counts of it
}

// head returns the last header that may count: what comes before it may have been written
// before its capability began, and links it. It is nil where there is none.
func (o *origin) head() *bundle.Header {
	if o.span.To == 0 {
		return nil
	}
	return o.chain[o.span.To-1]
}

// chain is the headers of an origin, linked.
type chain []*bundle.Header

// Len implements counting.Chain.
func (c chain) Len() int64 { return int64(len(c)) }

// Header implements counting.Chain.
func (c chain) Header(sequence int64) *bundle.Header { return c[sequence] }

// extended is a chain with one more header.
type extended struct {
	chain

	next *bundle.Header
}

// Len implements counting.Chain.
func (e extended) Len() int64 { return e.chain.Len() + 1 }

// Header implements counting.Chain.
func (e extended) Header(sequence int64) *bundle.Header {
	if sequence == e.chain.Len() {
		return e.next
	}
	return e.chain[sequence]
}

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
	audit   int64            // what is to be charged for the next audit, of more origins than a proof has room for
}

// New returns a replica without bundles of the swarm that a set of capabilities is of. The
// set is the caller's, who calls Judge after it has changed.
func New(c *capability.Set, v capability.Verifier) *Replica {
	r := &Replica{capabilities: c, verify: v, origins: map[bundle.Origin]*origin{}, accounts: map[holder]*account{}, changed: map[bundle.Origin]bool{}, known: map[capability.ID]*capability.Capability{}}
	r.state = fold.New(func(id capability.ID, path string) bool {
		of := r.known[id]
		return of != nil && of.Allows(capability.Write, path)
	})
	return r
}

// State returns the documents. They must not be changed.
func (r *Replica) State() *fold.State { return r.state }

// Faults returns what was proved of writers: what others are to be told of. It must not be
// changed.
func (r *Replica) Faults() *fault.Set { return &r.faults }

// Head returns the last header of an origin that counts, or nil: replicas that were given the
// same, and each other's faults, have the same heads. What is linked beyond it is not of use to
// anybody.
func (r *Replica) Head(o bundle.Origin) *bundle.Header {
	if held := r.origins[o]; held != nil {
		return held.head()
	}
	return nil
}

// Next returns the sequence of the bundle of an origin that would be linked next.
func (r *Replica) Next(o bundle.Origin) int64 {
	if held := r.origins[o]; held != nil {
		return held.Len()
	}
	return 0
}

// Origins returns of how many origins something counts.
func (r *Replica) Origins() (n int) {
	for _, held := range r.origins {
		if held.head() != nil {
			n++
		}
	}
	return n
}

// Under returns the origins that are written under a capability, in order.
func (r *Replica) Under(c capability.ID) []bundle.Origin {
	var out []bundle.Origin
	for o, held := range r.origins {
		if held.chain[0].Capability == c {
			out = append(out, o)
		}
	}
	slices.SortFunc(out, bundle.Origin.Compare)
	return out
}

// Changed returns the origins whose head is another one than when it was last called.
func (r *Replica) Changed() []bundle.Origin {
	origins := slices.SortedFunc(maps.Keys(r.changed), bundle.Origin.Compare)
	clear(r.changed)
	return origins
}

// Convicted returns the faults that are news since it was last called.
func (r *Replica) Convicted() []*fault.Fault {
	faults := r.convicted
	r.convicted = nil
	return faults
}

// Charged returns what a writer has charged under a capability, by what is linked.
func (r *Replica) Charged(w sig.PublicKey, c capability.ID) int64 {
	if a := r.accounts[holder{w, c}]; a != nil {
		return a.charged
	}
	return 0
}

// Add takes in a bundle, and reports whether it is news. It returns ErrInvalid, ErrGap, ErrCut,
// or capability.ErrUnknown for one whose capability is not known yet. A bundle for a place where
// another one is held proves a fault, and is not kept; one that breaks the chain is kept, and
// does not count.
func (r *Replica) Add(b *bundle.Bundle) (bool, error) {
	held := r.origins[b.Origin]
	var last *bundle.Header
	if held != nil {
		if b.Sequence < held.Len() && held.chain[b.Sequence].ID() == b.ID() {
			return false, nil
		}
		last = held.chain[held.Len()-1]
	}
	switch {
	case b.Swarm != r.capabilities.Document().Swarm():
		return false, fmt.Errorf("%w: of the swarm %v", ErrInvalid, b.Swarm)
	case r.capabilities.Get(b.Capability) == nil:
		return false, fmt.Errorf("%w: %v", capability.ErrUnknown, b.Capability)
	case !r.verify.Verify(b.Item()):
		return false, fmt.Errorf("%w: the signature of %v does not verify", ErrInvalid, b.Writer)
	case last != nil && b.Sequence <= last.Sequence:
		f, err := fault.OfTwo(held.chain[b.Sequence], &b.Header)
		if err != nil {
			return false, fmt.Errorf("%w: %w", ErrInvalid, err)
		}
		return r.convict(f), nil
	case last == nil && b.Sequence > 0, last != nil && (b.Sequence > last.Sequence+1 || b.Previous != last.ID()):
		return false, fmt.Errorf("%w: %v %d", ErrGap, b.Origin, b.Sequence)
	}
	var broken *fault.Fault
	if last != nil {
		if f, err := fault.OfTwo(last, &b.Header); err == nil {
			broken = f
		}
	}
	if broken == nil {
		if err := r.cut(held, &b.Header); err != nil {
			return false, err
		}
	}
	r.known[b.Capability] = r.capabilities.Get(b.Capability)
	if _, err := r.state.Add(b); err != nil {
		return false, fmt.Errorf("%w: %w", ErrGap, err)
	}
	if held == nil {
		held = new(origin)
		r.origins[b.Origin] = held
	}
	held.chain = append(held.chain, &b.Header)
	if broken != nil {
		r.convict(broken)
	}
	r.charge(last, &b.Header)
	r.count(b.Origin)
	return true, nil
}

// cut returns ErrCut unless a header would count that follows what is held of its origin, nil
// for nothing, or what comes after it might: what counts is a span, so that nothing does after
// its end.
func (r *Replica) cut(held *origin, h *bundle.Header) error {
	with := extended{next: h}
	if held != nil {
		with.chain = held.chain
	}
	span, err := r.rules().Span(with)
	switch {
	case err != nil:
		return fmt.Errorf("%w: %v %d: %w", ErrCut, h.Origin, h.Sequence, err)
	case span.To <= h.Sequence:
		return fmt.Errorf("%w: %v %d", ErrCut, h.Origin, h.Sequence)
	}
	return nil
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
	if len(news) > 0 {
		r.convicted = append(r.convicted, f)
	}
	for _, cut := range news {
		if a := r.accounts[holder{cut.Writer, cut.Capability}]; a != nil {
			rules := r.rules()
			for _, o := range a.origins {
				r.countBy(rules, o)
			}
		}
	}
	return len(news) > 0
}

// Judge has what is written under some capabilities judged anew, or all for nil: after they were
// revoked or went, or another version of the swarm's document has come. One that comes changes
// nothing: nothing is linked under it yet, since one that went does not come back.
func (r *Replica) Judge(affected func(capability.ID) bool) {
	rules := r.rules()
	for o, held := range r.origins {
		if affected == nil || affected(held.chain[0].Capability) {
			r.countBy(rules, o)
		}
	}
}

// count has the documents follow from what counts of an origin.
func (r *Replica) count(o bundle.Origin) { r.countBy(r.rules(), o) }

func (r *Replica) countBy(rules *counting.Rules, o bundle.Origin) {
	held := r.origins[o]
	before := held.head()
	span, err := rules.Span(held.chain)
	if err != nil {
		span = counting.Span{}
	}
	held.span = span
	r.state.Count(o, span.From, span.To)
	if held.head() != before {
		r.changed[o] = true
	}
}

// rules returns what decides on what counts.
func (r *Replica) rules() *counting.Rules {
	return &counting.Rules{Capabilities: r.capabilities, Faults: &r.faults}
}

// charge counts what a header charges after the one before it in its origin, nil for none,
// and convicts a writer who has exceeded its quota at any time.
func (r *Replica) charge(last, h *bundle.Header) {
	of := holder{h.Writer, r.origins[h.Origin].chain[0].Capability}
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
	c := r.known[of.capability]
	if a.charged <= fault.Granted(c, h.Time) {
		return // then also later, when no less is granted; and before nothing has changed
	}
	if cut, ok := r.faults.From(of.writer, of.capability); ok && cut.Compare(h.Time) <= 0 {
		return // nor does it change what is before the cut
	}
	if len(a.origins) > fault.MaxHeaders { // else each bundle would cost a look at all
		if a.charged < a.audit {
			return
		}
		a.audit = min(most, a.charged+a.charged/16)
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
