package arch

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strings"
)

// answering are the packages that say what answers the streams of other peers.
var answering = []string{"internal/streams", "dht", "node/host"}

const reasonHandler = "a protocol is served by internal/streams, which bounds what strangers may hold, or by who has bounds of its own"

// checkHandlers looks for handlers of streams that are set past what bounds them. That one is
// named is enough: it can be called later.
func checkHandlers(p *Package) ([]Violation, error) {
	own := short(p.ImportPath)
	if slices.Contains(answering, own) {
		return nil, nil
	}
	var out []Violation
	for _, name := range p.GoFiles {
		f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(p.Dir, name), nil, parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		ast.Inspect(f, func(n ast.Node) bool {
			if s, ok := n.(*ast.SelectorExpr); ok && strings.HasPrefix(s.Sel.Name, "SetStreamHandler") {
				out = append(out, Violation{filepath.Join(own, name), s.Sel.Name, reasonHandler})
			}
			return true
		})
	}
	return out, nil
}
