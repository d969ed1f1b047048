package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/decube/decube/api"
	"github.com/decube/decube/api/client"
	"github.com/decube/decube/crdtsync/query"
	"github.com/decube/decube/internal/oneline"
)

// catalogColumns is how many fields are columns of a table if nobody says which.
const catalogColumns = 6

// catalogQueryOptions are the inputs of catalog query.
type catalogQueryOptions struct {
	query  client.CatalogQuery
	in     string
	fields []string
	count  bool
}

func newCatalogQueryCommand(e *env) *cobra.Command {
	o := new(catalogQueryOptions)
	cmd := &cobra.Command{
		Use:   "query [EXPRESSION]",
		Short: "Find documents",
		Long: `Finds the documents that match an expression, or all without one.

  FIELD = VALUE    also !=, <, >, <=, >=; a word with * or ? in it stands for any
                   text of that form, and FIELD = * for a field that is there
  FIELD:ELEMENT    a set or a map has the element
  FIELD[ENTRY] = VALUE
  @key, @path, @space, @time    what is known of the document itself

Comparisons are joined by AND, OR, NOT and parentheses; AND may be left out. What a
value looks like decides its type, as in catalog put, and a date such as 2026-01-31
is its first moment in UTC. A text that looks like something else, or has spaces,
stands between quotation marks.`,
		Example: `  decubectl catalog query 'size > 1GB AND NOT tags:old' --in images
  decubectl catalog query 'name = prod-* created >= 2026-01-01' --in snapshots --order-by size:desc
  decubectl catalog query --in images --fields size,owner --limit 20
  decubectl catalog query 'tags:nightly' --in snapshots --count`,
		Args: wants(0, 1, "one expression, or none"),
		RunE: runs(e, o.parse, o.run),
	}
	flags := cmd.Flags()
	flags.StringVar(&o.in, "in", "", "only documents of a `COLLECTION`, of ~PEER/COLLECTION in one space, or of ~PEER")
	flags.StringVar(&o.query.Order, "order-by", "", "order by a `FIELD`, or FIELD:desc for the largest first; by exact paths without it")
	flags.IntVar(&o.query.Limit, "limit", 100, "find at most so many, 1 to 1000")
	flags.StringVar(&o.query.After, "after", "", "go on after the page that ended with this `CURSOR`, in the same order")
	flags.StringSliceVar(&o.fields, "fields", nil, "show these `FIELDS`, separated by commas")
	flags.BoolVar(&o.count, "count", false, "only say how many match")
	return cmd
}

func (o *catalogQueryOptions) parse(args []string) (err error) {
	if o.query.Limit < 1 || o.query.Limit > catalogListMax {
		return usageError("--limit %d: want 1 to %d", o.query.Limit, catalogListMax)
	}
	if len(args) > 0 {
		o.query.Query = args[0]
	}
	if _, err := query.Parse(o.query.Query); err != nil {
		return usageError("%w", pointed(o.query.Query, err))
	}
	order, err := query.ParseOrder(o.query.Order)
	if err != nil {
		return usageError("--order-by: %w", err)
	}
	if o.query.After != "" {
		if _, err := order.ParseCursor(o.query.After); err != nil {
			return usageError("--after: %w", err)
		}
	}
	if o.in != "" {
		o.query.Space, o.query.Collection, err = parseCollection(o.in)
	}
	if o.count {
		o.query.Limit = 0
	}
	return err
}

func (o *catalogQueryOptions) run(ctx context.Context, e *env) error {
	c, err := e.daemon(ctx)
	if err != nil {
		return err
	}
	page, err := c.CatalogQuery(ctx, o.query)
	if err != nil {
		return err
	}
	if o.count {
		return e.print(map[string]int{"matched": page.Matched, "looked": page.Looked}, func(w io.Writer) { fmt.Fprintln(w, page.Matched) })
	}
	if err := printEach(e, page.Documents, func(w io.Writer) { showFields(w, page.Documents, o.fields) }); err != nil {
		return err
	}
	if page.Next != "" {
		e.note("%d match; --after %s goes on from here.", page.Matched, page.Next)
	}
	return nil
}

// pointed returns an error about an expression with a line below it that points at the place.
func pointed(text string, err error) error {
	at, ok := errors.AsType[*query.Error](err)
	if !ok || len(text) > 200 || !oneline.Printable(text) {
		return err
	}
	return fmt.Errorf("%w\n  %s\n  %s^", err, text, strings.Repeat(" ", at.Column-1))
}

// showFields writes a table of documents with some of their fields, by default those that most
// have.
func showFields(w io.Writer, all []api.CatalogDocument, fields []string) {
	if fields == nil {
		fields = frequent(all)
	}
	header := row{"path"}
	for _, f := range fields {
		header = append(header, showText(f))
	}
	rows := make([]row, len(all))
	for i := range all {
		rows[i] = row{showText(all[i].Path)}
		for _, name := range fields {
			rows[i] = append(rows[i], showField(&all[i], name))
		}
	}
	printTable(w, header, rows)
}

// frequent returns the fields that most documents have, in order of their names.
func frequent(all []api.CatalogDocument) []string {
	have := map[string]int{}
	var names []string
	for i := range all {
		for _, f := range all[i].Fields {
			if have[f.Name]++; have[f.Name] == 1 {
				names = append(names, f.Name)
			}
		}
	}
	slices.Sort(names)
	slices.SortStableFunc(names, func(a, b string) int { return have[b] - have[a] })
	names = names[:min(len(names), catalogColumns)]
	slices.Sort(names)
	return names
}

// showField writes a field in one cell: the value that is shown, what a counter has come to, or
// its elements.
func showField(d *api.CatalogDocument, name string) string {
	for _, f := range d.Fields {
		switch {
		case f.Name != name:
		case len(f.Values) > 0:
			return showValue(f.Values[0])
		case f.Sum != nil:
			return fmt.Sprint(*f.Sum)
		default:
			var elements []string
			for _, el := range f.Elements {
				text := showText(el.Name)
				if len(el.Values) > 0 {
					text += "=" + showValue(el.Values[0])
				}
				elements = append(elements, text)
			}
			return "{" + strings.Join(elements, ", ") + "}"
		}
	}
	return "-"
}
