package snapshot

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"os"
	"slices"
	"sort"

	"golang.org/x/sys/unix"

	"github.com/decube/decube/internal/block"
	"github.com/decube/decube/snapshot/fsys"
	"github.com/decube/decube/snapshot/manifest"
)

// The stat cache remembers, of the snapshot before, what stat said about each file
// and where its content went. It is advice: whatever is wrong with it costs time and
// never correctness, since the store is asked whether it still holds the blocks.
//
//	offset  size  field
//	     0     8  magic "DCSTAT01"
//	     8     …  records, each: length (uvarint), directory (see cachecodec.go)
//	  last    32  SHA-256 of all before
const cacheMagic = "DCSTAT01"

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
	trusted     bool // the times are older than the snapshot by enough
	user, group string
	link        []byte
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

// matches reports whether an item is as the cache knows it, as far as stat can tell.
// The device is left out: its number may change when the machine starts again.
func (e *cachedEntry) matches(st *fsys.Stat) bool {
	o := &e.st
	return e.trusted && st.Ino == o.Ino && st.Mode == o.Mode && st.UID == o.UID && st.GID == o.GID &&
		st.Size == o.Size && st.MSec == o.MSec && st.MNsec == o.MNsec && st.CSec == o.CSec && st.CNsec == o.CNsec
}

// file returns a regular file's content when the file is unchanged and the store
// holds all of it.
func (d *cachedDir) file(it *item) *cachedFile {
	e := d.entry(it.name)
	if e == nil || e.lost || !e.matches(&it.st) {
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
		e := &d.entries[i]
		if it.dropped || !it.cacheable() || it.name != e.name || !e.matches(&it.st) {
			return false
		}
		if it.entry.User != e.user || it.entry.Group != e.group || !bytes.Equal(it.entry.Link, e.link) {
			return false
		}
		if it.entry.Node != nil && it.entry.Node.ID != e.node || !slices.Equal(it.pieces, e.content.pieces) {
			return false
		}
	}
	return true
}

// settled reports whether a file that stat described at the time the snapshot began
// cannot have changed since without changing its times. As in git, times too close
// to that moment are not to be trusted: a change could have followed within one tick
// of the file system's clock, and would not show.
func settled(st *fsys.Stat, startSec, startNsec int64) bool {
	return before(st.MSec, st.MNsec, startSec, startNsec) && before(st.CSec, st.CNsec, startSec, startNsec) ||
		st.Type() == unix.S_IFLNK // its target never changes
}

func before(sec, nsec, startSec, startNsec int64) bool {
	granularity := int64(20e6) // a kernel's clock tick, doubled
	if nsec == 0 {
		granularity = 2e9 // perhaps a file system that keeps whole seconds
	}
	if d := startSec - sec; d < 0 || d > 1<<20 {
		return d > 0
	}
	return (startSec-sec)*1e9+startNsec-nsec > granularity
}
