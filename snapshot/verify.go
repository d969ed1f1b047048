package snapshot

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/decube/decube/block"
	"github.com/decube/decube/snapshot/manifest"
)

// VerifyOptions says how thoroughly to look.
type VerifyOptions struct {
	// ReadData reads every chunk; without it only the manifest is read.
	ReadData bool
	// Progress, when not nil, is called several times a second, never concurrently.
	Progress func(Progress)
}

// VerifyResult says what was looked at and what is wrong.
type VerifyResult struct {
	Nodes    int64     `json:"nodes"`
	Chunks   int64     `json:"chunks"`
	Bytes    int64     `json:"bytes"` // of chunks read
	Problems []Problem `json:"problems,omitempty"`
}

// maxVerifyProblems bounds the list of chunks that cannot be read.
const maxVerifyProblems = 1000

// Verify reads a snapshot's manifest and checks it: each block, the tree against
// the statistics, and the index against the tree. With ReadData every chunk is read
// as well; those that cannot be, or have another length than the index says, are in
// VerifyResult.Problems. The error is for a manifest that cannot be read or is not
// valid (ErrManifest).
func Verify(ctx context.Context, src Source, id block.ID, opts VerifyOptions) (VerifyResult, error) {
	tree, err := OpenTree(ctx, src, id)
	if err != nil {
		return VerifyResult{}, err
	}
	root := tree.root
	index, err := LoadIndex(ctx, src, root)
	if err != nil {
		return VerifyResult{}, err
	}
	v := &verifier{
		src: src, index: index, census: tree.NewCensus(),
		sizes: make(map[block.ID]int32, index.Len()), used: make(map[block.ID]struct{}, index.Len()),
	}
	v.tree = &Tree{src: &recorder{Source: src, v: v}, id: id, root: root}
	for i := range index.Len() {
		b, size := index.At(i)
		if _, twice := v.sizes[b]; twice {
			return VerifyResult{}, fmt.Errorf("%w: root %s: block %s is in the index twice", ErrManifest, id, b)
		}
		v.sizes[b] = int32(size)
	}
	if err := v.structure(ctx); err != nil {
		return VerifyResult{}, fmt.Errorf("snapshot %s: %w", id, err)
	}
	res := VerifyResult{Nodes: int64(root.Stats.Nodes), Chunks: int64(root.Stats.Chunks)}
	if !opts.ReadData {
		return res, nil
	}
	stop := Report(opts.Progress, func() Progress { return Progress{Bytes: v.bytes.Load()} }, &v.current)
	defer stop()
	err = v.readAll(ctx)
	res.Bytes, res.Problems = v.bytes.Load(), v.problems
	return res, err
}

// verifier is the state of one Verify.
type verifier struct {
	src     Source
	tree    *Tree // reads through a recorder
	index   *Index
	census  *Census
	sizes   map[block.ID]int32
	used    map[block.ID]struct{}
	bytes   atomic.Int64
	current atomic.Pointer[string]

	mu       sync.Mutex
	problems []Problem
}

// structure walks the tree and compares it with the index and the statistics.
func (v *verifier) structure(ctx context.Context) error {
	err := error(nil)
	v.tree.walk(ctx, v.tree.top(), 0, v.census, func(it Item, e error) bool {
		if err = e; err == nil && it.Entry.Type == manifest.File {
			err = v.extentsOf(ctx, it)
		}
		return err == nil
	})
	if err != nil {
		return err
	}
	c, s := v.census.stats, v.tree.root.Stats
	if c.Files != s.Files || c.Dirs != s.Dirs || c.Others != s.Others || c.Bytes != s.Bytes {
		return fmt.Errorf("%w: the tree has %d files, %d directories, %d others and %d bytes, the root says %d, %d, %d and %d",
			ErrManifest, c.Files, c.Dirs, c.Others, c.Bytes, s.Files, s.Dirs, s.Others, s.Bytes)
	}
	if len(v.used) != v.index.Len() {
		return fmt.Errorf("%w: the index lists %d blocks, the tree uses %d", ErrManifest, v.index.Len(), len(v.used))
	}
	return nil
}

// extentsOf checks a file's extents against the chunks' sizes in the index.
func (v *verifier) extentsOf(ctx context.Context, it Item) error {
	for x, err := range v.tree.Extents(ctx, it.Entry) {
		if err != nil {
			return err
		}
		if x.Hole() {
			continue
		}
		size, ok := v.sizes[x.Chunk.ID]
		if !ok {
			return fmt.Errorf("%w: %q: chunk %s is not in the index", ErrManifest, it.Path, x.Chunk.ID)
		}
		if x.Offset+x.Length > uint64(size) {
			return fmt.Errorf("%w: %q: %d bytes at offset %d of chunk %s, which has %d", ErrManifest, it.Path, x.Length, x.Offset, x.Chunk.ID, size)
		}
		v.used[x.Chunk.ID] = struct{}{}
	}
	return nil
}

// recorder notes which nodes are read, and that the index knows them.
type recorder struct {
	Source
	v *verifier
}

// Get implements Source.
func (r *recorder) Get(ctx context.Context, id block.ID, buf []byte) (block.Block, error) {
	b, err := r.Source.Get(ctx, id, buf)
	if err != nil {
		return b, err
	}
	if size, ok := r.v.sizes[id]; !ok || int(size) != b.Len() {
		return b, fmt.Errorf("%w: block %s has %d bytes, the index says %d", ErrManifest, id, b.Len(), size)
	}
	r.v.used[id] = struct{}{}
	return b, nil
}

// readAll reads every chunk, on all cores.
func (v *verifier) readAll(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	var next atomic.Int64
	next.Store(int64(v.tree.root.Stats.Nodes) - 1)
	for range max(2, min(runtime.GOMAXPROCS(0), 8)) {
		g.Go(func() error {
			buf := make([]byte, 0, block.MaxSize)
			for i := int(next.Add(1)); i < v.index.Len(); i = int(next.Add(1)) {
				if err := ctx.Err(); err != nil {
					return context.Cause(ctx)
				}
				id, size := v.index.At(i)
				b, err := v.src.Get(ctx, id, buf)
				if err == nil && b.Len() != size {
					err = fmt.Errorf("%w: %d bytes, the index says %d", ErrManifest, b.Len(), size)
				}
				if err != nil {
					if err := v.unreadable(id, err); err != nil {
						return err
					}
					continue
				}
				v.bytes.Add(int64(b.Len()))
			}
			return nil
		})
	}
	return g.Wait()
}

func (v *verifier) unreadable(id block.ID, err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.problems) < maxVerifyProblems {
		v.problems = append(v.problems, Problem{Path: id.String(), Op: "read chunk", Err: err.Error(), Cause: err})
	}
	return nil
}
