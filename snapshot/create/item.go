package create

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/decube/decube/internal/block"
	"github.com/decube/decube/snapshot/fsys"
	"github.com/decube/decube/snapshot/manifest"
)

// item is one name on its way into the manifest.
type item struct {
	dir       *directory
	name      string
	st        fsys.Stat
	entry     manifest.Entry
	pieces    []piece // content of a regular file, in order
	sub       *directory
	dropped   bool  // left out, because it could not be read
	unsettled bool  // changed while it was read, or is not what its size says
	partial   bool  // lacks extended attributes
	problem   error // with the attributes of what is neither file nor directory
	names           // for a file with several names
}

// piece is a run of a file's bytes with the size of the chunk it lies in.
type piece struct {
	manifest.Extent
	chunkSize int
}

// directory collects its items; when the last one is complete it becomes a Node.
type directory struct {
	parent *directory
	self   *item // the directory's entry, in parent
	rel    string
	depth  int
	items  []*item
	known  *cachedDir // what the cache says, or nil
	clock  int64      // what the clock behind the files' times had reached; see clocks

	pending atomic.Int64 // items that are not complete, and the walker's hold
	share   *share
}

// share is what one directory adds to the index.
type share struct {
	nodes  []ref
	chunks []ref
}

// ref names a block and its size.
type ref struct {
	id   block.ID
	size int
}

func (d *directory) path(name string) string {
	if d.rel == "" {
		return name
	}
	if name == "" {
		return d.rel
	}
	return d.rel + "/" + name
}

// path returns the item's path below the top.
func (it *item) path() string { return it.dir.path(it.name) }

// entryOf fills in what stat tells.
func entryOf(name string, st *fsys.Stat, owners *owners) manifest.Entry {
	e := manifest.Entry{
		Mode: uint64(st.Mode & 0o7777),
		UID:  uint64(st.UID), GID: uint64(st.GID),
		User: owners.user(st.UID), Group: owners.group(st.GID),
		ModTime: manifest.Time{Sec: st.MSec, Nsec: uint64(st.MNsec)},
	}
	if name != "" {
		e.Name = []byte(name)
	}
	switch st.Type() {
	case unix.S_IFREG:
		e.Type, e.Size = manifest.File, uint64(st.Size)
	case unix.S_IFDIR:
		e.Type = manifest.Dir
	case unix.S_IFLNK:
		e.Type = manifest.Symlink
	case unix.S_IFIFO:
		e.Type = manifest.Fifo
	case unix.S_IFCHR:
		e.Type, e.Device = manifest.CharDevice, []uint64{uint64(st.Major), uint64(st.Minor)}
	case unix.S_IFBLK:
		e.Type, e.Device = manifest.BlockDevice, []uint64{uint64(st.Major), uint64(st.Minor)}
	}
	return e
}

// xattrsOf returns the attributes that have a place in a manifest, and why others have
// not, or could not be read.
func xattrsOf(list []fsys.Xattr, err error) ([]manifest.Xattr, error) {
	var out []manifest.Xattr
	bytes := 0
	for _, x := range list {
		size := len(x.Name) + len(x.Value)
		if len(x.Name) > manifest.MaxXattrName || len(x.Value) > manifest.MaxXattrValue || bytes+size > manifest.MaxXattrBytes || len(out) == manifest.MaxXattrs {
			err = errors.Join(err, fmt.Errorf("%w: %s, %d bytes", ErrAttributes, x.Name, len(x.Value)))
			continue
		}
		bytes += size
		out = append(out, manifest.Xattr{Name: x.Name, Value: x.Value})
	}
	return out, err
}

// withoutAttributes takes note that an entry has not all of its extended attributes in the
// snapshot. All else of it has; but the cache must not take it for whole.
func (c *creator) withoutAttributes(it *item, path string, err error) {
	if err != nil {
		c.problem(path, "read attributes of", err)
		it.partial = true
	}
}

// cacheable reports whether what is known of a complete item may stand for it next time.
func (it *item) cacheable() bool { return !it.unsettled && !it.partial }

// sized takes over how many bytes an unchanged file turned out to have. Files that the
// kernel or a program makes up as they are read say any size, often 0, and are stored as
// they are; but one that ends before its size may be a disk's failure as well.
func (c *creator) sized(it *item, size int64) {
	if size == it.st.Size {
		return
	}
	it.entry.Size = uint64(size)
	it.unsettled = true
	if size < it.st.Size {
		c.problem(it.path(), "read", fmt.Errorf("%w: %d bytes of %d", ErrShort, size, it.st.Size))
	}
}

// linkGroup names a hard link group after its first path in walk order, which
// does not change when other groups come or go.
func linkGroup(path string) []byte {
	sum := sha256.Sum256([]byte(path))
	return sum[:manifest.LinkSize:manifest.LinkSize]
}
