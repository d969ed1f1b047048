package config

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/google/renameio/v2"
	"go.yaml.in/yaml/v3"
)

// SetInFile sets one key of a settings file, making sections as needed, and
// keeps comments and order. The new file replaces the old one atomically.
// The value is not checked against any struct; the caller has done that.
func SetInFile(path, key string, value any) error {
	data, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("changing settings: %w", err)
	}
	edited, err := setKey(data, strings.Split(key, "."), value)
	if err != nil {
		return fmt.Errorf("changing %s in %s: %w", key, path, err)
	}
	if err := renameio.WriteFile(path, edited, 0o600); err != nil {
		return fmt.Errorf("changing settings: %w", err)
	}
	return nil
}

func setKey(data []byte, path []string, value any) ([]byte, error) {
	var doc yaml.Node
	if err := yaml.Unmarshal(data, &doc); err != nil {
		return nil, &Problem{Rule: err.Error()}
	}
	if doc.Kind == 0 || len(doc.Content) == 0 || isNull(doc.Content[0]) {
		text, err := yaml.Marshal(nest(path, value))
		if err != nil {
			return nil, err
		}
		return append(withNewline(data), text...), nil
	}
	section := doc.Content[0]
	for _, name := range path[:len(path)-1] {
		section = entry(section, name)
		if isNull(section) {
			section.Kind, section.Tag, section.Value = yaml.MappingNode, "!!map", ""
		}
		if section.Kind != yaml.MappingNode {
			return nil, &Problem{Key: name, Rule: "want a section with keys below it"}
		}
	}
	target := entry(section, path[len(path)-1])
	head, line, foot := target.HeadComment, target.LineComment, target.FootComment
	if err := target.Encode(value); err != nil {
		return nil, err
	}
	target.HeadComment, target.LineComment, target.FootComment = head, line, foot
	var out bytes.Buffer
	enc := yaml.NewEncoder(&out)
	enc.SetIndent(2)
	if err := errors.Join(enc.Encode(&doc), enc.Close()); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// entry returns the value under a key of a mapping, which it adds if need be.
func entry(m *yaml.Node, name string) *yaml.Node {
	for i := 0; i+1 < len(m.Content); i += 2 {
		if m.Content[i].Value == name {
			return m.Content[i+1]
		}
	}
	value := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null"}
	m.Content = append(m.Content, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: name}, value)
	return value
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.Tag == "!!null" }

func nest(path []string, value any) any {
	for _, name := range slices.Backward(path) {
		value = map[string]any{name: value}
	}
	return value
}

func withNewline(data []byte) []byte {
	if len(data) > 0 && data[len(data)-1] != '\n' {
		return append(data, '\n')
	}
	return data
}
