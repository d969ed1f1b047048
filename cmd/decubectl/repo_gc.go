package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/decube/decube/api"
)

// gcOptions are the inputs of gc, which is repo gc too.
type gcOptions struct{ api.GCRequest }

func newGCCommand(e *env) *cobra.Command {
	o := new(gcOptions)
	cmd := &cobra.Command{
		Use:     "gc",
		Short:   "Remove blocks that no snapshot needs",
		Example: "  decubectl gc --dry-run\n  decubectl gc",
		Args:    noArgs,
		RunE:    runs(e, nil, o.run),
	}
	cmd.Flags().BoolVar(&o.DryRun, "dry-run", false, "only say what would be removed")
	return cmd
}

func (o *gcOptions) run(ctx context.Context, e *env) error {
	return e.withRepo(ctx, func(x *access) error {
		m := e.meter("gc")
		res, err := x.GC(ctx, o.GCRequest, m.work)
		m.close()
		if err != nil {
			return err
		}
		return e.print(res, func(w io.Writer) {
			verb := "removed"
			if res.DryRun {
				verb = "would remove"
			}
			fmt.Fprintf(w, "%s %s, %s; %s given back; kept %s, %s; in %.2f s\n", verb, plural(res.Removed, "block"),
				size(res.RemovedBytes), size(res.FreedBytes), plural(res.Kept, "block"), size(res.KeptBytes), res.Seconds)
		})
	})
}
