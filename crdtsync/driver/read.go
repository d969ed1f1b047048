package driver

import (
	"iter"
	"strings"

	"github.com/decube/decube/crdtsync/fold"
	"github.com/decube/decube/internal/capability"
	"github.com/decube/decube/internal/sig"
)

// Found is a document with where it is. It is valid until the driver is given something.
type Found struct {
	Path     string
	Space    sig.PublicKey
	Document *fold.Document
}

// Documents returns the documents at a path, in order of their spaces: at most one where it is
// exact.
func (d *Driver) Documents(path string) []Found {
	var out []Found
	key, _, err := cutSpace(path)
	if err != nil {
		return nil
	}
	for _, s := range d.sorted() {
		exact := path
		switch {
		case key.IsZero() && !s.key.IsZero():
			exact = capability.Space(s.key) + path
		case key != s.key:
			continue
		}
		if found := s.document(exact); found != nil {
			out = append(out, Found{exact, s.key, found})
		}
	}
	return out
}

// Range yields the documents whose paths begin with a prefix, in their space or exactly, and
// come after a path, in order of their exact paths.
func (d *Driver) Range(prefix, after string) iter.Seq[Found] {
	return func(yield func(Found) bool) {
		for _, s := range d.sorted() {
			begins := prefix
			if !s.key.IsZero() && !strings.HasPrefix(prefix, "~") {
				begins = capability.Space(s.key) + prefix
			}
			for path := range s.replica.State().From(max(begins, after)) {
				if !strings.HasPrefix(path, begins) {
					break
				}
				if path > after && !yield(Found{path, s.key, s.document(path)}) {
					return
				}
			}
		}
	}
}
