package main

import "github.com/spf13/cobra"

func newSnapshotCommand(e *env) *cobra.Command {
	return group("snapshot", "Take, fetch and restore snapshots",
		newSnapshotCreateCommand(e), newSnapshotListCommand(e), newSnapshotFindCommand(e), newSnapshotShowCommand(e),
		newSnapshotLsCommand(e), newSnapshotCatCommand(e), newSnapshotDiffCommand(e),
		newSnapshotFetchCommand(e), newSnapshotRestoreCommand(e), newSnapshotVerifyCommand(e), newSnapshotForgetCommand(e))
}
