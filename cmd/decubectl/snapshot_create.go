package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/decube/decube/api"
	"github.com/decube/decube/internal/exitcode"
	"github.com/decube/decube/internal/repo"
	"github.com/decube/decube/snapshot"
	"github.com/decube/decube/snapshot/create"
)

// flushTimeout bounds how long an interrupted create goes on saving what it sent.
const flushTimeout = 5 * time.Second

// snapshotCreateOptions are the inputs of snapshot create.
type snapshotCreateOptions struct {
	create.Options
	registerOptions

	name string // of the file that standard input is recorded as

	// What parse and complete work into create.Options.
	excludeFiles []string
	time, parent string
	noCache      bool
}

func newSnapshotCreateCommand(e *env) *cobra.Command {
	o := new(snapshotCreateOptions)
	cmd := &cobra.Command{
		Use:   "create PATH|-",
		Short: "Take a snapshot of a directory, a file or standard input",
		Long: `Takes a snapshot of a directory or a file, or of standard input as one file, and
keeps it. The CID is printed on standard output, a summary on standard error.

Files are read with your rights, and only chunks that the node lacks are sent to
it. Files that are unchanged since the last snapshot of the same path are not
read again. What cannot be read is listed, and the exit code is 3; with --json the
first thousand are in the result too, and how many there are.

Snapshots are not encrypted. Whoever has the CID of one can read all of it: names,
owners, times and contents, from any peer of the swarm that serves it. The catalog
tells every peer of the swarm its CID, label, tags, size and time. A node's
repository, with its keys, is never part of one, wherever it lies and whose it may be.

Patterns of what to leave out are in gitignore syntax and mean what they mean to git,
relative to PATH. The last pattern that matches decides, and their order is git's:
those of --exclude-file come first, then those of files named .decubeignore, of which
each is for its directory and what is below, then those of --exclude. What is in a
directory that is left out does not come back.

Where the swarm has a ledger, the snapshot is registered in it too, which is final
within moments. Where that does not work out the snapshot is kept all the same, and
the command says how to register it later; with --register=yes it also fails.`,
		Example: `  decubectl snapshot create ~/project
  decubectl snapshot create ~/project --exclude '*.o' --label nightly --json
  decubectl snapshot create ~/project --register=yes --retain 90d
  pg_dump db | decubectl snapshot create - --name db.sql`,
		Args: wants(1, 1, "one path, or - for standard input"),
		RunE: runs(e, o.parse, o.run),
	}
	flags := cmd.Flags()
	flags.StringArrayVar(&o.Exclude, "exclude", nil, "leave out what matches a `PATTERN` in gitignore syntax; repeatable")
	flags.StringArrayVar(&o.excludeFiles, "exclude-file", nil, "read patterns from a `FILE`; repeatable")
	flags.BoolVar(&o.NoIgnoreFiles, "no-ignore-files", false, "take everything, whatever files named "+create.IgnoreFile+" say")
	flags.BoolVar(&o.NoCaches, "exclude-caches", false, "leave out what is in directories that a CACHEDIR.TAG marks, but for the tag")
	flags.BoolVar(&o.NoDump, "exclude-nodump", false, "leave out what has the attribute nodump, see chattr(1)")
	flags.BoolVarP(&o.OneFileSystem, "one-file-system", "x", false, "do not enter other file systems, nor take files that are mounted from them")
	flags.StringVar(&o.time, "time", "", "creation `TIME` to record, RFC 3339; makes the CID reproducible")
	flags.StringVar(&o.parent, "parent", "", "record the `CID` of the snapshot before this one")
	flags.BoolVar(&o.noCache, "no-cache", false, "read every file, also unchanged ones")
	flags.StringVar(&o.Label, "label", "", "name of the snapshot")
	flags.StringArrayVar(&o.Tags, "tag", nil, "tag of the snapshot; repeatable")
	flags.StringVar(&o.Host, "host", hostname(), "host to record")
	flags.Lookup("host").DefValue = "this host"
	o.registerOptions.bind(cmd)
	flags.StringVar(&o.name, "name", "stdin", "file name for standard input")
	return cmd
}

func hostname() string {
	name, err := os.Hostname()
	if err != nil {
		return ""
	}
	return name
}

func (o *snapshotCreateOptions) parse(args []string) error {
	o.Path = args[0]
	request := api.KeepRequest{Label: o.Label, Tags: o.Tags}
	if err := request.Check(); err != nil {
		return usageError("%w", err)
	}
	for _, file := range o.excludeFiles {
		patterns, err := create.ReadExcludes(file)
		if err != nil {
			return usageError("--exclude-file: %w", err)
		}
		o.ExcludeFrom = append(o.ExcludeFrom, patterns...)
	}
	if err := o.registerOptions.parse(time.Now()); err != nil {
		return err
	}
	var err error
	if o.time != "" {
		if o.Time, err = time.Parse(time.RFC3339Nano, o.time); err != nil {
			return usageError("--time: %q is not a time such as 2026-01-31T12:00:00Z", o.time)
		}
	}
	if o.parent != "" {
		o.Parent, err = parseRoot(o.parent)
	}
	return err
}

// fromInput reports whether the source is standard input.
func (o *snapshotCreateOptions) fromInput() bool { return o.Path == "-" }

// complete returns what to take a snapshot of and how, for a node's repository.
func (o *snapshotCreateOptions) complete(repository string) (create.Options, error) {
	opts := o.Options
	opts.Private, opts.PrivateMark = []string{repository, repo.DefaultPath()}, repo.Secrets()
	if o.fromInput() {
		return opts, nil
	}
	if _, err := os.Stat(opts.Path); err != nil {
		return opts, fmt.Errorf("reading what to take a snapshot of: %w", err)
	}
	if !o.noCache {
		opts.Cache = cachePath(repository, opts.Path)
	}
	return opts, nil
}

