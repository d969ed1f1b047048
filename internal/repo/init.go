package repo

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/google/renameio/v2"
)

// tokenBytes is the amount of randomness in an API token.
const tokenBytes = 32

// Seed is what Init cannot make by itself.
type Seed struct {
	Identity []byte // private key, in the form the peer reads it
	Config   []byte // settings file
	Genesis  []byte // document of the ledger to be part of; nil for none
	// Prepare, unless nil, makes what a directory holds from the moment on that it
	// has an identity: it is called only while there is none. An interruption may
	// make it run again. What it wrote is durable when it returns.
	Prepare func(Dir) error
}

// Init makes dir a repository. It returns ErrExists when it is one already, and
// refuses a directory that holds files of somebody else.
//
// An Init that was interrupted is finished by the next one: files that exist
// are kept, never overwritten, and the version file, which makes the directory
// a repository, is written last. All of it is durable when Init returns.
func Init(dir string, seed Seed) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("making the repository: %w", err)
	}
	lock, err := Lock(dir)
	if err != nil {
		return err
	}
	return errors.Join(fillDir(Dir(dir), seed), lock.Unlock())
}

func fillDir(dir Dir, seed Seed) error {
	if Exists(string(dir)) {
		return fmt.Errorf("%w: %s", ErrExists, string(dir))
	}
	if err := refuseForeign(dir); err != nil {
		return err
	}
	if err := prepare(dir, seed.Prepare); err != nil {
		return fmt.Errorf("making the repository: %w", err)
	}
	token, err := newToken()
	if err != nil {
		return err
	}
	for _, f := range []struct {
		path string
		data []byte
	}{
		{dir.Identity(), seed.Identity},
		{dir.Token(), token},
		{dir.Config(), seed.Config},
		{dir.Genesis(), seed.Genesis},
		{dir.VersionFile(), []byte(strconv.Itoa(Version) + "\n")},
	} {
		if f.data == nil {
			continue
		}
		if err := writeNew(f.path, f.data); err != nil {
			return fmt.Errorf("making the repository: %w", err)
		}
	}
	return syncDir(string(dir))
}

// prepare calls f for a directory without an identity. One with an identity was
// prepared before, or somebody has put it there: then what the identity has done
// elsewhere is not known, and nothing may be made up for it.
func prepare(dir Dir, f func(Dir) error) error {
	if f == nil {
		return nil
	}
	if _, err := os.Lstat(dir.Identity()); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return f(dir)
}

// refuseForeign returns an error when the directory holds anything that an
// interrupted Init would not have left there. Lock has removed what was not complete.
func refuseForeign(dir Dir) error {
	ours := []string{dir.Identity(), dir.Token(), dir.Config(), dir.LockFile(), dir.Genesis(), dir.Ledger(), dir.join("lost+found")}
	entries, err := os.ReadDir(string(dir))
	if err != nil {
		return fmt.Errorf("making the repository: %w", err)
	}
	for _, e := range entries {
		if !slices.Contains(ours, dir.join(e.Name())) {
			return fmt.Errorf("making the repository: %s is in use for something else (it holds %q); choose an empty directory",
				string(dir), e.Name())
		}
	}
	return nil
}

func newToken() ([]byte, error) {
	raw := make([]byte, tokenBytes)
	if _, err := rand.Read(raw); err != nil {
		return nil, fmt.Errorf("making an API token: %w", err)
	}
	return []byte(base64.RawURLEncoding.EncodeToString(raw) + "\n"), nil
}

// writeNew writes a file that only its owner may read, unless it exists.
func writeNew(path string, data []byte) error {
	if _, err := os.Lstat(path); err == nil {
		return nil
	}
	return replace(path, data)
}

// replace writes a file that only its owner may read, under another name in the same
// directory until it is complete: elsewhere a secret could stay behind.
func replace(path string, data []byte) error {
	return renameio.WriteFile(path, data, 0o600, renameio.WithTempDir(filepath.Dir(path)))
}

func syncDir(dir string) (err error) {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return f.Sync()
}
