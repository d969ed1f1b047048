package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/decube/decube/api"
	"github.com/decube/decube/api/client"
)

func newLedgerStatusCommand(e *env) *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "Show how the ledger is, and why nothing is committed",
		Long: `Shows what the node is to the ledger, who leads, how far the chain has come and what
waits. Where nothing is committed, the problem says why: how many validators are out
of reach, and how many are needed. It says too that peers are of another ledger, or that
a second process has come with a validator's key.`,
		Example: "  decubectl ledger status\n  decubectl ledger status --json | jq -r .problem",
		Args:    noArgs,
		RunE:    runs(e, nil, asks((*client.Client).LedgerStatus, showLedger)),
	}
}

func showLedger(w io.Writer, st *api.LedgerStatus) {
	leader := st.Leader.String()
	switch {
	case st.Changing:
		leader = "being replaced"
	case st.Leader.IsZero():
		leader = "not known"
	}
	printFields(w, "Network", st.Network, "Genesis", st.Genesis, "Role", st.Role)
	if st.Halted != "" {
		printFields(w, "Halted", st.Halted)
	}
	printFields(w, "Committee", committee(st.Validators),
		"Epoch", st.Epoch, "View", st.View, "Leader", leader,
		"Committed", fmt.Sprintf("block %d, at %s", st.Committed, when(st.Time)),
		"Stable", fmt.Sprintf("block %d", st.Stable), "State root", st.StateRoot)
	waiting := plural(int64(st.Waiting), "transaction")
	if st.Waiting > 0 {
		waiting += ", the oldest for " + took(st.OldestSeconds)
	}
	printFields(w, "Waiting", waiting)
	if st.Problem != "" {
		printFields(w, "Problem", st.Problem)
	}
	if f := st.Fork; f != nil {
		showFork(w, f)
	}
	for _, text := range st.Evidence {
		printFields(w, "Evidence", text)
	}
}

// showFork writes two blocks that exclude each other, and who is to blame.
func showFork(w io.Writer, f *api.LedgerFork) {
	if f.First != nil {
		printFields(w, "Fork", fmt.Sprintf("block %d with digest %s, on this node's chain", f.First.Sequence, f.First.Digest))
	}
	printFields(w, "Fork", fmt.Sprintf("block %d with digest %s, on another", f.Second.Sequence, f.Second.Digest))
	for _, key := range f.Guilty {
		printFields(w, "Guilty", key)
	}
}
