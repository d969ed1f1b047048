// Package suite runs the benchmarks: snapshots, restores, fetches, the block store,
// the daemon, the ledger, and the content path's work done by restic and borg.
//
// Everything is measured on the programs that people run: decubectl and
// decube-node are started as processes in repositories made for the purpose,
// and what they spend is read from the kernel. Data is either R, one file of
// random bytes, or T, the Go distribution of this machine where it lies.
//
// Every sample begins from the same state: a fresh repository and a fresh
// target, a file system that has written back everything dirty, and the source
// in the page cache. Trees that were restored are deleted only at the end,
// because file systems are slow to create files soon after many were deleted.
package suite

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/dustin/go-humanize"

	"github.com/decube/decube/internal/bench"
)

// Config says what to measure, on what.
type Config struct {
	Ctl  string // path of decubectl
	Node string // path of decube-node

	Dir        string // scratch space is made below; "" is the system's
	Size       int64  // of R, bytes
	Iterations int    // samples per operation

	// Log is told what is being done, one line at a time. It may be nil.
	Log func(line string)
}

// Validate says what is wrong with the configuration.
func (c Config) Validate() error {
	switch {
	case c.Size < 1<<20:
		return fmt.Errorf("benchmark size is %d bytes, the least is 1 MiB", c.Size)
	case c.Iterations < 1:
		return fmt.Errorf("benchmark iterations are %d, the least is 1", c.Iterations)
	}
	for _, program := range []string{c.Ctl, c.Node} {
		if _, err := os.Stat(program); err != nil {
			return fmt.Errorf("program to benchmark: %w", err)
		}
	}
	return nil
}

// Suite is one run. It is not safe for concurrent use: measurements would
// disturb each other.
type Suite struct {
	cfg     Config
	dir     string // scratch
	doc     *bench.Document
	sources map[string]Source
	count   int // of names handed out
}

// Source is data to snapshot.
type Source struct {
	Name string // "R" or "T"
	Path string
	bench.Tree
}

// New makes scratch space, unless ctx is over. Close must be called. The machine's limits
// are measured when the first benchmark begins.
func New(ctx context.Context, cfg Config) (*Suite, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	dir, err := os.MkdirTemp(cfg.Dir, "decube-benchmark-")
	if err != nil {
		return nil, fmt.Errorf("making scratch space: %w", err)
	}
	doc := &bench.Document{
		Started: time.Now().UTC(),
		Version: bench.ThisVersion(),
		Machine: bench.ThisMachine(dir),
		Load:    bench.Load(),
		Parameters: map[string]string{
			"size":       strconv.FormatInt(cfg.Size, 10),
			"iterations": strconv.Itoa(cfg.Iterations),
		},
	}
	return &Suite{cfg: cfg, dir: dir, doc: doc, sources: map[string]Source{}}, nil
}

// Bytes that the limits of the disk are measured over, at most: for benchmarks that move R,
// which take as long, and for those that move little.
const (
	limitsOfContent = 1 << 30
	limitsOfLedger  = 32 << 20
)

// measureLimits measures the machine's limits, over at most so many bytes, unless they
// are known. What measures anything begins with it.
func (s *Suite) measureLimits(ctx context.Context, most int64) (err error) {
	if len(s.doc.Limits.Figures) > 0 {
		return nil
	}
	s.logf("limits of this machine")
	s.doc.Limits, err = bench.MeasureLimits(ctx, s.limits(3, most))
	return err
}

func (s *Suite) limits(repeats int, most int64) bench.LimitOptions {
	return bench.LimitOptions{Dir: s.dir, Bytes: min(s.cfg.Size, most), Repeats: repeats}
}

// Document returns the results so far, with summaries and verdicts.
func (s *Suite) Document() *bench.Document {
	s.doc.Seconds = time.Since(s.doc.Started).Seconds()
	s.doc.Finish()
	return s.doc
}

// Size returns the configured size of R.
func (s *Suite) Size() int64 { return s.cfg.Size }

// Close deletes the scratch space.
func (s *Suite) Close() error {
	// What is restored may hold directories without write permission.
	_ = filepath.WalkDir(s.dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			_ = os.Chmod(path, 0o700)
		}
		return nil
	})
	if err := os.RemoveAll(s.dir); err != nil {
		return fmt.Errorf("deleting scratch space: %w", err)
	}
	return nil
}

// Random returns R, made and read once.
func (s *Suite) Random(ctx context.Context) (Source, error) { return s.random(ctx, "R", s.cfg.Size) }

func (s *Suite) random(ctx context.Context, name string, size int64) (Source, error) {
	return s.source(ctx, name, func() (string, error) {
		path := s.fresh("random")
		return path, bench.WriteRandom(ctx, path, size, uint64(s.count))
	})
}

// Tree returns T, read once.
func (s *Suite) Tree(ctx context.Context) (Source, error) {
	return s.source(ctx, "T", func() (string, error) { return bench.GoTree(ctx) })
}

func (s *Suite) source(ctx context.Context, name string, locate func() (string, error)) (Source, error) {
	if src, ok := s.sources[name]; ok {
		return src, nil
	}
	if err := s.measureLimits(ctx, limitsOfContent); err != nil {
		return Source{}, err
	}
	path, err := locate()
	if err != nil {
		return Source{}, err
	}
	tree, err := bench.Warm(ctx, path)
	if err != nil {
		return Source{}, err
	}
	src := Source{Name: name, Path: path, Tree: tree}
	s.sources[name] = src
	s.logf("%s: %d files, %s, %s", name, tree.Files, humanize.IBytes(uint64(tree.Bytes)), path)
	return src, nil
}

// Try runs one benchmark; when it fails, the document says so and the failure is
// returned only if ctx is over.
func (s *Suite) Try(ctx context.Context, name string, run func() error) (failed bool, err error) {
	err = run()
	if err == nil {
		return false, nil
	}
	if ctx.Err() != nil {
		return true, context.Cause(ctx)
	}
	s.logf("%s failed: %v", name, err)
	s.doc.Skip(name, err.Error())
	return true, nil
}

// operation adds an operation to the document.
func (s *Suite) operation(o bench.Operation) *bench.Operation {
	if o.System == "" {
		o.System = "decube"
	}
	s.doc.Operations = append(s.doc.Operations, &o)
	s.logf("%s", o.Key())
	return &o
}

// fresh returns a path below the scratch space that does not exist.
func (s *Suite) fresh(prefix string) string {
	s.count++
	return filepath.Join(s.dir, fmt.Sprintf("%s-%d", prefix, s.count))
}

func (s *Suite) logf(format string, args ...any) {
	if s.cfg.Log != nil {
		s.cfg.Log(fmt.Sprintf(format, args...))
	}
}
