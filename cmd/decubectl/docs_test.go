package main

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// testRoot returns the commands, in an environment that says nothing.
func testRoot() *cobra.Command {
	return newRootCommand(&env{stdin: strings.NewReader(""), stdout: io.Discard, stderr: io.Discard})
}

// TestReference holds docs/cli.md, which has the help of every command, against
// the commands.
func TestReference(t *testing.T) {
	var got strings.Builder
	writeReference(&got, testRoot())
	golden := filepath.Join("..", "..", "docs", "cli.md")
	if os.Getenv("DECUBE_UPDATE_GOLDEN") != "" {
		if err := os.WriteFile(golden, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got.String() != string(want) {
		t.Error("docs/cli.md is not what the commands say: run make golden")
	}
}

// TestEveryCommandIsExplained keeps commands from being added without help, or twice.
func TestEveryCommandIsExplained(t *testing.T) {
	var check func(cmd *cobra.Command)
	check = func(cmd *cobra.Command) {
		if cmd.Short == "" || strings.HasSuffix(cmd.Short, ".") {
			t.Errorf("%s: short help %q", cmd.CommandPath(), cmd.Short)
		}
		if !cmd.HasSubCommands() && cmd.Runnable() && cmd.Example == "" {
			t.Errorf("%s has no example", cmd.CommandPath())
		}
		if cmd.Args == nil && cmd.Name() != "help" { // cobra's own
			t.Errorf("%s does not say which arguments it wants", cmd.CommandPath())
		}
		names := map[string]bool{}
		for _, sub := range cmd.Commands() {
			if names[sub.Name()] {
				t.Errorf("%s is there twice", sub.CommandPath())
			}
			names[sub.Name()] = true
			check(sub)
		}
	}
	root := testRoot()
	root.Short, root.Example = "the program", "itself"
	check(root)
}

func TestManPages(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "man1")
	if code := run([]string{"docs", "man", dir}, strings.NewReader(""), io.Discard, io.Discard); code != 0 {
		t.Fatalf("exit code %d", code)
	}
	page, err := os.ReadFile(filepath.Join(dir, "decubectl-snapshot-create.1"))
	if err != nil || !strings.Contains(string(page), "one-file-system") {
		t.Errorf("%v: %.200s", err, page)
	}
}
