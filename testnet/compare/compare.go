// Package compare tells whether two directory trees are the same in all that a
// snapshot keeps: names, types, modes, owners, modification times to the
// nanosecond, contents, link targets, which names are one file, extended
// attributes, device numbers, and holes in so far as a file takes no more room
// than it did. It reads both trees itself and shares no code
// with what it is there to check.
package compare

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// MaxDifferences is how many differences are described.
const MaxDifferences = 20

// sparseBy is how much room holes save at least to make a file a sparse one, and
// how much more room than the original a file may take, in bytes.
const sparseBy = 1 << 20

// ErrDiffer is returned for trees that are not the same.
var ErrDiffer = errors.New("trees differ")

// Summary is what was compared.
type Summary struct {
	Files, Dirs, Symlinks, Others int64 // names, by type
	HardLinks                     int64 // names beyond the first of their file
	Xattrs                        int64
	Sparse                        int64 // files with holes
	Bytes                         int64 // of file contents, each file once
	Holes                         int64 // of these bytes, those in holes
}

// Trees compares the trees at a and b, the two directories themselves included,
// and returns what it compared. Differences are an error that wraps [ErrDiffer]
// and describes the first [MaxDifferences] of them. Nothing may change in the
// trees meanwhile.
func Trees(ctx context.Context, a, b string) (Summary, error) {
	c := &comparison{a: a, b: b, first: map[inode]string{}, firstOther: map[inode]string{}}
	err := filepath.WalkDir(a, func(path string, _ fs.DirEntry, err error) error {
		if err := errors.Join(err, ctx.Err()); err != nil {
			return err
		}
		rel, err := filepath.Rel(a, path)
		if err != nil {
			return err
		}
		return c.entry(rel)
	})
	switch {
	case err != nil:
		return c.sum, err
	case c.count > 0:
		return c.sum, fmt.Errorf("%w in %d places:\n%s", ErrDiffer, c.count, bytes.TrimSuffix(c.text.Bytes(), []byte("\n")))
	}
	return c.sum, nil
}

// inode names a file whatever its names.
type inode struct{ dev, ino uint64 }

type comparison struct {
	a, b  string
	sum   Summary
	text  bytes.Buffer
	count int
	// The first name of each file that has several, in both trees.
	first, firstOther map[inode]string
}

func (c *comparison) differ(rel, format string, args ...any) {
	if c.count++; c.count <= MaxDifferences {
		fmt.Fprintf(&c.text, "%q: %s\n", rel, fmt.Sprintf(format, args...))
	}
}

// entry compares one name, which exists in a.
func (c *comparison) entry(rel string) error {
	a, b := filepath.Join(c.a, rel), filepath.Join(c.b, rel)
	sa, err := lstat(a)
	if err != nil {
		return err
	}
	sb, err := lstat(b)
	if errors.Is(err, fs.ErrNotExist) {
		c.differ(rel, "missing")
		return nil
	}
	if err != nil {
		return err
	}
	c.attributes(rel, sa, sb)
	if sa.Mode&syscall.S_IFMT != sb.Mode&syscall.S_IFMT {
		return nil
	}
	if err := c.xattrs(rel, a, b); err != nil {
		return err
	}
	return c.content(rel, a, b, sa, sb)
}

func lstat(path string) (*syscall.Stat_t, error) {
	var s syscall.Stat_t
	if err := syscall.Lstat(path, &s); err != nil {
		return nil, &fs.PathError{Op: "lstat", Path: path, Err: err}
	}
	return &s, nil
}

func (c *comparison) attributes(rel string, a, b *syscall.Stat_t) {
	if a.Mode != b.Mode {
		c.differ(rel, "mode %o and %o", a.Mode, b.Mode)
	}
	if a.Uid != b.Uid || a.Gid != b.Gid {
		c.differ(rel, "owner %d:%d and %d:%d", a.Uid, a.Gid, b.Uid, b.Gid)
	}
	if ta, tb := modified(a), modified(b); ta != tb {
		c.differ(rel, "modified %d.%09d and %d.%09d", ta.Sec, ta.Nsec, tb.Sec, tb.Nsec)
	}
	if a.Rdev != b.Rdev {
		c.differ(rel, "device %d and %d", a.Rdev, b.Rdev)
	}
}

// content compares what a name of the same type in both trees holds.
func (c *comparison) content(rel, a, b string, sa, sb *syscall.Stat_t) error {
	switch sa.Mode & syscall.S_IFMT {
	case syscall.S_IFDIR:
		c.sum.Dirs++
		return c.names(rel, a, b)
	case syscall.S_IFLNK:
		c.sum.Symlinks++
		return c.targets(rel, a, b)
	case syscall.S_IFREG:
		c.sum.Files++
		if !c.linked(rel, sa, sb) {
			return c.bytes(rel, a, b, sa, sb)
		}
	default:
		c.sum.Others++
	}
	return nil
}

