package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"
)

func newLedgerVotesCommand(e *env) *cobra.Command {
	return &cobra.Command{
		Use:   "votes",
		Short: "List the changes that validators have voted for",
		Long: `Lists the changes of the committee and of parameters that validators have voted for and
that have not taken effect, with how many votes each has and how many are missing. Who
agrees with one submits the very same operation.`,
		Example: "  decubectl ledger votes\n  decubectl ledger votes --json | jq .operation",
		Args:    noArgs,
		RunE:    runs(e, nil, runLedgerVotes),
	}
}

func runLedgerVotes(ctx context.Context, e *env) error {
	c, err := e.daemon(ctx)
	if err != nil {
		return err
	}
	all, err := c.Votes(ctx)
	if err != nil {
		return err
	}
	return printEach(e, all, func(w io.Writer) {
		if len(all) == 0 {
			e.note("No vote is open.")
			return
		}
		var rows []row
		for i := range all {
			v := &all[i]
			rows = append(rows, row{fmt.Sprintf("%d of %d", len(v.Voters), v.Needed), v.Missing, v.Summary})
		}
		printTable(w, row{"votes", "missing", "change"}, rows)
	})
}
