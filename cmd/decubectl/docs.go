package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

// docsCommand generates the documents that are made from the commands themselves.
func (a *app) docsCommand() *cobra.Command {
	man := &cobra.Command{
		Use:     "man DIR",
		Short:   "Write man pages into a directory",
		Example: "  decubectl docs man /usr/local/share/man/man1",
		Args:    wants(1, 1, "one directory"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := os.MkdirAll(args[0], 0o755); err != nil { //nolint:gosec // man pages are for everybody
				return fmt.Errorf("making the directory for man pages: %w", err)
			}
			root := cmd.Root()
			root.DisableAutoGenTag = true
			header := &doc.GenManHeader{Title: "DECUBECTL", Section: "1", Source: "DeCube", Manual: "DeCube manual"}
			if err := doc.GenManTree(root, header, args[0]); err != nil {
				return fmt.Errorf("writing man pages into %s: %w", args[0], err)
			}
			return nil
		},
	}
	cmd := group("docs", "Generate documents", man)
	cmd.Hidden = true
	return cmd
}
