package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/decube/decube/api"
	"github.com/decube/decube/block"
	"github.com/decube/decube/snapshot"
	"github.com/decube/decube/snapshot/restore"
)

// snapshotRestoreOptions are the inputs of snapshot restore.
type snapshotRestoreOptions struct {
	restore.Options
	fetchOptions

	root    block.ID
	target  string
	noFetch bool

	overwrite, skip bool // what parse makes Existing of
}

func newSnapshotRestoreCommand(e *env) *cobra.Command {
	o := new(snapshotRestoreOptions)
	cmd := &cobra.Command{
		Use:   "restore CID[/PATH] TARGET",
		Short: "Write a snapshot into a directory",
		Long: `Writes a snapshot into the directory TARGET, which is made when it does not exist.
What the node lacks is fetched from peers first. Every block is verified. A file
gets its name when it is complete; nothing outside TARGET is touched.

A restore that was interrupted goes on where it was when it is called again. A
TARGET with other content is refused unless --overwrite or --skip-existing is given.
What could not be restored as recorded is listed, and the exit code is 3; with --json
the first thousand are in the result too, and how many there are.`,
		Example: `  decubectl snapshot restore bafyrei... ./copy
  decubectl snapshot restore bafyrei... ./copy --include src/main.go --include doc
  decubectl snapshot restore bafyrei.../etc /tmp/etc --skip-existing`,
		Args: wants(2, 2, "a CID and a directory"),
		RunE: runs(e, o.parse, o.run),
	}
	flags := cmd.Flags()
	flags.BoolVar(&o.overwrite, "overwrite", false, "replace files that are in the way")
	flags.BoolVar(&o.skip, "skip-existing", false, "leave files that are in the way as they are")
	flags.StringArrayVar(&o.Include, "include", nil, "restore only this `PATH` and what is below it; repeatable")
	flags.BoolVar(&o.VerifyExisting, "verify-existing", false, "compare the content of files that look complete already")
	flags.BoolVar(&o.KeepGoing, "keep-going", false, "leave out files whose blocks cannot be had, and report them")
	flags.BoolVar(&o.NoOwner, "no-owner", false, "make you the owner of everything")
	flags.BoolVar(&o.NoSync, "no-sync", false, "do not wait until what was written is durable")
	flags.BoolVar(&o.noFetch, "no-fetch", false, "restore from what the node holds, and ask no peers")
	o.fetchOptions.bind(cmd)
	return cmd
}

func (o *snapshotRestoreOptions) parse(args []string) error {
	root, path, err := parsePath(args[0])
	if err != nil {
		return err
	}
	o.root, o.target = root, args[1]
	if path != "" {
		o.Include = append(o.Include, path)
	}
	switch {
	case o.overwrite && o.skip:
		return usageError("--overwrite and --skip-existing exclude each other")
	case o.overwrite:
		o.Existing = restore.Overwrite
	case o.skip:
		o.Existing = restore.Skip
	}
	return o.check()
}

// restored is what snapshot restore prints with --json.
type restored struct {
	CID    block.ID `json:"cid"`
	Target string   `json:"target"`
	restore.Result

	Fetched *api.FetchResult `json:"fetched,omitempty"`
	Partial bool             `json:"partial"`
}

func (o *snapshotRestoreOptions) run(ctx context.Context, e *env) error {
	out := restored{CID: o.root, Target: o.target}
	if abs, err := filepath.Abs(o.target); err == nil {
		out.Target = abs
	}
	// The session is open before anything is fetched, so that no collection takes
	// what comes before it was read.
	err := e.withBlocks(ctx, !o.noFetch, func(x *access, b blocks) error {
		if x.daemon != nil && !o.noFetch && len(o.Include) == 0 {
			res, err := o.fetch(ctx, e, x.daemon, o.root)
			if err != nil {
				return err
			}
			out.Fetched = &res
			if res.FetchedBlocks > 0 {
				noteFetch(e, res)
			}
		}
		if err := protect(ctx, b, o.root); err != nil {
			return withoutDaemon(x, hintFetch(err, o.root))
		}
		var err error
		out.Result, err = o.put(ctx, e, b)
		return withoutDaemon(x, err)
	})
	if err != nil {
		return restoreHint(ctx, err, out.Wrote())
	}
	out.Partial = out.Result.Partial()
	if err := e.print(out, func(w io.Writer) { fmt.Fprintln(w, out.Target) }); err != nil {
		return err
	}
	e.note("%s restored, %s written, %s present already; %.2f s, %s", plural(out.Files, "file"), size(out.Bytes),
		count(out.Present), out.Seconds, rate(out.Bytes, out.Seconds))
	return partial(out.ProblemCount, "the snapshot was not restored as recorded")
}

// put restores from b, and shows how it goes.
func (o *snapshotRestoreOptions) put(ctx context.Context, e *env, b blocks) (restore.Result, error) {
	opts := o.Options
	m := e.meter("restore")
	defer m.close()
	opts.Problem = warnOf(e, m)
	if m != nil {
		var total int64
		if r, err := snapshot.LoadRoot(ctx, b, o.root); err == nil && len(opts.Include) == 0 {
			total = int64(r.Stats.Bytes)
		}
		opts.Progress = func(p snapshot.Progress) {
			m.set(p.Bytes, total, plural(p.Files, "file")+"  "+p.Path)
		}
	}
	return restore.Snapshot(ctx, b, o.root, o.target, opts)
}

// protect keeps what is held of a snapshot from being collected while b is open.
func protect(ctx context.Context, b blocks, root block.ID) error {
	var ids []block.ID
	if err := snapshot.Refs(ctx, b, root, func(id block.ID) bool {
		ids = append(ids, id)
		return true
	}); err != nil {
		return err
	}
	_, err := b.Touch(ctx, ids)
	return err
}

// withoutDaemon says why a block could not be fetched.
func withoutDaemon(x *access, err error) error {
	if x.daemon == nil && isNotFound(err) {
		return fmt.Errorf("%w; without a daemon nothing can be fetched from peers: start it with \"decube-node daemon\" and try again", err)
	}
	return err
}

// restoreHint adds what to do about a restore that failed.
func restoreHint(ctx context.Context, err error, wrote bool) error {
	switch {
	case errors.Is(err, restore.ErrTargetExists) && wrote:
		return fmt.Errorf("%w; what is complete stays: choose another directory, or --overwrite or --skip-existing", err)
	case errors.Is(err, restore.ErrTargetExists):
		return fmt.Errorf("%w; nothing was written: choose another directory, or --overwrite or --skip-existing", err)
	case errors.Is(err, syscall.ENOSPC):
		return fmt.Errorf("%w; what is complete stays: make room and run the same command again to go on from there", err)
	case ctx.Err() != nil:
		return fmt.Errorf("%w; what is complete stays: run the same command again to go on from there", err)
	}
	return err
}
