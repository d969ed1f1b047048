package archive

import "github.com/decube/decube/internal/records"

// Store is where an archive's records are.
type Store = records.Store

type (
	// Change is one key's new value, or its end.
	Change = records.Change
	// Limits say how large one write may be.
	Limits = records.Limits
	// Range says which keys are scanned.
	Range = records.Range
	// Item is what a key has.
	Item = records.Item
)

// The errors of a Store, which are those of an archive too.
var (
	// ErrNotFound is returned for what the archive does not have.
	ErrNotFound = records.ErrNotFound
	// ErrCorrupt is returned for what was read and is not what was written.
	ErrCorrupt = records.ErrCorrupt
	// ErrNoSpace is returned for what there is no room for on the disk.
	ErrNoSpace = records.ErrNoSpace
	// ErrTooLarge is returned for a write of more than a store's limits, and for
	// what is larger than the archive has room for.
	ErrTooLarge = records.ErrTooLarge
	// ErrClosed is returned by a Store that is closed, or about to be.
	ErrClosed = records.ErrClosed
)
