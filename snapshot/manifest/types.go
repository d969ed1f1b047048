package manifest

import (
	"time"

	"github.com/decube/decube/block"
)

// Kind is the value of a root's "kind" field.
const Kind = "decube/snapshot"

// Version is the format version that this package writes, and the only one it reads.
const Version = 1

// Root is a snapshot's first block; its ID is the snapshot's name.
type Root struct {
	Kind    string     `cborgen:"kind"`
	Version uint64     `cborgen:"version"`
	Created Time       `cborgen:"created"`
	Source  Source     `cborgen:"source"`
	Parent  []byte     `cborgen:"parent,omitempty"` // binary CID of the snapshot before this one; not a link, so that nothing follows it
	Label   string     `cborgen:"label,omitempty"`
	Tags    []string   `cborgen:"tags,omitempty"`
	Chunker Chunker    `cborgen:"chunker"`
	Stats   Stats      `cborgen:"stats"`
	Tree    Entry      `cborgen:"tree"`
	Index   []IndexRef `cborgen:"index,omitempty"`
}

// ParentID returns the ID of the snapshot before this one, the zero ID when there is none.
func (r *Root) ParentID() block.ID {
	id, err := block.FromBytes(r.Parent)
	if err != nil {
		return block.ID{}
	}
	return id
}

// Source says where a snapshot was taken. It is information only: nothing is decided by it.
type Source struct {
	Host string `cborgen:"host,omitempty"`
	Path []byte `cborgen:"path,omitempty"` // absolute path, or empty for a stream
	User string `cborgen:"user,omitempty"`
}

// Chunker names the parameters a snapshot was cut with. Readers never need them;
// a later snapshot that shall share chunks with this one does. Sizes are bytes.
type Chunker struct {
	Algorithm string `cborgen:"algorithm"`
	Min       uint64 `cborgen:"min"`
	Normal    uint64 `cborgen:"normal"`
	Max       uint64 `cborgen:"max"`
	Small     uint64 `cborgen:"small"`  // files below this size are bundled
	Bundle    uint64 `cborgen:"bundle"` // normal size of a bundle
}

// Stats counts what a snapshot holds. Sizes are bytes.
type Stats struct {
	Files      uint64 `cborgen:"files"`      // regular files, every name of a hard link counted
	Dirs       uint64 `cborgen:"dirs"`       // directories, the top one included
	Others     uint64 `cborgen:"others"`     // symbolic links, fifos, devices
	Bytes      uint64 `cborgen:"bytes"`      // sum of the sizes of regular files, every hard link group counted once
	Nodes      uint64 `cborgen:"nodes"`      // distinct dag-cbor blocks in the index
	Chunks     uint64 `cborgen:"chunks"`     // distinct raw blocks in the index
	ChunkBytes uint64 `cborgen:"chunkBytes"` // sum of the sizes of the raw blocks
}

// Time is a moment as seconds and nanoseconds since 1970-01-01 UTC; seconds may be
// negative, nanoseconds are 0 to 999,999,999.
type Time struct {
	Sec  int64
	Nsec uint64
}

// TimeOf converts a time.
func TimeOf(t time.Time) Time {
	return Time{Sec: t.Unix(), Nsec: uint64(t.Nanosecond())}
}

// Time converts back, in UTC.
func (t Time) Time() time.Time { return time.Unix(t.Sec, int64(t.Nsec)).UTC() }

// Type is what an entry is.
type Type uint64

// The types of entries. The numbers are part of the format.
const (
	File        Type = 1
	Dir         Type = 2
	Symlink     Type = 3
	Fifo        Type = 4
	CharDevice  Type = 5
	BlockDevice Type = 6
)

// String returns the type's name.
func (t Type) String() string {
	switch t {
	case File:
		return "file"
	case Dir:
		return "dir"
	case Symlink:
		return "symlink"
	case Fifo:
		return "fifo"
	case CharDevice:
		return "chardev"
	case BlockDevice:
		return "blockdev"
	default:
		return "unknown"
	}
}

// MarshalText implements encoding.TextMarshaler, so that JSON shows names.
func (t Type) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// Entry is one name in a directory, or the top of a snapshot.
type Entry struct {
	Name    []byte      `cborgen:"n,omitempty"` // empty only at the top
	Type    Type        `cborgen:"t"`
	Mode    uint64      `cborgen:"m"` // permission, set-id and sticky bits: 0 to 07777
	UID     uint64      `cborgen:"u"`
	GID     uint64      `cborgen:"g"`
	User    string      `cborgen:"un,omitempty"`
	Group   string      `cborgen:"gn,omitempty"`
	ModTime Time        `cborgen:"mt"`
	Size    uint64      `cborgen:"s"`                    // of a regular file, bytes; otherwise 0
	Target  []byte      `cborgen:"l,omitempty"`          // of a symbolic link
	Device  []uint64    `cborgen:"d,omitempty,maxlen=2"` // major, minor
	Link    []byte      `cborgen:"h,omitempty,maxlen=8"` // hard link group, LinkSize bytes
	Xattrs  []Xattr     `cborgen:"x,omitempty,maxlen=256"`
	Extents []Extent    `cborgen:"e,omitempty,maxlen=64"`
	Pages   []ExtentRef `cborgen:"p,omitempty,maxlen=16384"`
	Node    *Link       `cborgen:"c,omitempty"` // of a directory: its Node
}

// Xattr is one extended attribute, ACLs among them.
type Xattr struct {
	Name  []byte `cborgen:"maxlen=255"`
	Value []byte `cborgen:"maxlen=65536"`
}

// Extent is a run of a file's bytes: Length bytes at Offset of a chunk, or a hole
// of Length zero bytes when Chunk is zero.
type Extent struct {
	Chunk  Link
	Offset uint64
	Length uint64
}

// Hole reports whether the extent is a hole.
func (e Extent) Hole() bool { return e.Chunk.ID.IsZero() }

// ExtentRef names an ExtentPage and how many extents and bytes it covers.
type ExtentRef struct {
	Page   Link
	Count  uint64
	Length uint64
}

// ExtentPage is a part of a long extent list.
type ExtentPage struct {
	Extents []Extent `cborgen:"e,maxlen=8192"`
}

// Node is a directory: its entries in strictly ascending order of name bytes, or,
// when they would not fit into one block, references to Nodes that hold them.
type Node struct {
	Entries []Entry   `cborgen:"e,omitempty,maxlen=16384"`
	Pages   []NodeRef `cborgen:"p,omitempty,maxlen=16384"`
}

// NodeRef names a page of a directory, the first name in it, and how many entries it has.
type NodeRef struct {
	Page  Link
	First []byte `cborgen:"maxlen=255"`
	Count uint64
}

// IndexRef names an IndexPage and how many records it has.
type IndexRef struct {
	Page  Link
	Count uint64
}

// IndexPage is a part of the flat index: RecordSize bytes for each block.
type IndexPage struct {
	Records []byte `cborgen:"r,maxlen=909312"`
}
