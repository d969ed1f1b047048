package main

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// odds makes a directory of everything that copies get wrong, and a file of size
// random bytes.
func odds(dir string, size int64) error {
	at := func(name string) string { return filepath.Join(dir, name) }
	when := time.Date(1999, 12, 31, 23, 59, 59, 123456789, time.UTC)
	steps := []error{
		os.Mkdir(dir, 0o755),
		randomFile(at("random.bin"), size),
		os.Mkdir(at("empty directory"), 0o711),
		os.WriteFile(at("empty file"), nil, 0o600),
		os.WriteFile(at("line\nbreak and \xff\xfe bytes"), []byte("a name is bytes\n"), 0o644),
		os.WriteFile(at("first name"), []byte("one file, two names\n"), 0o644),
		os.Link(at("first name"), at("second name")),
		os.Symlink("first name", at("symlink")),
		os.Symlink("/nowhere/at all", at("dangling symlink")),
		sparseFile(at("sparse.img"), 64<<20),
		syscall.Mkfifo(at("fifo"), 0o640),
		os.WriteFile(at("run.sh"), []byte("#!/bin/sh\n"), 0o700),
		os.Chmod(at("run.sh"), 0o755|os.ModeSetuid),
		setAttribute(at("run.sh"), "user.decube.demo", "extended attribute"),
		os.Mkdir(at("read-only"), 0o755),
		os.WriteFile(filepath.Join(at("read-only"), "inside"), []byte("inside\n"), 0o444),
		os.Chmod(at("read-only"), 0o555),
		os.Chtimes(at("run.sh"), when, when),
		os.Chtimes(dir, when, when),
	}
	if err := errors.Join(steps...); err != nil {
		return fmt.Errorf("making a directory to snapshot: %w", err)
	}
	return nil
}

// randomFile writes bytes that are the same in no two runs.
func randomFile(path string, size int64) (err error) {
	var seed [32]byte
	if _, err := rand.Read(seed[:]); err != nil {
		return err
	}
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	_, err = io.CopyN(f, mathrand.NewChaCha8(seed), size)
	return err
}

// sparseFile writes a little at both ends of a file and nothing in between.
func sparseFile(path string, size int64) (err error) {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	end := []byte(hex.EncodeToString([]byte("the end")))
	_, first := f.WriteAt([]byte("the beginning"), 0)
	_, last := f.WriteAt(end, size-int64(len(end)))
	return errors.Join(first, last)
}