// cachePath names the stat cache of a source and a repo; it is empty, which means
// no cache, where there is no place for it.
func cachePath(repository, path string) string {
	dir := cacheDir()
	if dir == "" || os.MkdirAll(dir, 0o700) != nil {
		return ""
	}
	key := sha256.New()
	for _, p := range []string{repository, path} {
		abs, err := filepath.Abs(p)
		if err != nil {
			return ""
		}
		fmt.Fprintf(key, "%d %s", len(abs), abs)
	}
	return filepath.Join(dir, fmt.Sprintf("%x", key.Sum(nil)[:16]))
}

// cacheDir is where the stat caches are, empty where there is no place for them.
func cacheDir() string {
	dir, err := os.UserCacheDir()
	if err != nil {
		return ""
	}
	return filepath.Join(dir, "decube", "stat")
}

// noteReaders says who can read a snapshot, to whoever takes the first one: the directory
// of caches is made with it.
func noteReaders(e *env) {
	if dir := cacheDir(); dir != "" {
		if _, err := os.Stat(dir); err != nil {
			e.note("Snapshots are not encrypted: whoever has the CID can read all of it, from any peer of the swarm that serves it.")
		}
	}
}

// created is what snapshot create prints with --json.
type created struct {
	create.Result

	Partial      bool          `json:"partial"`
	Registration *registration `json:"registration,omitempty"`
}

func (o *snapshotCreateOptions) run(ctx context.Context, e *env) error {
	noteReaders(e)
	opts, err := o.complete(e.repo)
	if err != nil {
		return err
	}
	var out created
	var unregistered error
	err = e.withBlocks(ctx, false, func(x *access, b blocks) error {
		if out.Result, err = o.take(ctx, e, b, opts); err != nil {
			return keepSent(ctx, e, b, err)
		}
		out.Partial = out.Result.Partial()
		_, err := x.Keep(ctx, out.ID, api.KeepRequest{Label: opts.Label, Tags: opts.Tags, Partial: out.Partial})
		if err == nil {
			out.Registration, unregistered = o.register(ctx, e, x, out.Result, opts.Label)
		}
		return err
	})
	if err != nil {
		return err
	}
	return errors.Join(unregistered, out.report(e))
}

// take reads the source and gives its blocks to b.
func (o *snapshotCreateOptions) take(ctx context.Context, e *env, b blocks, opts create.Options) (create.Result, error) {
	m := e.meter("snapshot")
	defer m.close()
	opts.Problem = warnOf(e, m)
	if m != nil {
		opts.Progress = func(p snapshot.Progress) { m.set(p.Bytes, 0, plural(p.Files, "file")+"  "+p.Path) }
	}
	if o.fromInput() {
		return create.Stream(ctx, b, o.name, newInput(ctx, e.stdin), opts)
	}
	return create.Snapshot(ctx, b, opts)
}

// keepSent saves what an interrupted create has sent, so that the next one need
// not send it again.
func keepSent(ctx context.Context, e *env, b blocks, err error) error {
	if ctx.Err() == nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushTimeout)
	defer cancel()
	stats, flushErr := b.Flush(ctx)
	if flushErr != nil {
		return errors.Join(err, flushErr)
	}
	e.note("Stopped. %s with %s stay in the store until garbage is collected: run the same command again to go on from there.",
		plural(stats.NewBlocks, "new block"), size(stats.NewBytes))
	return err
}

// report prints the outcome, and what is missing from it.
func (out *created) report(e *env) error {
	res := &out.Result
	err := e.print(out, func(w io.Writer) { fmt.Fprintln(w, res.ID) })
	if err != nil {
		return err
	}
	e.note("%s, %s; %s of %s new, %s; %.2f s, %s", plural(res.Files, "file"), size(res.Bytes),
		count(res.NewChunks), plural(res.Chunks, "chunk"), size(res.NewBytes), res.Seconds, rate(res.Bytes, res.Seconds))
	noteEach(e, res.Skipped, res.SkippedCount, "Skipped the socket %s.", "Skipped %s more sockets.")
	noteEach(e, res.Private, res.PrivateCount, "Left out %s: it belongs to a node's repository, which holds its keys.",
		"Left out %s more names that belong to nodes' repositories.")
	noteEach(e, res.Elsewhere, res.ElsewhereCount, "Did not enter %s: it is on another file system.", "Did not enter %s more names on other file systems.")
	if res.CacheError != "" {
		e.note("The next snapshot will read every file again: %s.", res.CacheError)
	}
	return partial(res.ProblemCount, "the snapshot is kept, but it is not complete")
}

// noteEach tells of paths, of which only the first are known by name, and how many more
// there are.
func noteEach(e *env, first []string, total int64, each, further string) {
	for _, path := range first {
		e.note(each, printable(path))
	}
	if more := total - int64(len(first)); more > 0 {
		e.note(further, count(more))
	}
}

// warnOf returns what tells the user of a problem as it comes, above the display of
// progress: to list all of them at the end would be to keep them in memory.
func warnOf(e *env, m *meter) func(snapshot.Problem) {
	return func(p snapshot.Problem) {
		// An error may be several, one a line.
		text := printable(strings.ReplaceAll(p.Error(), "\n", "; "))
		m.above(func() { e.warn("%s", text) })
	}
}

// partial says that work is done in part, if there were problems.
func partial(count int64, what string) error {
	if count == 0 {
		return nil
	}
	return exitcode.With(fmt.Errorf("%s: %s, listed above", what, plural(count, "problem")), exitcode.Partial)
}
