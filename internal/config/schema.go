package config

import (
	"encoding"
	"reflect"
	"strings"
	"time"
	"unicode"
)

// node is a field of a settings struct: a section with children, or a leaf.
type node struct {
	key      string // full dotted key; empty for the root
	value    reflect.Value
	children []*node // nil for a leaf
}

// schemaOf lists the settings below a pointer to a struct, in the order of its fields.
func schemaOf(key string, ptr reflect.Value) *node {
	return newNode(key, ptr.Elem())
}

func newNode(key string, v reflect.Value) *node {
	n := &node{key: key, value: v}
	if !isSection(v) {
		return n
	}
	n.children = []*node{}
	for i := range v.NumField() {
		field := v.Type().Field(i)
		name := keyOf(field)
		if name == "" || !configurable(field.Type) {
			continue
		}
		n.children = append(n.children, newNode(join(key, name), v.Field(i)))
	}
	return n
}

// isSection reports whether v is a struct to descend into, rather than a value.
func isSection(v reflect.Value) bool {
	if v.Kind() != reflect.Struct {
		return false
	}
	_, text := reflect.TypeAssert[encoding.TextUnmarshaler](v.Addr())
	return !text
}

// configurable leaves out what cannot be written in a file: functions, channels
// and interfaces that a struct may carry beside its settings.
func configurable(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Func, reflect.Chan, reflect.Interface, reflect.Pointer, reflect.UnsafePointer:
		return false
	default:
		return true
	}
}

// keyOf returns the key of a struct field, empty for one that is not a setting.
func keyOf(f reflect.StructField) string {
	if !f.IsExported() {
		return ""
	}
	if tag, ok := f.Tag.Lookup("yaml"); ok {
		name, _, _ := strings.Cut(tag, ",")
		if name == "-" {
			return ""
		}
		if name != "" {
			return name
		}
	}
	return snake(f.Name)
}

// snake turns MaxOpenFiles into max_open_files and NATPortMap into nat_port_map.
func snake(name string) string {
	runes := []rune(name)
	var out strings.Builder
	for i, r := range runes {
		if unicode.IsUpper(r) && i > 0 {
			afterLower := unicode.IsLower(runes[i-1])
			beforeLower := i+1 < len(runes) && unicode.IsLower(runes[i+1])
			if afterLower || beforeLower {
				out.WriteByte('_')
			}
		}
		out.WriteRune(unicode.ToLower(r))
	}
	return out.String()
}

func join(section, name string) string {
	if section == "" {
		return name
	}
	return section + "." + name
}

// leaf reports whether the node is a value rather than a section.
func (n *node) leaf() bool { return n.children == nil }

// each calls yield for the node and everything below it, parents first.
func (n *node) each(yield func(*node)) {
	yield(n)
	for _, c := range n.children {
		c.each(yield)
	}
}

// leaves returns the settings by key.
func (n *node) leaves() map[string]*node {
	all := make(map[string]*node)
	n.each(func(m *node) {
		if m.leaf() {
			all[m.key] = m
		}
	})
	return all
}

// child returns the node with the given name directly below n, or nil.
func (n *node) child(name string) *node {
	for _, c := range n.children {
		if c.key == join(n.key, name) {
			return c
		}
	}
	return nil
}

var (
	durationType = reflect.TypeFor[time.Duration]()
	sizeType     = reflect.TypeFor[int64]()
)

// expects says in words what may be written for a leaf.
func (n *node) expects() string {
	switch t := n.value.Type(); {
	case t == durationType:
		return "a duration such as 500ms or 1m30s"
	case t == sizeType:
		return "a number of bytes such as 1048576 or 512MiB"
	case t.Kind() == reflect.Bool:
		return "true or false"
	case t.Kind() == reflect.Slice:
		return "a list"
	case t.Kind() == reflect.Map:
		return "a mapping"
	case n.value.CanInt() || n.value.CanUint():
		return "a whole number"
	case n.value.CanFloat():
		return "a number"
	default:
		return "text"
	}
}
