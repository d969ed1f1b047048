package main

import "github.com/spf13/cobra"

func (a *app) snapshotCommand() *cobra.Command {
	return group("snapshot", "Take, fetch and restore snapshots",
		a.snapshotCreate(), a.snapshotList(), a.snapshotShow(), a.snapshotLs(), a.snapshotCat(), a.snapshotDiff(),
		a.snapshotFetch(), a.snapshotRestore(), a.snapshotVerify(), a.snapshotForget())
}
