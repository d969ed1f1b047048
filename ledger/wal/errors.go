package wal

import (
	"errors"
	"fmt"
)

var (
	// ErrNotExist is returned by Open for a directory without a log. To a replica
	// that has voted before it means that its disk was wiped.
	ErrNotExist = errors.New("no log here")
	// ErrExist is returned by Create where a log is already.
	ErrExist = errors.New("a log exists already")
	// ErrCorrupt is returned, within a *CorruptError, when acknowledged records
	// are damaged or missing. The log is left as it was found.
	ErrCorrupt = errors.New("damaged log")
	// ErrVersion is returned by Open for a log of another format.
	ErrVersion = errors.New("unknown version of the log's format")
	// ErrFailed is returned, with its cause, by the call that could not change the
	// disk and by every call after it. What was acknowledged is intact; the rest
	// may or may not be found when the log is opened again.
	ErrFailed = errors.New("the log has failed")
	// ErrTooLarge is returned by Append for a record above Options.MaxRecord.
	ErrTooLarge = errors.New("record too large")
	// ErrIndex is returned by TruncateBefore for an index that is not yet reached.
	ErrIndex = errors.New("index beyond the end of the log")
	// ErrOptions is returned for options that make no sense.
	ErrOptions = errors.New("bad options for a log")
	// ErrClosed is returned by everything after Close.
	ErrClosed = errors.New("the log is closed")
)

// CorruptError says where a log is damaged and how. It matches ErrCorrupt.
type CorruptError struct {
	File   string // name of the file
	Offset int64  // in bytes, of the group or sector concerned
	Reason string
}

func (e *CorruptError) Error() string {
	return fmt.Sprintf("%v: %s, at byte %d: %s", ErrCorrupt, e.File, e.Offset, e.Reason)
}

// Unwrap makes the error match ErrCorrupt.
func (e *CorruptError) Unwrap() error { return ErrCorrupt }

func corrupt(file string, offset int64, format string, args ...any) error {
	return &CorruptError{File: file, Offset: offset, Reason: fmt.Sprintf(format, args...)}
}
