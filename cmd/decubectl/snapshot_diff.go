package main

import (
	"context"
	"fmt"
	"io"
	"iter"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/decube/decube/block"
	"github.com/decube/decube/snapshot"
)

// changed is a change as it is printed with --json.
type changed struct {
	Path   string              `json:"path"`
	Raw    []byte              `json:"path_bytes,omitempty"`
	Kind   snapshot.ChangeKind `json:"kind"`
	Before *listed             `json:"before,omitempty"`
	After  *listed             `json:"after,omitempty"`
}

// signs are what stands before a path in the output of diff.
var signs = map[snapshot.ChangeKind]string{
	snapshot.Added: "+", snapshot.Removed: "-", snapshot.Modified: "M", snapshot.Metadata: "U", snapshot.Replaced: "T",
}

// snapshotDiffOptions are the inputs of snapshot diff.
type snapshotDiffOptions struct{ before, after block.ID }

func newSnapshotDiffCommand(e *env) *cobra.Command {
	o := new(snapshotDiffOptions)
	return &cobra.Command{
		Use:   "diff CID CID",
		Short: "Show what changed from one snapshot to another",
		Long: `Shows what changed from the first snapshot to the second, a path a line: + added,
- removed, M other content, U other attributes, T another type.`,
		Example: "  decubectl snapshot diff bafyreia... bafyreib...",
		Args:    wants(2, 2, "two CIDs"),
		RunE:    runs(e, o.parse, o.run),
	}
}

func (o *snapshotDiffOptions) parse(args []string) (err error) {
	if o.before, err = parseRoot(args[0]); err != nil {
		return err
	}
	o.after, err = parseRoot(args[1])
	return err
}

func (o *snapshotDiffOptions) run(ctx context.Context, e *env) error {
	return e.withBlocks(ctx, true, func(x *access, b blocks) error {
		return browseHint(x, printChanges(ctx, e, snapshot.Diff(ctx, b, o.before, o.after)))
	})
}

// printChanges prints changes as they come.
func printChanges(ctx context.Context, e *env, changes iter.Seq2[snapshot.Change, error]) error {
	for c, err := range changes {
		if err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		out := changed{Path: c.Path, Kind: c.Kind, Before: toListed(c.Path, c.Before), After: toListed(c.Path, c.After)}
		if !utf8.ValidString(c.Path) {
			out.Raw = []byte(c.Path)
		}
		path := printable(c.Path)
		if path == "" {
			path = "." // the top itself
		}
		if err := e.print(out, func(w io.Writer) { fmt.Fprintln(w, signs[c.Kind], path) }); err != nil {
			return err
		}
	}
	return nil
}
