package config

import (
	"encoding/json"
	"io"
	"reflect"
	"time"
)

// Patterns of what is written as text and is a number.
const (
	durationPattern = `^[+-]?([0-9]*\.?[0-9]+(ns|us|µs|ms|s|m|h))+$`
	sizePattern     = `^ *[0-9]+(\.[0-9]+)? *([kKMGTPE]i?)?[bB]? *$`
)

// JSONSchema writes a JSON Schema (draft 2020-12) of the settings file, for editors
// that complete and check it. Settings are given by pointer and hold the defaults.
// It knows keys and kinds; what Validate methods check is not in it.
func JSONSchema(w io.Writer, title string, settings any) error {
	doc, err := schemaNode(schemaOf("", reflect.ValueOf(settings)))
	if err != nil {
		return err
	}
	doc["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	doc["title"] = title
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(doc)
}

func schemaNode(n *node) (map[string]any, error) {
	if n.leaf() {
		return schemaLeaf(n.value)
	}
	properties := make(map[string]any, len(n.children))
	for _, c := range n.children {
		sub, err := schemaNode(c)
		if err != nil {
			return nil, err
		}
		name := c.key[len(n.key):]
		if n.key != "" {
			name = name[1:]
		}
		properties[name] = sub
	}
	// A section that is there and empty is null.
	return map[string]any{"type": []string{"object", "null"}, "properties": properties, "additionalProperties": false}, nil
}

func schemaLeaf(v reflect.Value) (map[string]any, error) {
	standard, err := plain(v)
	if err != nil {
		return nil, err
	}
	s := schemaKind(v)
	s["default"] = standard
	return s, nil
}

func schemaKind(v reflect.Value) map[string]any {
	switch v.Interface().(type) {
	case time.Duration:
		return map[string]any{"type": "string", "pattern": durationPattern}
	case int64:
		return map[string]any{"type": []string{"integer", "string"}, "pattern": sizePattern}
	}
	switch v.Kind() {
	case reflect.Bool:
		return map[string]any{"type": "boolean"}
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return map[string]any{"type": "integer"}
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return map[string]any{"type": "integer", "minimum": 0}
	case reflect.Float32, reflect.Float64:
		return map[string]any{"type": "number"}
	case reflect.Slice, reflect.Array:
		return map[string]any{"type": "array", "items": schemaKind(reflect.New(v.Type().Elem()).Elem())}
	default:
		return map[string]any{"type": "string"}
	}
}
