package ledgerapi

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/decube/decube/api"
	"github.com/decube/decube/internal/sig"
	"github.com/decube/decube/ledger"
	"github.com/decube/decube/ledger/tx"
)

// This file turns what the ledger says into what the API does.

func ledgerStatusOf(st *ledger.Status) api.LedgerStatus {
	return api.LedgerStatus{
		Network: st.Network, Genesis: st.Genesis.String(), Role: string(st.Role), Halted: st.Halted,
		Epoch: st.Epoch, View: st.View, Changing: st.Changing, Leader: st.Leader,
		Committed: st.Committed, Digest: st.Block.String(), StateRoot: st.State.String(), Time: st.Time.UTC(), Stable: st.Stable,
		Waiting: st.Waiting, OldestSeconds: st.Oldest.Seconds(),
		Validators: len(st.Validators), Quorum: st.Quorum, Faulty: st.Faulty,
		Problem: st.Problem, Stuck: st.Stuck, Evidence: st.Evidence, Fork: forkOf(st.Fork),
	}
}

// forkOf returns nil for nil.
func forkOf(f *ledger.ForkStatus) *api.LedgerFork {
	if f == nil {
		return nil
	}
	out := &api.LedgerFork{
		Second: api.ForkedBlock{Sequence: f.Second.Seq, Digest: f.Second.Digest.String()},
		Guilty: append([]sig.PublicKey{}, f.Guilty...),
	}
	if !f.First.Digest.IsZero() {
		out.First = &api.ForkedBlock{Sequence: f.First.Seq, Digest: f.First.Digest.String()}
	}
	return out
}

func validatorsOf(st *ledger.Status) []api.Validator {
	out := make([]api.Validator, len(st.Validators))
	for i := range st.Validators {
		v := &st.Validators[i]
		out[i] = api.Validator{
			Replica: int(v.Replica), Key: v.Key, Name: v.Name, Self: v.Self,
			Leader: v.Key == st.Leader && !st.Changing, Committed: v.Committed,
		}
		if !v.Heard.IsZero() {
			heard := v.Heard.UTC()
			out[i].Heard = &heard
		}
	}
	return out
}

func transactionOf(t *tx.Transaction, at ledger.Committed) (api.Transaction, error) {
	op, err := json.Marshal(t.Op)
	if err != nil {
		return api.Transaction{}, fmt.Errorf("transaction %s: %w", t.ID(), err)
	}
	return api.Transaction{
		ID: t.ID(), Owner: t.Owner, Nonce: t.Nonce, Operation: op, Summary: t.Op.Summary(), Encoding: t.Raw(),
		Block: at.Block, Index: at.Index, Time: at.Time.UTC(),
	}, nil
}

func blockOf(b *ledger.Block, transactions bool) (api.LedgerBlock, error) {
	h := &b.Header
	out := api.LedgerBlock{
		Sequence: h.Seq, Epoch: h.Epoch, View: b.View, Digest: b.Digest.String(), Parent: h.Parent.String(),
		Time: time.UnixMilli(h.Time).UTC(), Count: int(h.Count), Bytes: b.Bytes,
		TransactionRoot: h.Body.String(), StateRoot: h.State.String(), Validators: h.Committee.String(), Signers: make([]int, len(b.Signers)),
	}
	if h.Last() {
		out.NextValidators = h.Next.String()
	}
	for i, r := range b.Signers {
		out.Signers[i] = int(r)
	}
	if !transactions {
		return out, nil
	}
	for i, t := range b.Transactions {
		item, err := transactionOf(t, ledger.Committed{ID: t.ID(), Block: h.Seq, Index: i, Time: out.Time})
		if err != nil {
			return api.LedgerBlock{}, err
		}
		out.Transactions = append(out.Transactions, item)
	}
	return out, nil
}