// names reports what a directory has in b alone. What it has in a alone is found
// by the walk.
func (c *comparison) names(rel, a, b string) error {
	inA, err := os.ReadDir(a)
	if err != nil {
		return err
	}
	inB, err := os.ReadDir(b)
	if err != nil {
		return err
	}
	for _, e := range inB {
		if _, ok := slices.BinarySearchFunc(inA, e.Name(), byName); !ok {
			c.differ(filepath.Join(rel, e.Name()), "is new")
		}
	}
	return nil
}

func byName(e fs.DirEntry, name string) int { return strings.Compare(e.Name(), name) }

func (c *comparison) targets(rel, a, b string) error {
	ta, err := os.Readlink(a)
	if err != nil {
		return err
	}
	tb, err := os.Readlink(b)
	if err != nil {
		return err
	}
	if ta != tb {
		c.differ(rel, "points to %q and %q", ta, tb)
	}
	return nil
}

// linked compares which names are one file, and reports whether this is another
// name of one that was compared before.
func (c *comparison) linked(rel string, a, b *syscall.Stat_t) bool {
	if a.Nlink < 2 && b.Nlink < 2 {
		return false
	}
	known := remember(c.first, a, rel)
	if other := remember(c.firstOther, b, rel); known != other {
		c.differ(rel, "is one file with %q and with %q", known, other)
		return false
	}
	if known != rel {
		c.sum.HardLinks++
	}
	return known != rel
}

// remember returns the first name that a file was met under.
func remember(first map[inode]string, s *syscall.Stat_t, rel string) string {
	key := inode{dev: s.Dev, ino: s.Ino}
	if known, ok := first[key]; ok {
		return known
	}
	first[key] = rel
	return rel
}

func (c *comparison) bytes(rel, a, b string, sa, sb *syscall.Stat_t) error {
	if sa.Size != sb.Size {
		c.differ(rel, "%d bytes and %d bytes", sa.Size, sb.Size)
		return nil
	}
	roomA, roomB := onDisk(sa), onDisk(sb)
	if roomA < sa.Size-sparseBy {
		c.sum.Sparse++
		c.sum.Holes += sa.Size - roomA
	}
	if roomB > roomA+sparseBy {
		c.differ(rel, "takes %d bytes on disk and %d bytes", roomA, roomB)
	}
	fa, err := os.Open(a)
	if err != nil {
		return err
	}
	defer fa.Close()
	fb, err := os.Open(b)
	if err != nil {
		return err
	}
	defer fb.Close()
	at, err := firstDifference(fa, fb)
	if err != nil {
		return fmt.Errorf("reading %q: %w", rel, err)
	}
	if at >= 0 {
		c.differ(rel, "bytes differ from offset %d on", at)
	}
	c.sum.Bytes += sa.Size
	return nil
}

// onDisk returns the room that a file takes in bytes.
func onDisk(s *syscall.Stat_t) int64 {
	const unit = 512 // whatever the file system's own blocks are
	return s.Blocks * unit
}

// firstDifference returns the offset of the first byte in which two readers
// differ, or -1 when there is none.
func firstDifference(a, b io.Reader) (int64, error) {
	const size = 1 << 18
	bufA, bufB := make([]byte, size), make([]byte, size)
	for offset := int64(0); ; offset += size {
		partA, err := fill(a, bufA)
		if err != nil {
			return 0, err
		}
		partB, err := fill(b, bufB)
		if err != nil {
			return 0, err
		}
		if !bytes.Equal(partA, partB) {
			i := 0
			for i < min(len(partA), len(partB)) && partA[i] == partB[i] {
				i++
			}
			return offset + int64(i), nil
		}
		if len(partA) < size {
			return -1, nil
		}
	}
}

// fill reads as much into buf as there is, up to its length.
func fill(r io.Reader, buf []byte) ([]byte, error) {
	n, err := io.ReadFull(r, buf)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = nil
	}
	return buf[:n], err
}

func (c *comparison) xattrs(rel, a, b string) error {
	xa, err := xattrs(a)
	if err != nil {
		return err
	}
	xb, err := xattrs(b)
	if err != nil {
		return err
	}
	if !maps.Equal(xa, xb) {
		c.differ(rel, "extended attributes %q and %q", xa, xb)
	}
	c.sum.Xattrs += int64(len(xa))
	return nil
}
