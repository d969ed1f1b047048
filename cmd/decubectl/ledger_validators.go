package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"github.com/decube/decube/api"
	"github.com/decube/decube/api/client"
)

func newLedgerValidatorsCommand(e *env) *cobra.Command {
	return &cobra.Command{
		Use:     "validators",
		Short:   "List the validators, and how each is",
		Example: "  decubectl ledger validators\n  decubectl ledger validators --json | jq -r .key",
		Args:    noArgs,
		RunE:    runs(e, nil, asksEach((*client.Client).Validators, showValidators)),
	}
}

func showValidators(w io.Writer, all []api.Validator) {
	var rows []row
	for i := range all {
		rows = append(rows, validatorRow(&all[i]))
	}
	printTable(w, row{"no", "key", "name", "heard", "committed", "note"}, rows)
	fmt.Fprintf(w, "\n%s\n", committee(len(all)))
}

func validatorRow(v *api.Validator) row {
	heard := "never"
	switch {
	case v.Self:
		heard = "-"
	case v.Heard != nil:
		heard = humanize.Time(*v.Heard)
	}
	var notes []string
	if v.Self {
		notes = append(notes, "this node")
	}
	if v.Leader {
		notes = append(notes, "leader")
	}
	return row{v.Replica, v.Key, dash(v.Name), heard, v.Committed, dash(strings.Join(notes, ", "))}
}
