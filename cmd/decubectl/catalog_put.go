package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/decube/decube/api"
	"github.com/decube/decube/api/client"
	"github.com/decube/decube/crdtsync/bundle"
)

// catalogPutOptions are the inputs of catalog put.
type catalogPutOptions struct {
	clear []string // names of fields

	path       client.CatalogPath
	operations []api.CatalogOperation
}

func newCatalogPutCommand(e *env) *cobra.Command {
	o := new(catalogPutOptions)
	cmd := &cobra.Command{
		Use:   "put COLLECTION/KEY FIELD=VALUE...",
		Short: "Change fields of a document, which begins to exist with the first",
		Long: `Changes fields of a document, all of them at once, and returns when the change is on
the node's disk. Peers learn of it when messages flow.

  FIELD=VALUE          give a field a value; FIELD= gives it the empty text
  FIELD[ENTRY]=VALUE   put an entry into a map
  FIELD+=ELEMENT       put an element into a set
  FIELD-=ELEMENT       take an element out of a set, or an entry out of a map
  FIELD++=NUMBER       add to a counter
  FIELD--=NUMBER       subtract from it
  --clear FIELD        empty a field, before anything else is done

The type of a value is guessed: true and false are booleans; 12 is a whole number; 1.5
and 2e9 are numbers; 10GB and 1.5MiB are sizes; 2026-01-02T15:04:05Z is a time; all else
is a text, also a number that begins with zeros. A type before the = is the one that is
used: FIELD:text=12, and number, whole, bool, size and time.

In a public swarm the document is in this node's own space. Exit code 1 says that the
node may not write it, or that its quota does not allow for it.`,
		Example: `  decubectl catalog put images/debian/13 root=bafyrei... size=1.5GiB
  decubectl catalog put images/debian/13 tags+=stable tags-=testing pulls++=1
  decubectl catalog put images/debian/13 mirrors[berlin]=https://berlin.example version:text=13
  decubectl catalog put images/debian/13 --clear tags`,
		Args: wants(1, -1, "the path of a document and what to change in it"),
		RunE: runs(e, o.parse, o.run),
	}
	cmd.Flags().StringArrayVar(&o.clear, "clear", nil, "empty a `FIELD`; may be given several times")
	return cmd
}

func (o *catalogPutOptions) parse(args []string) (err error) {
	if o.path, err = parseDocumentPath(args[0]); err != nil {
		return err
	}
	for _, field := range o.clear {
		op := bundle.Operation{Kind: bundle.Clear, Field: field, Document: args[0]}
		if !op.Known() {
			return usageError("--clear %q: want the name of a field, UTF-8 of at most %d bytes", field, bundle.MaxField)
		}
		o.operations = append(o.operations, api.CatalogOperation{Op: api.CatalogClear, Field: field})
	}
	for _, arg := range args[1:] {
		op, err := parseAssignment(arg)
		if err != nil {
			return err
		}
		o.operations = append(o.operations, catalogOperation(&op))
	}
	switch n := len(o.operations); {
	case n == 0:
		return usageError("nothing to change in %s: want %s, or --clear FIELD", args[0], assignmentForms)
	case n > bundle.MaxOperations:
		return usageError("%d changes at once, want at most %d", n, bundle.MaxOperations)
	}
	return nil
}

// catalogOperation returns an operation as the API has it.
func catalogOperation(o *bundle.Operation) api.CatalogOperation {
	out := api.CatalogOperation{Field: o.Field, Element: o.Element}
	switch o.Kind {
	case bundle.Count:
		out.Op, out.Amount = api.CatalogCount, o.Value.Whole()
		return out
	case bundle.Add:
		out.Op = api.CatalogAdd
	case bundle.Remove:
		out.Op = api.CatalogRemove
	default:
		out.Op = api.CatalogSet
	}
	if o.Value.Type() != bundle.None {
		out.Value = new(api.NewCatalogValue(o.Value))
	}
	return out
}

func (o *catalogPutOptions) run(ctx context.Context, e *env) error {
	c, err := e.daemon(ctx)
	if err != nil {
		return err
	}
	out, err := c.CatalogPut(ctx, o.path, o.operations)
	if err != nil {
		return fmt.Errorf("changing %s: %w", o.path, err)
	}
	return e.print(out, func(w io.Writer) { showWritten(w, &out) })
}
