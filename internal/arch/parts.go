package arch

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strings"
)

// helpers are the packages below node that are no parts: what parts and the kernel are made
// of, and what shows the whole. Every other one is a part.
var helpers = []string{"node/kernel", "node/kerneltest", "node/host", "node/logging", "node/consensusbench"}

// direct are the packages that a part of the code must not import itself; what those that it
// imports need in their turn is their own affair.
var direct = []struct {
	from, never, except []string
	reason              string
}{
	{
		from:   []string{"node/kernel"},
		never:  []string{"protocols", "ledger", "crdtsync"},
		reason: "the kernel knows no capability: whatever uses a protocol or the ledger is a part",
	},
	{
		from:   []string{"api/server"},
		never:  []string{"ledger"},
		except: []string{"api/server/ledgerapi"},
		reason: "the operations on the ledger are a group of their own: the others do without one",
	},
}

const (
	reasonPart     = "a part is given what it needs of others as a small interface by node, which alone knows which parts there are"
	reasonVariable = "what a part or the kernel knows is in what was opened, so that two nodes of one process share nothing; a package has no variables but errors"
	reasonInit     = "a node has the parts that its list names: nothing happens because a package is linked"
	reasonStored   = "a part keeps of the kernel what it uses, so that its fields say what that is"
)

// isPart reports whether a package is a part of the node, or belongs to one.
func isPart(path string) bool {
	return strings.HasPrefix(short(path), "node/") && !withinAny(short(path), helpers)
}

// partOf returns the part that a package belongs to, such as node/content.
func partOf(path string) string {
	elements := strings.Split(short(path), "/")
	return strings.Join(elements[:2], "/")
}

// checkParts looks at who imports the parts of the node, and whom they import.
func checkParts(g Graph, p *Package) []Violation {
	own := short(p.ImportPath)
	if own == "node" {
		return nil
	}
	chain := g.chain(p.ImportPath, func(path string) bool {
		switch {
		case isPart(path) && isPart(p.ImportPath):
			return partOf(path) != partOf(p.ImportPath)
		case isPart(path):
			// Whoever imports node reaches all: that is how a program does.
			return true
		default:
			return path == Module+"/node" && (isPart(p.ImportPath) || withinAny(own, helpers))
		}
	})
	if slices.Contains(chain, "node") && !isPart(p.ImportPath) && !withinAny(own, helpers) {
		return nil
	}
	return broken(p, chain, reasonPart)
}

// checkDirect looks at what a package imports itself.
func checkDirect(p *Package) []Violation {
	var out []Violation
	own := short(p.ImportPath)
	for _, rule := range direct {
		if !withinAny(own, rule.from) || withinAny(own, rule.except) {
			continue
		}
		for _, path := range p.Imports {
			if within(path, Module) && withinAny(short(path), rule.never) {
				out = append(out, Violation{own, own + " -> " + short(path), rule.reason})
			}
		}
	}
	return out
}

// checkShared looks for what nodes of one process would share, and for parts that keep the
// whole kernel.
func checkShared(p *Package) ([]Violation, error) {
	own := short(p.ImportPath)
	if !isPart(p.ImportPath) && own != "node/kernel" {
		return nil, nil
	}
	var out []Violation
	for _, name := range p.GoFiles {
		f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(p.Dir, name), nil, parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		report := func(what, reason string) { out = append(out, Violation{filepath.Join(own, name), what, reason}) }
		for _, d := range f.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				if d.Name.Name == "init" && d.Recv == nil {
					report("an init function", reasonInit)
				}
			case *ast.GenDecl:
				for _, spec := range d.Specs {
					if v, ok := spec.(*ast.ValueSpec); ok && d.Tok == token.VAR {
						for _, name := range v.Names {
							if name.Name != "_" && !strings.HasPrefix(strings.ToLower(name.Name), "err") {
								report(fmt.Sprintf("the variable %s", name.Name), reasonVariable)
							}
						}
					}
				}
			}
		}
		if own == "node/kernel" {
			continue
		}
		ast.Inspect(f, func(n ast.Node) bool {
			s, ok := n.(*ast.StructType)
			if !ok {
				return true
			}
			for _, field := range s.Fields.List {
				star, ok := field.Type.(*ast.StarExpr)
				if !ok {
					continue
				}
				if sel, ok := star.X.(*ast.SelectorExpr); ok && sel.Sel.Name == "Kernel" {
					report("a field that holds the kernel", reasonStored)
				}
			}
			return true
		})
	}
	return out, nil
}
