package config_test

import (
	"bytes"
	"encoding/json"
	"regexp"
	"testing"

	"github.com/decube/decube/internal/config"
)

// schema is as much of a JSON schema as the tests look at.
type schema struct {
	Type       any
	Title      string
	Default    any
	Pattern    string
	Items      *schema
	Properties map[string]*schema

	AdditionalProperties *bool
}

func schemaOf(t *testing.T, settings any) *schema {
	t.Helper()
	var out bytes.Buffer
	if err := config.JSONSchema(&out, "a peer", settings); err != nil {
		t.Fatal(err)
	}
	s := new(schema)
	if err := json.Unmarshal(out.Bytes(), s); err != nil {
		t.Fatalf("%v in\n%s", err, out.String())
	}
	return s
}

func TestJSONSchemaHasKeysKindsAndDefaults(t *testing.T) {
	d := defaults()
	root := schemaOf(t, &d)
	if root.Title != "a peer" || root.AdditionalProperties == nil || *root.AdditionalProperties || len(root.Properties) != 3 {
		t.Errorf("root %+v", root)
	}
	p2p, storage := root.Properties["p2p"].Properties, root.Properties["storage"].Properties
	for name, c := range map[string]struct {
		got       *schema
		kind, std any
	}{
		"a list":     {p2p["listen"], "array", []any{"a"}},
		"a boolean":  {p2p["nat_port_map"], "boolean", false},
		"a number":   {p2p["max_connections"], "integer", 100.0},
		"a duration": {p2p["grace"], "string", "1m0s"},
		"a size":     {storage["min_free"], []any{"integer", "string"}, "0"},
		"a text":     {root.Properties["log"].Properties["level"], "string", "info"},
	} {
		if c.got == nil || !equal(c.got.Type, c.kind) || !equal(c.got.Default, c.std) {
			t.Errorf("%s is described as %+v", name, c.got)
		}
	}
	if items := p2p["listen"].Items; items == nil || items.Type != "string" {
		t.Errorf("a list of %+v", items)
	}
}

func equal(a, b any) bool {
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	return errX == nil && errY == nil && bytes.Equal(x, y)
}

func TestJSONSchemaTakesWhatLoadTakes(t *testing.T) {
	d := defaults()
	root := schemaOf(t, &d)
	for _, c := range []struct {
		of   *schema
		text string
		ok   bool
	}{
		{root.Properties["p2p"].Properties["grace"], "1h30m", true},
		{root.Properties["p2p"].Properties["grace"], "1.5s", true},
		{root.Properties["p2p"].Properties["grace"], "5", false},
		{root.Properties["p2p"].Properties["grace"], "soon", false},
		{root.Properties["storage"].Properties["quota"], "512MiB", true},
		{root.Properties["storage"].Properties["quota"], "100G", true},
		{root.Properties["storage"].Properties["quota"], "1048576", true},
		{root.Properties["storage"].Properties["quota"], "many", false},
	} {
		if got := regexp.MustCompile(c.of.Pattern).MatchString(c.text); got != c.ok {
			t.Errorf("%q matches %s: %v", c.text, c.of.Pattern, got)
		}
		key := "p2p:\n  grace: "
		if c.of == root.Properties["storage"].Properties["quota"] {
			key = "storage:\n  quota: "
		}
		s := defaults()
		if _, err := config.Load(&s, config.Source{File: file(t, key+c.text+"\n")}); (err == nil) != c.ok {
			t.Errorf("loading %q: %v", c.text, err)
		}
	}
}
