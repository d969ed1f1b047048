package create

import (
	"bufio"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// cacheWriter writes a new cache while the snapshot is taken; nil writes none. The
// old one stays until the snapshot is complete. It is not made durable: a cache that
// a crash has damaged does not match its checksum.
type cacheWriter struct {
	path    string
	started int64            // when the snapshot began, Unix seconds
	now     func() time.Time // the clock that started is of

	mu      sync.Mutex
	file    *os.File
	out     *bufio.Writer
	sum     hash.Hash
	scratch []byte
	err     error // the first; the cache is given up then
}

func newCacheWriter(path string, started time.Time, now func() time.Time) (*cacheWriter, error) {
	if path == "" {
		return nil, nil // a nil writer writes nothing
	}
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".new-*")
	if err != nil {
		return nil, fmt.Errorf("write the stat cache: %w", err)
	}
	w := &cacheWriter{path: path, started: started.Unix(), now: now, file: f, sum: sha256.New()}
	w.out = bufio.NewWriterSize(io.MultiWriter(f, w.sum), 64<<10)
	_, w.err = w.out.WriteString(cacheMagic)
	return w, nil
}

// add writes a directory whose items are complete.
func (w *cacheWriter) add(d *directory) {
	if w == nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil {
		return
	}
	w.scratch = appendDir(w.scratch[:0], d, w.started, w.now().Unix())
	if _, w.err = w.out.Write(binary.AppendUvarint(nil, uint64(len(w.scratch)))); w.err == nil {
		_, w.err = w.out.Write(w.scratch)
	}
}

// commit puts the new cache in the place of the old one.
func (w *cacheWriter) commit() error {
	if w == nil {
		return nil
	}
	err := errors.Join(w.err, w.out.Flush())
	if err == nil {
		_, err = w.file.Write(w.sum.Sum(nil))
	}
	if err == nil {
		err = os.Rename(w.file.Name(), w.path)
	}
	if err != nil {
		return fmt.Errorf("write the stat cache: %w", err)
	}
	err = w.file.Close()
	w.file = nil
	return err
}

// discard removes what was not committed.
func (w *cacheWriter) discard() {
	if w == nil || w.file == nil {
		return
	}
	// A file that stays is removed by nobody, and read by nobody either.
	_ = w.file.Close()
	_ = os.Remove(w.file.Name())
	w.file = nil
}
