package bench

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Random returns an endless stream of bytes that no chunker, compressor or
// deduplicator can profit from. The same seed gives the same bytes.
func Random(seed uint64) io.Reader {
	var key [32]byte
	binary.LittleEndian.PutUint64(key[:], seed)
	copy(key[8:], "decube benchmark data")
	return rand.NewChaCha8(key)
}

// WriteRandom makes a file of size random bytes, which must not exist yet. It is
// not synced.
func WriteRandom(ctx context.Context, path string, size int64, seed uint64) (err error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("making benchmark data: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	r := Random(seed)
	buf := make([]byte, mib)
	for left := size; left > 0; {
		if err := ctx.Err(); err != nil {
			return err
		}
		b := buf[:min(left, int64(len(buf)))]
		if _, err := io.ReadFull(r, b); err != nil {
			return fmt.Errorf("making benchmark data: %w", err)
		}
		if _, err := f.Write(b); err != nil {
			return fmt.Errorf("making benchmark data: %w", err)
		}
		left -= int64(len(b))
	}
	return nil
}

// GoTree returns the root of the Go distribution on this machine, the data set
// of many small files.
func GoTree(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "env", "GOROOT").Output()
	if err != nil {
		return "", fmt.Errorf("looking for the Go distribution with go env GOROOT: %w", err)
	}
	root := strings.TrimSpace(string(out))
	if _, err := os.Stat(filepath.Join(root, "src")); err != nil {
		return "", fmt.Errorf("looking for the Go distribution: %w", err)
	}
	// Tools that snapshot a path do not follow it when it is a symlink.
	return filepath.EvalSymlinks(root)
}

// Tree describes what lies below a path.
type Tree struct {
	Files int64 // regular files
	Bytes int64 // their lengths
}

// Warm reads everything below path, so that the page cache holds it, and says
// what there is.
func Warm(ctx context.Context, path string) (Tree, error) {
	var t Tree
	buf := make([]byte, mib)
	err := filepath.WalkDir(path, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if !d.Type().IsRegular() {
			return nil
		}
		n, err := drain(name, buf)
		t.Files++
		t.Bytes += n
		return err
	})
	if err != nil {
		return Tree{}, fmt.Errorf("reading benchmark data: %w", err)
	}
	return t, nil
}

// drain reads a file to its end and returns its length.
func drain(path string, buf []byte) (int64, error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	var total int64
	for {
		n, err := f.Read(buf)
		total += int64(n)
		if errors.Is(err, io.EOF) {
			return total, nil
		}
		if err != nil {
			return total, err
		}
	}
}

// Chill drops everything below path from the page cache, after writing back what
// is dirty, so that the next reader reads the disk.
func Chill(ctx context.Context, path string) error {
	if err := Settle(path); err != nil {
		return err
	}
	return filepath.WalkDir(path, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if !d.Type().IsRegular() {
			return nil
		}
		f, err := os.Open(name)
		if err != nil {
			return err
		}
		defer f.Close()
		return dropCache(f)
	})
}
