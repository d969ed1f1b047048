package restore

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/decube/decube/block"
	"github.com/decube/decube/internal/flow"
	"github.com/decube/decube/snapshot"
	"github.com/decube/decube/snapshot/fsys"
	"github.com/decube/decube/snapshot/manifest"
)

// Existing says what Restore does about names that the target holds already, other
// than those it restored before.
type Existing int

const (
	// Refuse writes nothing and returns ErrTargetExists.
	Refuse Existing = iota
	// Overwrite replaces what is in the way, but no directory by something else or
	// the other way round. What is not in the snapshot stays.
	Overwrite
	// Skip leaves what is there, and restores the rest.
	Skip
)

// Options says how a snapshot is restored. The zero value is of use.
type Options struct {
	// Include limits the restore to these paths, relative to the top, with all that
	// is below them. Empty means everything.
	Include []string
	// Existing says what happens to other content of the target.
	Existing Existing
	// VerifyExisting compares the content of files that look complete already; without
	// it size and modification time decide.
	VerifyExisting bool
	// KeepGoing leaves out files whose chunks cannot be read, and reports them.
	KeepGoing bool
	// NoOwner leaves everything with the caller as owner. That is what happens to a
	// caller without privileges in any case.
	NoOwner bool
	// NoSync returns before what was written is durable.
	NoSync bool
	// Progress, when not nil, is called several times a second, never concurrently.
	Progress func(snapshot.Progress)
	// Problem, when not nil, is called with each problem as it comes, never concurrently;
	// Snapshot waits for it.
	Problem func(snapshot.Problem)
}

// Result says what was restored.
type Result struct {
	Files   int64   `json:"files"`
	Dirs    int64   `json:"dirs"`
	Others  int64   `json:"others"`
	Bytes   int64   `json:"bytes"`   // written
	Present int64   `json:"present"` // files that were complete already
	Skipped int64   `json:"skipped"` // names left alone, with Skip
	Seconds float64 `json:"seconds"`
	// Problems are what is missing, or not as recorded, the first thousand.
	Problems     []snapshot.Problem `json:"problems,omitempty"`
	ProblemCount int64              `json:"problem_count,omitempty"`
}

// Wrote reports whether anything was written, as far as a restore that failed has come. A
// target that was there before is no such thing.
func (r *Result) Wrote() bool { return r.Files+r.Dirs+r.Others+r.Bytes > 0 }

// Partial reports whether something could not be restored as recorded.
func (r *Result) Partial() bool { return r.ProblemCount > 0 }

var (
	// ErrTargetExists is returned, with the first names in question, when a target
	// holds other content.
	ErrTargetExists = errors.New("the target holds other content")
	// ErrNameTaken is the cause of a snapshot.Problem with a name that the target has already,
	// though nothing was there before: it was made meanwhile, or the target does not tell
	// upper from lower case.
	ErrNameTaken = errors.New("the target has that name already; perhaps it does not tell upper from lower case")
	// ErrTargetBusy is returned when another restore works on the target.
	ErrTargetBusy = errors.New("another restore works on the target")
)

// restorer is the state of one Restore.
//
//	walk ─▶ tasks ─▶ write small files, a chunk's worth at a time ─▶ sync and name a batch
//	     └▶ larges ─▶ write one large file, its chunks read ahead in parallel, sync, name
//
// A directory's own attributes are set when all that is in it is done, so the
// deepest come first.
type restorer struct {
	tree   *snapshot.Tree
	opts   Options
	target *fsys.Dir
	made   bool // the target was not there
	euid   uint32
	egid   uint32
	umask  uint32
	census *snapshot.Census
	tasks  chan task
	larges chan task
	temp   atomic.Uint64
	small  publisher

	firsts map[[manifest.LinkSize]byte]*linkGroupState // by hard link group

	files, dirs, others, bytes, present, skipped atomic.Int64
	current                                      atomic.Pointer[string]

	problems *snapshot.Problems

	mu     sync.Mutex
	opened map[string]uint32 // modes of directories that were there and had to be opened up
}

// Snapshot writes a snapshot into the directory target, which it makes when it does
// not exist. Every block is verified by src.
//
// A file appears under its final name when it is complete, with its attributes, and
// not before. Nothing outside target is touched, whatever the manifest says and
// whoever changes the target meanwhile. After an interruption the same call
// continues: files that are complete are recognised by size and time, leftovers are
// removed. A file's content is durable before it gets its name, and all of the tree
// is when Restore returns, unless NoSync is set.
//
// A path of Include that is not in the snapshot is ErrNotInSnapshot, and nothing is
// written. What could not be set or made is told to Options.Problem. A full disk is an
// error that wraps syscall.ENOSPC.
func Snapshot(ctx context.Context, src snapshot.Source, root block.ID, target string, opts Options) (Result, error) {
	started := time.Now()
	r, err := newRestorer(ctx, src, root, opts)
	if err != nil {
		return Result{}, err
	}
	if err := r.open(ctx, target); err != nil {
		return Result{}, fmt.Errorf("restore into %s: %w", target, err)
	}
	defer r.target.Close()
	defer r.closeAll()
	err = r.run(ctx)
	if err == nil {
		err = r.barred()
	}
	if err == nil && !opts.NoSync {
		err = r.target.SyncAll()
	}
	res := r.result(time.Since(started))
	if err != nil {
		return res, fmt.Errorf("restore into %s: %w", target, err)
	}
	return res, nil
}

