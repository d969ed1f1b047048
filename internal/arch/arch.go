// Package arch holds the shape of the code: which rooms there are, which way
// imports run between them, and what every package owes its reader. Its test
// applies the rules to the module as it is, over transitive imports, and each
// violation comes with the rule's reason and the chain of imports that breaks it.
//
//	cmd  testnet                           programs, and what runs them
//	node                                   the composition root
//	api                                    what a daemon serves
//	protocols                              one package per stream protocol
//	ledger  crdtsync  snapshot  dht        the rooms proper
//	blockstore                             blocks on disk
//	internal                               what knows no room
//	block                                  a block and its name, for users of the client too
//
// An import may go down, never up and never sideways.
package arch

import (
	"fmt"
	"slices"
	"strings"
)

// Module is the path of the module whose shape this is.
const Module = "github.com/decube/decube"

// Package is what the rules look at of one Go package. Packages of other modules
// have import path and imports only.
type Package struct {
	ImportPath string
	Dir        string
	Name       string
	Doc        string // the first sentence of the package comment
	Imports    []string
	Standard   bool

	GoFiles, CgoFiles, IgnoredGoFiles []string
	TestGoFiles, XTestGoFiles         []string
}

// Graph is a set of packages that is closed under imports, by import path.
type Graph map[string]*Package

// ours returns the module's own packages in order of import path.
func (g Graph) ours() []*Package {
	var out []*Package
	for path, p := range g {
		if within(path, Module) {
			out = append(out, p)
		}
	}
	slices.SortFunc(out, func(a, b *Package) int { return strings.Compare(a.ImportPath, b.ImportPath) })
	return out
}

// chain returns a shortest chain of imports from a package to one that matches,
// without test files, or nil when there is none. The package itself is not tried.
func (g Graph) chain(from string, match func(path string) bool) []string {
	before := map[string]string{from: ""}
	queue := []string{from}
	for len(queue) > 0 {
		path := queue[0]
		queue = queue[1:]
		if path != from && match(path) {
			return unwind(before, path)
		}
		p := g[path]
		if p == nil {
			continue
		}
		for _, next := range p.Imports {
			if _, seen := before[next]; !seen {
				before[next] = path
				queue = append(queue, next)
			}
		}
	}
	return nil
}

func unwind(before map[string]string, path string) []string {
	var out []string
	for ; path != ""; path = before[path] {
		out = append(out, short(path))
	}
	slices.Reverse(out)
	return out
}

// within reports whether path is a package in the tree below root.
func within(path, root string) bool {
	return path == root || strings.HasPrefix(path, root+"/")
}

// withinAny reports whether path is in one of the trees.
func withinAny(path string, roots []string) bool {
	return slices.ContainsFunc(roots, func(root string) bool { return within(path, root) })
}

// short returns an import path without the module's own.
func short(path string) string {
	return strings.TrimPrefix(strings.TrimPrefix(path, Module), "/")
}

// Violation is one place where the code is not as a rule says.
type Violation struct {
	Where  string // the package or file
	What   string // what is there
	Reason string // why it should not be
}

// String returns the violation as a test reports it.
func (v Violation) String() string { return fmt.Sprintf("%s: %s\n\t%s", v.Where, v.What, v.Reason) }
