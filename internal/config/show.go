package config

import (
	"encoding"
	"fmt"
	"io"
	"reflect"
	"time"

	"go.yaml.in/yaml/v3"
)

// Show writes settings, given by pointer, as a YAML file that Load reads back to
// the same values. Settings that are not defaults say where they were set.
func Show(w io.Writer, settings any, origins Origins) error {
	doc, err := showNode(schemaOf("", reflect.ValueOf(settings)), origins)
	if err != nil {
		return err
	}
	enc := yaml.NewEncoder(w)
	enc.SetIndent(2)
	if err := enc.Encode(doc); err != nil {
		return fmt.Errorf("writing settings: %w", err)
	}
	return enc.Close()
}

// Keys returns the dotted keys of all settings of a struct, given by pointer, in
// the order of its fields.
func Keys(settings any) []string {
	var keys []string
	schemaOf("", reflect.ValueOf(settings)).each(func(n *node) {
		if n.leaf() {
			keys = append(keys, n.key)
		}
	})
	return keys
}

func showNode(n *node, origins Origins) (*yaml.Node, error) {
	if n.leaf() {
		return scalar(n.value)
	}
	m := &yaml.Node{Kind: yaml.MappingNode}
	for _, c := range n.children {
		value, err := showNode(c, origins)
		if err != nil {
			return nil, err
		}
		key := &yaml.Node{Kind: yaml.ScalarNode, Value: c.key[len(n.key):]}
		if n.key != "" {
			key.Value = key.Value[1:]
		}
		if origin := origins[c.key]; origin != "" {
			key.HeadComment = "from " + origin
		}
		m.Content = append(m.Content, key, value)
	}
	return m, nil
}

func scalar(v reflect.Value) (*yaml.Node, error) {
	value, err := plain(v)
	if err != nil {
		return nil, err
	}
	n := new(yaml.Node)
	if err := n.Encode(value); err != nil {
		return nil, fmt.Errorf("writing a setting: %w", err)
	}
	return n, nil
}

// plain returns a setting as it is written in a file.
func plain(v reflect.Value) (any, error) {
	switch value := v.Interface().(type) {
	case time.Duration:
		return value.String(), nil
	case int64:
		return FormatSize(value), nil
	case encoding.TextMarshaler:
		text, err := value.MarshalText()
		if err != nil {
			return nil, fmt.Errorf("writing a setting: %w", err)
		}
		return string(text), nil
	default:
		return value, nil
	}
}
