package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"

	"github.com/spf13/cobra"

	"github.com/decube/decube/block"
	"github.com/decube/decube/snapshot"
	"github.com/decube/decube/snapshot/manifest"
)

// snapshotLsOptions are the inputs of snapshot ls.
type snapshotLsOptions struct {
	root            block.ID
	path            string // in the snapshot, empty for its top
	long, recursive bool
}

func newSnapshotLsCommand(e *env) *cobra.Command {
	o := new(snapshotLsOptions)
	cmd := &cobra.Command{
		Use:     "ls CID[/PATH] [PATH]",
		Short:   "List what is in a snapshot",
		Example: "  decubectl snapshot ls bafyrei...\n  decubectl snapshot ls -l bafyrei.../src\n  decubectl snapshot ls -R bafyrei... --json | jq -r .path",
		Args:    wants(1, 2, "a CID, and a path in it at most"),
		RunE:    runs(e, o.parse, o.run),
	}
	cmd.Flags().BoolVarP(&o.long, "long", "l", false, "show type, mode, owner, size and time")
	cmd.Flags().BoolVarP(&o.recursive, "recursive", "R", false, "list what is in directories too")
	return cmd
}

func (o *snapshotLsOptions) parse(args []string) (err error) {
	o.root, o.path, err = parsePath(strings.Join(args, "/"))
	return err
}

func (o *snapshotLsOptions) run(ctx context.Context, e *env) error {
	return e.withBlocks(ctx, true, func(x *access, b blocks) error {
		items := snapshot.List(ctx, b, o.root, o.path)
		if o.recursive {
			items = below(snapshot.Walk(ctx, b, o.root), o.path)
			if _, err := snapshot.Lookup(ctx, b, o.root, o.path); err != nil {
				return browseHint(x, err)
			}
		}
		return browseHint(x, o.list(e, items))
	})
}

// below filters what lies at or below path. A walk comes past it as a whole, so it
// ends behind.
func below(items iter.Seq2[snapshot.Item, error], path string) iter.Seq2[snapshot.Item, error] {
	if path == "" {
		return items
	}
	return func(yield func(snapshot.Item, error) bool) {
		for it, err := range items {
			if err != nil || it.Path == path || strings.HasPrefix(it.Path, path+"/") {
				if !yield(it, err) {
					return
				}
			}
		}
	}
}

// list prints items as they come.
func (o *snapshotLsOptions) list(e *env, items iter.Seq2[snapshot.Item, error]) error {
	w := bufio.NewWriter(e.stdout)
	out := *e
	out.stdout = w
	for it, err := range items {
		if err != nil {
			return errors.Join(err, w.Flush())
		}
		if it.Path == "" { // the top itself
			continue
		}
		l := toListed(it.Path, it.Entry)
		err := out.print(l, func(w io.Writer) {
			switch {
			case o.long:
				fmt.Fprintln(w, l.long())
			case it.Entry.Type == manifest.Dir:
				fmt.Fprintln(w, printable(l.Path)+"/")
			default:
				fmt.Fprintln(w, printable(l.Path))
			}
		})
		if err != nil {
			return err
		}
	}
	return w.Flush()
}
