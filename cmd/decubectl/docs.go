package main

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

// newDocsCommand returns the commands that write documents about all commands. They are
// about the tree of commands itself, and so the only ones that look at it.
func newDocsCommand(e *env) *cobra.Command {
	man := &cobra.Command{
		Use:     "man DIR",
		Short:   "Write man pages into a directory",
		Example: "  decubectl docs man /usr/local/share/man/man1",
		Args:    wants(1, 1, "one directory"),
		RunE:    func(cmd *cobra.Command, args []string) error { return writeManPages(cmd.Root(), args[0]) },
	}
	reference := &cobra.Command{
		Use:     "reference",
		Short:   "Write the reference of all commands, docs/cli.md",
		Example: "  decubectl docs reference > docs/cli.md",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			writeReference(e.stdout, cmd.Root())
			return nil
		},
	}
	cmd := group("docs", "Generate documents", man, reference)
	cmd.Hidden = true
	return cmd
}

// writeManPages writes a page for each command into a directory, which it makes.
func writeManPages(root *cobra.Command, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("making the directory for man pages: %w", err)
	}
	root.DisableAutoGenTag = true
	header := &doc.GenManHeader{Title: "DECUBECTL", Section: "1", Source: "DeCube", Manual: "DeCube manual"}
	if err := doc.GenManTree(root, header, dir); err != nil {
		return fmt.Errorf("writing man pages into %s: %w", dir, err)
	}
	return nil
}

// referenceIntro begins docs/cli.md.
const referenceIntro = `# Command line: decubectl

<!-- Written by "decubectl docs reference"; "make golden" writes it anew. -->

decubectl reads and writes files with the rights of the person who calls it: it walks, chunks and hashes by itself, asks the node's daemon which chunks are missing
and streams only those to it. It finds the daemon by the repository. Without a daemon it opens the repository itself, and says so; then nothing can be fetched from peers. A repository that it cannot write, it opens for reading only.

- **Output.** Data goes to standard output; progress, notes and errors go to standard error. ` + "`--json`" + ` prints one object a line, for every command. Progress is shown on a terminal only,
  or written to standard error as JSON with ` + "`--progress`" + `; ` + "`--quiet`" + ` leaves notes out too. There are no colours, so ` + "`NO_COLOR`" + ` holds always.
- **Arguments.** A snapshot is named by its CID (bafyrei...). Where a command takes a path in it, ` + "`CID/path`" + ` works too. Peers, validators and owners are named by peer ID (12D3Koo...),
  transactions by their ID, 64 hexadecimal digits.
- **Ledger.** ` + "`receipt verify`, `ledger genesis`" + ` need neither a daemon nor a network; all else about the ledger is asked of the daemon.
- **Interruption.** Ctrl-C stops cleanly; create, fetch and restore go on from there when they are called again.
- **Files.** ` + "`$DECUBE_PATH`" + ` or ` + "`~/.decube`" + ` is the repository. What unchanged files looked like is remembered below the user's cache directory, in ` + "`decube/stat`" + `; that may be deleted at any time.
- **Unchanged files.** ` + "`snapshot create`" + ` does not read a file again whose inode number, size, mode, owner, modification time and change time are what they were, once those times are a minute old by the clock
  of the machine that keeps the file. What changes content and none of these cannot be seen so, and waits for a change that can, or for ` + "`--no-cache`" + `: docs/design/snapshot.md lists it.

| exit code | meaning |
|---|---|
| 0 | ok |
| 1 | failed |
| 2 | wrong usage: an argument, a flag or a configuration value |
| 3 | done in part; what is missing was reported |
| 10 | no repository where one was expected |
| 11 | the repository is in use by another process |
| 12 | not authorised |
| 13 | the daemon cannot be reached |
| 14 | timed out, nobody has what was looked for, or a transaction is in no block yet |
| 15 | not found: this node does not have what was named |
| 16 | an address is in use by another program |
| 130, 143 | interrupted by SIGINT (Ctrl-C), SIGTERM |
`

// writeReference writes the help of every command.
func writeReference(w io.Writer, root *cobra.Command) {
	fmt.Fprint(w, referenceIntro)
	fmt.Fprintf(w, "\n## Flags of every command\n\n```\n%s```\n", root.PersistentFlags().FlagUsages())
	for _, cmd := range root.Commands() {
		writeCommand(w, cmd)
	}
}

func writeCommand(w io.Writer, cmd *cobra.Command) {
	if !cmd.IsAvailableCommand() {
		return
	}
	if !cmd.HasAvailableSubCommands() || cmd.HasAvailableLocalFlags() && cmd.LocalNonPersistentFlags().HasAvailableFlags() {
		text := cmd.Long
		if text == "" {
			text = cmd.Short + "."
		}
		fmt.Fprintf(w, "\n## %s\n\n%s\n\n```\n%s\n", cmd.CommandPath(), text, cmd.UseLine())
		if flags := cmd.LocalNonPersistentFlags().FlagUsages(); flags != "" {
			fmt.Fprintf(w, "\n%s", flags)
		}
		fmt.Fprintln(w, "```")
		if cmd.Example != "" {
			fmt.Fprintf(w, "\n```\n%s\n```\n", strings.ReplaceAll(strings.TrimPrefix(cmd.Example, "  "), "\n  ", "\n"))
		}
	}
	for _, sub := range cmd.Commands() {
		writeCommand(w, sub)
	}
}
