package create

import (
	"bufio"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/decube/decube/snapshot/fsys"
)

// cacheWriter writes a new cache while the snapshot is taken; nil writes none. The
// old one stays until the snapshot is complete. It is not made durable: a cache that
// a crash has damaged does not match its checksum.
type cacheWriter struct {
	path string
	self inode // of the file

	mu      sync.Mutex
	file    *os.File
	out     *bufio.Writer
	sum     hash.Hash
	scratch []byte
	err     error // the first; the cache is given up then
}

func newCacheWriter(path string) (*cacheWriter, error) {
	if path == "" {
		return nil, nil // a nil writer writes nothing
	}
	f, err := newCacheFile(path)
	if err != nil {
		return nil, fmt.Errorf("write the stat cache: %w", err)
	}
	w := &cacheWriter{path: path, file: f, sum: sha256.New()}
	if st, err := fsys.Fstat(int(f.Fd())); err == nil {
		w.self = inode{st.Dev, st.Ino}
	}
	w.out = bufio.NewWriterSize(io.MultiWriter(f, w.sum), 64<<10)
	_, w.err = w.out.WriteString(cacheMagic)
	return w, nil
}

// newMark is what comes behind a cache's name in that of the one which is to replace it.
const newMark = ".new-"

// newCacheFile makes a file beside a cache, and removes what others have left there that
// were killed. A file is locked for as long as somebody writes it, which ends with the
// process in any case.
func newCacheFile(path string) (*os.File, error) {
	removeStale(path)
	for {
		f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+newMark+"*")
		if err != nil {
			return nil, err
		}
		// Where files cannot be locked nobody takes this one for stale either.
		err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		st, serr := fsys.Fstat(int(f.Fd()))
		if !errors.Is(err, unix.EWOULDBLOCK) && serr == nil && st.Nlink > 0 {
			return f, nil
		}
		if err := f.Close(); err != nil || serr != nil {
			return nil, errors.Join(err, serr)
		}
		// Somebody took it for stale before it was locked.
	}
}

// removeStale removes the files beside a cache that nobody writes any more. What cannot be
// removed only takes room.
func removeStale(path string) {
	dir, err := fsys.OpenRoot(filepath.Dir(path))
	if err != nil {
		return
	}
	defer dir.Close()
	names, err := dir.Names()
	if err != nil {
		return
	}
	for _, name := range names {
		if !strings.HasPrefix(name, filepath.Base(path)+newMark) {
			continue
		}
		fd, err := dir.OpenFile(name)
		if err != nil {
			continue
		}
		if unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB) == nil {
			_ = dir.Unlink(name)
		}
		fsys.CloseRead(fd)
	}
}

// writes reports whether a file is the one that the cache is being written to, which is
// there for as long as the snapshot takes.
func (w *cacheWriter) writes(st *fsys.Stat) bool {
	return w != nil && w.self == inode{st.Dev, st.Ino}
}

// add writes what is to be known of a directory's files. The error is of the records.
func (w *cacheWriter) add(rel string, records iter.Seq2[*record, error]) error {
	if w == nil {
		return nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.write([]byte(rel))
	for r, err := range records {
		if err != nil {
			return err
		}
		if r.st.IsRegular() {
			w.known(r)
		}
	}
	w.write(nil)
	return nil
}

// known writes what is to be known of a file. The chunks of one may take as much memory as
// all else: then it is encoded twice, for its length and in pieces. mu is held.
func (w *cacheWriter) known(r *record) {
	spilled := 0
	e := encoder{data: w.scratch[:0], spill: func(b []byte) { spilled += len(b) }}
	e.known(r)
	w.scratch = e.data
	if spilled == 0 {
		w.write(e.data)
		return
	}
	w.length(spilled + len(e.data))
	e = encoder{data: w.scratch[:0], spill: w.raw}
	e.known(r)
	w.raw(e.data)
}

// write writes the length of b, and b. mu is held.
func (w *cacheWriter) write(b []byte) {
	w.length(len(b))
	w.raw(b)
}

func (w *cacheWriter) length(n int) {
	var b [binary.MaxVarintLen64]byte
	w.raw(binary.AppendUvarint(b[:0], uint64(n)))
}

func (w *cacheWriter) raw(b []byte) {
	if w.err == nil {
		_, w.err = w.out.Write(b)
	}
}

// commit puts the new cache in the place of the old one.
func (w *cacheWriter) commit() error {
	if w == nil {
		return nil
	}
	err := w.err
	if err == nil {
		err = w.out.Flush()
	}
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
	// A file that stays is read by nobody, and the next writer removes it.
	_ = w.file.Close()
	_ = os.Remove(w.file.Name())
	w.file = nil
}
