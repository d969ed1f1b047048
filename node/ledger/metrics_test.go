package ledger

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/decube/decube/internal/sig"
	"github.com/decube/decube/ledger"
	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/ledger/tx"
	"github.com/decube/decube/protocols/consensus"
)

// gathered returns what a registry exports: by name, with the value of the label in
// brackets; a histogram is its number of observations.
func gathered(t *testing.T, registry *prometheus.Registry) map[string]float64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			name := f.GetName()
			for _, l := range m.GetLabel() {
				name += "[" + l.GetValue() + "]"
			}
			switch {
			case m.GetHistogram() != nil:
				got[name] = float64(m.GetHistogram().GetSampleCount())
			case m.GetGauge() != nil:
				got[name] = m.GetGauge().GetValue()
			default:
				got[name] = m.GetCounter().GetValue()
			}
		}
	}
	return got
}

func want(t *testing.T, got, want map[string]float64) {
	t.Helper()
	for name, v := range want {
		if g, there := got[name]; !there || g != v {
			t.Errorf("%s is %v (%v), want %v", name, g, there, v)
		}
	}
}

func TestLedgerMetricsCountWhatTheLedgerReports(t *testing.T) {
	registry := prometheus.NewRegistry()
	m := newLedgerMetrics(registry)
	m.Committed(ledger.BlockInfo{Header: pbft.Header{Count: 3}, Bytes: 700}, 20*time.Millisecond)
	m.Committed(ledger.BlockInfo{Header: pbft.Header{Count: 1}, Bytes: 100}, 0) // fetched
	m.ViewChanged(1, "timeout")
	m.Rejected(tx.CodeNameTaken)
	m.Synced(5, time.Millisecond)
	m.Dropped("votes")
	m.Misbehaved("equivocation", sig.PublicKey{})
	want(t, gathered(t, registry), map[string]float64{
		"decube_ledger_blocks_total":                     2,
		"decube_ledger_transactions_total":               4,
		"decube_ledger_transaction_bytes_total":          800,
		"decube_ledger_finality_seconds":                 1,
		"decube_ledger_view_changes_total[timeout]":      1,
		"decube_ledger_rejected_total[name_taken]":       1,
		"decube_ledger_log_sync_seconds":                 1,
		"decube_ledger_log_records_total":                5,
		"decube_ledger_dropped_total[votes]":             1,
		"decube_ledger_misbehaviour_total[equivocation]": 1,
	})
}

func TestLedgerGaugesShowTheStatus(t *testing.T) {
	registry := prometheus.NewRegistry()
	st := ledger.Status{
		Role: ledger.RoleRecovering, Epoch: 2, View: 3, Changing: true, Committed: 40, Stable: 32, Time: time.UnixMilli(1500),
		Waiting: 7, Oldest: 2 * time.Second, Validators: make([]ledger.ValidatorStatus, 4), Quorum: 3, Problem: "alone", Stuck: true, Evidence: []string{"x"},
	}
	var failed error
	registry.MustRegister(newLedgerGauges(func(context.Context) (ledger.Status, error) { return st, failed }))
	want(t, gathered(t, registry), map[string]float64{
		"decube_ledger_role[recovering]":            1,
		"decube_ledger_role[validator]":             0,
		"decube_ledger_epoch":                       2,
		"decube_ledger_view":                        3,
		"decube_ledger_changing_view":               1,
		"decube_ledger_committed_sequence":          40,
		"decube_ledger_stable_sequence":             32,
		"decube_ledger_committed_timestamp_seconds": 1.5,
		"decube_ledger_waiting_transactions":        7,
		"decube_ledger_oldest_waiting_seconds":      2,
		"decube_ledger_validators":                  4,
		"decube_ledger_quorum":                      3,
		"decube_ledger_stuck":                       1,
		"decube_ledger_evidence":                    1,
	})
	failed = errors.New("stopped")
	if got := gathered(t, registry); len(got) > 0 {
		t.Errorf("without a status: %v", got)
	}
}

func TestLinkMetricsCountWhatGoesBetweenValidators(t *testing.T) {
	registry := prometheus.NewRegistry()
	var refused peer.ID
	m := newLinkMetrics(registry, func(p peer.ID, _ error) { refused = p })
	m.Opened(sig.PublicKey{}, consensus.Votes)
	m.Opened(sig.PublicKey{}, consensus.Bulk)
	m.Closed(sig.PublicKey{}, consensus.Bulk, nil)
	m.Sent(sig.PublicKey{}, consensus.Votes, 3, 300)
	m.Received(sig.PublicKey{}, consensus.Votes, 100)
	m.Dropped(sig.PublicKey{}, consensus.Proposals, 2)
	m.Refused("somebody", consensus.ErrNetwork)
	want(t, gathered(t, registry), map[string]float64{
		"decube_consensus_streams[votes]":                  1,
		"decube_consensus_streams[bulk]":                   0,
		"decube_consensus_sent_frames_total[votes]":        3,
		"decube_consensus_sent_bytes_total[votes]":         300,
		"decube_consensus_received_frames_total[votes]":    1,
		"decube_consensus_received_bytes_total[votes]":     100,
		"decube_consensus_dropped_frames_total[proposals]": 2,
		"decube_consensus_refused_streams_total":           1,
	})
	if refused != "somebody" {
		t.Errorf("told of %q", refused)
	}
}
