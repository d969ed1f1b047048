package bundle

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/decube/decube/internal/sig"
	"github.com/decube/decube/internal/wire"
)

const (
	// MaxOperations is the most operations of a bundle.
	MaxOperations = 4096
	// MaxReferences is the most references of a bundle.
	MaxReferences = 512
	// MaxPath is the most bytes of a document's path.
	MaxPath = 1 << 10
	// MaxField is the most bytes of a field's name.
	MaxField = 256
	// MaxElement is the most bytes of an element.
	MaxElement = 1 << 10
	// MaxAmount is the largest amount of a count, of either sign.
	MaxAmount = int64(1) << 53
)

// Reference says that the writer had seen what an origin wrote up to a bundle.
type Reference struct {
	Origin
	Sequence int64
	ID       ID
}

// Kind is what an operation does. The numbers are those of the encoding; see the package
// comment.
type Kind uint8

// The kinds.
const (
	Set    Kind = 1
	Add    Kind = 2
	Remove Kind = 3
	Count  Kind = 4
	Clear  Kind = 5
	Delete Kind = 6
)

// Operation is one change of a document.
type Operation struct {
	Kind     Kind
	Document string // collection/key, or ~KEY/collection/key
	Field    string
	Element  string
	Value    Value
}

// Known reports whether an operation has an effect: its kind is known, and it has the parts
// that the kind takes, and no others.
func (o *Operation) Known() bool {
	if !validPath(o.Document) || !validText(o.Field, MaxField) || !validText(o.Element, MaxElement) || !o.Value.valid() {
		return false
	}
	field, element, value := o.Field != "", o.Element != "", o.Value.of != None
	switch o.Kind {
	case Set:
		return field && !element && value
	case Add:
		return field && element
	case Remove:
		return field && element && !value
	case Count:
		n := o.Value.Whole()
		return field && !element && o.Value.of == Whole && n >= -MaxAmount && n <= MaxAmount
	case Clear:
		return field && !element && !value
	case Delete:
		return !field && !element && !value
	}
	return false
}

func validText(s string, most int) bool {
	return len(s) <= most && utf8.ValidString(s) && !strings.ContainsRune(s, 0)
}

// validPath reports whether a text is collection/key, with neither empty.
func validPath(s string) bool {
	if !validText(s, MaxPath) {
		return false
	}
	rest := s
	if strings.HasPrefix(s, "~") {
		_, after, ok := strings.Cut(s, "/")
		if !ok {
			return false
		}
		rest = after
	}
	collection, key, ok := strings.Cut(rest, "/")
	return ok && collection != "" && key != "" && !strings.HasPrefix(collection, "~")
}

// Body is what a bundle does.
type Body struct {
	References []Reference // in ascending order of their origins, of each one at most
	Operations []Operation
}

// Bundle is a header with its body.
type Bundle struct {
	Header
	Body Body
	raw  []byte // of the body
}

// New returns the bundle of a body at a place, of which swarm, incarnation, sequence, previous,
// time and capability are set, and which follows what has that charge in its origin. It is
// signed, and shares the slices of the body, which must not change any more. It returns
// ErrInvalid for what no bundle can hold, and for what others would not read.
func New(place Header, body Body, charged int64, key sig.PrivateKey) (*Bundle, error) {
	if err := place.validPlace(); err != nil {
		return nil, err
	}
	if err := body.validate(); err != nil {
		return nil, err
	}
	for i := range body.Operations {
		if !body.Operations[i].Known() {
			return nil, fmt.Errorf("%w: operation %d: %+v", ErrInvalid, i, body.Operations[i])
		}
	}
	b := &Bundle{Header: place, Body: body, raw: body.append(nil)}
	b.Writer = key.Public()
	b.Length, b.Header.Body, b.Count = int64(len(b.raw)), sha256.Sum256(b.raw), len(body.Operations)
	// The charge is a part of the header that it charges for: it grows until it fits.
	for b.Charge = 0; b.Charge != charged+b.Cost(); {
		b.Charge = charged + b.Cost()
	}
	if err := b.Validate(); err != nil {
		return nil, err
	}
	// Who writes knows by this that everybody can read it: an origin goes on from no bundle that
	// others refuse.
	if _, err := decodeBody(b.raw, b.Count); err != nil {
		return nil, err
	}
	b.Sign(key)
	return b, nil
}

// Encode returns the bytes that Decode reads.
func (b *Bundle) Encode() []byte { return append(b.Header.Encode(), b.raw...) }

