package query

import (
	"cmp"
	"fmt"
	"iter"
	"strings"

	"github.com/decube/decube/crdtsync/bundle"
)

// Document is what a query looks at.
type Document interface {
	// Path returns the path within the space, Space whose that is, empty for none, and Time when it
	// was written last.
	Path() string
	Space() string
	Time() bundle.Value
	// The others are as those of a document of the package fold.
	Values(field string) []bundle.Value
	At(field, element string) []bundle.Value
	Has(field, element string) bool
	Elements(field string) iter.Seq[string]
	Sum(field string) (int64, bool)
}

// comparison compares a field with a value.
type comparison struct {
	field   string
	element string
	entry   bool // it is of an entry of a map
	own     bool // it is of what is known of the document itself
	op      string
	value   bundle.Value
	pattern bool
	said    string
	column  int

	// Of what was looked at: whether there was any, whether some had the field, whether with a type
	// that compares, and one that does not.
	asked, found, fits bool
	other              bundle.Type
}

func (c *comparison) matches(d Document) bool {
	c.asked = true
	switch {
	case c.op == ":":
		return c.among(d)
	case c.pattern && c.said == "*":
		return c.there(d) == (c.op == "=")
	}
	v, ok := c.of(d)
	if !ok {
		return c.op == "!="
	}
	c.found = true
	if c.pattern {
		if v.Type() != bundle.Text {
			c.other = v.Type()
			return c.op == "!="
		}
		c.fits = true
		return like(v.Text(), c.said) == (c.op == "=")
	}
	order, ok := compare(v, c.value)
	if !ok {
		c.other = v.Type()
		return c.op == "!="
	}
	c.fits = true
	switch c.op {
	case "=":
		return order == 0
	case "!=":
		return order != 0
	case "<":
		return order < 0
	case ">":
		return order > 0
	case "<=":
		return order <= 0
	default:
		return order >= 0
	}
}

// among reports whether a set or a map has an element.
func (c *comparison) among(d Document) bool {
	for e := range d.Elements(c.field) {
		c.found, c.fits = true, true
		if !c.pattern {
			return d.Has(c.field, c.said)
		}
		if like(e, c.said) {
			return true
		}
	}
	return false
}

// there reports whether there is anything of the field.
func (c *comparison) there(d Document) bool {
	_, is := c.of(d)
	for range d.Elements(c.field) {
		is = is || !c.entry && !c.own
		break
	}
	if is {
		c.found, c.fits = true, true
	}
	return is
}

// of returns the value that is compared, and whether there is one.
func (c *comparison) of(d Document) (bundle.Value, bool) {
	if c.own {
		return ownValue(d, c.field), true
	}
	if c.entry {
		return first(d.At(c.field, c.element))
	}
	return fieldValue(d, c.field)
}

func first(values []bundle.Value) (bundle.Value, bool) {
	if len(values) == 0 {
		return bundle.Value{}, false
	}
	return values[0], true
}

// fieldValue returns what a register shows, or a counter has come to.
func fieldValue(d Document, field string) (bundle.Value, bool) {
	if v, ok := first(d.Values(field)); ok {
		return v, true
	}
	sum, ok := d.Sum(field)
	return bundle.WholeValue(sum), ok
}

func ownValue(d Document, field string) bundle.Value {
	switch field {
	case fieldPath:
		return bundle.TextValue(d.Path())
	case fieldSpace:
		return bundle.TextValue(d.Space())
	case fieldTime:
		return d.Time()
	default:
		_, key, _ := strings.Cut(d.Path(), "/")
		return bundle.TextValue(key)
	}
}

// compare orders two values, if their types can be compared. Whole numbers and sizes are compared
// exactly with each other.
func compare(a, b bundle.Value) (order int, ok bool) {
	switch x, y := a.Type(), b.Type(); {
	case x == bundle.Text && y == bundle.Text:
		return cmp.Compare(a.Text(), b.Text()), true
	case x == bundle.Instant && y == bundle.Instant, isWhole(x) && isWhole(y):
		return cmp.Compare(a.Whole(), b.Whole()), true
	case isNumber(x) && isNumber(y):
		return cmp.Compare(a.Number(), b.Number()), true
	case x == bundle.Bool && y == bundle.Bool:
		return cmp.Compare(a.String(), b.String()), true
	default:
		return 0, false
	}
}

func isWhole(t bundle.Type) bool  { return t == bundle.Whole || t == bundle.Size }
func isNumber(t bundle.Type) bool { return t == bundle.Number || isWhole(t) }

// isPattern reports whether a word has wildcards.
func isPattern(text string) bool { return strings.ContainsAny(text, "*?") }

// like reports whether a text is like a pattern, in which * stands for any characters and ? for
// one. It takes at most as many steps as both have bytes, multiplied.
func like(text, pattern string) bool {
	t, p := []rune(text), []rune(pattern)
	star, mark := -1, 0
	i, j := 0, 0
	for i < len(t) {
		switch {
		case j < len(p) && p[j] == '*':
			star, mark = j, i
			j++
		case j < len(p) && (p[j] == '?' || p[j] == t[i]):
			i, j = i+1, j+1
		case star >= 0:
			mark++
			i, j = mark, star+1
		default:
			return false
		}
	}
	for j < len(p) && p[j] == '*' {
		j++
	}
	return j == len(p)
}

// Matches reports whether a document is one of those that are asked for.
func (q *Query) Matches(d Document) bool { return q.root.matches(d) }

// Doubts returns an *Error for a field that was in none of the documents that were looked at, or
// that always had another type than it is compared with: nobody asks for that who knows it. It
// returns nil where there is none, and where nothing was looked at.
func (q *Query) Doubts() error {
	for _, c := range q.comparisons {
		switch {
		case c.fits:
		case !c.found && c.asked:
			return &Error{c.column, fmt.Sprintf("no document that was looked at has a field %q", c.field)}
		case c.found:
			return &Error{c.column, fmt.Sprintf("%q is a %v wherever it is, and %q is a %v", c.field, c.other, c.said, c.value.Type())}
		}
	}
	return nil
}
