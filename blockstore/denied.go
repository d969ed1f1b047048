package blockstore

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/decube/decube/internal/durable"
)

// denied looks, after a directory's files could not be used, for one that this user may
// not write. What is another user's is not damaged, and a repair would only lose it.
func denied(fsys durable.FS, dir string) error {
	names, err := fsys.ReadDir(dir)
	for _, name := range names {
		var f durable.File
		if f, err = fsys.OpenWrite(filepath.Join(dir, name)); err != nil {
			break
		}
		if err = f.Close(); err != nil {
			break
		}
	}
	if !errors.Is(err, fs.ErrPermission) {
		return nil
	}
	return fmt.Errorf("%w: the store's files must belong to the user who works on it, and another one, mostly root, has left this one; chown -R gives it back, nothing is damaged", err)
}
