package genesis

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"unicode/utf8"
)

// reader reads JSON as the standard library does not: names match letter for
// letter, no field comes twice or unasked for, and every error says where. The
// first error sticks; after it, values are zero.
type reader struct{ err error }

func (r *reader) fail(field, format string, args ...any) {
	if r.err == nil {
		r.err = invalid(field, format, args...)
	}
}

// whole checks what the parts cannot see: that data is one JSON value in UTF-8.
// The standard library would put another character for bytes that are not.
func (r *reader) whole(data []byte) bool {
	if !utf8.Valid(data) {
		r.fail("document", "not UTF-8")
		return false
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	var value json.RawMessage
	if err := dec.Decode(&value); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		r.fail("document", "%w", err)
		return false
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		r.fail("document", "something follows it at byte %d", dec.InputOffset())
		return false
	}
	return true
}

// object is a JSON object whose fields are taken by name.
type object struct {
	r      *reader
	path   string // empty for the document itself
	names  []string
	fields map[string]json.RawMessage
}

// field returns the path of one of the object's fields.
func (o *object) field(name string) string {
	if o.path == "" {
		return name
	}
	return o.path + "." + name
}

// object reads one object, whose syntax whole has checked.
func (r *reader) object(path string, raw json.RawMessage) *object {
	o := &object{r: r, path: path, fields: map[string]json.RawMessage{}}
	if r.err != nil {
		return o
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		r.fail(cmp.Or(path, "document"), "%s is not an object", excerpt(raw))
		return o
	}
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			r.fail(path, "%w", err)
			return o
		}
		text := fmt.Sprint(name)
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			r.fail(o.field(text), "%w", err)
			return o
		}
		if _, twice := o.fields[text]; twice {
			r.fail(o.field(text), "given twice")
			return o
		}
		o.names = append(o.names, text)
		o.fields[text] = value
	}
	return o
}

// has reports whether a field is given and not taken yet.
func (o *object) has(name string) bool { return o.fields[name] != nil }

// take returns a field's value; one that is missing is an error.
func (o *object) take(name string) json.RawMessage {
	raw := o.fields[name]
	delete(o.fields, name)
	if raw == nil {
		o.r.fail(o.field(name), "missing")
	}
	return raw
}

// finish refuses the fields that nobody took.
func (o *object) finish() {
	for _, name := range o.names {
		if o.has(name) {
			o.r.fail(o.field(name), "unknown field")
		}
	}
}

// number takes an unsigned integer in decimal digits.
func (o *object) number(name string) uint64 {
	raw := o.take(name)
	if o.r.err != nil {
		return 0
	}
	n, err := strconv.ParseUint(string(raw), 10, 64)
	if err != nil {
		o.r.fail(o.field(name), "%s is not a whole number that fits 64 bits", excerpt(raw))
	}
	return n
}

// text takes a string.
func (o *object) text(name string) string {
	raw := o.take(name)
	return o.r.text(o.field(name), raw)
}

func (r *reader) text(path string, raw json.RawMessage) string {
	if r.err != nil {
		return ""
	}
	var s string
	if len(raw) == 0 || raw[0] != '"' || json.Unmarshal(raw, &s) != nil {
		r.fail(path, "%s is not a string", excerpt(raw))
	}
	return s
}

// texts takes an array of at most limit strings.
func (o *object) texts(name string, limit int) []string {
	var out []string
	for i, raw := range o.array(name, limit) {
		out = append(out, o.r.text(fmt.Sprintf("%s[%d]", o.field(name), i), raw))
	}
	return out
}

// objects takes an array of at most limit objects.
func (o *object) objects(name string, limit int) []*object {
	var out []*object
	for i, raw := range o.array(name, limit) {
		out = append(out, o.r.object(fmt.Sprintf("%s[%d]", o.field(name), i), raw))
	}
	return out
}

func (o *object) array(name string, limit int) []json.RawMessage {
	raw := o.take(name)
	if o.r.err != nil {
		return nil
	}
	var out []json.RawMessage
	if raw[0] != '[' || json.Unmarshal(raw, &out) != nil {
		o.r.fail(o.field(name), "%s is not an array", excerpt(raw))
		return nil
	}
	if len(out) > limit {
		o.r.fail(o.field(name), "%d entries, at most %d", len(out), limit)
		return nil
	}
	return out
}

// excerpt returns the beginning of a value for a message.
func excerpt(raw []byte) string {
	const most = 40
	if len(raw) > most {
		return string(raw[:most]) + "..."
	}
	return string(raw)
}
