package main

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/decube/decube/block"
	"github.com/decube/decube/snapshot"
)

// snapshotCatOptions are the inputs of snapshot cat.
type snapshotCatOptions struct {
	root           block.ID
	path           string
	offset, length int64 // a length of -1 is all
}

func newSnapshotCatCommand(e *env) *cobra.Command {
	o := new(snapshotCatOptions)
	cmd := &cobra.Command{
		Use:     "cat CID[/PATH] [PATH]",
		Short:   "Write a file of a snapshot to standard output",
		Example: "  decubectl snapshot cat bafyrei... etc/hosts\n  decubectl snapshot cat bafyrei.../db.sql | psql",
		Args:    wants(1, 2, "a CID and a path in it"),
		RunE:    runs(e, o.parse, o.run),
	}
	cmd.Flags().Int64Var(&o.offset, "offset", 0, "begin at this byte")
	cmd.Flags().Int64Var(&o.length, "length", -1, "write so many bytes; -1 is all")
	return cmd
}

func (o *snapshotCatOptions) parse(args []string) (err error) {
	switch {
	case o.offset < 0:
		return usageError("--offset %d: want 0, or more", o.offset)
	case o.length < -1:
		return usageError("--length %d: want -1 for all, or more", o.length)
	}
	o.root, o.path, err = parsePath(strings.Join(args, "/"))
	return err
}

func (o *snapshotCatOptions) run(ctx context.Context, e *env) error {
	return e.withBlocks(ctx, true, func(x *access, b blocks) error {
		_, err := snapshot.Cat(ctx, b, o.root, o.path, e.stdout, o.offset, o.length)
		return browseHint(x, err)
	})
}
