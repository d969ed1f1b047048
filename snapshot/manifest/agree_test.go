package manifest_test

import (
	"reflect"
	"testing"

	"pgregory.net/rapid"

	"github.com/decube/decube/block"
	"github.com/decube/decube/snapshot/manifest"
)

// thin empties lists and byte strings anywhere in a value, as the draws say: to nil or to
// one without elements.
func thin(t *rapid.T, v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		for _, f := range v.Fields() {
			if f.CanSet() {
				thin(t, f)
			}
		}
	case reflect.Slice:
		switch rapid.IntRange(0, 9).Draw(t, "what") {
		case 0:
			v.SetZero()
		case 1:
			v.Set(reflect.MakeSlice(v.Type(), 0, 0))
		}
		for i := range v.Len() {
			thin(t, v.Index(i))
		}
	default:
	}
}

// TestEncodeAndDecodeAgree has values with lists that are nil or empty: what Encode takes,
// Decode gives back.
func TestEncodeAndDecodeAgree(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		switch rapid.IntRange(0, 2).Draw(t, "kind") {
		case 0:
			agree(t, root(), new(manifest.Root))
		case 1:
			agree(t, dir(), new(manifest.Node))
		case 2:
			agree(t, &manifest.Node{Pages: []manifest.NodeRef{{Page: node, First: []byte("a"), Count: 3}}}, new(manifest.Node))
		}
	})
}

func agree[T any, P manifest.Value[T]](t *rapid.T, v, again P) {
	thin(t, reflect.ValueOf(v).Elem())
	b, err := manifest.Encode(v)
	if err != nil {
		return
	}
	if err := manifest.Decode(b, again); err != nil {
		t.Fatalf("%+v: %v", v, err)
	}
	if out, err := manifest.Encode(again); err != nil || out.ID() != b.ID() {
		t.Fatalf("%+v comes back as %+v, %v", v, again, err)
	}
}

// TestEmptyIsNil refuses each list that is empty and not nil: it has no canonical form.
func TestEmptyIsNil(t *testing.T) {
	encoders := map[string]func() (block.Block, error){
		"tags":  func() (block.Block, error) { r := root(); r.Tags = []string{}; return manifest.Encode(r) },
		"path":  func() (block.Block, error) { r := root(); r.Source.Path = []byte{}; return manifest.Encode(r) },
		"name":  func() (block.Block, error) { r := root(); r.Tree.Name = []byte{}; return manifest.Encode(r) },
		"node":  func() (block.Block, error) { return manifest.Encode(&manifest.Node{Entries: []manifest.Entry{}}) },
		"pages": func() (block.Block, error) { return manifest.Encode(&manifest.Node{Pages: []manifest.NodeRef{}}) },
		"target": func() (block.Block, error) {
			d := dir()
			d.Entries[0].Target = []byte{}
			return manifest.Encode(d)
		},
	}
	for name, encode := range encoders {
		if b, err := encode(); err == nil {
			t.Errorf("%s: % x", name, b.Data())
		}
	}
}
