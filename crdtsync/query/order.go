package query

import (
	"cmp"
	"encoding/base64"
	"fmt"
	"strings"

	"github.com/decube/decube/crdtsync/bundle"
	"github.com/decube/decube/crdtsync/literal"
	"github.com/decube/decube/internal/wire"
)

// Order is in which documents come: by a field, or by their exact paths alone.
type Order struct {
	Field string // empty for none
	Desc  bool   // the largest first
}

// ParseOrder reads FIELD, FIELD:asc or FIELD:desc, or nothing.
func ParseOrder(text string) (Order, error) {
	field, direction, ok := strings.Cut(text, ":")
	switch {
	case ok && (direction != "asc" && direction != "desc" || field == ""):
		return Order{}, fmt.Errorf("%w: order %q, want FIELD, FIELD:asc or FIELD:desc", ErrInvalid, text)
	case strings.HasPrefix(field, "@") && field != fieldKey && field != fieldPath && field != fieldSpace && field != fieldTime:
		return Order{}, fmt.Errorf("%w: order %q, want a field, @key, @path, @space or @time", ErrInvalid, text)
	}
	return Order{Field: field, Desc: direction == "desc"}, nil
}

// Place is where a document comes in an order. It is comparable.
type Place struct {
	Path  string       // exact
	Value bundle.Value // of the field, none where it is not there
}

// Place returns where a document with an exact path comes.
func (o Order) Place(d Document, path string) Place {
	p := Place{Path: path}
	switch {
	case o.Field == "":
	case o.Field[0] == '@':
		p.Value = ownValue(d, o.Field)
	default:
		if v, ok := fieldValue(d, o.Field); ok {
			p.Value = v
		}
	}
	return p
}

// rank orders types that do not compare with each other.
func rank(t bundle.Type) int {
	switch {
	case isNumber(t):
		return 0
	case t == bundle.Instant:
		return 1
	case t == bundle.Text:
		return 2
	case t == bundle.Bool:
		return 3
	default:
		return 4
	}
}

// Compare orders places: documents without the field last, and those of one value by their paths.
func (o Order) Compare(a, b Place) int {
	x, y := a.Value.Type(), b.Value.Type()
	if (x == bundle.None) != (y == bundle.None) {
		return cmp.Compare(rank(x), rank(y))
	}
	order := cmp.Compare(rank(x), rank(y))
	if order == 0 && x != bundle.None {
		order, _ = compare(a.Value, b.Value)
	}
	if o.Desc {
		order = -order
	}
	return cmp.Or(order, cmp.Compare(a.Path, b.Path))
}

// Cursor returns a text that ParseCursor reads, for what comes after a place.
func (o Order) Cursor(p Place) string {
	desc := byte(0)
	if o.Desc {
		desc = 1
	}
	b := append(wire.AppendFrame(nil, []byte(o.Field)), desc, byte(p.Value.Type()))
	b = wire.AppendFrame(b, []byte(p.Value.String()))
	return base64.RawURLEncoding.EncodeToString(wire.AppendFrame(b, []byte(p.Path)))
}

// ParseCursor returns the place that a cursor of the same order is of.
func (o Order) ParseCursor(text string) (Place, error) {
	invalid := fmt.Errorf("%w: cursor %q, want the one that a page of the same order ended with", ErrInvalid, text)
	raw, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return Place{}, invalid
	}
	d := wire.NewDecoder(raw)
	field := string(d.Bytes(int(d.Uvarint(bundle.MaxField))))
	desc, of := d.Byte(), bundle.Type(d.Byte())
	said := string(d.Bytes(int(d.Uvarint(bundle.MaxValue))))
	p := Place{Path: string(d.Bytes(int(d.Uvarint(bundle.MaxPath))))}
	if d.Finish() != nil || field != o.Field || desc > 1 || (desc == 1) != o.Desc {
		return Place{}, invalid
	}
	ok := true
	if of != bundle.None {
		p.Value, ok = literal.Read(of, said)
	}
	if !ok || o.Cursor(p) != text {
		return Place{}, invalid
	}
	return p, nil
}
