package manifest

import (
	"bytes"
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/decube/decube/block"
)

func (r *Root) check() error {
	switch {
	case r.Kind != Kind:
		return fmt.Errorf("kind %q, want %q", r.Kind, Kind)
	case r.Version != Version:
		return fmt.Errorf("format version %d, this program reads version %d", r.Version, Version)
	case len(r.Index) > MaxIndexPages:
		return fmt.Errorf("%d index pages, at most %d", len(r.Index), MaxIndexPages)
	case len(r.Source.Path) > MaxPath:
		return errors.New("source path is too long")
	case hollow(r.Source.Path) || hollow(r.Tags) || hollow(r.Index):
		return errHollow
	}
	if r.Parent != nil {
		if id, err := block.FromBytes(r.Parent); err != nil || id.Codec() != block.DagCBOR {
			return errors.New("parent is not a dag-cbor CID")
		}
	}
	if err := texts(append([]string{r.Label, r.Source.Host, r.Source.User, r.Chunker.Algorithm}, r.Tags...)...); err != nil {
		return err
	}
	if err := r.Created.check(); err != nil {
		return fmt.Errorf("created: %w", err)
	}
	if year := r.Created.Time().Year(); year < 0 || year > 9999 {
		return fmt.Errorf("created in the year %d", year) // nobody could write it down as RFC 3339 does
	}
	if err := r.checkIndex(); err != nil {
		return err
	}
	if len(r.Tree.Name) != 0 {
		if err := CheckName(r.Tree.Name); err != nil {
			return err
		}
	}
	return r.Tree.check()
}

// checkIndex compares the index links with the statistics.
func (r *Root) checkIndex() error {
	s := r.Stats
	for _, n := range []uint64{s.Files, s.Dirs, s.Others, s.Bytes, s.Nodes, s.Chunks, s.ChunkBytes} {
		if n > MaxFileSize {
			return fmt.Errorf("statistic %d is out of range", n)
		}
	}
	var records uint64
	for i, ref := range r.Index {
		if err := nodeLink(ref.Page); err != nil {
			return fmt.Errorf("index page %d: %w", i, err)
		}
		if ref.Count == 0 || ref.Count > MaxIndexRecords {
			return fmt.Errorf("index page %d: %d records, want 1 to %d", i, ref.Count, MaxIndexRecords)
		}
		records += ref.Count
	}
	if records != s.Nodes+s.Chunks {
		return fmt.Errorf("index of %d records for %d nodes and %d chunks", records, s.Nodes, s.Chunks)
	}
	if s.ChunkBytes > s.Chunks*block.MaxSize {
		return fmt.Errorf("%d bytes in %d chunks", s.ChunkBytes, s.Chunks)
	}
	return nil
}

func (t Time) check() error {
	if t.Nsec > 999_999_999 {
		return fmt.Errorf("%d nanoseconds in a second", t.Nsec)
	}
	return nil
}

// CheckName reports why a name cannot be a directory entry's.
func CheckName(name []byte) error {
	switch {
	case len(name) == 0:
		return errors.New("empty name")
	case len(name) > MaxName:
		return fmt.Errorf("name of %d bytes, at most %d", len(name), MaxName)
	case string(name) == "." || string(name) == "..":
		return fmt.Errorf("name %q", name)
	case bytes.IndexByte(name, '/') >= 0:
		return fmt.Errorf("name %q holds a slash", name)
	case bytes.IndexByte(name, 0) >= 0:
		return fmt.Errorf("name %q holds a NUL", name)
	}
	return nil
}

// check tests everything of an entry except its name.
func (e *Entry) check() error {
	if err := texts(e.User, e.Group); err != nil {
		return e.wrap(err)
	}
	if err := e.ModTime.check(); err != nil {
		return e.wrap(err)
	}
	switch {
	case e.Mode > 0o7777:
		return e.wrap(fmt.Errorf("mode %#o", e.Mode))
	case e.UID > 1<<32-2 || e.GID > 1<<32-2:
		return e.wrap(fmt.Errorf("owner %d:%d", e.UID, e.GID))
	case e.Link != nil && (len(e.Link) != LinkSize || e.Type == Dir):
		return e.wrap(errors.New("hard link group"))
	case hollow(e.Name) || hollow(e.Target) || hollow(e.Xattrs) || hollow(e.Extents) || hollow(e.Pages):
		return e.wrap(errHollow)
	}
	if err := e.checkXattrs(); err != nil {
		return e.wrap(err)
	}
	if err := e.checkType(); err != nil {
		return e.wrap(err)
	}
	return nil
}

