package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/decube/decube/ledger/tx"
)

// genesisVerifyOptions are the inputs of ledger genesis verify.
type genesisVerifyOptions struct {
	file string
	id   string // that the document must have, empty for any
}

func newGenesisVerifyCommand(e *env) *cobra.Command {
	o := new(genesisVerifyOptions)
	cmd := &cobra.Command{
		Use:   "verify FILE",
		Short: "Check a genesis document, and that it is the one meant",
		Long: `Checks that a file is a valid genesis document and, with --id, that it is the one of
that ID. It prints the ID; compare it with what somebody you trust says it is.`,
		Example: "  decubectl ledger genesis verify genesis.json --id 7d0b...",
		Args:    wants(1, 1, "one file"),
		RunE:    runs(e, o.parse, o.run),
	}
	cmd.Flags().StringVar(&o.id, "id", "", "the ID, in `HEX`, that the document must have")
	return cmd
}

func (o *genesisVerifyOptions) parse(args []string) error {
	o.file = args[0]
	if o.id == "" {
		return nil
	}
	if _, err := tx.ParseID(o.id); err != nil {
		return usageError("--id: %q is no genesis ID: want 64 lower-case hexadecimal digits", o.id)
	}
	return nil
}

func (o *genesisVerifyOptions) run(_ context.Context, e *env) error {
	g, err := readGenesis(o.file)
	if err != nil {
		return err
	}
	id := g.ID().String()
	if o.id != "" && id != o.id {
		return fmt.Errorf("%s is a valid genesis document, but of another ledger: its ID is %s, not %s", o.file, id, o.id)
	}
	line, err := lineOf(g, "")
	if err != nil {
		return err
	}
	return e.print(line, func(w io.Writer) { fmt.Fprintln(w, id) })
}
