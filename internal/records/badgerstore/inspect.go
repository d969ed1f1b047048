package badgerstore

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"
	"github.com/dgraph-io/badger/v4/table"
	"github.com/dgraph-io/ristretto/v2/z"

	"github.com/decube/decube/internal/records"
)

// inspect looks at what Badger reads when it opens a store, before it does, and returns
// records.ErrCorrupt with the name of a file that is damaged or missing. Badger opens
// tables in goroutines of its own, where the panic over a damaged one cannot be caught.
// Files that come or go meanwhile are another process's, of which Badger knows better.
func (o *Options) inspect() error {
	if err := o.inspectManifest(); err != nil {
		return err
	}
	logs, err := filepath.Glob(filepath.Join(o.Dir, "*.vlog"))
	if err != nil {
		return err
	}
	for _, name := range logs {
		if err := inspectValues(name); err != nil {
			return err
		}
	}
	return nil
}

// damaged returns the error for a file that is not as it was written.
func damaged(name, why string) error {
	return fmt.Errorf("%w: %s %s", records.ErrCorrupt, name, why)
}

// openPresent opens a file to read, and returns nil for one that is not there.
func openPresent(name string) (*os.File, error) {
	f, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return f, err
}

// inspectManifest reads the list of tables, and each of them as far as Badger does. Tables
// that are not listed are the remains of a crash, which Badger removes.
func (o *Options) inspectManifest() error {
	name := filepath.Join(o.Dir, badger.ManifestFilename)
	f, err := openPresent(name)
	if f == nil {
		return err
	}
	defer f.Close() // it was only read
	var list badger.Manifest
	if err := o.guarded("reading the list of tables", func() (err error) {
		list, _, err = badger.ReplayManifestFile(f, 0, tuned(o))
		return err
	}); err != nil {
		return damaged(name, "is not a list of tables: "+printable(err.Error()))
	}
	if keys := filepath.Join(o.Dir, badger.KeyRegistryFileName); len(list.Tables) > 0 {
		if err := o.guarded("reading the list of keys", func() error {
			r, err := badger.OpenKeyRegistry(badger.KeyRegistryOptions{Dir: o.Dir, ReadOnly: true})
			if err != nil {
				return err
			}
			return r.Close()
		}); err != nil && !errors.Is(err, fs.ErrPermission) {
			return damaged(keys, "cannot be read: "+printable(err.Error()))
		}
	}
	for _, id := range slices.Sorted(maps.Keys(list.Tables)) {
		if err := o.inspectTable(table.NewFilename(id, o.Dir), list.Tables[id]); err != nil {
			return err
		}
	}
	return nil
}

// inspectTable reads a table's index and its last block.
func (o *Options) inspectTable(name string, listed badger.TableManifest) error {
	info, err := os.Stat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return damaged(name, "is missing")
	case err != nil:
		return err
	case info.Size() == 0:
		return damaged(name, "is empty")
	}
	f, err := z.OpenMmapFile(name, os.O_RDONLY, 0)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close(-1) }() // it was only read
	err = o.guarded("opening a table", func() error {
		_, err := table.OpenTable(f, table.Options{ChkMode: options.OnBlockRead, Compression: listed.Compression})
		return err
	})
	if err != nil {
		return damaged(name, "is not the table that was written")
	}
	return nil
}

// inspectValues reads the head of a log of values: which key it is encrypted with, that
// is none, and a vector for that.
func inspectValues(name string) error {
	f, err := openPresent(name)
	if f == nil {
		return err
	}
	defer f.Close() // it was only read
	var key [8]byte
	switch _, err := io.ReadFull(f, key[:]); {
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		return nil // the power failed when it was made: Badger begins it anew
	case err != nil:
		return err
	}
	if binary.BigEndian.Uint64(key[:]) != 0 {
		return damaged(name, "does not begin as a log of values")
	}
	return nil
}
