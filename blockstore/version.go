package blockstore

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"

	"github.com/decube/decube/blockstore/internal/pinlog"
	"github.com/decube/decube/internal/durable"
)

// readVersion checks the format and returns the store's identity and version. The
// error of a directory without a version file is fs.ErrNotExist.
func readVersion(fsys durable.FS, dir string) (id string, version int, err error) {
	name := filepath.Join(dir, versionFile)
	text, err := fsys.ReadFile(name)
	if err != nil {
		return "", 0, err
	}
	if n, err := fmt.Sscanf(string(text), "decube-blockstore %d %s", &version, &id); n < 1 || (n < 2 && version <= formatVersion) {
		return "", 0, fmt.Errorf("%s is not a block store's version file: %w", name, err)
	}
	if version > formatVersion {
		return "", 0, &VersionError{Path: name, Found: version, Want: formatVersion}
	}
	return id, version, nil
}

func writeVersion(fsys durable.FS, dir string, version int, id string) error {
	return fsys.WriteFile(filepath.Join(dir, versionFile), fmt.Appendf(nil, "decube-blockstore %d %s\n", version, id), 0o600)
}

// makeStore writes the version file. A new store has its file of pins first, so
// that there is no store, not even after a crash, that was made without one: where
// it is missing, it was lost. A store that has lost its version file has the
// identity that its pins name.
func makeStore(fsys durable.FS, dir string) (id string, version int, err error) {
	name := filepath.Join(dir, pinsFile)
	pins, err := fsys.ReadFile(name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", 0, err
	}
	if id = pinlog.Owner(pins); id == "" {
		var raw [16]byte
		_, _ = rand.Read(raw[:]) // it never fails
		id = hex.EncodeToString(raw[:])
	}
	version = formatVersion
	if isOldPins(pins) {
		version = 1
	}
	packs, err := fsys.ReadDir(filepath.Join(dir, packsDir))
	if err != nil {
		return "", 0, err
	}
	if pins == nil && len(packs) == 0 {
		log := pinlog.New(fsys, name)
		if err := errors.Join(log.Replace(id, 0, false, slices.Values([]pinlog.Change(nil))), log.Close()); err != nil {
			return "", 0, err
		}
	}
	return id, version, writeVersion(fsys, dir, version, id)
}
