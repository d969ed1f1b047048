package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/decube/decube/api"
)

func (a *app) snapshotList() *cobra.Command {
	var label, host string
	cmd := &cobra.Command{
		Use:     "list",
		Aliases: []string{"ls-roots"},
		Short:   "List the snapshots that are kept",
		Example: "  decubectl snapshot list\n  decubectl snapshot list --label nightly --json | tail -1 | jq -r .cid",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withRepo(cmd.Context(), func(x *access) error {
				all, err := x.Snapshots(cmd.Context())
				if err != nil {
					return err
				}
				// A list may be short for a reason that is not the user's.
				if st, err := x.RepoStat(cmd.Context()); err == nil && st.Problem != "" {
					a.warn("%s", st.Problem)
				}
				var chosen []api.Snapshot
				for _, s := range all {
					if (label == "" || s.Label == label) && (host == "" || s.Host == host) {
						chosen = append(chosen, s)
					}
				}
				return printEach(a, chosen, func(w io.Writer) { listSnapshots(w, chosen) })
			})
		},
	}
	cmd.Flags().StringVar(&label, "label", "", "only snapshots of this name")
	cmd.Flags().StringVar(&host, "host", "", "only snapshots of this host")
	return cmd
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

func (a *app) snapshotShow() *cobra.Command {
	return &cobra.Command{
		Use:     "show CID",
		Short:   "Show the summary of a snapshot",
		Example: "  decubectl snapshot show bafyrei...",
		Args:    wants(1, 1, "one CID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			root, err := parseRoot(args[0])
			if err != nil {
				return err
			}
			return a.withRepo(cmd.Context(), func(x *access) error {
				snap, err := x.Snapshot(cmd.Context(), root)
				if err != nil {
					return hintFetch(err, root)
				}
				return a.print(snap, func(w io.Writer) { showSnapshot(w, snap) })
			})
		},
	}
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

func (a *app) snapshotForget() *cobra.Command {
	return &cobra.Command{
		Use:     "forget CID...",
		Short:   "Stop keeping snapshots",
		Long:    "Stops keeping snapshots. Their blocks stay until garbage is collected, unless another\nsnapshot needs them.",
		Example: "  decubectl snapshot forget bafyrei...\n  decubectl gc",
		Args:    wants(1, -1, "a CID, or several"),
		RunE: func(cmd *cobra.Command, args []string) error {
			for _, arg := range args {
				if _, err := parseRoot(arg); err != nil {
					return err
				}
			}
			return a.withRepo(cmd.Context(), func(x *access) error {
				for _, arg := range args {
					root, err := parseRoot(arg)
					if err != nil {
						return err
					}
					if err := x.Forget(cmd.Context(), root); err != nil {
						return err
					}
					done := struct {
						CID string `json:"forgotten"`
					}{root.String()}
					if err := a.print(done, func(w io.Writer) { fmt.Fprintln(w, "forgot", root) }); err != nil {
						return err
					}
				}
				return nil
			})
		},
	}
}
