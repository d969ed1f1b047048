package create

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/decube/decube/block"
	"github.com/decube/decube/snapshot/fsys"
	"github.com/decube/decube/snapshot/manifest"
)

// dirent is one name of a directory on its way into the manifest. Few of them are in
// memory at a time: when one is complete, what is left of it is its record.
type dirent struct {
	record

	dir     *directory
	ordinal int       // its place among the names that were looked at with it
	at      *slot     // where its record goes
	name    string    // below dir
	known   *known    // what the cache says of a regular file, or nil
	clock   int64     // what the clock behind its times had reached before it is read; see clocks
	dropped bool      // left out, because it could not be read
	problem error     // with the attributes of what is neither file nor directory
	links   *siblings // of a file with several names: what the others know of it
}

// record is what a complete dirent is.
type record struct {
	st        fsys.Stat
	entry     manifest.Entry // without its content, until it is put into a node
	content   content
	unsettled bool  // changed while it was read, or is not what its size says
	partial   bool  // lacks extended attributes
	trusted   bool  // the next snapshot may take an unchanged st for unchanged content
	seen      int64 // when st was seen first, if it is not trusted; Unix seconds

	// generation is the open file's when it was read, of a file with several names: file
	// systems that have it change it when they use an inode number again.
	generation fsys.Generation
}

// cacheable reports whether what is known of a complete dirent may stand for it next time.
func (r *record) cacheable() bool { return !r.unsettled && !r.partial }

// content is where the bytes of a regular file went.
type content struct {
	extents []manifest.Extent    // the file in order, if they have room in an entry
	pages   []manifest.ExtentRef // and otherwise
	nodes   []ref                // the blocks of the pages
	chunks  []ref                // in order of the file, none twice in a row

	// aside is where a large content is, once for all names of the file, when one of them
	// is complete. All else is empty from then on, until it is loaded.
	aside spooled
}

// largeContent is how many chunks a content has at most that is set aside with its record.
const largeContent = 256

// ref names a block and its size in bytes.
type ref struct {
	id   block.ID
	size int
}

// inChunk returns the content of a file that lies in one chunk.
func inChunk(offset, length int) content {
	return content{extents: []manifest.Extent{{Offset: uint64(offset), Length: uint64(length)}}}
}

// name gives the chunk of such a content its name.
func (c *content) name(id block.ID, size int) {
	c.extents[0].Chunk = manifest.LinkTo(id)
	c.chunks = []ref{{id, size}}
}

// equal reports whether two contents are the same bytes in the same places.
func (c *content) equal(o *content) bool {
	a, b := manifest.Entry{Extents: c.extents, Pages: c.pages}, manifest.Entry{Extents: o.extents, Pages: o.pages}
	return manifest.EqualContent(&a, &b)
}

// directory is one that is being read, until all that is in it is complete and it
// becomes a node.
type directory struct {
	parent *directory
	self   *dirent // its entry in parent; nil where a single file is the top
	rel    string
	depth  int
	dev    uint64 // of the file system

	pending atomic.Int64 // dirents that are not complete, and the walk's hold
	slots   []slot       // the complete ones, in order of name
	late    []lateSlot   // those of names that have come since it was listed, in order too
	part    *indexPart
}

// slot is a place for a record: in memory, or set aside.
type slot struct {
	rec   *record
	aside spooled
}

// lateSlot is the place of a name that was not listed with the others.
type lateSlot struct {
	name string
	*slot
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

// path returns the dirent's path below the top.
func (e *dirent) path() string { return e.dir.path(e.name) }

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
func (c *creator) withoutAttributes(e *dirent, path string, err error) {
	if err != nil {
		c.problem(path, "read attributes of", err)
		e.partial = true
	}
}

// sized takes over how many bytes an unchanged file turned out to have. Files that the
// kernel or a program makes up as they are read say any size, often 0, and are stored as
// they are; but one that ends before its size may be a disk's failure as well.
func (c *creator) sized(e *dirent, size int64) {
	if size == e.st.Size {
		return
	}
	e.entry.Size = uint64(size)
	e.unsettled = true
	if size < e.st.Size {
		c.problem(e.path(), "read", fmt.Errorf("%w: %d bytes of %d", ErrShort, size, e.st.Size))
	}
}

// linkGroup names a hard link group after its first path in walk order, which
// does not change when other groups come or go.
func linkGroup(path string) []byte {
	sum := sha256.Sum256([]byte(path))
	return sum[:manifest.LinkSize:manifest.LinkSize]
}
