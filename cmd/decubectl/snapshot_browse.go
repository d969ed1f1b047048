package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/decube/decube/snapshot"
	"github.com/decube/decube/snapshot/manifest"
)

// listed is an entry of a snapshot as it is printed with --json.
type listed struct {
	Path   string   `json:"path"`
	Raw    []byte   `json:"path_bytes,omitempty"` // where the path is not UTF-8
	Type   string   `json:"type"`
	Mode   string   `json:"mode"`
	UID    uint64   `json:"uid"`
	GID    uint64   `json:"gid"`
	User   string   `json:"user,omitempty"`
	Group  string   `json:"group,omitempty"`
	Size   uint64   `json:"size"`
	Time   fileTime `json:"mtime"`
	Target string   `json:"target,omitempty"`
	Device []uint64 `json:"device,omitempty"`
}

func toListed(path string, e *snapshot.Entry) *listed {
	if e == nil {
		return nil
	}
	l := &listed{
		Path: path, Type: e.Type.String(), Mode: fmt.Sprintf("%04o", e.Mode),
		UID: e.UID, GID: e.GID, User: e.User, Group: e.Group,
		Size: e.Size, Time: fileTime{e.ModTime.Time()}, Target: string(e.Target), Device: e.Device,
	}
	if !utf8.ValidString(path) {
		l.Raw = []byte(path)
	}
	return l
}

// fileTime is a time of a file, which may be of any year.
type fileTime struct{ time.Time }

// MarshalJSON writes a time as RFC 3339 does and, of years that it does not know, as ISO
// 8601 does: with a sign.
func (t fileTime) MarshalJSON() ([]byte, error) {
	year := t.Year()
	if year >= 0 && year <= 9999 {
		return t.Time.MarshalJSON()
	}
	sign := '+'
	if year < 0 {
		sign, year = '-', -year
	}
	return fmt.Appendf(nil, `"%c%06d%s"`, sign, year, t.Format("-01-02T15:04:05.999999999Z07:00")), nil
}

// long is the entry as a line of ls -l.
func (l *listed) long() string {
	name := printable(l.Path)
	if l.Target != "" {
		name += " -> " + printable(l.Target)
	}
	owner, group := l.User, l.Group
	if owner == "" {
		owner = fmt.Sprint(l.UID)
	}
	if group == "" {
		group = fmt.Sprint(l.GID)
	}
	return fmt.Sprintf("%-9s %s %-8s %-8s %12d %s %s", l.Type, l.Mode, owner, group, l.Size, when(l.Time.Time), name)
}

// printable replaces what would confuse a terminal.
func printable(path string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return '?'
		}
		return r
	}, strings.ToValidUTF8(path, "?"))
}

func (a *app) snapshotLs() *cobra.Command {
	var long, recursive bool
	cmd := &cobra.Command{
		Use:     "ls CID[/PATH] [PATH]",
		Short:   "List what is in a snapshot",
		Example: "  decubectl snapshot ls bafyrei...\n  decubectl snapshot ls -l bafyrei.../src\n  decubectl snapshot ls -R bafyrei... --json | jq -r .path",
		Args:    wants(1, 2, "a CID, and a path in it at most"),
		RunE: func(cmd *cobra.Command, args []string) error {
			root, path, err := parsePath(strings.Join(args, "/"))
			if err != nil {
				return err
			}
			return a.withBlocks(cmd.Context(), true, func(x *access, b blocks) error {
				items := snapshot.List(cmd.Context(), b, root, path)
				if recursive {
					items = below(snapshot.Walk(cmd.Context(), b, root), path)
					if _, err := snapshot.Lookup(cmd.Context(), b, root, path); err != nil {
						return browseHint(x, err)
					}
				}
				return browseHint(x, a.list(items, long))
			})
		},
	}
	cmd.Flags().BoolVarP(&long, "long", "l", false, "show type, mode, owner, size and time")
	cmd.Flags().BoolVarP(&recursive, "recursive", "R", false, "list what is in directories too")
	return cmd
}

// below filters what lies at or below path. A walk comes past it as a whole, so it
// ends behind.
func below(items iter.Seq2[snapshot.Item, error], path string) iter.Seq2[snapshot.Item, error] {
	if path == "" {
		return items
	}
	return func(yield func(snapshot.Item, error) bool) {
		for it, err := range items {
			if err != nil || it.Path == path || strings.HasPrefix(it.Path, path+"/") {
				if !yield(it, err) {
					return
				}
			}
		}
	}
}

