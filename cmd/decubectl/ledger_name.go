package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/decube/decube/ledger/tx"
)

// ledgerNameOptions are the inputs of ledger name.
type ledgerNameOptions struct{ name string }

func newLedgerNameCommand(e *env) *cobra.Command {
	o := new(ledgerNameOptions)
	return &cobra.Command{
		Use:     "name NAME",
		Short:   "Show who holds a name, and what it stands for",
		Example: "  decubectl ledger name photos\n  decubectl ledger name photos --json | jq -r .target",
		Args:    wants(1, 1, "one name"),
		RunE:    runs(e, o.parse, o.run),
	}
}

func (o *ledgerNameOptions) parse(args []string) error {
	o.name = args[0]
	if err := (tx.NameClaim{Name: o.name}).Validate(); err != nil {
		return rejectedUsage(err)
	}
	return nil
}

func (o *ledgerNameOptions) run(ctx context.Context, e *env) error {
	c, err := e.daemon(ctx)
	if err != nil {
		return err
	}
	n, err := c.Name(ctx, o.name)
	if err != nil {
		return fmt.Errorf("looking up the name %s: %w", o.name, err)
	}
	return e.print(n, func(w io.Writer) {
		printFields(w, "Name", n.Name, "Target", n.Target, "Owner", n.Owner)
		if !n.Offered.IsZero() {
			printFields(w, "Offered to", n.Offered)
		}
		printFields(w, "Records", n.Records, "As of", fmt.Sprintf("block %d", n.Block))
	})
}
