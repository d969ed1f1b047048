package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/decube/decube/api"
	"github.com/decube/decube/ledger/tx"
)

// ledgerTxOptions are the inputs of ledger tx.
type ledgerTxOptions struct{ id tx.ID }

func newLedgerTxCommand(e *env) *cobra.Command {
	o := new(ledgerTxOptions)
	return &cobra.Command{
		Use:     "tx ID",
		Short:   "Show a committed transaction and its place",
		Example: "  decubectl ledger tx 5f1d...\n  decubectl ledger tx 5f1d... --json | jq .operation",
		Args:    wants(1, 1, "one transaction ID"),
		RunE:    runs(e, o.parse, o.run),
	}
}

func (o *ledgerTxOptions) parse(args []string) (err error) {
	o.id, err = parseTx(args[0])
	return err
}

func (o *ledgerTxOptions) run(ctx context.Context, e *env) error {
	c, err := e.daemon(ctx)
	if err != nil {
		return err
	}
	t, err := c.Transaction(ctx, o.id)
	if errors.Is(err, api.ErrNotFound) {
		return fmt.Errorf("%w; it may still wait for a block: \"decubectl ledger status\" shows what waits, and why", err)
	}
	if err != nil {
		return err
	}
	return e.print(t, func(w io.Writer) {
		printFields(w, "Transaction", t.ID, "Operation", t.Summary, "Owner", t.Owner, "Nonce", t.Nonce,
			"Block", place(t.Block, t.Index), "Time", when(t.Time), "Size", size(len(t.Encoding)))
	})
}

// place writes where a transaction is.
func place(block uint64, index int) string { return fmt.Sprintf("%d, transaction %d", block, index) }
