package query

import (
	"fmt"
	"time"

	"github.com/decube/decube/crdtsync/bundle"
	"github.com/decube/decube/crdtsync/literal"
)

const (
	// MaxQuery is the most bytes of a query, and mostDepth how deep parentheses and NOT go.
	MaxQuery  = 4 << 10
	mostDepth = 64
)

// What is known of a document itself.
const (
	fieldKey   = "@key"
	fieldPath  = "@path"
	fieldSpace = "@space"
	fieldTime  = "@time"
)

// node is a part of a query.
type node interface{ matches(d Document) bool }

type (
	both   struct{ a, b node }
	either struct{ a, b node }
	not    struct{ of node }
)

func (n both) matches(d Document) bool   { return n.a.matches(d) && n.b.matches(d) }
func (n either) matches(d Document) bool { return n.a.matches(d) || n.b.matches(d) }
func (n not) matches(d Document) bool    { return !n.of.matches(d) }

// all is the query of nothing.
type all struct{}

func (all) matches(Document) bool { return true }

// Query is a query that was read. It counts what it has looked at, and is not safe for
// concurrent use.
type Query struct {
	root        node
	comparisons []*comparison
}

// Parse reads a query. One of nothing matches everything. The error is an *Error.
func Parse(text string) (*Query, error) {
	if len(text) > MaxQuery {
		return nil, &Error{1, fmt.Sprintf("%d bytes, want at most %d", len(text), MaxQuery)}
	}
	tokens, err := split(text)
	if err != nil {
		return nil, err
	}
	p := &parser{rest: tokens, q: &Query{root: all{}}}
	if p.next().kind == end {
		return p.q, nil
	}
	if p.q.root, err = p.or(0); err != nil {
		return nil, err
	}
	if t := p.next(); t.kind != end {
		return nil, &Error{t.column, fmt.Sprintf("want AND, OR or the end, and there is %v", t)}
	}
	return p.q, nil
}

type parser struct {
	rest []token
	q    *Query
}

func (p *parser) next() token { return p.rest[0] }

func (p *parser) take() token {
	t := p.rest[0]
	if t.kind != end {
		p.rest = p.rest[1:]
	}
	return t
}

func (p *parser) or(depth int) (node, error) {
	a, err := p.and(depth)
	for err == nil && p.next().is("OR") && p.next().kind == word {
		p.take()
		var b node
		b, err = p.and(depth)
		a = either{a, b}
	}
	return a, err
}

func (p *parser) and(depth int) (node, error) {
	a, err := p.not(depth)
	for err == nil {
		t := p.next()
		if t.kind == end || t.is(")") || t.kind == word && t.text == "OR" {
			break
		}
		if t.kind == word && t.text == "AND" {
			p.take()
		}
		var b node
		b, err = p.not(depth)
		a = both{a, b}
	}
	return a, err
}

func (p *parser) not(depth int) (node, error) {
	t := p.next()
	if depth > mostDepth {
		return nil, &Error{t.column, fmt.Sprintf("want at most %d parentheses and NOTs in each other", mostDepth)}
	}
	switch {
	case t.kind == word && t.text == "NOT":
		p.take()
		of, err := p.not(depth + 1)
		return not{of}, err
	case t.is("("):
		p.take()
		of, err := p.or(depth + 1)
		if err != nil {
			return nil, err
		}
		if closing := p.take(); !closing.is(")") {
			return nil, &Error{closing.column, fmt.Sprintf("want ) for the ( in column %d, and there is %v", t.column, closing)}
		}
		return of, nil
	default:
		return p.comparison()
	}
}

func (p *parser) comparison() (node, error) {
	name := p.take()
	if name.kind != quoted && (name.kind != word || name.text == "AND" || name.text == "OR") {
		return nil, &Error{name.column, fmt.Sprintf("want the name of a field, NOT or (, and there is %v", name)}
	}
	c := &comparison{field: name.text, column: name.column, own: name.kind == word && name.text[0] == '@'}
	if c.own && c.field != fieldKey && c.field != fieldPath && c.field != fieldSpace && c.field != fieldTime {
		return nil, &Error{name.column, fmt.Sprintf("%v is nothing that is known of a document: want @key, @path, @space or @time", name)}
	}
	if p.next().is("[") {
		p.take()
		element := p.take()
		if element.kind != word && element.kind != quoted {
			return nil, &Error{element.column, fmt.Sprintf("want the name of an entry, and there is %v", element)}
		}
		if closing := p.take(); !closing.is("]") {
			return nil, &Error{closing.column, fmt.Sprintf("want ] after the name of an entry, and there is %v", closing)}
		}
		c.element, c.entry = element.text, true
	}
	op := p.take()
	switch op.text {
	case "=", "!=", "<", ">", "<=", ">=", ":":
		if c.op = op.text; op.kind == operator {
			break
		}
		fallthrough
	default:
		return nil, &Error{op.column, fmt.Sprintf("want =, !=, <, >, <=, >= or : after a field, and there is %v", op)}
	}
	value := p.take()
	if value.kind != word && value.kind != quoted {
		return nil, &Error{value.column, fmt.Sprintf("want a value after %s, and there is %v", op.text, value)}
	}
	if err := c.read(value); err != nil {
		return nil, err
	}
	if c.op == ":" && (c.own || c.entry) {
		return nil, &Error{op.column, "want = here: only a field has elements"}
	}
	p.q.comparisons = append(p.q.comparisons, c)
	return c, nil
}

// read reads the value that is compared with.
func (c *comparison) read(t token) error {
	c.said = t.text
	if t.kind == quoted {
		c.value = bundle.TextValue(t.text)
		return nil
	}
	if c.pattern = isPattern(t.text); c.pattern {
		if c.op != "=" && c.op != "!=" && c.op != ":" {
			return &Error{t.column, fmt.Sprintf("want = or != before %v, which has a wildcard in it; a text with * or ? stands between quotation marks", t)}
		}
		c.value = bundle.TextValue(t.text)
		return nil
	}
	if day, err := time.Parse(time.DateOnly, t.text); err == nil {
		c.value = bundle.InstantValue(day)
		return nil
	}
	value, ok := literal.Read(literal.Guess(t.text), t.text)
	if !ok {
		return &Error{t.column, fmt.Sprintf("%v is too large for a %v: a text stands between quotation marks", t, literal.Guess(t.text))}
	}
	c.value = value
	return nil
}
