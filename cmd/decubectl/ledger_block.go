package main

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/decube/decube/api"
)

// ledgerBlockOptions are the inputs of ledger block.
type ledgerBlockOptions struct{ seq uint64 } // 0 is the latest

func newLedgerBlockCommand(e *env) *cobra.Command {
	o := new(ledgerBlockOptions)
	return &cobra.Command{
		Use:     "block [SEQUENCE|latest]",
		Short:   "Show a committed block and its transactions",
		Example: "  decubectl ledger block\n  decubectl ledger block 7 --json | jq -r '.transactions[].id'",
		Args:    wants(0, 1, "one sequence number, or latest"),
		RunE:    runs(e, o.parse, o.run),
	}
}

func (o *ledgerBlockOptions) parse(args []string) error {
	if len(args) == 0 || args[0] == "latest" {
		return nil
	}
	var err error
	if o.seq, err = strconv.ParseUint(args[0], 10, 64); err != nil || o.seq == 0 {
		return usageError("%q is no block's sequence number: they count from 1, and latest is the last", args[0])
	}
	return nil
}

func (o *ledgerBlockOptions) run(ctx context.Context, e *env) error {
	c, err := e.daemon(ctx)
	if err != nil {
		return err
	}
	b, err := c.Block(ctx, o.seq)
	if err != nil {
		return err
	}
	return e.print(b, func(w io.Writer) { showBlock(w, &b) })
}

func showBlock(w io.Writer, b *api.LedgerBlock) {
	signers := make([]string, len(b.Signers))
	for i, r := range b.Signers {
		signers[i] = strconv.Itoa(r)
	}
	printFields(w, "Block", b.Sequence, "Digest", b.Digest, "Parent", b.Parent, "Time", when(b.Time),
		"Epoch", b.Epoch, "View", b.View, "Signed by", strings.Join(signers, ", "),
		"State root", b.StateRoot, "Transactions", fmt.Sprintf("%d, %s", b.Count, size(b.Bytes)))
	if b.NextValidators != "" {
		printFields(w, "Last of epoch", "the next validators are "+b.NextValidators)
	}
	if len(b.Transactions) == 0 {
		return
	}
	fmt.Fprintln(w)
	var rows []row
	for i := range b.Transactions {
		t := &b.Transactions[i]
		rows = append(rows, row{t.Index, t.ID, t.Owner, t.Summary})
	}
	printTable(w, row{"no", "transaction", "owner", "operation"}, rows)
}
