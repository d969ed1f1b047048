package badgerstore

import (
	"fmt"
	"runtime/debug"

	"github.com/decube/decube/internal/records"
)

// guarded calls Badger and turns its panic into records.ErrCorrupt. Badger trusts the
// lengths in its files before it has compared a checksum, and reads files that it has
// mapped into memory: damage shows as an index out of range, and a part of a file that
// cannot be read, or is gone, as a fault. What it may leave locked or counted matters to
// nobody: a store of which that was read is closed.
//
// Panics in goroutines that Badger starts itself, to compact tables and to write them,
// cannot be turned into errors: such a one ends the process, and names the directory
// only in its stack. At the next start inspect finds the damage, if it is one that
// keeps a table from being opened.
func (o *Options) guarded(what string, call func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		p := recover()
		if p == nil {
			return
		}
		// The text of the panic may be pages of what was found in the file.
		o.Log.Debug("store: panic", "doing", what, "dir", o.Dir, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
		err = fmt.Errorf("%s: %w: the files in %s do not hold what was written to them", what, records.ErrCorrupt, o.Dir)
	}()
	return call()
}
