package config

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
)

// ErrInvalid is wrapped by every error about what the settings say.
var ErrInvalid = errors.New("invalid configuration")

// Problem is one thing that is wrong with the settings.
type Problem struct {
	Origin  string // "…/config.yaml:12", "DECUBE_P2P_LISTEN", "--listen"; empty for a default
	Key     string // full key, such as p2p.listen
	Value   string // what was given, if that is what is wrong
	Rule    string // what is expected
	Nearest string // the valid key that an unknown one resembles
}

// Error puts origin, key, value and rule on one line.
func (p *Problem) Error() string {
	var b strings.Builder
	if p.Origin != "" {
		b.WriteString(p.Origin + ": ")
	}
	b.WriteString(p.Key)
	if p.Value != "" {
		b.WriteString(" = " + p.Value)
	}
	if p.Key != "" {
		b.WriteString(": ")
	}
	b.WriteString(p.Rule)
	if p.Nearest != "" {
		fmt.Fprintf(&b, "; did you mean %s?", p.Nearest)
	}
	return b.String()
}

// Unwrap returns ErrInvalid.
func (p *Problem) Unwrap() error { return ErrInvalid }

// Invalid is what a Validate method returns for one of its fields: key is
// relative to the method's struct, rule says what the value must be.
func Invalid(key string, value any, rule string, args ...any) error {
	return &Problem{Key: key, Value: shown(value), Rule: fmt.Sprintf(rule, args...)}
}

type validator interface{ Validate() error }

func validate(schema *node, origins Origins) (problems []error) {
	schema.each(func(n *node) {
		if n.leaf() {
			return
		}
		v, ok := reflect.TypeAssert[validator](n.value.Addr())
		if !ok {
			return
		}
		for _, err := range flatten(v.Validate()) {
			problems = append(problems, place(n, err, origins))
		}
	})
	return problems
}

// flatten returns the errors that errors.Join has put together.
func flatten(err error) []error {
	if err == nil {
		return nil
	}
	var joined interface{ Unwrap() []error }
	if !errors.As(err, &joined) {
		return []error{err}
	}
	var all []error
	for _, e := range joined.Unwrap() {
		all = append(all, flatten(e)...)
	}
	return all
}

// place completes an error of a section's Validate with its key and origin.
func place(section *node, err error, origins Origins) error {
	var p *Problem
	if !errors.As(err, &p) {
		return &Problem{Origin: sectionOrigin(section, origins), Key: section.key, Rule: err.Error()}
	}
	full := *p
	full.Key = join(section.key, p.Key)
	full.Origin = origins[full.Key]
	return &full
}

// sectionOrigin returns where the first setting of a section that is not a default was set.
func sectionOrigin(section *node, origins Origins) (origin string) {
	section.each(func(n *node) {
		if origin == "" {
			origin = origins[n.key]
		}
	})
	return origin
}

// shown returns a value as it would be written, bounded in length.
func shown(value any) string {
	const most = 80
	var text string
	switch v := value.(type) {
	case string:
		text = fmt.Sprintf("%q", v)
	case fmt.Stringer:
		text = v.String()
	case int64:
		text = FormatSize(v)
	default:
		text = fmt.Sprint(reflect.ValueOf(value))
	}
	if len(text) > most {
		text = text[:most] + "…"
	}
	return text
}
