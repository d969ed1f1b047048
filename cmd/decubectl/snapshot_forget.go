package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/decube/decube/block"
)

// snapshotForgetOptions are the inputs of snapshot forget.
type snapshotForgetOptions struct{ roots []block.ID }

func newSnapshotForgetCommand(e *env) *cobra.Command {
	o := new(snapshotForgetOptions)
	return &cobra.Command{
		Use:     "forget CID...",
		Short:   "Stop keeping snapshots",
		Long:    "Stops keeping snapshots. Their blocks stay until garbage is collected, unless another\nsnapshot needs them.",
		Example: "  decubectl snapshot forget bafyrei...\n  decubectl gc",
		Args:    wants(1, -1, "a CID, or several"),
		RunE:    runs(e, o.parse, o.run),
	}
}

func (o *snapshotForgetOptions) parse(args []string) error {
	for _, arg := range args {
		root, err := parseRoot(arg)
		if err != nil {
			return err
		}
		o.roots = append(o.roots, root)
	}
	return nil
}

// forgotten is what is printed of a snapshot with --json.
type forgotten struct {
	CID string `json:"forgotten"`
}

func (o *snapshotForgetOptions) run(ctx context.Context, e *env) error {
	return e.withRepo(ctx, func(x *access) error {
		for _, root := range o.roots {
			if err := x.Forget(ctx, root); err != nil {
				return err
			}
			if err := e.print(forgotten{root.String()}, func(w io.Writer) { fmt.Fprintln(w, "forgot", root) }); err != nil {
				return err
			}
		}
		return nil
	})
}
