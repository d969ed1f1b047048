// Package repo is the directory in which a peer keeps everything it owns, and
// the lock that says who is using it.
//
//	config.yaml    settings, edited by people (0600)
//	identity.key   the peer's private key, libp2p's protobuf form (0600)
//	api-token      bearer token of the HTTP API (0600)
//	version        format of this directory, a decimal number; written last
//	repo.lock      held with flock(2) by the process that uses the repository;
//	               its text is that process's id
//	api            URL of the HTTP API, while a daemon runs
//	api.sock       the same API on a unix socket (0600), while a daemon runs
//	blocks/        the block store
//	dht/           what other peers say they hold
//	fetches/       progress of fetches that were interrupted
//	genesis.json   the document of the ledger that the peer is part of, if it is
//	               part of one
//	ledger/        what the peer keeps of that ledger
//
// The package knows nothing of what the files mean to others: it imports no
// network code, so that small programs can use it.
package repo

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Version is the repository format that this program reads and writes.
const Version = 1

// EnvPath is the environment variable that names the repository.
const EnvPath = "DECUBE_PATH"

var (
	// ErrNoRepo is returned where a directory holds no repository.
	ErrNoRepo = errors.New("no repository")
	// ErrExists is returned by Init for a directory that holds one already.
	ErrExists = errors.New("repository exists already")
	// ErrLocked is returned while another process uses the repository.
	ErrLocked = errors.New("repository is in use")
	// ErrVersion is returned for a repository of a format this program does not know.
	ErrVersion = errors.New("repository format not supported")
	// ErrTokenExposed is returned for an API token that other users could read.
	ErrTokenExposed = errors.New("API token is exposed")
	// ErrNotRunning is returned by ReadAPI when no daemon has left its address.
	ErrNotRunning = errors.New("no daemon is running")
)

// Dir is a repository's directory; its methods name the files in it.
type Dir string

// Config returns the path of the settings.
func (d Dir) Config() string { return d.join("config.yaml") }

// Identity returns the path of the peer's private key.
func (d Dir) Identity() string { return d.join("identity.key") }

// Token returns the path of the API's bearer token.
func (d Dir) Token() string { return d.join("api-token") }

// Secrets are the names of the files that a repository has from the beginning and that
// nobody else may read: a directory with all of them is a repository, or a copy of one.
func Secrets() []string {
	return []string{filepath.Base(Dir("").Identity()), filepath.Base(Dir("").Token())}
}

// VersionFile returns the path of the file that makes the directory a repository.
func (d Dir) VersionFile() string { return d.join("version") }

// LockFile returns the path of the lock.
func (d Dir) LockFile() string { return d.join("repo.lock") }

// API returns the path of the file that holds the running daemon's URL.
func (d Dir) API() string { return d.join("api") }

// Socket returns the path of the running daemon's unix socket.
func (d Dir) Socket() string { return d.join("api.sock") }

// Blocks returns the directory of the block store.
func (d Dir) Blocks() string { return d.join("blocks") }

// Records returns the path of the records of what other peers say they hold.
func (d Dir) Records() string { return filepath.Join(d.join("dht"), "records") }

// Fetches returns the directory of fetch journals.
func (d Dir) Fetches() string { return d.join("fetches") }

// Genesis returns the path of the ledger's document. Where there is none, the peer
// is part of no ledger.
func (d Dir) Genesis() string { return d.join("genesis.json") }

// Ledger returns the directory of the ledger.
func (d Dir) Ledger() string { return d.join("ledger") }

func (d Dir) join(name string) string { return filepath.Join(string(d), name) }

// DefaultPath returns $DECUBE_PATH, or ~/.decube when that is not set. Without a
// home directory it is .decube in the working directory.
func DefaultPath() string {
	if path := os.Getenv(EnvPath); path != "" {
		return path
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return ".decube"
	}
	return filepath.Join(home, ".decube")
}

// Exists reports whether dir holds a repository, of whatever version.
func Exists(dir string) bool {
	_, err := os.Stat(Dir(dir).VersionFile())
	return err == nil
}

// Check returns nil when dir holds a repository that this program can use,
// ErrNoRepo when it holds none, and ErrVersion when its format is another.
func Check(dir string) error {
	text, err := os.ReadFile(Dir(dir).VersionFile())
	switch {
	case errors.Is(err, os.ErrNotExist):
		return fmt.Errorf(`%w at %s: run "decube-node init" or "decube-node daemon --init" to make one, or name another with --repo or %s`,
			ErrNoRepo, dir, EnvPath)
	case err != nil:
		return fmt.Errorf("reading the repository's version: %w", err)
	}
	got, err := strconv.Atoi(strings.TrimSpace(string(text)))
	switch {
	case err != nil || got < 1:
		return fmt.Errorf("%w: %s holds %q, which is not a version number; restore it, version %d is the newest this program knows",
			ErrVersion, Dir(dir).VersionFile(), clip(text), Version)
	case got > Version:
		return fmt.Errorf("%w: %s has version %d and this program knows up to %d; upgrade DeCube, nothing was changed",
			ErrVersion, dir, got, Version)
	}
	return nil
}

// clip bounds text from a file that goes into an error message.
func clip(text []byte) string {
	const most = 40
	if len(text) > most {
		text = text[:most]
	}
	return strings.TrimSpace(string(text))
}
