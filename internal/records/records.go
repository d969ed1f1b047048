// Package records is the contract of a small store of records: keys in order, each with
// values of different versions. The package badgerstore keeps them on disk, and memstore
// without one, for tests and the simulator; storetest says what an implementation must do,
// and both pass it.
package records

import (
	"errors"
	"iter"
)

var (
	// ErrNotFound is returned for what the store does not have.
	ErrNotFound = errors.New("not in the store")
	// ErrCorrupt is returned for what was read and is not what was written.
	ErrCorrupt = errors.New("the store is damaged")
	// ErrNoSpace is returned for what there is no room for on the disk.
	ErrNoSpace = errors.New("no space left on the disk")
	// ErrTooLarge is returned for a write of more than a store's limits.
	ErrTooLarge = errors.New("too large for the store")
	// ErrClosed is returned by a Store that is closed, or about to be.
	ErrClosed = errors.New("the store is closed")
)

// Store holds records: keys, each with values of different versions, in
// order of the keys. The package storetest says what an implementation must do.
//
// A write is visible to all reads that begin after it has returned; one that reads its
// version sooner may see some of its changes and not the others. What a crash
// leaves is a prefix of the writes, with all that were made before the last Sync that
// has returned nil. Nobody retries: after an error of Write, Drop or Sync, what is
// stored is known only to who opens the store again.
//
// Get, Scan, Write, Sync and Reclaim may be called concurrently, unless an
// implementation says otherwise, and Drop with all of them. Keys are not empty, versions
// are above 0, and neither keys nor values are changed by who handed them over, nor by the store.
type Store interface {
	// Get returns the value that a key has by the newest of its versions up to one,
	// and which version that is. The value is the caller's. The error is ErrNotFound
	// for a key that no such version has put or that the newest has deleted, and
	// wraps ErrCorrupt if what was read is not what was written.
	Get(key []byte, upTo uint64) (value []byte, version uint64, err error)
	// Scan yields the keys of a range with the newest of their versions, except
	// deleted ones, in order. What it yields is the caller's. An error ends it.
	Scan(r Range) iter.Seq2[Item, error]
	// Limits returns the most that one Write has room for.
	Limits() Limits
	// Write makes changes at a version, all of them or none. Where one key is changed
	// twice, the last counts; a change of a key at a version that it has already takes
	// the place of that one. Versions need not grow, but a key that has a version is not
	// changed below it once that is discarded. The error is ErrTooLarge for more
	// than the limits, and ErrNoSpace if a full disk was noticed before anything was
	// written; any other leaves it open what was written.
	Write(version uint64, changes []Change) error
	// Discard lets go of versions that are not the newest up to the one given: a Get
	// that asks for less may find nothing. It is not durable: whoever opens the store
	// says it again.
	Discard(upTo uint64)
	// Drop takes out all keys with a prefix, in all their versions. When it returns,
	// that and all that was written before is durable.
	Drop(prefix []byte) error
	// Reclaim gives back some of the room that deleted and discarded values still take
	// up, with a bounded amount of work, and reports whether calling it again may give
	// back more.
	Reclaim() (more bool, err error)
	// Sync makes durable what was written before it was called.
	Sync() error
	// Close makes durable what was written, and ends the use of the store.
	// Nothing is read while it is closed, nor after that: the errors are ErrClosed.
	Close() error
}

// Change is one key's new value, or its end.
type Change struct {
	Key, Value []byte
	Delete     bool
}

// changeOverhead is what a change counts besides its bytes, in bytes.
const changeOverhead = 16

// Size returns how many bytes a change counts in a write.
func (c *Change) Size() int { return len(c.Key) + len(c.Value) + changeOverhead }

// Limits say how large one write may be.
type Limits struct {
	Changes int
	Bytes   int // the sum of Change.Size
}

// Fits reports whether one write has room for changes.
func (l Limits) Fits(changes []Change) bool {
	bytes := 0
	for i := range changes {
		bytes += changes[i].Size()
	}
	return len(changes) <= l.Changes && bytes <= l.Bytes
}

// Range says which keys are scanned.
type Range struct {
	Prefix []byte // of all keys in it
	// From is the first key of the range, or of one in reverse order the last, itself
	// included if it is there. Nil means the whole prefix.
	From    []byte
	Reverse bool
	// KeysOnly leaves values nil.
	KeysOnly bool
}

// Item is what a key has.
type Item struct {
	Key, Value []byte
	Version    uint64
}