func newRestorer(ctx context.Context, src snapshot.Source, id block.ID, opts Options) (*restorer, error) {
	tree, err := snapshot.OpenTree(ctx, src, id)
	if err != nil {
		return nil, err
	}
	for i, path := range opts.Include {
		clean := strings.Trim(filepath.Clean("/"+path), "/")
		if clean == "" {
			return nil, fmt.Errorf("restore %s: the path %q names everything", id, path)
		}
		if _, err := snapshot.Lookup(ctx, src, id, clean); err != nil {
			return nil, fmt.Errorf("restore %s: %w", id, err)
		}
		opts.Include = slices.Clone(opts.Include)
		opts.Include[i] = clean
	}
	return &restorer{
		tree: tree, opts: opts,
		euid: uint32(os.Geteuid()), egid: uint32(os.Getegid()), umask: umask(),
		tasks: make(chan task, 64), larges: make(chan task, 1),
		problems: snapshot.NewProblems(opts.Problem),
		opened:   make(map[string]uint32), firsts: make(map[[manifest.LinkSize]byte]*linkGroupState),
	}, nil
}

// open makes and locks the target, and looks for content that is in the way.
func (r *restorer) open(ctx context.Context, target string) error {
	err := os.Mkdir(target, 0o777)
	if err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	if r.made = err == nil; r.made {
		r.dirs.Add(1)
	}
	dir, err := fsys.OpenRoot(target)
	if err != nil {
		return err
	}
	if err := dir.TryLock(); err != nil {
		dir.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return ErrTargetBusy
		}
		return fmt.Errorf("lock: %w", err)
	}
	r.target = dir
	if r.opts.Existing == Refuse {
		err = r.refuseExisting(ctx)
	}
	if err == nil {
		err = r.openTop()
	}
	if err != nil {
		dir.Close()
	}
	return err
}

// run joins the stages.
func (r *restorer) run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stop := snapshot.Report(r.opts.Progress, func() snapshot.Progress {
		return snapshot.Progress{Files: r.files.Load() + r.present.Load(), Bytes: r.bytes.Load()}
	}, &r.current)
	defer stop()
	var all errgroup.Group
	guard := func(err error) error {
		if err != nil {
			cancel(err)
		}
		return err
	}
	r.census = r.tree.NewCensus()
	all.Go(func() error {
		defer close(r.tasks)
		defer close(r.larges)
		return guard(r.walk(ctx))
	})
	for range max(2, min(runtime.GOMAXPROCS(0), 8)) {
		all.Go(func() error { return guard(r.write(ctx)) })
	}
	all.Go(func() error { return guard(r.writeLarges(ctx)) })
	err := all.Wait()
	// What is complete gets its name whatever happened, so that a later restore need
	// not write it again. With a name come copies of files that cannot be linked to it.
	for batch := r.small.rest(); len(batch) > 0; batch = r.small.rest() {
		if perr := r.publish(context.WithoutCancel(ctx), batch); err == nil {
			err = perr
		}
	}
	if err != nil {
		return flow.FirstCause(ctx, err)
	}
	return context.Cause(ctx)
}

// barred returns why nothing at all could be made, if it is not for the entries: one error
// says more of a target that cannot be written than a problem with each name.
func (r *restorer) barred() error {
	if r.problems.Count() == 0 || r.below() > 0 || r.files.Load()+r.others.Load()+r.present.Load()+r.skipped.Load() > 0 {
		return nil
	}
	name := r.tempName()
	fd, err := r.target.CreateFile(name, 0o600)
	if err != nil {
		return fmt.Errorf("nothing can be written there: %w", err)
	}
	return errors.Join(fsys.Close(fd), r.target.Unlink(name))
}

// below is how many directories were made below the target.
func (r *restorer) below() int64 {
	if r.made {
		return r.dirs.Load() - 1
	}
	return r.dirs.Load()
}

func (r *restorer) problem(path, op string, err error) { r.problems.Add(path, op, err) }

func (r *restorer) result(took time.Duration) Result {
	return Result{
		Files: r.files.Load(), Dirs: r.dirs.Load(), Others: r.others.Load(), Bytes: r.bytes.Load(),
		Present: r.present.Load(), Skipped: r.skipped.Load(), Seconds: took.Seconds(),
		Problems: r.problems.List(), ProblemCount: r.problems.Count(),
	}
}

// included reports whether a path is restored, and whether something below it is.
func (r *restorer) included(path string) (whole, below bool) {
	if len(r.opts.Include) == 0 {
		return true, true
	}
	for _, want := range r.opts.Include {
		if path == want || strings.HasPrefix(path, want+"/") {
			return true, true
		}
		if path == "" || strings.HasPrefix(want, path+"/") {
			below = true
		}
	}
	return false, below
}

// owned reports whether an entry's owner will be set, or is the caller anyway.
func (r *restorer) owned(e *snapshot.Entry) bool {
	return r.euid == 0 && !r.opts.NoOwner || uint64(r.euid) == e.UID && uint64(r.egid) == e.GID
}

// mode returns the permission bits to set: without the owner recorded, a file does
// not become set-user-ID or set-group-ID.
func (r *restorer) mode(e *snapshot.Entry) uint32 {
	if e.Type != manifest.Dir && !r.owned(e) {
		return uint32(e.Mode &^ 0o6000)
	}
	return uint32(e.Mode)
}

// umask returns the process's file mode creation mask. It errs on the safe side
// where the system does not tell.
func umask() uint32 {
	data, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0o777
	}
	for line := range strings.SplitSeq(string(data), "\n") {
		if rest, ok := strings.CutPrefix(line, "Umask:"); ok {
			var mask uint32
			if _, err := fmt.Sscanf(strings.TrimSpace(rest), "%o", &mask); err == nil {
				return mask
			}
		}
	}
	return 0o777
}
