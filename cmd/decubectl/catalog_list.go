package main

import (
	"context"
	"io"

	"github.com/spf13/cobra"

	"github.com/decube/decube/api"
	"github.com/decube/decube/api/client"
)

// catalogListMax is the most documents that a node lists at once.
const catalogListMax = 1000

// catalogListOptions are the inputs of catalog list.
type catalogListOptions struct{ list client.CatalogList }

func newCatalogListCommand(e *env) *cobra.Command {
	o := new(catalogListOptions)
	cmd := &cobra.Command{
		Use:   "list [COLLECTION]",
		Short: "List documents",
		Long: `Lists documents in order of their exact paths: all of them, those of a COLLECTION in
every space, of ~PEER/COLLECTION in one, or all of ~PEER.`,
		Example: `  decubectl catalog list images
  decubectl catalog list --limit 1000 --json | jq -r .path
  decubectl catalog list images --after images/debian/13`,
		Args: wants(0, 1, "one collection, or none"),
		RunE: runs(e, o.parse, o.run),
	}
	cmd.Flags().IntVar(&o.list.Limit, "limit", 100, "list at most so many, 1 to 1000")
	cmd.Flags().StringVar(&o.list.After, "after", "", "list what comes after this exact `PATH`, such as the last one of the list before")
	return cmd
}

func (o *catalogListOptions) parse(args []string) (err error) {
	if o.list.Limit < 1 || o.list.Limit > catalogListMax {
		return usageError("--limit %d: want 1 to %d", o.list.Limit, catalogListMax)
	}
	if o.list.After != "" {
		if _, err := parseDocumentPath(o.list.After); err != nil {
			return usageError("--after: %w", err)
		}
	}
	if len(args) > 0 {
		o.list.Space, o.list.Collection, err = parseCollection(args[0])
	}
	return err
}

func (o *catalogListOptions) run(ctx context.Context, e *env) error {
	c, err := e.daemon(ctx)
	if err != nil {
		return err
	}
	all, err := c.CatalogList(ctx, o.list)
	if err != nil {
		return err
	}
	if err := printEach(e, all, func(w io.Writer) { showDocuments(w, all) }); err != nil {
		return err
	}
	if n := len(all); n == o.list.Limit {
		e.note("There may be more: --after %q goes on from here.", all[n-1].Path)
	}
	return nil
}

func showDocuments(w io.Writer, all []api.CatalogDocument) {
	rows := make([]row, len(all))
	for i := range all {
		rows[i] = row{when(all[i].Time), len(all[i].Fields), showText(all[i].Path)}
	}
	printTable(w, row{"changed", "fields", "path"}, rows)
}
