package arch

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// MaxLines is the most lines a file that people write may have.
const MaxLines = 500

// topLevel is what must be at the root of the repository.
var topLevel = []string{
	"api", "block", "blockstore", "cmd/decube-node", "cmd/decubectl", "crdtsync/crdt", "deploy", "dht", "docs/design", "internal",
	"ledger/pbft", "ledger/quorum", "ledger/wal", "node/kernel", "protocols/consensus", "protocols/exchange", "protocols/statesync", "snapshot", "testnet/sim",
	".ci/run", ".golangci.yml", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "Makefile", "README.md", "go.mod", "go.sum",
}

const (
	reasonComment = "the package comment tells a newcomer what the room is for"
	reasonTest    = "a package without a test of its own is changed in fear"
	reasonLines   = "one idea per file, of about 100 to 400 lines"
	reasonClock   = "a core that looks at a clock, or waits for one, is another in each run: instants come in with the events"
	reasonChance  = "a core that draws from the process is another in each run: it is given a seed"
	reasonAlone   = "a core with goroutines is another in each run: one caller at a time gives it what happens"
	reasonFace    = "a type that every loop reaches is where a room stops being rooms: what decides is a driver, and what belongs together has a type of its own"
	reasonTop     = "the top level is given, so that people find their way"
)

// Sources checks that every package of the module has a comment and a test, that
// its files are of a size to read, and what else their text says.
func Sources(g Graph) ([]Violation, error) {
	var out []Violation
	for _, p := range g.ours() {
		if p.Doc == "" {
			out = append(out, Violation{short(p.ImportPath), "no package comment", reasonComment})
		}
		if len(p.TestGoFiles)+len(p.XTestGoFiles) == 0 && !isSuite(p) {
			code, err := hasCode(p)
			if err != nil {
				return nil, err
			}
			if code {
				out = append(out, Violation{short(p.ImportPath), "no test", reasonTest})
			}
		}
		long, err := longFiles(p)
		if err != nil {
			return nil, err
		}
		out = append(out, long...)
		differs, err := checkReplay(p)
		if err != nil {
			return nil, err
		}
		out = append(out, differs...)
		shared, err := checkShared(p)
		if err != nil {
			return nil, err
		}
		out = append(out, shared...)
		handlers, err := checkHandlers(p)
		if err != nil {
			return nil, err
		}
		out = append(out, handlers...)
		wide, err := checkFaces(p)
		if err != nil {
			return nil, err
		}
		out = append(out, wide...)
	}
	return out, nil
}

// clocks are what package time has besides arithmetic.
var clocks = []string{"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker", "Local", "LoadLocation"}

// sources are what package math/rand/v2 has for who is given a seed.
var sources = []string{"ChaCha8", "NewChaCha8", "PCG", "NewPCG"}

// checkReplay looks for what makes one run differ from another with the same events, in
// packages that runs are replayed through: clocks, chance of the process, and goroutines.
func checkReplay(p *Package) ([]Violation, error) {
	if !withinAny(short(p.ImportPath), slices.Concat(sansIO, values)) {
		return nil, nil
	}
	var out []Violation
	for _, name := range p.GoFiles {
		f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(p.Dir, name), nil, parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		ast.Inspect(f, func(n ast.Node) bool {
			if what, reason := unreplayable(n); what != "" {
				out = append(out, Violation{filepath.Join(short(p.ImportPath), name), what, reason})
			}
			return true
		})
	}
	return out, nil
}

// unreplayable returns what of a piece of source is not the same in each run, and why
// that matters.
func unreplayable(n ast.Node) (what, reason string) {
	switch n := n.(type) {
	case *ast.GoStmt:
		return "a go statement", reasonAlone
	case *ast.ChanType:
		return "a channel", reasonAlone
	case *ast.SelectorExpr:
		switch x, _ := n.X.(*ast.Ident); {
		case x == nil:
		case x.Name == "time" && slices.Contains(clocks, n.Sel.Name):
			return "time." + n.Sel.Name, reasonClock
		case x.Name == "rand" && !slices.Contains(sources, n.Sel.Name):
			return "rand." + n.Sel.Name, reasonChance
		}
	}
	return "", ""
}

// faces are types that others hold a whole room by, with the most fields that each may
// have.
var faces = map[string]map[string]int{"ledger": {"Ledger": 15}}

// checkFaces counts the fields of a room's face.
func checkFaces(p *Package) ([]Violation, error) {
	most := faces[short(p.ImportPath)]
	if most == nil {
		return nil, nil
	}
	var out []Violation
	for _, name := range p.GoFiles {
		f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(p.Dir, name), nil, parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		ast.Inspect(f, func(n ast.Node) bool {
			spec, ok := n.(*ast.TypeSpec)
			if !ok {
				return true
			}
			s, ok := spec.Type.(*ast.StructType)
			if ok && most[spec.Name.Name] > 0 && fieldsOf(s) > most[spec.Name.Name] {
				what := fmt.Sprintf("%s has %d fields, at most %d", spec.Name.Name, fieldsOf(s), most[spec.Name.Name])
				out = append(out, Violation{filepath.Join(short(p.ImportPath), name), what, reasonFace})
			}
			return false
		})
	}
	return out, nil
}

func fieldsOf(s *ast.StructType) int {
	n := 0
	for _, f := range s.Fields.List {
		n += max(1, len(f.Names))
	}
	return n
}

// isSuite reports whether a package is made of tests for others to run.
func isSuite(p *Package) bool { return slices.Contains(p.Imports, "testing") }

// hasCode reports whether a package is more than its comment.
func hasCode(p *Package) (bool, error) {
	for _, name := range slices.Concat(p.GoFiles, p.CgoFiles) {
		f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(p.Dir, name), nil, parser.SkipObjectResolution)
		if err != nil {
			return false, err
		}
		if len(f.Decls) > 0 {
			return true, nil
		}
	}
	return false, nil
}

func longFiles(p *Package) ([]Violation, error) {
	var out []Violation
	for _, name := range slices.Concat(p.GoFiles, p.CgoFiles, p.IgnoredGoFiles, p.TestGoFiles, p.XTestGoFiles) {
		text, err := os.ReadFile(filepath.Join(p.Dir, name))
		if err != nil {
			return nil, err
		}
		lines := bytes.Count(text, []byte("\n"))
		if lines > MaxLines && !bytes.HasPrefix(text, []byte("// Code generated ")) {
			out = append(out, Violation{filepath.Join(short(p.ImportPath), name), fmt.Sprintf("%d lines", lines), reasonLines})
		}
	}
	return out, nil
}

// TopLevel checks that what belongs at the root of the repository is there.
func TopLevel(repository fs.FS) []Violation {
	var out []Violation
	for _, name := range topLevel {
		if _, err := fs.Stat(repository, name); err != nil {
			out = append(out, Violation{name, err.Error(), reasonTop})
		}
	}
	return out
}
