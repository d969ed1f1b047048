package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/decube/decube/api"
)

// shownDigits of a digest tell blocks apart where there is little room.
const shownDigits = 12

func (a *app) ledgerTx() *cobra.Command {
	return &cobra.Command{
		Use:     "tx ID",
		Short:   "Show a committed transaction and its place",
		Example: "  decubectl ledger tx 5f1d...\n  decubectl ledger tx 5f1d... --json | jq .operation",
		Args:    wants(1, 1, "one transaction ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := parseTx(args[0])
			if err != nil {
				return err
			}
			c, err := a.daemon(cmd.Context())
			if err != nil {
				return err
			}
			t, err := c.Transaction(cmd.Context(), id)
			if errors.Is(err, api.ErrNotFound) {
				return fmt.Errorf("%w; it may still wait for a block: \"decubectl ledger status\" shows what waits, and why", err)
			}
			if err != nil {
				return err
			}
			return a.print(t, func(w io.Writer) {
				printFields(w, "Transaction", t.ID, "Operation", t.Summary, "Owner", t.Owner, "Nonce", t.Nonce,
					"Block", place(t.Block, t.Index), "Time", when(t.Time), "Size", size(len(t.Encoding)))
			})
		},
	}
}

// place writes where a transaction is.
func place(block uint64, index int) string { return fmt.Sprintf("%d, transaction %d", block, index) }

func (a *app) ledgerBlock() *cobra.Command {
	return &cobra.Command{
		Use:     "block [SEQUENCE|latest]",
		Short:   "Show a committed block and its transactions",
		Example: "  decubectl ledger block\n  decubectl ledger block 7 --json | jq -r '.transactions[].id'",
		Args:    wants(0, 1, "one sequence number, or latest"),
		RunE: func(cmd *cobra.Command, args []string) error {
			var seq uint64
			if len(args) == 1 && args[0] != "latest" {
				var err error
				if seq, err = strconv.ParseUint(args[0], 10, 64); err != nil || seq == 0 {
					return usageError("%q is no block's sequence number: they count from 1, and latest is the last", args[0])
				}
			}
			c, err := a.daemon(cmd.Context())
			if err != nil {
				return err
			}
			b, err := c.Block(cmd.Context(), seq)
			if err != nil {
				return err
			}
			return a.print(b, func(w io.Writer) { showBlock(w, &b) })
		},
	}
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

// errEnough ends a watch that has seen what it wanted.
var errEnough = errors.New("enough blocks")

func (a *app) ledgerWatch() *cobra.Command {
	var from uint64
	var blocks int
	var transactions bool
	cmd := &cobra.Command{
		Use:   "watch",
		Short: "Print blocks as they are committed",
		Long: `Prints a line for each block as it is committed, from now on or, with --from, from a
block on. It goes on until it is interrupted, or until it has printed --blocks.`,
		Example: "  decubectl ledger watch\n  decubectl ledger watch --from 1 --transactions --json",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.daemon(cmd.Context())
			if err != nil {
				return err
			}
			ctx, stop := context.WithCancelCause(cmd.Context())
			defer stop(nil)
			seen := 0
			_, err = c.WatchBlocks(ctx, from, transactions, func(b api.LedgerBlock) {
				if ctx.Err() != nil {
					return
				}
				if err := a.print(b, func(w io.Writer) { blockLine(w, &b) }); err != nil {
					stop(err)
				}
				if seen++; seen == blocks {
					stop(errEnough)
				}
			})
			switch cause := context.Cause(ctx); {
			case errors.Is(cause, errEnough):
				return nil
			case cause != nil && !errors.Is(cause, context.Canceled) && !errors.Is(cause, context.DeadlineExceeded):
				return cause
			}
			return err
		},
	}
	cmd.Flags().Uint64Var(&from, "from", 0, "begin with the block of this `SEQUENCE` number; 0 is from now on")
	cmd.Flags().IntVar(&blocks, "blocks", 0, "stop after so many blocks; 0 is no limit")
	cmd.Flags().BoolVar(&transactions, "transactions", false, "print the blocks' transactions too")
	return cmd
}

// blockLine writes a block, and a line below it for each transaction that came along.
func blockLine(w io.Writer, b *api.LedgerBlock) {
	fmt.Fprintf(w, "%s  block %d  %s  %s, %s  epoch %d view %d\n", when(b.Time), b.Sequence,
		b.Digest[:min(shownDigits, len(b.Digest))], plural(int64(b.Count), "transaction"), size(b.Bytes), b.Epoch, b.View)
	for i := range b.Transactions {
		t := &b.Transactions[i]
		fmt.Fprintf(w, "  %s  %s\n", t.ID, t.Summary)
	}
}
