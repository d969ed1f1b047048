package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/decube/decube/api"
	"github.com/decube/decube/api/client"
)

// snapshotFindOptions are the inputs of snapshot find.
type snapshotFindOptions struct{ text string }

func newSnapshotFindCommand(e *env) *cobra.Command {
	o := new(snapshotFindOptions)
	return &cobra.Command{
		Use:   "find TEXT",
		Short: "Find snapshots of the swarm by name, tag or CID",
		Long: `Finds snapshots that peers keep and that have TEXT in their name or in a tag, or whose CID
begins with it. Upper and lower case are the same. With * for any characters, or ? for
one, TEXT is the whole of a name, a tag or a CID.

This node is asked, which has a copy of what all peers say that they keep: it works
while the network does not, and what is new takes a moment to come. Anybody can give
a snapshot any name; PEERS says how many keep it, and with --json who they are. With
--quiet only CIDs are printed. Exit code 15 says that there is none.`,
		Example: `  decubectl snapshot find photos
  decubectl snapshot find 'photos-2026-*' --json | jq -r '.cid, .peers[]'
  decubectl snapshot fetch "$(decubectl snapshot find -q photos-2026-01)"`,
		Args: wants(1, 1, "one text to look for"),
		RunE: runs(e, o.parse, o.run),
	}
}

func (o *snapshotFindOptions) parse(args []string) error {
	if o.text = args[0]; o.text == "" {
		return usageError(`"" is in every name: "decubectl snapshot list --swarm" lists all`)
	}
	return nil
}

func (o *snapshotFindOptions) run(ctx context.Context, e *env) error {
	c, err := e.daemon(ctx)
	if err != nil {
		return err
	}
	all, err := snapshotsOfSwarm(ctx, c)
	if err != nil {
		return err
	}
	found := chosen(all, newSnapshotPattern(o.text).matches)
	if len(found) == 0 {
		return fmt.Errorf("%w: of %s that peers keep none matches %s; \"decubectl snapshot list --swarm\" lists all, \"decubectl catalog status\" shows which peers this node has heard",
			api.ErrNotFound, plural(int64(len(all)), "snapshot"), quoted(o.text))
	}
	return printEach(e, found, func(w io.Writer) {
		if !e.quiet {
			listSwarm(w, found)
			return
		}
		for i := range found {
			fmt.Fprintln(w, found[i].CID)
		}
	})
}

// snapshotsOfSwarm returns what peers say that they keep, as far as the node knows, the newest
// first.
func snapshotsOfSwarm(ctx context.Context, c *client.Client) ([]swarmSnapshot, error) {
	index := swarmIndex{}
	page := client.CatalogList{Collection: keptSnapshots, Limit: catalogListMax}
	for {
		docs, err := c.CatalogList(ctx, page)
		if err != nil {
			return nil, fmt.Errorf("looking up which snapshots the swarm has: %w", err)
		}
		for i := range docs {
			index.add(&docs[i])
		}
		if len(docs) < page.Limit {
			return index.snapshots(), nil
		}
		page.After = docs[len(docs)-1].Path
	}
}

// cellWidth is how many characters of others' texts are in one cell of a table.
const cellWidth = 48

// listSwarm writes snapshots of the swarm as a table.
func listSwarm(w io.Writer, all []swarmSnapshot) {
	if len(all) == 0 {
		return
	}
	rows := make([]row, len(all))
	for i := range all {
		s := &all[i]
		name := "-"
		if s.Name != "" {
			name = brief(showText(s.Name), cellWidth)
		}
		if n := len(s.Others); n > 0 {
			name += fmt.Sprintf(" (and %d more)", n)
		}
		tags := make([]string, len(s.Tags))
		for i, tag := range s.Tags {
			tags[i] = showText(tag)
		}
		rows[i] = row{s.CID, whenSaid(s.Created), count(s.Files), size(s.Bytes), len(s.Peers), name, brief(strings.Join(tags, ", "), cellWidth)}
	}
	printTable(w, row{"cid", "created", "files", "size", "peers", "name", "tags"}, rows)
}

// brief cuts a text off after some characters, and says so.
func brief(s string, most int) string {
	if runes := []rune(s); len(runes) > most {
		return string(runes[:most-1]) + "…"
	}
	return s
}
