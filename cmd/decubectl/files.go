package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/decube/decube/internal/durable"
	"github.com/decube/decube/ledger/tx"
)

// readInput reads a file of at most so many bytes, or standard input for "-".
func readInput(ctx context.Context, e *env, path string, most int64) ([]byte, error) {
	if path == "-" {
		return readAll("standard input", newInput(ctx, e.stdin), most)
	}
	return readFile(path, most)
}

// readWithin reads part of a transaction, which is a mistake in the words if it is larger
// than any such part is.
func readWithin(ctx context.Context, e *env, path string, most int64, what string) ([]byte, error) {
	data, err := readInput(ctx, e, path, most)
	if err == nil {
		return data, nil
	}
	err = fmt.Errorf("reading %s: %w", what, err)
	if _, large := tx.CodeOf(err); large {
		return nil, rejectedUsage(err)
	}
	return nil, err
}

func readFile(path string, most int64) (_ []byte, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return readAll(path, f, most)
}

func readAll(name string, r io.Reader, most int64) ([]byte, error) {
	var b bytes.Buffer
	if _, err := b.ReadFrom(io.LimitReader(r, most+1)); err != nil {
		return nil, err
	}
	if int64(b.Len()) > most {
		return nil, tx.Reject(tx.CodeTooLarge, "%s has more than %d bytes", name, most)
	}
	return b.Bytes(), nil
}

// writeOutput writes a document to a file that everybody may read, or to standard
// output for "-". What is there already is left alone unless force is set.
func writeOutput(e *env, path string, data []byte, force bool) error {
	if path == "-" {
		_, err := e.stdout.Write(data)
		return err
	}
	if _, err := os.Lstat(path); !force && !errors.Is(err, fs.ErrNotExist) {
		if err != nil {
			return err
		}
		return fmt.Errorf("%s is there already; --force writes over it", path)
	}
	return durable.WriteFile(path, data, 0o644)
}
