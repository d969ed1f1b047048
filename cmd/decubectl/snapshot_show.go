package main

import (
	"context"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/decube/decube/api"
	"github.com/decube/decube/block"
)

// snapshotShowOptions are the inputs of snapshot show.
type snapshotShowOptions struct{ root block.ID }

func newSnapshotShowCommand(e *env) *cobra.Command {
	o := new(snapshotShowOptions)
	return &cobra.Command{
		Use:     "show CID",
		Short:   "Show the summary of a snapshot",
		Example: "  decubectl snapshot show bafyrei...",
		Args:    wants(1, 1, "one CID"),
		RunE:    runs(e, o.parse, o.run),
	}
}

func (o *snapshotShowOptions) parse(args []string) (err error) {
	o.root, err = parseRoot(args[0])
	return err
}

func (o *snapshotShowOptions) run(ctx context.Context, e *env) error {
	return e.withRepo(ctx, func(x *access) error {
		snap, err := x.Snapshot(ctx, o.root)
		if err != nil {
			return hintFetch(err, o.root)
		}
		return e.print(snap, func(w io.Writer) { showSnapshot(w, snap) })
	})
}

func showSnapshot(w io.Writer, s api.Snapshot) {
	printFields(w, "CID", s.CID, "Created", when(s.Created), "Host", s.Host, "Source", s.Source, "Label", s.Label)
	if len(s.Tags) > 0 {
		printFields(w, "Tags", strings.Join(s.Tags, ", "))
	}
	if s.Parent != nil {
		printFields(w, "Parent", *s.Parent)
	}
	printFields(w, "Files", count(s.Files), "Directories", count(s.Dirs), "Size", size(s.Bytes), "Chunks", count(s.Chunks))
	switch {
	case s.PinnedAt != nil:
		printFields(w, "Kept", "since "+when(*s.PinnedAt))
	default:
		printFields(w, "Kept", "no")
	}
	if s.Complete != nil {
		printFields(w, "Complete", *s.Complete)
	}
	if s.Partial {
		printFields(w, "Partial", "something could not be read when the snapshot was taken")
	}
}
