package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/decube/decube/api"
)

// shownDigits of a digest tell blocks apart where there is little room.
const shownDigits = 12

// ledgerWatchOptions are the inputs of ledger watch.
type ledgerWatchOptions struct {
	from         uint64 // the sequence number to begin with, 0 for now
	blocks       int    // how many, 0 for no end
	transactions bool
}

func newLedgerWatchCommand(e *env) *cobra.Command {
	o := new(ledgerWatchOptions)
	cmd := &cobra.Command{
		Use:   "watch",
		Short: "Print blocks as they are committed",
		Long: `Prints a line for each block as it is committed, from now on or, with --from, from a
block on. It goes on until it is interrupted, or until it has printed --blocks.`,
		Example: "  decubectl ledger watch\n  decubectl ledger watch --from 1 --transactions --json",
		Args:    noArgs,
		RunE:    runs(e, nil, o.run),
	}
	cmd.Flags().Uint64Var(&o.from, "from", 0, "begin with the block of this `SEQUENCE` number; 0 is from now on")
	cmd.Flags().IntVar(&o.blocks, "blocks", 0, "stop after so many blocks; 0 is no limit")
	cmd.Flags().BoolVar(&o.transactions, "transactions", false, "print the blocks' transactions too")
	return cmd
}

// errEnough ends a watch that has seen what it wanted.
var errEnough = errors.New("enough blocks")

func (o *ledgerWatchOptions) run(ctx context.Context, e *env) error {
	c, err := e.daemon(ctx)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	seen := 0
	_, err = c.WatchBlocks(ctx, o.from, o.transactions, func(b api.LedgerBlock) {
		if ctx.Err() != nil {
			return
		}
		if err := e.print(b, func(w io.Writer) { blockLine(w, &b) }); err != nil {
			stop(err)
		}
		if seen++; seen == o.blocks {
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