func (e *Entry) wrap(err error) error {
	name := e.Name
	if len(name) > MaxName {
		name = name[:MaxName]
	}
	return fmt.Errorf("entry %q: %w", name, err)
}

// checkType tests the fields that only some types have.
func (e *Entry) checkType() error {
	var wantTarget, wantDevice, wantNode bool
	switch e.Type {
	case File:
		if err := e.checkContent(); err != nil {
			return err
		}
	case Dir:
		wantNode = true
	case Symlink:
		wantTarget = true
	case Fifo:
	case CharDevice, BlockDevice:
		wantDevice = true
	default:
		return fmt.Errorf("type %d", uint64(e.Type))
	}
	switch {
	case e.Type != File && (e.Size != 0 || e.Extents != nil || e.Pages != nil):
		return fmt.Errorf("a %s with content", e.Type)
	case wantTarget != (e.Target != nil) || len(e.Target) > MaxTarget || bytes.IndexByte(e.Target, 0) >= 0:
		return fmt.Errorf("link target of a %s", e.Type)
	case wantDevice != (e.Device != nil) || wantDevice && (len(e.Device) != 2 || e.Device[0] >= 1<<32 || e.Device[1] >= 1<<32):
		return fmt.Errorf("device number of a %s", e.Type)
	case wantNode != (e.Node != nil):
		return fmt.Errorf("node link of a %s", e.Type)
	case wantNode:
		return nodeLink(*e.Node)
	}
	return nil
}

// checkContent compares a file's extents, or its references to extent pages, with its size.
func (e *Entry) checkContent() error {
	if e.Size > MaxFileSize {
		return fmt.Errorf("size %d", e.Size)
	}
	if e.Extents != nil && e.Pages != nil {
		return errors.New("extents and extent pages in one entry")
	}
	sum, err := checkExtents(e.Extents, MaxInlineExtents)
	if err != nil {
		return err
	}
	if len(e.Pages) > MaxExtentPages {
		return fmt.Errorf("%d extent pages", len(e.Pages))
	}
	for i, p := range e.Pages {
		if err := nodeLink(p.Page); err != nil {
			return fmt.Errorf("extent page %d: %w", i, err)
		}
		if p.Count == 0 || p.Count > MaxPageExtents || p.Length < p.Count || p.Length > MaxFileSize-sum {
			return fmt.Errorf("extent page %d: %d extents of %d bytes", i, p.Count, p.Length)
		}
		sum += p.Length
	}
	if sum != e.Size {
		return fmt.Errorf("extents of %d bytes for a size of %d", sum, e.Size)
	}
	return nil
}

func checkExtents(list []Extent, limit int) (sum uint64, err error) {
	if len(list) > limit {
		return 0, fmt.Errorf("%d extents, at most %d", len(list), limit)
	}
	for i, x := range list {
		switch {
		case x.Length == 0 || x.Length > MaxFileSize-sum:
			return 0, fmt.Errorf("extent %d: length %d", i, x.Length)
		case x.Hole() && x.Offset != 0:
			return 0, fmt.Errorf("extent %d: a hole with offset %d", i, x.Offset)
		case x.Hole() && i > 0 && list[i-1].Hole():
			return 0, fmt.Errorf("extent %d: two holes side by side", i)
		case !x.Hole() && x.Chunk.ID.Codec() != block.Raw:
			return 0, fmt.Errorf("extent %d: the chunk is %s, want raw", i, x.Chunk.ID.Codec())
		case !x.Hole() && (x.Offset > block.MaxSize || x.Length > block.MaxSize-x.Offset):
			return 0, fmt.Errorf("extent %d: %d bytes at offset %d of a chunk", i, x.Length, x.Offset)
		}
		sum += x.Length
	}
	return sum, nil
}

