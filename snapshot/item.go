package snapshot

import (
	"crypto/sha256"
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
	dropped   bool // left out, because it could not be read
	unsettled bool // changed while it was read, so never to be trusted by the cache
	names          // for a file with several names
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

func xattrsOf(list []fsys.Xattr) []manifest.Xattr {
	if len(list) == 0 {
		return nil
	}
	out := make([]manifest.Xattr, len(list))
	for i, x := range list {
		out[i] = manifest.Xattr{Name: x.Name, Value: x.Value}
	}
	return out
}

// linkGroup names a hard link group after its first path in walk order, which
// does not change when other groups come or go.
func linkGroup(path string) []byte {
	sum := sha256.Sum256([]byte(path))
	return sum[:manifest.LinkSize:manifest.LinkSize]
}
