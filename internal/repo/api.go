package repo

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"os"
	"strings"
)

// WriteAPI leaves the URL of the daemon's API for local clients to find, such
// as "http://127.0.0.1:8080". The returned function removes it again; whoever
// calls WriteAPI holds the repository's lock.
func WriteAPI(dir, url string) (remove func() error, err error) {
	path := Dir(dir).API()
	if err := replace(path, []byte(url+"\n")); err != nil {
		return nil, fmt.Errorf("writing the API address: %w", err)
	}
	return func() error {
		if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("removing the API address: %w", err)
		}
		return nil
	}, nil
}

// ReadAPI returns the URL of the running daemon's API. It returns ErrNotRunning
// when there is none; a URL may also be left over from a daemon that was killed.
func ReadAPI(dir string) (string, error) {
	text, err := os.ReadFile(Dir(dir).API())
	if errors.Is(err, os.ErrNotExist) {
		return "", fmt.Errorf("%w on %s", ErrNotRunning, dir)
	}
	if err != nil {
		return "", fmt.Errorf("reading the API address: %w", err)
	}
	url := strings.TrimSpace(string(text))
	if url == "" {
		return "", fmt.Errorf("%w on %s: %s is empty", ErrNotRunning, dir, Dir(dir).API())
	}
	return url, nil
}

// ReadToken returns the API's bearer token. It returns ErrTokenExposed when
// anybody but its owner may read the file.
func ReadToken(dir string) (string, error) {
	path := Dir(dir).Token()
	info, err := os.Stat(path)
	if err != nil {
		return "", fmt.Errorf("reading the API token: %w", err)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return "", fmt.Errorf("%w: %s has mode %04o; make a new token if others may have seen it, then chmod 600 it",
			ErrTokenExposed, path, mode)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("reading the API token: %w", err)
	}
	token := strings.TrimSpace(string(text))
	if token == "" {
		return "", fmt.Errorf("reading the API token: %s is empty; write a long random word into it", path)
	}
	return token, nil
}

// EqualTokens compares a token that came in with the right one. The time it
// takes says nothing about how much of it was right, nor how long it is.
func EqualTokens(got, want string) bool {
	a, b := sha256.Sum256([]byte(got)), sha256.Sum256([]byte(want))
	return subtle.ConstantTimeCompare(a[:], b[:]) == 1
}
