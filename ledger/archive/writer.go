package archive

import "fmt"

// writer collects what is written at one version, and spreads over several writes
// what one has no room for, in order.
type writer struct {
	store   Store
	limits  Limits
	version uint64
	changes []Change
	bytes   int
	writes  int // made so far
	// mark, when not nil, returns the key that each write but the first begins with,
	// after so many. Whoever finds all of them knows that none is lost.
	mark func(writes int) []byte
}

func (a *Archive) writer(version uint64) *writer {
	return &writer{store: a.store, limits: a.store.Limits(), version: version}
}

// put sets a key, whose bytes and value are the store's from then on.
func (w *writer) put(key, value []byte) error { return w.add(Change{Key: key, Value: value}) }

// delete takes a key out, from this version on.
func (w *writer) delete(key []byte) error { return w.add(Change{Key: key, Delete: true}) }

func (w *writer) add(c Change) error {
	if len(w.changes) > 0 && (len(w.changes) >= w.limits.Changes || w.bytes+c.Size() > w.limits.Bytes) {
		if err := w.flush(); err != nil {
			return err
		}
		if w.mark != nil {
			w.append(Change{Key: w.mark(w.writes)})
		}
	}
	w.append(c)
	return nil
}

func (w *writer) append(c Change) {
	w.changes = append(w.changes, c)
	w.bytes += c.Size()
}

// flush writes what there is. It is visible then.
func (w *writer) flush() error {
	w.writes++
	if err := w.store.Write(w.version, w.changes); err != nil {
		return fmt.Errorf("write the archive: %w", err)
	}
	w.changes, w.bytes = w.changes[:0], 0
	return nil
}
