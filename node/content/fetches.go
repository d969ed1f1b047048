package content

import (
	"sync"

	"github.com/decube/decube/block"
)

// fetches knows the requests that fetch the same snapshot at a time, so that one
// that does not want to keep it takes no pin away from another that does.
type fetches struct {
	mu    sync.Mutex
	roots map[block.ID]*fetching
}

type fetching struct {
	requests int
	keep     bool // it was kept before, or a request wants it kept
	fetched  bool
}

// enter notes a request. The first says whether the snapshot is kept already: a
// running fetch pins it as well.
func (f *fetches) enter(root block.ID, kept func() (bool, error)) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	r := f.roots[root]
	if r == nil {
		keep, err := kept()
		if err != nil {
			return err
		}
		if f.roots == nil {
			f.roots = make(map[block.ID]*fetching)
		}
		r = &fetching{keep: keep}
		f.roots[root] = r
	}
	r.requests++
	return nil
}

// got notes that the snapshot is there, and whether the request wants it kept. It
// reports whether it will be.
func (f *fetches) got(root block.ID, keep bool) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	r := f.roots[root]
	r.fetched = true
	r.keep = r.keep || keep
	return r.keep
}

// leave ends a request. The last calls forget when the snapshot was fetched and
// nobody wants it kept; no other request begins meanwhile.
func (f *fetches) leave(root block.ID, forget func() error) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	r := f.roots[root]
	if r.requests--; r.requests > 0 {
		return nil
	}
	delete(f.roots, root)
	if r.fetched && !r.keep {
		return forget()
	}
	return nil
}
