package main

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/decube/decube/api"
	"github.com/decube/decube/api/client"
	"github.com/decube/decube/crdtsync/bundle"
	"github.com/decube/decube/crdtsync/literal"
	"github.com/decube/decube/internal/oneline"
)

// catalogGetOptions are the inputs of catalog get.
type catalogGetOptions struct{ path client.CatalogPath }

func newCatalogGetCommand(e *env) *cobra.Command {
	o := new(catalogGetOptions)
	return &cobra.Command{
		Use:   "get COLLECTION/KEY",
		Short: "Show a document, in every space that has one",
		Long: `Shows a document as it is on this node. In a public swarm everybody has a space, and the
document of each that has one is shown; ~PEER/COLLECTION/KEY is the one of a peer.

Where people gave a field values without knowledge of each other, all are shown, until
somebody gives it a value anew. Text that would pass for something else is in quotes.
Exit code 15 says that there is no such document.`,
		Example: `  decubectl catalog get images/debian/13
  decubectl catalog get ~12D3KooW.../images/debian/13 --json | jq .fields`,
		Args: wants(1, 1, "the path of one document"),
		RunE: runs(e, o.parse, o.run),
	}
}

func (o *catalogGetOptions) parse(args []string) (err error) {
	o.path, err = parseDocumentPath(args[0])
	return err
}

func (o *catalogGetOptions) run(ctx context.Context, e *env) error {
	c, err := e.daemon(ctx)
	if err != nil {
		return err
	}
	all, err := c.CatalogGet(ctx, o.path)
	if err != nil {
		return fmt.Errorf("looking up %s: %w", o.path, err)
	}
	return printEach(e, all, func(w io.Writer) {
		for i := range all {
			if i > 0 {
				fmt.Fprintln(w)
			}
			showDocument(w, &all[i])
		}
	})
}

// concurrent is what is said of a value that stands beside the one that is shown first.
const concurrent = "written without knowledge of the value above"

func showDocument(w io.Writer, d *api.CatalogDocument) {
	fmt.Fprintln(w, showText(d.Path))
	var rows []row
	notes := false
	values := func(name string, all []api.CatalogValue) {
		for i, v := range all {
			note := "-"
			if i > 0 {
				note, notes = concurrent, true
			}
			rows = append(rows, row{name, showValue(v), note})
		}
	}
	for i := range d.Fields {
		f := &d.Fields[i]
		name := showText(f.Name)
		values(name, f.Values)
		var elements []string
		for _, el := range f.Elements {
			if len(el.Values) == 0 {
				elements = append(elements, showText(el.Name))
			}
			values(fmt.Sprintf("%s[%s]", name, showText(el.Name)), el.Values)
		}
		if len(elements) > 0 {
			rows = append(rows, row{name, "{" + strings.Join(elements, ", ") + "}", "-"})
		}
		if f.Sum != nil {
			rows = append(rows, row{name, strconv.FormatInt(*f.Sum, 10), "-"})
		}
	}
	header := row{"field", "value", "note"}
	if !notes {
		header = header[:2]
		for i := range rows {
			rows[i] = rows[i][:2]
		}
	}
	printTable(w, header, rows)
}

// showValue writes a value for people.
func showValue(v api.CatalogValue) string {
	value, err := v.Decode()
	if err != nil { // of a later release, or a time beyond what is read
		return showText(string(v.Value))
	}
	text := value.String()
	switch value.Type() {
	case bundle.Text:
		if literal.Guess(text) != bundle.Text {
			return strconv.Quote(text)
		}
		return showText(text)
	case bundle.Size:
		if n := value.Whole(); n >= 1024 {
			return fmt.Sprintf("%d B (%s)", n, size(n))
		}
		return text + " B"
	default:
		return text
	}
}

// showText writes a text of others for people, in quotes where it does not show on one line as
// it is.
func showText(s string) string {
	if s == "" || !oneline.Printable(s) {
		return strconv.QuoteToASCII(s)
	}
	return s
}