func (e *Entry) checkXattrs() error {
	if len(e.Xattrs) > MaxXattrs {
		return fmt.Errorf("%d extended attributes, at most %d", len(e.Xattrs), MaxXattrs)
	}
	total := 0
	for i, x := range e.Xattrs {
		switch {
		case len(x.Name) == 0 || len(x.Name) > MaxXattrName || bytes.IndexByte(x.Name, 0) >= 0:
			return fmt.Errorf("extended attribute %d: name of %d bytes or with a NUL", i, len(x.Name))
		case len(x.Value) > MaxXattrValue:
			return fmt.Errorf("extended attribute %d: value of %d bytes", i, len(x.Value))
		case i > 0 && bytes.Compare(e.Xattrs[i-1].Name, x.Name) >= 0:
			return fmt.Errorf("extended attribute %d: names not in ascending order", i)
		}
		total += len(x.Name) + len(x.Value)
	}
	if total > MaxXattrBytes {
		return fmt.Errorf("%d bytes of extended attributes, at most %d", total, MaxXattrBytes)
	}
	return nil
}

func (p *ExtentPage) check() error {
	if len(p.Extents) == 0 {
		return errors.New("empty extent page")
	}
	_, err := checkExtents(p.Extents, MaxPageExtents)
	return err
}

func (n *Node) check() error {
	if n.Entries != nil && n.Pages != nil {
		return errors.New("entries and pages in one node")
	}
	if hollow(n.Entries) || hollow(n.Pages) {
		return errHollow
	}
	if len(n.Entries) > MaxNodeEntries || len(n.Pages) > MaxNodePages {
		return fmt.Errorf("%d entries and %d pages, at most %d and %d", len(n.Entries), len(n.Pages), MaxNodeEntries, MaxNodePages)
	}
	for i := range n.Entries {
		e := &n.Entries[i]
		if err := CheckName(e.Name); err != nil {
			return fmt.Errorf("entry %d: %w", i, err)
		}
		if i > 0 && bytes.Compare(n.Entries[i-1].Name, e.Name) >= 0 {
			return fmt.Errorf("entry %d: name %q after %q", i, e.Name, n.Entries[i-1].Name)
		}
		if err := e.check(); err != nil {
			return err
		}
	}
	for i, p := range n.Pages {
		if err := CheckName(p.First); err != nil {
			return fmt.Errorf("page %d: %w", i, err)
		}
		if err := nodeLink(p.Page); err != nil {
			return fmt.Errorf("page %d: %w", i, err)
		}
		if p.Count == 0 || p.Count > MaxNodeEntries || i > 0 && bytes.Compare(n.Pages[i-1].First, p.First) >= 0 {
			return fmt.Errorf("page %d: %d entries from %q on", i, p.Count, p.First)
		}
	}
	return nil
}

func (p *IndexPage) check() error {
	if len(p.Records) == 0 || len(p.Records)%RecordSize != 0 || len(p.Records) > MaxIndexRecords*RecordSize {
		return fmt.Errorf("index page of %d bytes", len(p.Records))
	}
	for i := range p.Len() {
		if id, size := p.At(i); id.IsZero() || size == 0 || size > block.MaxSize {
			return fmt.Errorf("index record %d: block of %d bytes with codec 0x%x", i, size, p.Records[i*RecordSize])
		}
	}
	return nil
}

// errHollow says that a list which can be left out is there, and empty: it is nil in the one
// canonical form.
var errHollow = errors.New("a list that is empty and not nil")

func hollow[T any](list []T) bool { return list != nil && len(list) == 0 }

func nodeLink(l Link) error {
	if l.ID.Codec() != block.DagCBOR {
		return fmt.Errorf("link to a %s block, want dag-cbor", l.ID.Codec())
	}
	return nil
}

// CheckLabels reports why a label and tags cannot be a snapshot's.
func CheckLabels(label string, tags []string) error {
	if len(tags) > MaxTags {
		return fmt.Errorf("%d tags, at most %d", len(tags), MaxTags)
	}
	return texts(append([]string{label}, tags...)...)
}

// texts checks that strings are UTF-8, as dag-cbor wants, and short.
func texts(list ...string) error {
	for _, s := range list {
		if len(s) > MaxText {
			return fmt.Errorf("text of %d bytes, at most %d", len(s), MaxText)
		}
		if !utf8.ValidString(s) {
			return fmt.Errorf("text %q is not UTF-8", s)
		}
	}
	return nil
}
