package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
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

// createFlags are the flags of snapshot create that need work before use.
type createFlags struct {
	create.Options

	excludeFiles []string
	time, parent string
	noCache      bool
	name         string

	register    string // whether to: auto, yes or no
	retain      string
	retainUntil int64 // of retain, Unix seconds
}

func (a *app) snapshotCreate() *cobra.Command {
	var f createFlags
	cmd := &cobra.Command{
		Use:   "create PATH|-",
		Short: "Take a snapshot of a directory, a file or standard input",
		Long: `Takes a snapshot of a directory or a file, or of standard input as one file, and
keeps it. The CID is printed on standard output, a summary on standard error.

Files are read with your rights, and only chunks that the node lacks are sent to
it. Files that are unchanged since the last snapshot of the same path are not
read again. What cannot be read is listed, and the exit code is 3.

Snapshots are not encrypted. Whoever has the CID of one can read all of it: names,
owners, times and contents, from any peer of the swarm that serves it. A node's
repository, with its keys, is never part of one, wherever it lies and whose it may be.

Patterns of what to leave out are in gitignore syntax and mean what they mean to git,
relative to PATH. The last pattern that matches decides: those of --exclude-file come
first, then those of --exclude, then those of files named .decubeignore, of which
each is for its directory and what is below. What is in a directory that is left out
does not come back.

Where the swarm has a ledger, the snapshot is registered in it too, which is final
within moments. Where that does not work out the snapshot is kept all the same, and
the command says how to register it later; with --register=yes it also fails.`,
		Example: `  decubectl snapshot create ~/project
  decubectl snapshot create ~/project --exclude '*.o' --label nightly --json
  decubectl snapshot create ~/project --register=yes --retain 90d
  pg_dump db | decubectl snapshot create - --name db.sql`,
		Args: wants(1, 1, "one path, or - for standard input"),
		RunE: func(cmd *cobra.Command, args []string) error { return a.create(cmd, args[0], &f) },
	}
	flags := cmd.Flags()
	flags.StringArrayVar(&f.Exclude, "exclude", nil, "leave out what matches a `PATTERN` in gitignore syntax; repeatable")
	flags.StringArrayVar(&f.excludeFiles, "exclude-file", nil, "read patterns from a `FILE`; repeatable")
	flags.BoolVar(&f.NoIgnoreFiles, "no-ignore-files", false, "take everything, whatever files named "+create.IgnoreFile+" say")
	flags.BoolVar(&f.NoCaches, "exclude-caches", false, "leave out what is in directories that a CACHEDIR.TAG marks, but for the tag")
	flags.BoolVar(&f.NoDump, "exclude-nodump", false, "leave out what has the attribute nodump, see chattr(1)")
	flags.BoolVarP(&f.OneFileSystem, "one-file-system", "x", false, "do not enter other file systems")
	flags.StringVar(&f.time, "time", "", "creation `TIME` to record, RFC 3339; makes the CID reproducible")
	flags.StringVar(&f.parent, "parent", "", "record the `CID` of the snapshot before this one")
	flags.BoolVar(&f.noCache, "no-cache", false, "read every file, also unchanged ones")
	flags.StringVar(&f.Label, "label", "", "name of the snapshot")
	flags.StringArrayVar(&f.Tags, "tag", nil, "tag of the snapshot; repeatable")
	flags.StringVar(&f.Host, "host", hostname(), "host to record")
	flags.Lookup("host").DefValue = "this host"
	flags.StringVar(&f.register, "register", registerAuto, "register the snapshot in the swarm's ledger: auto, yes or no")
	flags.StringVar(&f.retain, "retain", "", retainUsage+"; for the registration")
	flags.StringVar(&f.name, "name", "stdin", "file name for standard input")
	return cmd
}

func hostname() string {
	name, err := os.Hostname()
	if err != nil {
		return ""
	}
	return name
}

// options completes f for path.
func (f *createFlags) options(repository, path string) (create.Options, error) {
	opts := f.Options
	opts.Path, opts.Private, opts.PrivateMark = path, []string{repository, repo.DefaultPath()}, repo.Secrets()
	request := api.RegisterRequest{Label: f.Label, Tags: f.Tags}
	if err := request.Check(); err != nil {
		return opts, usageError("%w", err)
	}
	var fromFiles []string
	for _, file := range f.excludeFiles {
		patterns, err := create.ReadExcludes(file)
		if err != nil {
			return opts, usageError("--exclude-file: %w", err)
		}
		fromFiles = append(fromFiles, patterns...)
	}
	opts.Exclude = append(fromFiles, opts.Exclude...) // the last that matches decides
	if err := f.registration(); err != nil {
		return opts, err
	}
	var err error
	if f.time != "" {
		if opts.Time, err = time.Parse(time.RFC3339Nano, f.time); err != nil {
			return opts, usageError("--time: %q is not a time such as 2026-01-31T12:00:00Z", f.time)
		}
	}
	if f.parent != "" {
		if opts.Parent, err = parseRoot(f.parent); err != nil {
			return opts, err
		}
	}
	if path == "-" {
		return opts, nil
	}
	if _, err := os.Stat(path); err != nil {
		return opts, fmt.Errorf("reading what to take a snapshot of: %w", err)
	}
	if !f.noCache {
		opts.Cache = cachePath(repository, path)
	}
	return opts, nil
}

