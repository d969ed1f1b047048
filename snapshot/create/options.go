package create

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/decube/decube/block"
	"github.com/decube/decube/blockstore"
	"github.com/decube/decube/snapshot"
	"github.com/decube/decube/snapshot/manifest"
)

// Sink takes a snapshot's blocks. It is safe for concurrent use.
type Sink interface {
	// Touch reports which blocks are held already; those stay held until the sink's
	// session ends.
	Touch(ctx context.Context, ids []block.ID) ([]bool, error)
	// Add takes a block. It calls release, which may be nil, exactly once when the
	// block's bytes are no longer needed, also when it fails, and does so soon: it may
	// not wait for further blocks.
	Add(ctx context.Context, b block.Block, release func()) error
	// Flush makes everything added so far durable and returns cumulative figures.
	Flush(ctx context.Context) (blockstore.WriteStats, error)
}

// IgnoreFile is the name of the files that list, in gitignore syntax, what a
// snapshot leaves out of their directory and those below.
const IgnoreFile = ".decubeignore"

// Options says what a snapshot is taken of and how. The zero value is of use
// with a Path alone.
type Options struct {
	// Path is a directory or a regular file. A symbolic link is followed here, and
	// nowhere below.
	Path string
	// ExcludeFrom and Exclude hold patterns in gitignore syntax, relative to Path. The last
	// pattern that matches decides: those of ExcludeFrom come first, as those of git's
	// --exclude-from do, then those of files named IgnoreFile, and then those of Exclude.
	ExcludeFrom, Exclude []string
	// NoIgnoreFiles takes everything, whatever files named IgnoreFile say.
	NoIgnoreFiles bool
	// Private are directories that no snapshot holds, such as a repository with its keys.
	// They and all that is in them are left out, whatever path, mount, symbolic link or
	// second name leads there; a Path within them is ErrPrivate.
	Private []string
	// PrivateMark are names that together mark a directory as one of that kind, such as
	// another repository, a copy of one, or one that is seen through another file system.
	PrivateMark []string
	// NoCaches leaves out what is in directories that a CACHEDIR.TAG marks, but for it.
	NoCaches bool
	// NoDump leaves out what has the file attribute of that name, see chattr(1).
	NoDump bool
	// OneFileSystem keeps directories on other file systems, but not what is in them, and
	// leaves out files of others that are mounted in the tree one by one.
	OneFileSystem bool

	// Host, User and SourcePath describe the source. An empty SourcePath stands for
	// the absolute form of Path.
	Host, User, SourcePath string
	Label                  string
	Tags                   []string
	// Parent is the snapshot before this one, for information; it may be zero.
	Parent block.ID
	// Time is the creation time to record; the zero time stands for now.
	Time time.Time

	// Cache is the path of the stat cache: files that are unchanged since it was
	// written are not read again. Empty means none. A cache that is missing, damaged
	// or of another version counts as empty.
	Cache string

	// Progress, when not nil, is called several times a second, never concurrently.
	Progress func(snapshot.Progress)
	// Problem, when not nil, is called with each problem as it comes, never concurrently;
	// Snapshot waits for it.
	Problem func(snapshot.Problem)

	// Tests may set another clock than this machine's, nil, and say that the file
	// systems' times are of yet another one.
	now     func() time.Time
	foreign bool
}

// check tests what can be tested before anything is read.
func (o *Options) check() error {
	if err := manifest.CheckLabels(o.Label, o.Tags); err != nil {
		return fmt.Errorf("label and tags: %w", err)
	}
	return nil
}

// Result says what a snapshot holds and what it took.
type Result struct {
	ID         block.ID  `json:"cid"`
	Files      int64     `json:"files"`
	Dirs       int64     `json:"dirs"`
	Others     int64     `json:"others"` // symbolic links, fifos, devices
	Bytes      int64     `json:"bytes"`  // of regular files
	Nodes      int64     `json:"nodes"`
	Chunks     int64     `json:"chunks"`
	ChunkBytes int64     `json:"chunk_bytes"`
	NewChunks  int64     `json:"new_chunks"` // that the store did not hold
	NewBytes   int64     `json:"new_bytes"`  // in blocks that the store did not hold
	Reused     int64     `json:"reused"`     // files known from the cache, not read
	Created    time.Time `json:"created"`
	Seconds    float64   `json:"seconds"`
	// Problems are what is missing or doubtful, the first thousand: the snapshot is partial
	// when there are any.
	Problems     []snapshot.Problem `json:"problems,omitempty"`
	ProblemCount int64              `json:"problem_count,omitempty"`
	// Skipped are sockets, which mean nothing without the process behind them, the first thousand.
	Skipped      []string `json:"skipped,omitempty"`
	SkippedCount int64    `json:"skipped_count,omitempty"`
	// Private is what was left out because it is in one of the Private directories, the first
	// thousand.
	Private      []string `json:"private,omitempty"`
	PrivateCount int64    `json:"private_count,omitempty"`
	// Elsewhere are directories of which nothing was taken but they themselves, and files that
	// were left out, because they are on other file systems, the first thousand.
	Elsewhere      []string `json:"elsewhere,omitempty"`
	ElsewhereCount int64    `json:"elsewhere_count,omitempty"`
	// CacheError says why the stat cache could not be written, which only costs time.
	CacheError string `json:"cache_error,omitempty"`
}

// Partial reports whether something could not be done as asked.
func (r *Result) Partial() bool { return r.ProblemCount > 0 }

var (
	// ErrChanged is the cause of a snapshot.Problem with a file that changed each time it was
	// read: the snapshot holds what the last reading gave.
	ErrChanged = errors.New("the file changed while it was read")
	// ErrTooManyBlocks is returned for a tree with more chunks than a snapshot can name.
	ErrTooManyBlocks = fmt.Errorf("more than %d chunks: take snapshots of its parts", maxBlocks)
	// ErrShort is the cause of a snapshot.Problem with a file that ended before its size, unchanged:
	// the snapshot holds what there was.
	ErrShort = errors.New("the file ends before its size says")
	// ErrEndless is the cause of a snapshot.Problem with a file that seems to have no end.
	ErrEndless = errors.New("the file goes on for more than 1 GiB behind its size")
	// ErrLongName is the cause of a snapshot.Problem with a name that is longer than the format
	// and most file systems hold.
	ErrLongName = errors.New("the name is longer than 255 bytes")
	// ErrNoTarget is the cause of a snapshot.Problem with a symbolic link that leads nowhere, as
	// only a file system that is damaged or made up has one: the format holds none.
	ErrNoTarget = errors.New("the symbolic link has an empty target")
	// ErrAttributes is the cause of a snapshot.Problem with extended attributes that are more or
	// larger than the format holds.
	ErrAttributes = errors.New("too large an extended attribute")
	// ErrTooDeep is the cause of a snapshot.Problem with directories nested beyond the format's bound.
	ErrTooDeep = errors.New("directories are nested too deeply")
	// ErrRenamed is the cause of a snapshot.Problem with a directory of which names go and others
	// come faster than they can be looked at: a file that is renamed may be there under none.
	ErrRenamed = errors.New("its names change faster than they can be looked at")
)
