package main

import "github.com/spf13/cobra"

func newRepoCommand(e *env) *cobra.Command {
	return group("repo", "Look after the block store", newRepoStatCommand(e), newRepoFsckCommand(e), newGCCommand(e))
}