// registration completes what f says of the registration.
func (f *createFlags) registration() error {
	switch f.register {
	case registerAuto, registerYes, registerNo:
	default:
		return usageError("--register: %q, want auto, yes or no", f.register)
	}
	if f.register == registerNo && f.retain != "" {
		return usageError("--retain is a promise that is registered, and --register=no asks for no registration")
	}
	var err error
	if f.retainUntil, err = parseRetention(f.retain, time.Now()); err != nil {
		return usageError("--retain: %w", err)
	}
	return nil
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
func (a *app) noteReaders() {
	if dir := cacheDir(); dir != "" {
		if _, err := os.Stat(dir); err != nil {
			a.note("Snapshots are not encrypted: whoever has the CID can read all of it, from any peer of the swarm that serves it.")
		}
	}
}

// created is what snapshot create prints with --json.
type created struct {
	create.Result

	Partial      bool          `json:"partial"`
	Registration *registration `json:"registration,omitempty"`
}

func (a *app) create(cmd *cobra.Command, path string, f *createFlags) error {
	ctx := cmd.Context()
	a.noteReaders()
	opts, err := f.options(a.repo, path)
	if err != nil {
		return err
	}
	var res create.Result
	var reg *registration
	var unregistered error
	err = a.withBlocks(ctx, false, func(x *access, b blocks) error {
		if res, err = a.take(ctx, b, path, f.name, opts); err != nil {
			return a.keepSent(ctx, b, err)
		}
		_, err := x.Register(ctx, res.ID, api.RegisterRequest{Label: opts.Label, Tags: opts.Tags, Partial: res.Partial()})
		if err == nil {
			reg, unregistered = a.register(ctx, x, res, f)
		}
		return err
	})
	if err != nil {
		return err
	}
	return errors.Join(unregistered, a.report(res, reg))
}

// take reads the source and gives its blocks to b.
func (a *app) take(ctx context.Context, b blocks, path, name string, opts create.Options) (create.Result, error) {
	m := a.meter("snapshot")
	defer m.close()
	if m != nil {
		opts.Progress = func(p snapshot.Progress) { m.set(p.Bytes, 0, plural(p.Files, "file")+"  "+p.Path) }
	}
	if path == "-" {
		return create.Stream(ctx, b, name, newInput(ctx, a.stdin), opts)
	}
	return create.Snapshot(ctx, b, opts)
}

// keepSent saves what an interrupted create has sent, so that the next one need
// not send it again.
func (a *app) keepSent(ctx context.Context, b blocks, err error) error {
	if ctx.Err() == nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushTimeout)
	defer cancel()
	stats, flushErr := b.Flush(ctx)
	if flushErr != nil {
		return errors.Join(err, flushErr)
	}
	a.note("Stopped. %s with %s stay in the store until garbage is collected: run the same command again to go on from there.",
		plural(stats.NewBlocks, "new block"), size(stats.NewBytes))
	return err
}

// report prints the outcome, and what is missing from it.
func (a *app) report(res create.Result, reg *registration) error {
	err := a.print(created{res, res.Partial(), reg}, func(w io.Writer) { fmt.Fprintln(w, res.ID) })
	if err != nil {
		return err
	}
	a.note("%s, %s; %s of %s new, %s; %.2f s, %s", plural(res.Files, "file"), size(res.Bytes),
		count(res.NewChunks), plural(res.Chunks, "chunk"), size(res.NewBytes), res.Seconds, rate(res.Bytes, res.Seconds))
	for _, path := range res.Skipped {
		a.note("Skipped the socket %s.", path)
	}
	for _, path := range res.Private {
		a.note("Left out %s: it belongs to a node's repository, which holds its keys.", path)
	}
	if res.CacheError != "" {
		a.note("The next snapshot will read every file again: %s.", res.CacheError)
	}
	return a.problems(res.Problems, "the snapshot is kept, but it is not complete")
}

// problems lists what could not be done, and says that the work is partial.
func (a *app) problems(problems []snapshot.Problem, what string) error {
	for _, p := range problems {
		a.warn("%v", p)
	}
	if len(problems) == 0 {
		return nil
	}
	return exitcode.With(fmt.Errorf("%s: %s, listed above", what, plural(int64(len(problems)), "problem")), exitcode.Partial)
}
