package wal

import (
	"errors"
	"io/fs"

	"github.com/decube/decube/internal/durable"
)

// removeBlank removes the segments of a log whose creation was interrupted.
func removeBlank(fsys durable.FS, dir string) error {
	return findBlank(fsys, dir, fsys.Remove)
}

// findBlank calls do, if it is not nil, with the name of each segment in a
// directory without a manifest. It returns ErrCorrupt if one of them has been
// written to: then there was a log. A missing directory has no segments.
func findBlank(fsys durable.FS, dir string, do func(name string) error) error {
	numbers, err := listSegments(fsys, dir)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	for _, n := range numbers {
		if err := checkBlank(fsys, segmentName(dir, n)); err != nil {
			return err
		}
	}
	for _, n := range numbers {
		if do == nil {
			break
		}
		if err := do(segmentName(dir, n)); err != nil {
			return err
		}
	}
	return nil
}

// checkBlank returns ErrCorrupt for a file that holds more than zeros.
func checkBlank(fsys durable.FS, name string) (err error) {
	f, err := fsys.OpenWrite(name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	size, err := f.Size()
	if err != nil {
		return err
	}
	return withBuffer(fillStep, func(b []byte) error {
		for off := int64(0); off < size; {
			n, err := f.ReadAt(b, off)
			if n == 0 {
				return err
			}
			if !allZero(b[:n]) {
				return corrupt(name, off, "a segment with content, but no manifest")
			}
			off += int64(n)
		}
		return nil
	})
}
