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
	"github.com/decube/decube/internal/block"
	"github.com/decube/decube/snapshot"
	"github.com/decube/decube/snapshot/restore"
)

// restoreFlags are the flags of snapshot restore.
type restoreFlags struct {
	restore.Options
	fetchFlags

	overwrite, skip bool
	noFetch         bool
}

func (a *app) snapshotRestore() *cobra.Command {
	var f restoreFlags
	cmd := &cobra.Command{
		Use:   "restore CID[/PATH] TARGET",
		Short: "Write a snapshot into a directory",
		Long: `Writes a snapshot into the directory TARGET, which is made when it does not exist.
What the node lacks is fetched from peers first. Every block is verified. A file
gets its name when it is complete; nothing outside TARGET is touched.

A restore that was interrupted goes on where it was when it is called again. A
TARGET with other content is refused unless --overwrite or --skip-existing is given.
What could not be restored as recorded is listed, and the exit code is 3.`,
		Example: `  decubectl snapshot restore bafyrei... ./copy
  decubectl snapshot restore bafyrei... ./copy --include src/main.go --include doc
  decubectl snapshot restore bafyrei.../etc /tmp/etc --skip-existing`,
		Args: wants(2, 2, "a CID and a directory"),
		RunE: func(cmd *cobra.Command, args []string) error { return a.restore(cmd, args[0], args[1], &f) },
	}
	flags := cmd.Flags()
	flags.BoolVar(&f.overwrite, "overwrite", false, "replace files that are in the way")
	flags.BoolVar(&f.skip, "skip-existing", false, "leave files that are in the way as they are")
	flags.StringArrayVar(&f.Include, "include", nil, "restore only this `PATH` and what is below it; repeatable")
	flags.BoolVar(&f.VerifyExisting, "verify-existing", false, "compare the content of files that look complete already")
	flags.BoolVar(&f.KeepGoing, "keep-going", false, "leave out files whose blocks cannot be had, and report them")
	flags.BoolVar(&f.NoOwner, "no-owner", false, "make you the owner of everything")
	flags.BoolVar(&f.NoSync, "no-sync", false, "do not wait until what was written is durable")
	flags.BoolVar(&f.noFetch, "no-fetch", false, "restore from what the node holds, and ask no peers")
	cmd.MarkFlagsMutuallyExclusive("overwrite", "skip-existing")
	f.fetchFlags.register(cmd)
	return cmd
}

// restored is what snapshot restore prints with --json.
type restored struct {
	CID    block.ID `json:"cid"`
	Target string   `json:"target"`
	restore.Result

	Fetched *api.FetchResult `json:"fetched,omitempty"`
	Partial bool             `json:"partial"`
}

func (a *app) restore(cmd *cobra.Command, arg, target string, f *restoreFlags) error {
	root, path, err := parsePath(arg)
	if err != nil {
		return err
	}
	opts := f.Options
	if path != "" {
		opts.Include = append(opts.Include, path)
	}
	switch {
	case f.overwrite:
		opts.Existing = restore.Overwrite
	case f.skip:
		opts.Existing = restore.Skip
	}
	out := restored{CID: root, Target: target}
	if abs, err := filepath.Abs(target); err == nil {
		out.Target = abs
	}
	// The session is open before anything is fetched, so that no collection takes
	// what comes before it was read.
	err = a.withBlocks(cmd.Context(), !f.noFetch, func(x *access, b blocks) error {
		if x.daemon != nil && !f.noFetch && len(opts.Include) == 0 {
			res, err := a.fetch(cmd.Context(), x.daemon, root, api.FetchRequest{}, f.fetchFlags)
			if err != nil {
				return err
			}
			out.Fetched = &res
			if res.FetchedBlocks > 0 {
				a.noteFetch(res)
			}
		}
		if err := protect(cmd.Context(), b, root); err != nil {
			return withoutDaemon(x, hintFetch(err, root))
		}
		out.Result, err = a.put(cmd.Context(), b, root, target, opts)
		return withoutDaemon(x, err)
	})
	if err != nil {
		return restoreHint(cmd.Context(), err, out.Wrote())
	}
	out.Partial = out.Result.Partial()
	if err := a.print(out, func(w io.Writer) { fmt.Fprintln(w, out.Target) }); err != nil {
		return err
	}
	a.note("%s restored, %s written, %s present already; %.2f s, %s", plural(out.Files, "file"), size(out.Bytes),
		count(out.Present), out.Seconds, rate(out.Bytes, out.Seconds))
	return a.problems(out.Problems, "the snapshot was not restored as recorded")
}

// put restores from b, and shows how it goes.
func (a *app) put(ctx context.Context, b blocks, root block.ID, target string, opts restore.Options) (restore.Result, error) {
	m := a.meter("restore")
	defer m.close()
	if m != nil {
		var total int64
		if r, err := snapshot.LoadRoot(ctx, b, root); err == nil && len(opts.Include) == 0 {
			total = int64(r.Stats.Bytes)
		}
		opts.Progress = func(p snapshot.Progress) {
			m.set(p.Bytes, total, plural(p.Files, "file")+"  "+p.Path)
		}
	}
	return restore.Snapshot(ctx, b, root, target, opts)
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
