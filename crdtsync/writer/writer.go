// Package writer makes the bundles of this peer: it numbers, links, dates and signs them, has
// them refer to what they supersede, and keeps within the quota. It is pure: instants and
// randomness come in as arguments.
//
// A writer that keeps to it never proves a fault of itself, whatever happens to its disk: each
// life of a peer has an origin of its own, named by 64 random bits, so that nothing is signed
// twice for one place. Of its quota it uses half, and as long as it may not know all that it has
// written before, since its disk may be an old one, what accrues in this life.
package writer

import (
	"errors"
	"fmt"

	"github.com/decube/decube/crdtsync/bundle"
	"github.com/decube/decube/crdtsync/crdt"
	"github.com/decube/decube/crdtsync/fault"
	"github.com/decube/decube/crdtsync/fold"
	"github.com/decube/decube/internal/capability"
	"github.com/decube/decube/internal/sig"
)

// ErrQuota is returned for a write beyond what an honest writer uses of its quota.
var ErrQuota = errors.New("over the quota")

// Writer writes in one origin. Use [New]. It is not safe for concurrent use.
type Writer struct {
	key        sig.PrivateKey
	capability *capability.Capability
	origin     bundle.Origin
	began      crdt.Time
	clock      *crdt.Clock
	last       *bundle.Header // nil before the first one
	complete   bool
}

// New returns a writer in an origin that has nothing in it: the incarnation is 64 random bits.
// The clock is that of all writers of a peer. The capability is the key's; wall is the time in
// nanoseconds since 1970.
func New(key sig.PrivateKey, c *capability.Capability, incarnation uint64, clock *crdt.Clock, wall int64) *Writer {
	return &Writer{
		key: key, capability: c, clock: clock, began: crdt.Time{Wall: wall},
		origin: bundle.Origin{Writer: key.Public(), Incarnation: incarnation},
	}
}

// Capability returns what it writes under.
func (w *Writer) Capability() *capability.Capability { return w.capability }

// Origin returns the origin.
func (w *Writer) Origin() bundle.Origin { return w.origin }

// Complete says that all is known that was written under the capability before: that it was
// made in this life, or that others have told what they hold, and this peer has it.
func (w *Writer) Complete() { w.complete = true }

// Write returns the bundles of operations that are one change, of which the documents are those
// of a state that has all that this writer has made. Charged is what was charged under the
// capability, by all that is held. It returns ErrInvalid of the package bundle for what does not
// fit into a bundle, ErrDenied of the package capability, or ErrQuota.
//
// There is one bundle, unless more origins have to be referred to than one has room for: then
// those that follow repeat what supersedes something.
func (w *Writer) Write(wall int64, state *fold.State, charged int64, ops []bundle.Operation) ([]*bundle.Bundle, error) {
	paths, err := w.touched(ops)
	if err != nil {
		return nil, err
	}
	refs := state.References(paths...)
	var made []*bundle.Bundle
	for len(made) == 0 || len(refs) > 0 {
		body := bundle.Body{Operations: ops}
		if len(made) > 0 {
			body.Operations = superseding(ops)
		}
		body.References, refs = w.some(refs, len(made) > 0)
		b, err := w.bundle(wall, charged, body)
		if err != nil {
			return nil, err
		}
		charged += b.Charge - w.before()
		w.last = &b.Header
		made = append(made, b)
	}
	return made, nil
}

// touched returns the documents of which operations may supersede something, after it has
// looked whether they may be written.
func (w *Writer) touched(ops []bundle.Operation) ([]string, error) {
	if len(ops) == 0 {
		return nil, fmt.Errorf("%w: no operation", bundle.ErrInvalid)
	}
	var paths []string
	for i := range ops {
		op := &ops[i]
		if !w.capability.Allows(capability.Write, op.Document) {
			return nil, fmt.Errorf("%w: to write %q", capability.ErrDenied, op.Document)
		}
		if op.Kind != bundle.Count {
			paths = append(paths, op.Document)
		}
	}
	return paths, nil
}

// superseding returns those of operations that may supersede something.
func superseding(ops []bundle.Operation) []bundle.Operation {
	var out []bundle.Operation
	for i := range ops {
		if ops[i].Kind != bundle.Count {
			out = append(out, ops[i])
		}
	}
	return out
}

// some returns as many references as a bundle has room for, and the rest. With own set the last
// bundle of this writer is one of them, which supersedes what it has just written.
func (w *Writer) some(refs []bundle.Reference, own bool) (now, rest []bundle.Reference) {
	most := bundle.MaxReferences
	if own {
		most--
	}
	n := min(most, len(refs))
	now, rest = append([]bundle.Reference(nil), refs[:n]...), refs[n:]
	if own {
		now = insert(now, bundle.Reference{Origin: w.origin, Sequence: w.last.Sequence, ID: w.last.ID()})
	}
	return now, rest
}

// insert puts a reference in its place, or in that of an older one to its origin.
func insert(refs []bundle.Reference, r bundle.Reference) []bundle.Reference {
	for i := range refs {
		switch c := refs[i].Compare(r.Origin); {
		case c == 0:
			refs[i] = r
			return refs
		case c > 0:
			return append(refs[:i], append([]bundle.Reference{r}, refs[i:]...)...)
		}
	}
	return append(refs, r)
}

// before returns what the origin has charged.
func (w *Writer) before() int64 {
	if w.last == nil {
		return 0
	}
	return w.last.Charge
}

func (w *Writer) bundle(wall, charged int64, body bundle.Body) (*bundle.Bundle, error) {
	at := w.clock.Now(max(wall, crdt.Milli(w.capability.NotBefore).Wall))
	if at.Compare(crdt.Milli(w.capability.Expires)) >= 0 {
		return nil, fmt.Errorf("%w: the capability to write has expired", capability.ErrDenied)
	}
	place := bundle.Header{Swarm: w.capability.Swarm, Origin: w.origin, Time: at, Capability: w.capability.ID()}
	if w.last != nil {
		place.Sequence, place.Previous = w.last.Sequence+1, w.last.ID()
	}
	b, err := bundle.New(place, body, w.before(), w.key)
	if err != nil {
		return nil, err
	}
	granted := fault.Granted(w.capability, at)
	if after := charged + b.Charge - w.before(); after > granted/2 {
		return nil, fmt.Errorf("%w: %d bytes after this, of %d, of which half are for safety", ErrQuota, after, granted)
	}
	if accrued := granted - fault.Granted(w.capability, w.began); !w.complete && b.Charge > accrued {
		return nil, fmt.Errorf("%w: %d bytes in this life, and %d since it began: peers have not told yet what was written before it", ErrQuota, b.Charge, accrued)
	}
	return b, nil
}
