package fault

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/decube/decube/crdtsync/bundle"
	"github.com/decube/decube/crdtsync/crdt"
	"github.com/decube/decube/internal/capability"
	"github.com/decube/decube/internal/sig"
	"github.com/decube/decube/internal/wire"
)

const (
	// MaxHeaders is the most headers of a fault: so many of the longest that there are fit into
	// what peers tell each other at a time, and read again from their disks.
	MaxHeaders = 15_000

	version = 1
)

var (
	// ErrInvalid is returned for bytes or headers that are no fault, whoever looks at them.
	ErrInvalid = errors.New("invalid fault")
	// ErrUnproved is returned for headers that break no rule, or that the writer has not
	// signed.
	ErrUnproved = errors.New("the headers prove no fault")
)

// Kind is which rule is broken.
type Kind uint8

// The kinds of faults.
const (
	Fork      Kind = 1
	Broken    Kind = 2
	Overdraft Kind = 3
)

// String returns the kind in a word.
func (k Kind) String() string {
	switch k {
	case Fork:
		return "fork"
	case Broken:
		return "broken chain"
	case Overdraft:
		return "overdraft"
	default:
		return fmt.Sprintf("kind %d", uint8(k))
	}
}

// Fault is headers of one writer that cannot all be an honest one's. They are not changed
// once they are in it.
type Fault struct {
	Kind Kind
	// Headers are two for a fork, in the order of their IDs; two for a broken chain, the
	// earlier first; and for an overdraft one of each origin, in the order of those.
	Headers []*bundle.Header
}

// Cut is from when on nothing of a writer under a capability counts.
type Cut struct {
	Writer     sig.PublicKey
	Capability capability.ID
	From       crdt.Time
}

// OfTwo returns the fault that two headers prove, or ErrUnproved: a fork, or a broken chain.
// That the writer has signed them is for Verify.
func OfTwo(a, b *bundle.Header) (*Fault, error) {
	f := &Fault{Kind: Fork, Headers: []*bundle.Header{a, b}}
	if a.Origin == b.Origin && a.Sequence != b.Sequence {
		f.Kind = Broken
		slices.SortFunc(f.Headers, func(a, b *bundle.Header) int { return cmp.Compare(a.Sequence, b.Sequence) })
	} else {
		slices.SortFunc(f.Headers, func(a, b *bundle.Header) int { x, y := a.ID(), b.ID(); return slices.Compare(x[:], y[:]) })
	}
	return f, f.Validate()
}

// OfQuota returns the fault that headers of one writer under one capability prove, or
// ErrUnproved as long as they are within its quota. Of each origin there is one at most.
func OfQuota(headers []*bundle.Header, c *capability.Capability) (*Fault, error) {
	sum := sumOf(headers)
	if len(headers) == 0 || !exceeds(sum, latest(headers), c) {
		return nil, fmt.Errorf("%w: %d origins charge %v", ErrUnproved, len(headers), sum)
	}
	rest := needed(headers, c)
	slices.SortFunc(rest, func(a, b *bundle.Header) int { return a.Origin.Compare(b.Origin) })
	f := &Fault{Kind: Overdraft, Headers: rest}
	return f, f.Validate()
}

// Validate returns ErrInvalid unless the headers are in form, and ErrUnproved where they
// break no rule by themselves; whether an overdraft is one, and signatures, are for Verify.
func (f *Fault) Validate() error {
	if len(f.Headers) < 1 || len(f.Headers) > MaxHeaders {
		return fmt.Errorf("%w: %d headers, must be 1 to %d", ErrInvalid, len(f.Headers), MaxHeaders)
	}
	first := f.Headers[0]
	for i, h := range f.Headers {
		if err := h.Validate(); err != nil {
			return fmt.Errorf("%w: header %d: %w", ErrInvalid, i, err)
		}
		if h.Writer != first.Writer || h.Swarm != first.Swarm {
			return fmt.Errorf("%w: headers of two writers, or of two swarms", ErrInvalid)
		}
	}
	switch f.Kind {
	case Fork, Broken:
		if len(f.Headers) != 2 {
			return fmt.Errorf("%w: a %v of %d headers", ErrInvalid, f.Kind, len(f.Headers))
		}
		if f.Kind == Fork {
			return validFork(first, f.Headers[1])
		}
		return validBroken(first, f.Headers[1])
	case Overdraft:
		return f.validOverdraft()
	default:
		return fmt.Errorf("%w: %v", ErrInvalid, f.Kind)
	}
}

func validFork(a, b *bundle.Header) error {
	x, y := a.ID(), b.ID()
	switch {
	case a.Origin != b.Origin || a.Sequence != b.Sequence || x == y:
		return fmt.Errorf("%w: %v %d and %v %d are no two bundles for one place", ErrUnproved, a.Origin, a.Sequence, b.Origin, b.Sequence)
	case slices.Compare(x[:], y[:]) > 0:
		return fmt.Errorf("%w: the headers of a fork are out of order", ErrInvalid)
	}
	return nil
}

