package main

import (
	"encoding/hex"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"github.com/decube/decube/api"
	"github.com/decube/decube/ledger/quorum"
	"github.com/decube/decube/ledger/tx"
)

func (a *app) ledgerCommand() *cobra.Command {
	return group("ledger", "Have transactions ordered, and look at the ledger",
		a.ledgerSubmit(), a.ledgerTx(), a.ledgerBlock(), a.ledgerWatch(), a.ledgerName(),
		a.ledgerValidators(), a.ledgerVotes(), a.ledgerStatus(), a.ledgerGenesis())
}

func (a *app) ledgerStatus() *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "Show how the ledger is, and why nothing is committed",
		Long: `Shows what the node is to the ledger, who leads, how far the chain has come and what
waits. Where nothing is committed, the problem says why: how many validators are out
of reach, and how many are needed. It says too that peers are of another ledger, or that
a second process has come with a validator's key.`,
		Example: "  decubectl ledger status\n  decubectl ledger status --json | jq -r .problem",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.daemon(cmd.Context())
			if err != nil {
				return err
			}
			st, err := c.LedgerStatus(cmd.Context())
			if err != nil {
				return err
			}
			return a.print(st, func(w io.Writer) { showLedger(w, &st) })
		},
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

// committee describes a committee of n validators.
func committee(n int) string {
	c, err := quorum.New(n)
	if err != nil {
		return plural(int64(n), "validator")
	}
	return fmt.Sprintf("%s: it takes %d to commit, %d may fail", plural(int64(n), "validator"), c.Quorum(), c.Faulty())
}

// took writes a short time for people.
func took(seconds float64) string {
	d := time.Duration(seconds * float64(time.Second))
	switch {
	case d < time.Second:
		return d.Round(100 * time.Microsecond).String()
	case d < time.Minute:
		return d.Round(10 * time.Millisecond).String()
	default:
		return d.Round(time.Second).String()
	}
}

func (a *app) ledgerValidators() *cobra.Command {
	return &cobra.Command{
		Use:     "validators",
		Short:   "List the validators, and how each is",
		Example: "  decubectl ledger validators\n  decubectl ledger validators --json | jq -r .key",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.daemon(cmd.Context())
			if err != nil {
				return err
			}
			all, err := c.Validators(cmd.Context())
			if err != nil {
				return err
			}
			return printEach(a, all, func(w io.Writer) {
				var rows []row
				for i := range all {
					rows = append(rows, validatorRow(&all[i]))
				}
				printTable(w, row{"no", "key", "name", "heard", "committed", "note"}, rows)
				fmt.Fprintf(w, "\n%s\n", committee(len(all)))
			})
		},
	}
}

func (a *app) ledgerVotes() *cobra.Command {
	return &cobra.Command{
		Use:   "votes",
		Short: "List the changes that validators have voted for",
		Long: `Lists the changes of the committee and of parameters that validators have voted for and
that have not taken effect, with how many votes each has and how many are missing. Who
agrees with one submits the very same operation.`,
		Example: "  decubectl ledger votes\n  decubectl ledger votes --json | jq .operation",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.daemon(cmd.Context())
			if err != nil {
				return err
			}
			all, err := c.Votes(cmd.Context())
			if err != nil {
				return err
			}
			return printEach(a, all, func(w io.Writer) {
				if len(all) == 0 {
					a.note("No vote is open.")
					return
				}
				var rows []row
				for i := range all {
					v := &all[i]
					rows = append(rows, row{fmt.Sprintf("%d of %d", len(v.Voters), v.Needed), v.Missing, v.Summary})
				}
				printTable(w, row{"votes", "missing", "change"}, rows)
			})
		},
	}
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

// dash stands for an empty cell of a table.
func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func (a *app) ledgerName() *cobra.Command {
	return &cobra.Command{
		Use:     "name NAME",
		Short:   "Show who holds a name, and what it stands for",
		Example: "  decubectl ledger name photos\n  decubectl ledger name photos --json | jq -r .target",
		Args:    wants(1, 1, "one name"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := (tx.NameClaim{Name: args[0]}).Validate(); err != nil {
				return rejectedUsage(err)
			}
			c, err := a.daemon(cmd.Context())
			if err != nil {
				return err
			}
			n, err := c.Name(cmd.Context(), args[0])
			if err != nil {
				return fmt.Errorf("looking up the name %s: %w", args[0], err)
			}
			return a.print(n, func(w io.Writer) {
				printFields(w, "Name", n.Name, "Target", n.Target, "Owner", n.Owner)
				if !n.Offered.IsZero() {
					printFields(w, "Offered to", n.Offered)
				}
				printFields(w, "Records", n.Records, "As of", fmt.Sprintf("block %d", n.Block))
			})
		},
	}
}

// isHash reports whether an argument can be a transaction's ID, rather than a CID.
func isHash(arg string) bool {
	_, err := hex.DecodeString(arg)
	return err == nil && len(arg) == hex.EncodedLen(len(tx.ID{}))
}

// parseTx reads an argument that names a transaction.
func parseTx(arg string) (tx.ID, error) {
	id, err := tx.ParseID(arg)
	if err != nil {
		return tx.ID{}, usageError("%w; \"decubectl ledger submit\" printed it", err)
	}
	return id, nil
}
