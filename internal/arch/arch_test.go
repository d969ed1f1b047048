package arch

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// root is the repository, seen from this package.
const root = "../.."

// load returns the module's packages and all that they import.
func load(t *testing.T) Graph {
	t.Helper()
	const fields = "-json=ImportPath,Dir,Name,Doc,Imports,Standard,GoFiles,CgoFiles,IgnoredGoFiles,TestGoFiles,XTestGoFiles"
	cmd := exec.CommandContext(t.Context(), "go", "list", "-deps", fields, "./...")
	cmd.Dir = root
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", cmd, err, &stderr)
	}
	g := Graph{}
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		p := new(Package)
		if err := dec.Decode(p); errors.Is(err, io.EOF) {
			return g
		} else if err != nil {
			t.Fatal(err)
		}
		g[p.ImportPath] = p
	}
}

func TestModule(t *testing.T) {
	g := load(t)
	if len(g.ours()) < 10 || g["fmt"] == nil {
		t.Fatalf("go list knows %d packages of the module: is this the right directory?", len(g.ours()))
	}
	report(t, Imports(g))
	sources, err := Sources(g)
	if err != nil {
		t.Fatal(err)
	}
	report(t, sources)
	report(t, TopLevel(os.DirFS(filepath.FromSlash(root))))
}

func report(t *testing.T, violations []Violation) {
	t.Helper()
	for _, v := range violations {
		t.Error(v)
	}
}