// Decode returns the bundle that bytes are of, valid by itself, or ErrInvalid. It shares no
// memory with them. Its signature is not looked at; see [Header.Item].
func Decode(data []byte) (*Bundle, error) {
	if len(data) > MaxBundle {
		return nil, fmt.Errorf("%w: %d bytes, at most %d", ErrInvalid, len(data), MaxBundle)
	}
	d := wire.NewDecoder(data)
	h := readHeader(&d)
	raw := bytes.Clone(d.Bytes(int(h.Length)))
	if err := d.Finish(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if err := h.Validate(); err != nil {
		return nil, err
	}
	if sha256.Sum256(raw) != h.Body {
		return nil, fmt.Errorf("%w: the body is not the one of the header", ErrInvalid)
	}
	body, err := decodeBody(raw, h.Count)
	if err != nil {
		return nil, err
	}
	return &Bundle{Header: *h, Body: *body, raw: raw}, nil
}

func (b *Body) validate() error {
	if len(b.References) > MaxReferences {
		return fmt.Errorf("%w: %d references, at most %d", ErrInvalid, len(b.References), MaxReferences)
	}
	for i := range b.References {
		if r := b.References[i]; r.Sequence < 0 || r.Sequence > MaxSequence || i > 0 && b.References[i-1].Compare(r.Origin) >= 0 {
			return fmt.Errorf("%w: reference %d: %v twice, out of order, or sequence %d", ErrInvalid, i, r.Origin, r.Sequence)
		}
	}
	return nil
}

// append appends the encoded body. Documents and fields are written once each, in the order
// in which they come first, and operations name them by number.
func (b *Body) append(out []byte) []byte {
	out = wire.AppendUvarint(out, uint64(len(b.References)))
	for _, r := range b.References {
		out = append(out, r.Writer[:]...)
		out = appendFixed(out, r.Incarnation)
		out = append(wire.AppendUvarint(out, uint64(r.Sequence)), r.ID[:]...)
	}
	documents, fields := newDictionary(), newDictionary()
	for i := range b.Operations {
		documents.add(b.Operations[i].Document)
		fields.add(b.Operations[i].Field)
	}
	out = fields.append(documents.append(out))
	for i := range b.Operations {
		out = append(out, byte(b.Operations[i].Kind))
	}
	for i := range b.Operations {
		out = wire.AppendUvarint(out, documents.numbers[b.Operations[i].Document])
	}
	for i := range b.Operations {
		out = wire.AppendUvarint(out, fields.numbers[b.Operations[i].Field])
	}
	for i := range b.Operations {
		out = appendText(out, b.Operations[i].Element)
	}
	for i := range b.Operations {
		v := b.Operations[i].Value
		out = wire.AppendFrame(append(out, byte(v.of)), v.append(nil))
	}
	return out
}

// decodeBody reads a body of so many operations. What no kind can have is kept as it is, and
// has no effect.
func decodeBody(raw []byte, count int) (*Body, error) {
	d := wire.NewDecoder(raw)
	b := new(Body)
	for range d.Uvarint(MaxReferences) {
		if d.Err() != nil {
			break
		}
		r := Reference{Origin: readOrigin(&d), Sequence: int64(d.Uvarint(uint64(MaxSequence)))}
		copy(r.ID[:], d.Bytes(len(r.ID)))
		b.References = append(b.References, r)
	}
	documents, fields := readDictionary(&d, count), readDictionary(&d, count)
	kinds := d.Bytes(count)
	if d.Err() == nil {
		b.Operations = make([]Operation, count)
	}
	ops := b.Operations
	for i := range ops {
		ops[i].Kind, ops[i].Document = Kind(kinds[i]), documents.next(&d)
	}
	for i := range ops {
		ops[i].Field = fields.next(&d)
	}
	for i := range ops {
		ops[i].Element = string(d.Bytes(int(d.Uvarint(MaxBundle))))
	}
	for i := range ops {
		of := Type(d.Byte())
		bytes := d.Bytes(int(d.Uvarint(MaxBundle)))
		v, ok := readValue(of, bytes)
		if ops[i].Value = v; !ok {
			ops[i].Kind = 0 // of a later release, or of nobody's
		}
	}
	documents.finish(&d)
	fields.finish(&d)
	if err := d.Finish(); err != nil {
		return nil, fmt.Errorf("%w: body: %w", ErrInvalid, err)
	}
	return b, b.validate()
}
