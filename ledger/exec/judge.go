package exec

import (
	"errors"
	"fmt"

	"github.com/decube/decube/ledger/state"
	"github.com/decube/decube/ledger/tx"
)

// Judge says of each transaction whether it would apply as the first one of the block
// with a sequence number and a time in Unix milliseconds: nil if so, why not otherwise.
// Each is judged for itself, so that of two that contradict each other both may pass.
// One that only has to wait for room passes too. The error is the state reader's, and no
// verdict on any of them.
func Judge(s state.State, txs []*tx.Transaction, seq uint64, time int64) ([]*tx.Rejection, error) {
	verdicts := make([]*tx.Rejection, len(txs))
	for i, t := range txs {
		err := s.Begin(seq, time).Apply(t)
		if err == nil || noRoom(err) {
			continue
		}
		rejection, ok := errors.AsType[*tx.Rejection](err)
		if !ok {
			return nil, fmt.Errorf("judging transaction %v: %w", t.ID(), err)
		}
		verdicts[i] = rejection
	}
	return verdicts, nil
}
