package create

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"os"
	"slices"
	"sort"

	"github.com/decube/decube/internal/block"
	"github.com/decube/decube/snapshot/fsys"
	"github.com/decube/decube/snapshot/manifest"
)

// The stat cache remembers, of the snapshot before, what stat said about each file
// and where its content went. It is advice: whatever is wrong with it costs time and
// never correctness, since the store is asked whether it still holds the blocks.
// Whether stat can be believed is decided in cachetrust.go.
//
//	offset  size  field
//	     0     8  magic "DCSTAT02"
//	     8     …  records, each: length (uvarint), directory (see cachecodec.go)
//	  last    32  SHA-256 of all before
const cacheMagic = "DCSTAT02"

// maxCacheFile bounds the cache that is read, in bytes.
const maxCacheFile = 1 << 30

// touchBatch is how many blocks the store is asked about at once.
const touchBatch = 4096

// statCache is a cache that was read; nil is an empty one.
type statCache struct {
	records map[string][]byte // of each directory, by path
	missing map[block.ID]struct{}
}

// loadCache reads a cache file, and returns nil for one that is of no use.
func loadCache(path string) *statCache {
	if path == "" {
		return nil
	}
	info, err := os.Stat(path)
	if err != nil || info.Size() > maxCacheFile {
		return nil
	}
	data, err := os.ReadFile(path)
	if err != nil || len(data) < len(cacheMagic)+sha256.Size || string(data[:len(cacheMagic)]) != cacheMagic {
		return nil
	}
	body, sum := data[:len(data)-sha256.Size], data[len(data)-sha256.Size:]
	if want := sha256.Sum256(body); !bytes.Equal(want[:], sum) {
		return nil
	}
	c := &statCache{records: make(map[string][]byte), missing: make(map[block.ID]struct{})}
	for rest := body[len(cacheMagic):]; len(rest) > 0; {
		n, used := binary.Uvarint(rest)
		if used <= 0 || n > uint64(len(rest)-used) {
			return nil
		}
		record := rest[used : used+int(n)]
		rest = rest[used+int(n):]
		d := decoder{data: record}
		c.records[string(d.bytes())] = record
		if d.failed {
			return nil
		}
	}
	return c
}

// touch asks the sink which blocks of the cache it holds still.
func (c *statCache) touch(ctx context.Context, sink Sink) error {
	if c == nil {
		return nil
	}
	seen := make(map[block.ID]struct{})
	var batch []block.ID
	ask := func() error {
		held, err := sink.Touch(ctx, batch)
		if err != nil {
			return err
		}
		for i, id := range batch {
			if !held[i] {
				c.missing[id] = struct{}{}
			}
		}
		batch = batch[:0]
		return nil
	}
	for _, record := range c.records {
		d := decoder{data: record}
		head := d.head()
		for _, list := range [][]ref{head.nodes, head.chunks} {
			for _, r := range list {
				if _, ok := seen[r.id]; ok {
					continue
				}
				seen[r.id] = struct{}{}
				if batch = append(batch, r.id); len(batch) == touchBatch {
					if err := ask(); err != nil {
						return err
					}
				}
			}
		}
	}
	if len(batch) == 0 {
		return nil
	}
	return ask()
}

// dir returns what is known of a directory, nil for nothing.
func (c *statCache) dir(rel string) *cachedDir {
	if c == nil {
		return nil
	}
	record, ok := c.records[rel]
	if !ok {
		return nil
	}
	return decodeDir(record, c.missing)
}

// cachedDir is what the cache knows of a directory.
type cachedDir struct {
	node    block.ID // the zero ID when the store has lost one of the nodes
	nodes   []ref
	chunks  []ref
	entries []cachedEntry // by name
}

// cachedEntry is what the cache knows of a name.
type cachedEntry struct {
	name        string
	st          fsys.Stat
	trusted     bool  // of a regular file: an unchanged st means unchanged content
	seen        int64 // of one that is not trusted: when st was seen first, at the latest; Unix seconds
	user, group string
	link        []byte
	target      []byte   // of a symbolic link
	device      []uint64 // of a device
	node        block.ID // of a directory
	content     cachedFile
	lost        bool // the store has lost some of the content
}

// cachedFile is a file's content as the cache knows it.
type cachedFile struct {
	pieces []piece
	xattrs []manifest.Xattr
}

func (d *cachedDir) entry(name string) *cachedEntry {
	if d == nil {
		return nil
	}
	i := sort.Search(len(d.entries), func(i int) bool { return d.entries[i].name >= name })
	if i == len(d.entries) || d.entries[i].name != name {
		return nil
	}
	return &d.entries[i]
}

// same reports whether stat says of an item just what it said before. The device is
// left out: its number may change when the machine starts again.
func (e *cachedEntry) same(st *fsys.Stat) bool {
	o := &e.st
	return st.Ino == o.Ino && st.Mode == o.Mode && st.UID == o.UID && st.GID == o.GID && st.Size == o.Size &&
		st.MSec == o.MSec && st.MNsec == o.MNsec && st.CSec == o.CSec && st.CNsec == o.CNsec
}

// describes reports whether the entry in the manifest that was made of e is that of a
// complete item, too. All that the manifest holds is at hand and compared, so that it
// does not matter here whether times can be trusted: of a regular file the content was
// read, or known from an e that is trusted.
func (e *cachedEntry) describes(it *item) bool {
	o, n := &e.st, &it.entry
	if it.name != e.name || it.st.Mode != o.Mode || it.st.UID != o.UID || it.st.GID != o.GID ||
		it.st.MSec != o.MSec || it.st.MNsec != o.MNsec || n.User != e.user || n.Group != e.group {
		return false
	}
	if n.Node != nil && n.Node.ID != e.node {
		return false
	}
	return bytes.Equal(n.Link, e.link) && bytes.Equal(n.Target, e.target) && slices.Equal(n.Device, e.device) &&
		slices.EqualFunc(n.Xattrs, e.content.xattrs, func(a, b manifest.Xattr) bool {
			return bytes.Equal(a.Name, b.Name) && bytes.Equal(a.Value, b.Value)
		}) && slices.Equal(it.pieces, e.content.pieces)
}

// file returns a regular file's content when the file is unchanged and the store
// holds all of it.
func (d *cachedDir) file(it *item) *cachedFile {
	e := d.entry(it.name)
	if e == nil || e.lost || !e.trusted || !e.same(&it.st) {
		return nil
	}
	return &e.content
}

// unchanged reports whether the directory's complete items are just those that the
// cache knows, so that its node is the same.
func (d *cachedDir) unchanged(items []*item) bool {
	if d == nil || d.node.IsZero() || len(items) != len(d.entries) {
		return false
	}
	for i, it := range items {
		if it.dropped || !it.cacheable() || !d.entries[i].describes(it) {
			return false
		}
	}
	return true
}
