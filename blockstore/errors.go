package blockstore

import (
	"errors"
	"fmt"
	"syscall"

	"github.com/dustin/go-humanize"

	"github.com/decube/decube/block"
)

var (
	// ErrCorrupt is returned, within a *CorruptError, for a block whose stored
	// bytes are not those it was stored with.
	ErrCorrupt = errors.New("damaged block")
	// ErrNoSpace is returned, within a *SpaceError where the sizes are known,
	// when the disk has no room left.
	ErrNoSpace = errors.New("not enough free disk space")
	// ErrQuota is returned, within a *QuotaError, when the store has reached its
	// configured size.
	ErrQuota = errors.New("the block store's quota is reached")
	// ErrClosed is returned by everything after Close.
	ErrClosed = errors.New("the block store is closed")
	// ErrVersion is returned, within a *VersionError, for a store written by a
	// newer program.
	ErrVersion = errors.New("the block store has a newer format")
	// ErrIndex is returned by Open when the index is missing or damaged while
	// there are blocks. Rebuild makes a new one from them.
	ErrIndex = errors.New("the index is missing or damaged")
	// ErrPins is returned by GC, and by PinsDamage, when pins are missing or damaged:
	// what they kept would be taken for garbage. RebuildPins ends it.
	ErrPins = errors.New("the pins, which say what to keep, are missing or damaged")
	// ErrReadOnly is returned by what would change a store that was opened
	// Options.ReadOnly.
	ErrReadOnly = errors.New("the block store is open for reading only")
	// ErrLocked is returned by Open when another process has the store open.
	ErrLocked = errors.New("another process has the block store open")
	// ErrBusy is returned by GC and Fsck while one of them is running.
	ErrBusy = errors.New("a collection or check is already running")
)

// CorruptError says which block is damaged and how. It matches ErrCorrupt.
type CorruptError struct {
	ID  block.ID
	Err error // what was found
}

// Error implements error.
func (e *CorruptError) Error() string {
	return fmt.Sprintf("%v %s: %v; it was put into quarantine and can be stored again", ErrCorrupt, e.ID, e.Err)
}

// Unwrap returns ErrCorrupt and what was found.
func (e *CorruptError) Unwrap() []error { return []error{ErrCorrupt, e.Err} }

// SpaceError says how much space a write needed. Sizes are in bytes. It matches
// ErrNoSpace.
type SpaceError struct {
	Path   string
	Free   int64
	Needed int64
	Keep   int64 // what must stay free
}

// Error implements error.
func (e *SpaceError) Error() string {
	if e.Needed == 0 {
		return fmt.Sprintf("%v: %s can be changed when %s are free, but %s are; free some space, or forget snapshots and collect garbage",
			ErrNoSpace, e.Path, size(e.Keep), size(e.Free))
	}
	return fmt.Sprintf("%v: writing to %s needs %s and must leave %s free, but %s are free; free some space or lower storage.min_free",
		ErrNoSpace, e.Path, size(e.Needed), size(e.Keep), size(e.Free))
}

// Unwrap returns ErrNoSpace.
func (e *SpaceError) Unwrap() error { return ErrNoSpace }

// QuotaError says how far the quota is used. Sizes are in bytes. It matches
// ErrQuota.
type QuotaError struct {
	Used, Needed, Quota int64
}

// Error implements error.
func (e *QuotaError) Error() string {
	return fmt.Sprintf("%v: %s are used of %s, and %s more are needed; unpin snapshots and collect garbage, or raise storage.quota",
		ErrQuota, size(e.Used), size(e.Quota), size(e.Needed))
}

// Unwrap returns ErrQuota.
func (e *QuotaError) Unwrap() error { return ErrQuota }

// VersionError names the format found and the newest one known. It matches
// ErrVersion.
type VersionError struct {
	Path        string
	Found, Want int
}

// Error implements error.
func (e *VersionError) Error() string {
	return fmt.Sprintf("%v: %s says version %d, this program knows up to %d; use a newer program", ErrVersion, e.Path, e.Found, e.Want)
}

// Unwrap returns ErrVersion.
func (e *VersionError) Unwrap() error { return ErrVersion }

func size(n int64) string {
	if n < 0 {
		return "-" + size(-n)
	}
	return humanize.IBytes(uint64(n))
}

// isFull reports whether the operating system found the disk or the user's disk
// quota full.
func isFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

// errZeroBlock is what a block gets that was not made by package block.
var errZeroBlock = errors.New("it has no ID")

// isRefusal reports whether err means that there is no room for more.
func isRefusal(err error) bool { return errors.Is(err, ErrNoSpace) || errors.Is(err, ErrQuota) }
