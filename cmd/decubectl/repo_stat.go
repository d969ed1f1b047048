package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/decube/decube/api"
)

func newRepoStatCommand(e *env) *cobra.Command {
	return &cobra.Command{
		Use:     "stat",
		Short:   "Show what the block store holds and may hold",
		Example: "  decubectl repo stat\n  decubectl repo stat --json | jq .free_bytes",
		Args:    noArgs,
		RunE:    runs(e, nil, runRepoStat),
	}
}

func runRepoStat(ctx context.Context, e *env) error {
	return e.withRepo(ctx, func(x *access) error {
		st, err := x.RepoStat(ctx)
		if err != nil {
			return err
		}
		return e.print(st, func(w io.Writer) { showRepo(w, &st) })
	})
}

func showRepo(w io.Writer, st *api.RepoStat) {
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
}