func validBroken(a, b *bundle.Header) error {
	switch {
	case a.Origin != b.Origin || b.Sequence != a.Sequence+1 || b.Previous != a.ID():
		return fmt.Errorf("%w: %v %d does not follow %v %d", ErrUnproved, b.Origin, b.Sequence, a.Origin, a.Sequence)
	case a.Time.Compare(b.Time) < 0 && b.Charge == a.Charge+b.Cost() && a.Capability == b.Capability:
		return fmt.Errorf("%w: %v %d follows the one before by the rules", ErrUnproved, b.Origin, b.Sequence)
	}
	return nil
}

func (f *Fault) validOverdraft() error {
	for i, h := range f.Headers {
		if h.Capability != f.Headers[0].Capability {
			return fmt.Errorf("%w: an overdraft of two capabilities", ErrInvalid)
		}
		if i > 0 && f.Headers[i-1].Origin.Compare(h.Origin) >= 0 {
			return fmt.Errorf("%w: an origin twice in an overdraft, or out of order", ErrInvalid)
		}
	}
	return nil
}

// Verify returns nil when the fault is one: the writer has signed the headers, and where it
// is an overdraft, they exceed what the capability grants, and no fewer of them do. It
// returns ErrUnproved, and ErrInvalid for a capability that is not the one of the headers;
// other kinds need none. The fault is valid.
func (f *Fault) Verify(c *capability.Capability, v capability.Verifier) error {
	if f.Kind == Overdraft {
		if c == nil || c.ID() != f.Headers[0].Capability {
			return fmt.Errorf("%w: an overdraft needs the capability %v", ErrInvalid, f.Headers[0].Capability)
		}
		if err := f.overdrawn(c); err != nil {
			return err
		}
	}
	for _, h := range f.Headers {
		if !v.Verify(h.Item()) {
			return fmt.Errorf("%w: the signature of %v does not verify", ErrUnproved, h.Writer)
		}
	}
	return nil
}

func (f *Fault) overdrawn(c *capability.Capability) error {
	all := sumOf(f.Headers)
	if at := latest(f.Headers); !exceeds(all, at, c) {
		return fmt.Errorf("%w: %d origins charge %v until %v, which is granted", ErrUnproved, len(f.Headers), all, at)
	}
	// Whichever is left out, the rest must be granted; the time of the rest is the latest but
	// for the one that has it.
	first, second := latestTwo(f.Headers)
	for _, h := range f.Headers {
		at := first
		if h.Time == first {
			at = second
		}
		if len(f.Headers) > 1 && exceeds(all.less(h.Charge), at, c) {
			return fmt.Errorf("%w: %v is not needed in an overdraft of %d", ErrInvalid, h.Origin, len(f.Headers))
		}
	}
	return nil
}

// Cuts returns what a valid fault does to what counts: under each capability that the headers
// name, nothing counts from the time of the fault on.
func (f *Fault) Cuts() []Cut {
	first, last := f.Headers[0], f.Headers[len(f.Headers)-1]
	var from crdt.Time
	switch f.Kind {
	case Fork:
		from = first.Time
		if last.Time.Compare(from) < 0 {
			from = last.Time
		}
	case Broken:
		from = last.Time
	default:
		from = latest(f.Headers)
	}
	cuts := []Cut{{first.Writer, first.Capability, from}}
	if last.Capability != first.Capability {
		cuts = append(cuts, Cut{first.Writer, last.Capability, from})
	}
	return cuts
}

// Encode returns the bytes that Decode reads.
func (f *Fault) Encode() []byte {
	b := append(wire.AppendUvarint(nil, version), byte(f.Kind))
	b = wire.AppendUvarint(b, uint64(len(f.Headers)))
	for _, h := range f.Headers {
		b = wire.AppendFrame(b, h.Encode())
	}
	return b
}

// Decode returns the valid fault that bytes are of, or ErrInvalid or ErrUnproved.
func Decode(b []byte) (*Fault, error) {
	d := wire.NewDecoder(b)
	if v := d.Uvarint(wire.MaxUvarint); d.Err() == nil && v != version {
		d.Fail(fmt.Errorf("version %d, this program knows %d", v, version))
	}
	f := &Fault{Kind: Kind(d.Byte())}
	for range d.Uvarint(MaxHeaders) {
		frame := d.Bytes(int(d.Uvarint(bundle.MaxHeader)))
		if d.Err() != nil {
			break
		}
		h, err := bundle.DecodeHeader(frame)
		if err != nil {
			d.Fail(err)
			break
		}
		f.Headers = append(f.Headers, h)
	}
	if err := d.Finish(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return f, f.Validate()
}
