package create

import (
	"context"
	"fmt"

	"github.com/decube/decube/internal/block"
	"github.com/decube/decube/snapshot/manifest"
)

// index joins what the directories contribute, every block once and in walk order,
// nodes before chunks; stores the pages, and completes the statistics.
func (c *creator) index(ctx context.Context) ([]manifest.IndexRef, error) {
	seen := make(map[block.Digest]struct{})
	var refs []manifest.IndexRef
	var page []byte
	total := 0
	for _, s := range c.shares {
		total += len(s.nodes) + len(s.chunks)
	}
	least := indexPageLeast(total)
	flush := func() error {
		if len(page) == 0 {
			return nil
		}
		b, err := manifest.Encode(&manifest.IndexPage{Records: page})
		if err != nil {
			return fmt.Errorf("index: %w", err)
		}
		refs = append(refs, manifest.IndexRef{Page: manifest.LinkTo(b.ID()), Count: uint64(len(page) / manifest.RecordSize)})
		page = page[:0]
		return c.nodes.add(ctx, b)
	}
	add := func(r ref) (bool, error) {
		digest := r.id.Digest()
		if _, ok := seen[digest]; ok {
			return false, nil
		}
		seen[digest] = struct{}{}
		page = manifest.AppendRecord(page, r.id, r.size)
		n := len(page) / manifest.RecordSize
		if n == manifest.MaxIndexRecords || n >= least && drawn(digest[:], indexPageOne) {
			return true, flush()
		}
		return true, nil
	}
	for _, s := range c.shares {
		for _, r := range s.nodes {
			fresh, err := add(r)
			if err != nil {
				return nil, err
			}
			if fresh {
				c.stats.Nodes++
			}
		}
	}
	clear(seen) // a chunk may have the bytes of a node, under another codec
	for _, s := range c.shares {
		for _, r := range s.chunks {
			fresh, err := add(r)
			if err != nil {
				return nil, err
			}
			if fresh {
				c.stats.Chunks++
				c.stats.ChunkBytes += uint64(r.size)
			}
		}
	}
	return refs, flush()
}

// maxBlocks is how many blocks a snapshot has at most.
const maxBlocks = manifest.MaxIndexPages * manifest.MaxIndexRecords

// indexPageLeast returns how many records a page of an index has at least, all but the
// last: so many that the pages of so many blocks never are too many.
func indexPageLeast(blocks int) int {
	full := manifest.MaxIndexPages - 2 // both the nodes' and the chunks' last page may be small
	return min(max(indexPageMin, (blocks+full-1)/full), manifest.MaxIndexRecords)
}
