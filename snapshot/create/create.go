package create

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"

	"github.com/decube/decube/block"
	"github.com/decube/decube/blockstore"
	"github.com/decube/decube/internal/flow"
	"github.com/decube/decube/snapshot"
	"github.com/decube/decube/snapshot/fsys"
	"github.com/decube/decube/snapshot/ignore"
	"github.com/decube/decube/snapshot/manifest"
)

// creator is the state of one Create. Its stages, each a goroutine or several:
//
//	scan (ahead) ─▶ walk ─▶ jobs ─▶ read and cut ─▶ chunks ─▶ hash and add
//
// The walk alone decides the order of everything, so the result does not depend on
// which stage is faster. A directory becomes a node when its last dirent is complete,
// in whatever goroutine that happens.
type creator struct {
	opts   Options
	sink   Sink
	owners *owners
	cache  *statCache
	writer *cacheWriter
	ignore *ignore.Matcher
	pool   *pool
	jobs   chan job
	queued *semaphore.Weighted // files in jobs
	chunks chan chunkJob
	links  *linker
	spool  *spool
	parts  []*indexPart // in walk order

	root    *fsys.Dir
	dev     uint64 // file system of the root
	tree    manifest.Entry
	started time.Time
	now     func() time.Time

	files, bytes, reused atomic.Int64
	blocks               atomic.Int64 // chunks read
	kept                 atomic.Int64 // records of open directories in memory
	ahead                atomic.Int64 // names that are listed in advance
	current              atomic.Pointer[string]
	fatal                func(error)

	problems *snapshot.Problems

	mu      sync.Mutex
	stats   manifest.Stats
	skipped few
	left    few // that are private

	elsewhere few // on other file systems

	private private
}

// Snapshot takes a snapshot and gives its blocks to sink. When it returns without an
// error everything is durable, the root last. What could not be read is told to
// Options.Problem and not in the snapshot. Memory is bounded by about 100 MiB, 40
// bytes for each chunk, and the names of a few directories.
func Snapshot(ctx context.Context, sink Sink, opts Options) (Result, error) {
	if err := opts.check(); err != nil {
		return Result{}, fmt.Errorf("snapshot %s: %w", opts.Path, err)
	}
	c := newCreator(sink, opts)
	dir, top, err := c.openTop()
	if err != nil {
		return Result{}, err
	}
	defer c.root.Close()
	c.private = privateIn(opts.Private)
	if err := c.checkTop(dir, top); err != nil {
		return Result{}, err
	}
	if c.cache, err = loadCache(ctx, opts.Cache, sink); err != nil {
		return Result{}, fmt.Errorf("snapshot %s: ask the store for known blocks: %w", opts.Path, err)
	}
	defer c.cache.close()
	defer c.spool.close()
	var cacheErr error
	c.writer, cacheErr = newCacheWriter(opts.Cache)
	defer c.writer.discard()
	err = c.run(ctx, func(ctx context.Context) error { return c.walk(ctx, top) })
	if err != nil {
		return Result{}, fmt.Errorf("snapshot %s: %w", opts.Path, err)
	}
	res, err := c.finish(ctx)
	if err != nil {
		return Result{}, fmt.Errorf("snapshot %s: %w", opts.Path, err)
	}
	if err := errors.Join(cacheErr, c.writer.commit()); err != nil {
		res.CacheError = err.Error()
	}
	return res, nil
}

// Stream takes a snapshot of a stream as one file called name, with the
// caller as owner, mode 0644 and the creation time as modification time.
func Stream(ctx context.Context, sink Sink, name string, r io.Reader, opts Options) (Result, error) {
	if err := manifest.CheckName([]byte(name)); err != nil {
		return Result{}, fmt.Errorf("snapshot of a stream: %w", err)
	}
	if err := opts.check(); err != nil {
		return Result{}, fmt.Errorf("snapshot of a stream: %w", err)
	}
	c := newCreator(sink, opts)
	defer c.spool.close()
	e := c.alone(name)
	uid, gid := uint32(os.Geteuid()), uint32(os.Getegid())
	e.entry = manifest.Entry{
		Name: []byte(name), Type: manifest.File, Mode: 0o644,
		UID: uint64(uid), GID: uint64(gid), User: c.owners.user(uid), Group: c.owners.group(gid),
		ModTime: manifest.TimeOf(c.created()),
	}
	err := c.run(ctx, func(ctx context.Context) error {
		return c.send(ctx, job{stream: r, files: []*dirent{e}})
	})
	if err != nil {
		return Result{}, fmt.Errorf("snapshot of a stream: %w", err)
	}
	res, err := c.finish(ctx)
	if err != nil {
		return Result{}, fmt.Errorf("snapshot of a stream: %w", err)
	}
	return res, nil
}

func newCreator(sink Sink, opts Options) *creator {
	spoolDir := ""
	if opts.Cache != "" {
		spoolDir = filepath.Dir(opts.Cache)
	}
	c := &creator{
		opts: opts, sink: sink, owners: newOwners(), now: opts.now,
		pool: newPool(bufferCount), jobs: make(chan job, 64), queued: semaphore.NewWeighted(queuedFiles), chunks: make(chan chunkJob, 4),
		links: newLinker(), spool: newSpool(spoolDir), problems: snapshot.NewProblems(opts.Problem),
	}
	if c.now == nil {
		c.now = time.Now
	}
	c.started = c.now()
	return c
}

func (c *creator) created() time.Time {
	if c.opts.Time.IsZero() {
		return c.started
	}
	return c.opts.Time
}

