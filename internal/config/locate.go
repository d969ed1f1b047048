package config

import (
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"
)

// locate reads where each setting of a file stands into origins, and reports the
// keys that are no settings. With whole unset, only the schema's own section is
// looked at.
func locate(schema *node, path string, data []byte, whole bool, origins Origins) ([]error, error) {
	var doc yaml.Node
	if err := yaml.Unmarshal(data, &doc); err != nil {
		return nil, &Problem{Origin: path, Rule: err.Error()}
	}
	if len(doc.Content) == 0 {
		return nil, nil // empty, or comments only
	}
	l := locator{path: path, origins: origins}
	top := doc.Content[0]
	if top.Kind != yaml.MappingNode {
		return nil, &Problem{Origin: l.at(top), Rule: "want sections such as \"p2p:\""}
	}
	if whole {
		l.mapping(schema, top)
		return l.problems, nil
	}
	for i := 0; i+1 < len(top.Content); i += 2 {
		if top.Content[i].Value == schema.key {
			l.value(schema, top.Content[i+1])
		}
	}
	return l.problems, nil
}

type locator struct {
	path     string
	origins  Origins
	problems []error
}

func (l *locator) at(n *yaml.Node) string { return fmt.Sprintf("%s:%d", l.path, n.Line) }

func (l *locator) mapping(section *node, m *yaml.Node) {
	for i := 0; i+1 < len(m.Content); i += 2 {
		key, value := m.Content[i], m.Content[i+1]
		child := section.child(key.Value)
		if child == nil {
			l.problems = append(l.problems, &Problem{
				Origin: l.at(key), Key: join(section.key, key.Value), Rule: "unknown key",
				Nearest: nearest(section, key.Value),
			})
			continue
		}
		if child.leaf() {
			l.origins[child.key] = l.at(key)
			continue
		}
		l.value(child, value)
	}
}

// value descends into a section, which must be written as one.
func (l *locator) value(section *node, v *yaml.Node) {
	if v.Kind == yaml.AliasNode {
		v = v.Alias
	}
	switch {
	case v.Kind == yaml.MappingNode:
		l.mapping(section, v)
	case v.Kind == yaml.ScalarNode && v.Tag == "!!null":
		// "p2p:" with everything below commented out
	default:
		l.problems = append(l.problems, &Problem{Origin: l.at(v), Key: section.key, Rule: "want a section with keys below it"})
	}
}

// nearest returns the valid key that resembles an unknown one of a section most,
// empty when none is close.
func nearest(section *node, name string) string {
	best, bestDistance := "", len(name)/3+2
	for _, c := range section.children {
		if d := distance(name, c.key[strings.LastIndex(c.key, ".")+1:]); d < bestDistance {
			best, bestDistance = c.key, d
		}
	}
	return best
}

// distance is the Levenshtein distance of two short words.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}
