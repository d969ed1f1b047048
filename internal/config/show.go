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
	var plain any
	switch value := v.Interface().(type) {
	case time.Duration:
		plain = value.String()
	case int64:
		plain = FormatSize(value)
	case encoding.TextMarshaler:
		text, err := value.MarshalText()
		if err != nil {
			return nil, fmt.Errorf("writing a setting: %w", err)
		}
		plain = string(text)
	default:
		plain = value
	}
	n := new(yaml.Node)
	if err := n.Encode(plain); err != nil {
		return nil, fmt.Errorf("writing a setting: %w", err)
	}
	return n, nil
}
