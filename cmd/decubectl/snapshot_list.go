package main

import (
	"context"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/decube/decube/api"
)

// snapshotListOptions are the inputs of snapshot list: what is not empty must be equal.
type snapshotListOptions struct{ label, host string }

func newSnapshotListCommand(e *env) *cobra.Command {
	o := new(snapshotListOptions)
	cmd := &cobra.Command{
		Use:     "list",
		Aliases: []string{"ls-roots"},
		Short:   "List the snapshots that are kept",
		Example: "  decubectl snapshot list\n  decubectl snapshot list --label nightly --json | tail -1 | jq -r .cid",
		Args:    noArgs,
		RunE:    runs(e, nil, o.run),
	}
	cmd.Flags().StringVar(&o.label, "label", "", "only snapshots of this name")
	cmd.Flags().StringVar(&o.host, "host", "", "only snapshots of this host")
	return cmd
}

func (o *snapshotListOptions) run(ctx context.Context, e *env) error {
	return e.withRepo(ctx, func(x *access) error {
		all, err := x.Snapshots(ctx)
		if err != nil {
			return err
		}
		// A list may be short for a reason that is not the user's.
		if st, err := x.RepoStat(ctx); err == nil && st.Problem != "" {
			e.warn("%s", st.Problem)
		}
		var chosen []api.Snapshot
		for _, s := range all {
			if o.chooses(&s) {
				chosen = append(chosen, s)
			}
		}
		return printEach(e, chosen, func(w io.Writer) { listSnapshots(w, chosen) })
	})
}

func (o *snapshotListOptions) chooses(s *api.Snapshot) bool {
	return (o.label == "" || s.Label == o.label) && (o.host == "" || s.Host == o.host)
}

func listSnapshots(w io.Writer, all []api.Snapshot) {
	if len(all) == 0 {
		return
	}
	var rows []row
	for _, s := range all {
		note := s.Label
		if s.Partial {
			note = strings.TrimSpace(note + " (partial)")
		}
		rows = append(rows, row{s.CID, when(s.Created), count(s.Files), size(s.Bytes), s.Host, s.Source, note})
	}
	printTable(w, row{"cid", "created", "files", "size", "host", "source", "label"}, rows)
}