// list prints items as they come.
func (a *app) list(items iter.Seq2[snapshot.Item, error], long bool) error {
	w := bufio.NewWriter(a.stdout)
	out := *a
	out.stdout = w
	for it, err := range items {
		if err != nil {
			return errors.Join(err, w.Flush())
		}
		if it.Path == "" { // the top itself
			continue
		}
		l := toListed(it.Path, it.Entry)
		err := out.print(l, func(w io.Writer) {
			switch {
			case long:
				fmt.Fprintln(w, l.long())
			case it.Entry.Type == manifest.Dir:
				fmt.Fprintln(w, printable(l.Path)+"/")
			default:
				fmt.Fprintln(w, printable(l.Path))
			}
		})
		if err != nil {
			return err
		}
	}
	return w.Flush()
}

func (a *app) snapshotCat() *cobra.Command {
	var offset, length int64
	cmd := &cobra.Command{
		Use:     "cat CID[/PATH] [PATH]",
		Short:   "Write a file of a snapshot to standard output",
		Example: "  decubectl snapshot cat bafyrei... etc/hosts\n  decubectl snapshot cat bafyrei.../db.sql | psql",
		Args:    wants(1, 2, "a CID and a path in it"),
		RunE: func(cmd *cobra.Command, args []string) error {
			root, path, err := parsePath(strings.Join(args, "/"))
			if err != nil {
				return err
			}
			return a.withBlocks(cmd.Context(), true, func(x *access, b blocks) error {
				_, err := snapshot.Cat(cmd.Context(), b, root, path, a.stdout, offset, length)
				return browseHint(x, err)
			})
		},
	}
	cmd.Flags().Int64Var(&offset, "offset", 0, "begin at this byte")
	cmd.Flags().Int64Var(&length, "length", -1, "write so many bytes; -1 is all")
	return cmd
}

// changed is a change as it is printed with --json.
type changed struct {
	Path   string              `json:"path"`
	Raw    []byte              `json:"path_bytes,omitempty"`
	Kind   snapshot.ChangeKind `json:"kind"`
	Before *listed             `json:"before,omitempty"`
	After  *listed             `json:"after,omitempty"`
}

// signs are what stands before a path in the output of diff.
var signs = map[snapshot.ChangeKind]string{
	snapshot.Added: "+", snapshot.Removed: "-", snapshot.Modified: "M", snapshot.Metadata: "U", snapshot.Replaced: "T",
}

func (a *app) snapshotDiff() *cobra.Command {
	return &cobra.Command{
		Use:   "diff CID CID",
		Short: "Show what changed from one snapshot to another",
		Long: `Shows what changed from the first snapshot to the second, a path a line: + added,
- removed, M other content, U other attributes, T another type.`,
		Example: "  decubectl snapshot diff bafyreia... bafyreib...",
		Args:    wants(2, 2, "two CIDs"),
		RunE: func(cmd *cobra.Command, args []string) error {
			before, err := parseRoot(args[0])
			if err != nil {
				return err
			}
			after, err := parseRoot(args[1])
			if err != nil {
				return err
			}
			return a.withBlocks(cmd.Context(), true, func(x *access, b blocks) error {
				return browseHint(x, a.diff(cmd.Context(), snapshot.Diff(cmd.Context(), b, before, after)))
			})
		},
	}
}

func (a *app) diff(ctx context.Context, changes iter.Seq2[snapshot.Change, error]) error {
	for c, err := range changes {
		if err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		out := changed{Path: c.Path, Kind: c.Kind, Before: toListed(c.Path, c.Before), After: toListed(c.Path, c.After)}
		if !utf8.ValidString(c.Path) {
			out.Raw = []byte(c.Path)
		}
		path := printable(c.Path)
		if path == "" {
			path = "." // the top itself
		}
		if err := a.print(out, func(w io.Writer) { fmt.Fprintln(w, signs[c.Kind], path) }); err != nil {
			return err
		}
	}
	return nil
}

// browseHint says what to do about a snapshot of which something is not here.
func browseHint(x *access, err error) error {
	if err == nil || !isNotFound(err) {
		return err
	}
	return withoutDaemon(x, fmt.Errorf("%w; \"decubectl snapshot fetch CID\" gets what is missing from peers", err))
}
