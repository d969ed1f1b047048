package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/decube/decube/api/client"
)

// catalogRmOptions are the inputs of catalog rm.
type catalogRmOptions struct{ path client.CatalogPath }

func newCatalogRmCommand(e *env) *cobra.Command {
	o := new(catalogRmOptions)
	return &cobra.Command{
		Use:   "rm COLLECTION/KEY",
		Short: "Delete a document, as far as this node has seen it",
		Long: `Deletes a document: all of it that this node has seen. What others have written without
knowledge of that stays, and so the document may be there again once messages flow. That
there is no document is no error. In a public swarm the one in this node's own space
is deleted.`,
		Example: "  decubectl catalog rm images/debian/13",
		Args:    wants(1, 1, "the path of one document"),
		RunE:    runs(e, o.parse, o.run),
	}
}

func (o *catalogRmOptions) parse(args []string) (err error) {
	o.path, err = parseDocumentPath(args[0])
	return err
}

func (o *catalogRmOptions) run(ctx context.Context, e *env) error {
	c, err := e.daemon(ctx)
	if err != nil {
		return err
	}
	out, err := c.CatalogDelete(ctx, o.path)
	if err != nil {
		return fmt.Errorf("deleting %s: %w", o.path, err)
	}
	return e.print(out, func(w io.Writer) { showWritten(w, &out) })
}