// openTop opens the directory at Path, or the one that holds the file at Path, and
// returns its resolved path, and the file's name in the second case.
func (c *creator) openTop() (dir, file string, err error) {
	path, err := filepath.Abs(c.opts.Path)
	if err != nil {
		return "", "", fmt.Errorf("snapshot %s: %w", c.opts.Path, err)
	}
	if c.opts.SourcePath == "" {
		c.opts.SourcePath = path
	}
	if path, err = filepath.EvalSymlinks(path); err != nil {
		return "", "", fmt.Errorf("snapshot: %w", err)
	}
	info, err := os.Stat(path)
	if err != nil {
		return "", "", fmt.Errorf("snapshot: %w", err)
	}
	dir = path
	switch {
	case info.Mode().IsRegular():
		dir, file = filepath.Split(path)
	case !info.IsDir():
		return "", "", fmt.Errorf("snapshot %s: neither a directory nor a regular file", path)
	}
	if c.root, err = fsys.OpenRoot(dir); err != nil {
		return "", "", fmt.Errorf("snapshot: open %s: %w", dir, err)
	}
	st, err := c.root.Stat()
	if err == nil {
		c.dev = st.Dev
		c.ignore, err = newMatcher(c.opts)
	}
	if err != nil {
		c.root.Close()
		return "", "", fmt.Errorf("snapshot %s: %w", path, err)
	}
	return dir, file, nil
}

// run joins the stages: feed gives jobs, the others work on them until all is done.
func (c *creator) run(ctx context.Context, feed func(context.Context) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	c.fatal = cancel
	stop := snapshot.Report(c.opts.Progress, func() snapshot.Progress {
		return snapshot.Progress{Files: c.files.Load(), Bytes: c.bytes.Load()}
	}, &c.current)
	defer stop()
	workers := max(2, min(runtime.GOMAXPROCS(0), 8))

	var all, readers errgroup.Group
	guard := func(err error) error {
		if err != nil {
			cancel(err)
		}
		return err
	}
	all.Go(func() error {
		defer close(c.jobs)
		return guard(feed(ctx))
	})
	for range workers {
		readers.Go(func() error { return guard(c.read(ctx)) })
		all.Go(func() error { return guard(c.hash(ctx)) })
	}
	all.Go(func() error {
		defer close(c.chunks)
		return readers.Wait()
	})
	if err := all.Wait(); err != nil {
		return flow.FirstCause(ctx, err)
	}
	return context.Cause(ctx)
}

func (c *creator) problem(path, op string, err error) { c.problems.Add(path, op, err) }

// send hands a job to the readers. It waits until few enough files wait: those of a job are
// in memory.
func (c *creator) send(ctx context.Context, j job) error {
	if err := c.queued.Acquire(ctx, j.weight()); err != nil {
		return context.Cause(ctx)
	}
	return flow.Send(ctx, c.jobs, j)
}

// finish writes what is left: nodes, index pages, and the root when all else is durable.
func (c *creator) finish(ctx context.Context) (Result, error) {
	c.pool = nil // the index needs memory of its own
	index, err := c.index(ctx)
	if err != nil {
		return Result{}, err
	}
	root := &manifest.Root{
		Kind: manifest.Kind, Version: manifest.Version,
		Created: manifest.TimeOf(c.created()),
		Source: manifest.Source{
			Host: text(c.opts.Host), User: text(c.opts.User), Path: sourcePath(c.opts.SourcePath),
		},
		Label: c.opts.Label, Tags: slices.Concat(c.opts.Tags), // nil if it is empty
		Chunker: chunkerParameters(), Stats: c.stats, Tree: c.tree, Index: index,
	}
	if !c.opts.Parent.IsZero() {
		root.Parent = c.opts.Parent.Bytes()
	}
	b, err := manifest.Encode(root)
	if err != nil {
		return Result{}, err
	}
	if _, err := c.sink.Flush(ctx); err != nil {
		return Result{}, fmt.Errorf("store blocks: %w", err)
	}
	if err := c.addNode(ctx, b); err != nil {
		return Result{}, fmt.Errorf("store the root: %w", err)
	}
	written, err := c.sink.Flush(ctx)
	if err != nil {
		return Result{}, fmt.Errorf("store the root: %w", err)
	}
	return c.result(b.ID(), written), nil
}

func (c *creator) result(id block.ID, written blockstore.WriteStats) Result {
	slices.Sort(c.skipped.first)
	slices.Sort(c.left.first)
	slices.Sort(c.elsewhere.first)
	s := c.stats
	return Result{
		ID: id, Files: int64(s.Files), Dirs: int64(s.Dirs), Others: int64(s.Others), Bytes: int64(s.Bytes),
		Nodes: int64(s.Nodes), Chunks: int64(s.Chunks), ChunkBytes: int64(s.ChunkBytes),
		NewChunks: c.newChunks(written), NewBytes: written.NewBytes,
		Reused: c.reused.Load(), Created: c.created(), Seconds: c.now().Sub(c.started).Seconds(),
		Problems: c.problems.List(), ProblemCount: c.problems.Count(),
		Skipped: c.skipped.first, SkippedCount: c.skipped.count,
		Private: c.left.first, PrivateCount: c.left.count,
		Elsewhere: c.elsewhere.first, ElsewhereCount: c.elsewhere.count,
	}
}

// newChunks is how many of the snapshot's chunks the store did not hold. What an
// attempt to read a file left behind that changed meanwhile is none of them.
func (c *creator) newChunks(written blockstore.WriteStats) int64 {
	return min(written.NewRaw, int64(c.stats.Chunks))
}

// text makes any string fit for the manifest.
func text(s string) string {
	s = strings.ToValidUTF8(s, "\ufffd")
	if len(s) > manifest.MaxText {
		s = strings.ToValidUTF8(s[:manifest.MaxText], "")
	}
	return s
}

func sourcePath(s string) []byte {
	if s == "" {
		return nil
	}
	return []byte(s[:min(len(s), manifest.MaxPath)])
}
