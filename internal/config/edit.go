package config

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"github.com/google/renameio/v2"
	"go.yaml.in/yaml/v3"
)

// SetInFile sets one key of a settings file, making sections as needed, and leaves
// every other line as it is. Where the file shows the key's default in a comment, as
// the one of a new repository does, the setting takes that comment's place: below it
// the key would be there twice for whoever removes the #. The new file replaces the old one
// atomically. The value is not checked against any struct; the caller has done that.
func SetInFile(path, key string, value any) error {
	data, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("changing settings: %w", err)
	}
	edited, err := setKey(data, strings.Split(key, "."), value)
	if err != nil {
		return fmt.Errorf("changing %s in %s: %w", key, path, err)
	}
	if err := renameio.WriteFile(path, edited, 0o600, renameio.WithTempDir(filepath.Dir(path))); err != nil {
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
		text, err := render(nest(path, value))
		return append(withNewline(data), text...), err
	}
	e := editor{lines: strings.SplitAfter(string(withNewline(data)), "\n")}
	edited, err := e.set(doc.Content[0], path, value)
	if err != nil {
		return nil, err
	}
	// YAML has more forms than the editor knows. What it has made of one that it does
	// not know is not what was asked for, and then the whole file is written anew,
	// which moves comments, but keeps the values.
	if changes(data, edited, path, value) {
		return edited, nil
	}
	return encodeAnew(&doc, path, value)
}

// editor changes a settings file as text.
type editor struct{ lines []string } // each with its end

// set returns the text with a key set in the section m, or below it.
func (e *editor) set(m *yaml.Node, path []string, value any) ([]byte, error) {
	begin, end, indent := 0, len(e.lines), 0 // of the section's lines
	for len(path) > 1 {
		name, section := find(m, path[0])
		if section == nil {
			break
		}
		begin = name.Line
		indent, end = e.extent(name)
		if section.Kind == yaml.MappingNode && len(section.Content) > 0 {
			indent = section.Content[0].Column - 1
		}
		m, path = section, path[1:]
	}
	text, err := render(nest(path, value))
	if err != nil {
		return nil, err
	}
	from, to := end, end
	switch name, old := find(m, path[0]); {
	case old != nil:
		from, to = name.Line-1, lastLine(old)
		if old.LineComment != "" {
			text = strings.Replace(text, "\n", " "+old.LineComment+"\n", 1)
		}
	case indent > 0:
		// A key at the section's beginning parts no comment from what it is about.
		from, to = begin, begin
		if at, n := e.shown(begin, end, indent, path[0]); n > 0 {
			from, to = at, at+n
		}
	}
	var out strings.Builder
	for _, line := range e.lines[:from] {
		out.WriteString(line)
	}
	for line := range strings.Lines(text) {
		out.WriteString(strings.Repeat(" ", indent) + line)
	}
	for _, line := range e.lines[to:] {
		out.WriteString(line)
	}
	return []byte(out.String()), nil
}

// extent returns where the section with a name ends, and how far its keys are
// indented when it has none.
func (e *editor) extent(name *yaml.Node) (indent, end int) {
	outer := name.Column - 1
	for end = name.Line; end < len(e.lines); end++ {
		text := strings.TrimLeft(e.lines[end], " ")
		if strings.TrimSpace(text) != "" && text[0] != '#' && len(e.lines[end])-len(text) <= outer {
			break
		}
	}
	return outer + 2, end
}

// shown returns the lines that show a key's default in a comment: #key: ..., and those
// after it that are indented more.
func (e *editor) shown(begin, end, indent int, key string) (at, n int) {
	comment := strings.Repeat(" ", indent) + "#"
	at = begin
	for at < end && !strings.HasPrefix(e.lines[at], comment+key+":") {
		at++
	}
	if at == end {
		return at, 0
	}
	n = 1
	for at+n < end && strings.HasPrefix(e.lines[at+n], comment+"  ") {
		n++
	}
	return at, n
}

// lastLine returns the line that a value ends on, as far as the parser tells.
func lastLine(n *yaml.Node) int {
	last := n.Line
	for _, c := range n.Content {
		last = max(last, lastLine(c))
	}
	return last
}

// changes reports whether edited has a value at path, and all else as it is in data.
func changes(data, edited []byte, path []string, value any) bool {
	var before, after map[string]any
	if yaml.Unmarshal(data, &before) != nil || yaml.Unmarshal(edited, &after) != nil {
		return false
	}
	section := before
	for _, name := range path[:len(path)-1] {
		below, ok := section[name].(map[string]any)
		if !ok {
			below = make(map[string]any)
			section[name] = below
		}
		section = below
	}
	text, err := yaml.Marshal(value)
	var plain any
	if err != nil || yaml.Unmarshal(text, &plain) != nil {
		return false
	}
	section[path[len(path)-1]] = plain
	return reflect.DeepEqual(before, after)
}

// encodeAnew sets a key in the parsed file and writes all of it.
func encodeAnew(doc *yaml.Node, path []string, value any) ([]byte, error) {
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
	return marshal(doc)
}

// find returns a key of a mapping and its value, nil when it is not there.
func find(m *yaml.Node, name string) (key, value *yaml.Node) {
	if m.Kind != yaml.MappingNode {
		return nil, nil
	}
	for i := 0; i+1 < len(m.Content); i += 2 {
		if m.Content[i].Value == name {
			return m.Content[i], m.Content[i+1]
		}
	}
	return nil, nil
}

// entry returns the value under a key of a mapping, which it adds if need be.
func entry(m *yaml.Node, name string) *yaml.Node {
	if _, value := find(m, name); value != nil {
		return value
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

func render(value any) (string, error) {
	text, err := marshal(value)
	return string(text), err
}

// marshal encodes with the indentation of the files of new repositories.
func marshal(value any) ([]byte, error) {
	var out bytes.Buffer
	enc := yaml.NewEncoder(&out)
	enc.SetIndent(2)
	if err := errors.Join(enc.Encode(value), enc.Close()); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

func withNewline(data []byte) []byte {
	if len(data) > 0 && data[len(data)-1] != '\n' {
		return append(data, '\n')
	}
	return data
}
