package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/decube/decube/api"
	"github.com/decube/decube/internal/exitcode"
)

func (a *app) repoCommand() *cobra.Command {
	return group("repo", "Look after the block store", a.repoStat(), a.repoFsck(), a.gcCommand("gc"))
}

func (a *app) repoStat() *cobra.Command {
	return &cobra.Command{
		Use:     "stat",
		Short:   "Show what the block store holds and may hold",
		Example: "  decubectl repo stat\n  decubectl repo stat --json | jq .free_bytes",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.using(cmd.Context(), func(x *access) error {
				st, err := x.RepoStat(cmd.Context())
				if err != nil {
					return err
				}
				return a.print(st, func(w io.Writer) {
					quota := "none"
					if st.Quota > 0 {
						quota = size(st.Quota)
					}
					printFields(w, "Repository", st.Path, "Blocks", count(st.Blocks), "Bytes", size(st.Bytes),
						"On disk", fmt.Sprintf("%s, of which index %s, in %s", size(st.DiskBytes), size(st.IndexBytes), plural(st.Packs, "pack")),
						"Quota", quota, "Disk free", fmt.Sprintf("%s, of which %s stay free", size(st.FreeBytes), size(st.MinFree)),
						"Snapshots", count(st.Pins), "Quarantined", count(st.Quarantined))
					if st.Problem != "" {
						printFields(w, "Problem", st.Problem)
					}
				})
			})
		},
	}
}

func (a *app) repoFsck() *cobra.Command {
	var req api.FsckRequest
	cmd := &cobra.Command{
		Use:   "fsck",
		Short: "Check the block store",
		Long: `Checks that the index and the stored blocks agree, and that every snapshot that is
kept has its blocks. The exit code is 1 when something is wrong.

When the record of what is kept is lost or damaged, nothing is collected any more;
--repair then keeps every snapshot whose root is here, also those given up before.
Without a daemon, --repair also makes a new index when that is missing or damaged.`,
		Example: "  decubectl repo fsck\n  decubectl repo fsck --read-data --repair",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			a.rebuild = req.Repair
			return a.using(cmd.Context(), func(x *access) error {
				m := a.meter("fsck")
				rep, err := x.Fsck(cmd.Context(), req, m.work)
				m.close()
				if err != nil {
					return err
				}
				if err := a.print(rep, func(w io.Writer) { showFsck(w, rep) }); err != nil {
					return err
				}
				if !rep.OK {
					return exitcode.With(fmt.Errorf("the block store in %s is damaged, see above; --repair mends what can be, "+
						"\"decubectl snapshot fetch CID\" gets lost blocks from peers", a.repo), exitcode.Failed)
				}
				return nil
			})
		},
	}
	cmd.Flags().BoolVar(&req.ReadData, "read-data", false, "read and hash every block")
	cmd.Flags().BoolVar(&req.Repair, "repair", false, "rebuild what can be rebuilt, set aside what is damaged")
	return cmd
}

func showFsck(w io.Writer, rep api.FsckReport) {
	for _, text := range rep.Findings {
		fmt.Fprintln(w, text)
	}
	for _, id := range rep.Damaged {
		fmt.Fprintln(w, "damaged block", id)
	}
	for _, s := range rep.Snapshots {
		fmt.Fprintf(w, "snapshot %s lacks %s %s\n", s.CID, plural(s.Missing, "block"), s.Detail)
	}
	for _, s := range rep.Interrupted {
		what := "its block list"
		if s.Missing > 0 {
			what = plural(s.Missing, "block")
		}
		fmt.Fprintf(w, "snapshot %s: its fetch was interrupted, %s to go; \"decubectl snapshot fetch %s\" goes on\n", s.CID, what, s.CID)
	}
	state := "no damage"
	if !rep.OK {
		state = "damaged"
	}
	fmt.Fprintf(w, "%s: %s checked, %s, %s repaired, in %.2f s\n",
		state, plural(rep.Blocks, "block"), size(rep.Bytes), count(rep.Repaired), rep.Seconds)
}

func (a *app) gcCommand(use string) *cobra.Command {
	var req api.GCRequest
	cmd := &cobra.Command{
		Use:     use,
		Short:   "Remove blocks that no snapshot needs",
		Example: "  decubectl gc --dry-run\n  decubectl gc",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.using(cmd.Context(), func(x *access) error {
				m := a.meter("gc")
				res, err := x.GC(cmd.Context(), req, m.work)
				m.close()
				if err != nil {
					return err
				}
				return a.print(res, func(w io.Writer) {
					verb := "removed"
					if res.DryRun {
						verb = "would remove"
					}
					fmt.Fprintf(w, "%s %s, %s; %s given back; kept %s, %s; in %.2f s\n", verb, plural(res.Removed, "block"),
						size(res.RemovedBytes), size(res.FreedBytes), plural(res.Kept, "block"), size(res.KeptBytes), res.Seconds)
				})
			})
		},
	}
	cmd.Flags().BoolVar(&req.DryRun, "dry-run", false, "only say what would be removed")
	return cmd
}
