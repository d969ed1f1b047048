package api_test

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"
)

// The shapes of requests and answers are a promise to other programs. A field may
// be added; renaming, retyping or removing one shows up in the golden file.
func TestShapes(t *testing.T) {
	golden := filepath.Join("testdata", "shapes.txt")
	got := shapes(t)
	if os.Getenv("DECUBE_UPDATE_GOLDEN") != "" {
		if err := os.WriteFile(golden, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("the shapes changed; if that is meant, run make golden and tell it in the changelog\n%s", got)
	}
}

// shapes lists every field of every struct of the package: name in JSON, Go type,
// options.
func shapes(t *testing.T) []byte {
	t.Helper()
	var out bytes.Buffer
	files, err := fs.Glob(os.DirFS("."), "*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			spec, ok := n.(*ast.TypeSpec)
			if !ok || !spec.Name.IsExported() {
				return true
			}
			if s, ok := spec.Type.(*ast.StructType); ok {
				fmt.Fprintln(&out, spec.Name)
				for _, field := range s.Fields.List {
					fmt.Fprintf(&out, "\t%s\n", shape(t, spec.Name.Name, field))
				}
			}
			return false
		})
	}
	return out.Bytes()
}

// shape describes a field, which must have a name of its own in JSON and a
// description for the API's document.
func shape(t *testing.T, owner string, field *ast.Field) string {
	t.Helper()
	var tag reflect.StructTag
	if field.Tag != nil {
		text, err := strconv.Unquote(field.Tag.Value)
		if err != nil {
			t.Fatal(err)
		}
		tag = reflect.StructTag(text)
	}
	name, options, _ := strings.Cut(tag.Get("json"), ",")
	if name == "" || tag.Get("doc") == "" {
		t.Errorf("%s has a field without json or doc tag: %s", owner, types.ExprString(field.Type))
	}
	return strings.TrimSpace(fmt.Sprintf("%s %s %s", name, types.ExprString(field.Type), options))
}
