package snapshot

import (
	"context"
	"fmt"
	"sort"

	"github.com/decube/decube/block"
	"github.com/decube/decube/snapshot/manifest"
)

// Source is where a snapshot's blocks come from. It is safe for concurrent use.
type Source interface {
	// Get returns a verified block. It may use buf's capacity for the block's bytes.
	Get(ctx context.Context, id block.ID, buf []byte) (block.Block, error)
}

// Root is a snapshot's first block.
type Root = manifest.Root

// ErrManifest is returned, wrapped with the block and the rule it breaks, for a
// manifest that is not valid.
var ErrManifest = manifest.ErrInvalid

// LoadRoot reads and checks a snapshot's root. It returns ErrManifest for a block
// that is not a root.
func LoadRoot(ctx context.Context, src Source, id block.ID) (*Root, error) {
	if id.Codec() != block.DagCBOR {
		return nil, fmt.Errorf("%w: %s is a %s block, a snapshot's root is dag-cbor", ErrManifest, id, id.Codec())
	}
	b, err := src.Get(ctx, id, nil)
	if err != nil {
		return nil, fmt.Errorf("snapshot %s: read root: %w", id, err)
	}
	root := new(Root)
	if err := manifest.Decode(b, root); err != nil {
		return nil, err
	}
	return root, nil
}

// Index is the flat list of all blocks of a snapshot below its root, without the
// index's own pages: first the tree's dag-cbor blocks, then the chunks in file
// order. A block's place in the list is its ordinal. An Index is immutable.
type Index struct {
	pages []manifest.IndexPage
	start []int // ordinal of each page's first record
	n     int
}

// Len returns the number of blocks.
func (x *Index) Len() int { return x.n }

// At returns the block with ordinal i and its size in bytes. It panics when i is
// out of range.
func (x *Index) At(i int) (id block.ID, size int) {
	if i < 0 || i >= x.n {
		panic(fmt.Sprintf("snapshot: ordinal %d of %d", i, x.n))
	}
	p := sort.SearchInts(x.start, i+1) - 1
	return x.pages[p].At(i - x.start[p])
}

// LoadIndex reads and checks a snapshot's index: that it has as many nodes, chunks
// and bytes as the root says, nodes first. It holds 37 bytes of memory for each block.
func LoadIndex(ctx context.Context, src Source, root *Root) (*Index, error) {
	x := &Index{
		pages: make([]manifest.IndexPage, len(root.Index)),
		start: make([]int, len(root.Index)),
	}
	var nodes, chunks, chunkBytes uint64
	for i, ref := range root.Index {
		page := &x.pages[i]
		if err := load(ctx, src, ref.Page.ID, page); err != nil {
			return nil, err
		}
		if uint64(page.Len()) != ref.Count {
			return nil, fmt.Errorf("%w: block %s: %d index records, the root says %d", ErrManifest, ref.Page.ID, page.Len(), ref.Count)
		}
		x.start[i] = x.n
		x.n += page.Len()
		for j := range page.Len() {
			id, size := page.At(j)
			if id.Codec() == block.Raw {
				chunks++
				chunkBytes += uint64(size)
				continue
			}
			if nodes++; chunks > 0 {
				return nil, fmt.Errorf("%w: block %s: index record %d: a node after chunks", ErrManifest, ref.Page.ID, j)
			}
		}
	}
	if s := root.Stats; nodes != s.Nodes || chunks != s.Chunks || chunkBytes != s.ChunkBytes {
		return nil, fmt.Errorf("%w: index of %d nodes and %d chunks with %d bytes, the root says %d, %d and %d",
			ErrManifest, nodes, chunks, chunkBytes, s.Nodes, s.Chunks, s.ChunkBytes)
	}
	return x, nil
}

// Refs yields the ID of every block that the snapshot consists of: the root, the
// index pages, and what they list. It reads the root and the index pages only, and
// stops early when yield returns false. IDs may repeat.
func Refs(ctx context.Context, src Source, root block.ID, yield func(block.ID) bool) error {
	r, err := LoadRoot(ctx, src, root)
	if err != nil {
		return err
	}
	if !yield(root) {
		return nil
	}
	for _, ref := range r.Index {
		if !yield(ref.Page.ID) {
			return nil
		}
		var page manifest.IndexPage
		if err := load(ctx, src, ref.Page.ID, &page); err != nil {
			return err
		}
		for i := range page.Len() {
			if id, _ := page.At(i); !yield(id) {
				return nil
			}
		}
	}
	return nil
}

// load reads and decodes one block of the manifest.
func load[T any, P manifest.Value[T]](ctx context.Context, src Source, id block.ID, v P) error {
	b, err := src.Get(ctx, id, nil)
	if err != nil {
		return fmt.Errorf("read manifest block %s: %w", id, err)
	}
	return manifest.Decode(b, v)
}
