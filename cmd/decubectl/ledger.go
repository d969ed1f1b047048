package main

import (
	"encoding/hex"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/decube/decube/ledger/quorum"
	"github.com/decube/decube/ledger/tx"
)

func newLedgerCommand(e *env) *cobra.Command {
	return group("ledger", "Have transactions ordered, and look at the ledger",
		newLedgerSubmitCommand(e), newLedgerTxCommand(e), newLedgerBlockCommand(e), newLedgerWatchCommand(e), newLedgerNameCommand(e),
		newLedgerValidatorsCommand(e), newLedgerVotesCommand(e), newLedgerStatusCommand(e), newLedgerGenesisCommand(e))
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

// dash stands for an empty cell of a table.
func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
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
