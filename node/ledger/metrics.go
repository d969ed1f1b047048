package ledger

import (
	"context"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/decube/decube/internal/sig"
	"github.com/decube/decube/ledger"
	"github.com/decube/decube/ledger/tx"
	"github.com/decube/decube/node/kernel"
	"github.com/decube/decube/protocols/consensus"
)

// ledgerMetrics counts what the ledger reports. It is a ledger.Observer.
type ledgerMetrics struct {
	blocks, transactions, bytes prometheus.Counter
	finality                    prometheus.Histogram
	viewChanges                 *prometheus.CounterVec // by reason
	rejected                    *prometheus.CounterVec // by code
	syncs                       prometheus.Histogram
	records                     prometheus.Counter
	dropped                     *prometheus.CounterVec // by what
	misbehaved                  *prometheus.CounterVec // by kind
}

// subsystem begins the names of the ledger's metrics, after the program's.
const subsystem = "ledger"

func newLedgerMetrics(registry prometheus.Registerer) *ledgerMetrics {
	counter := func(name, help string) prometheus.Counter {
		c := prometheus.NewCounter(prometheus.CounterOpts{Namespace: kernel.Namespace, Subsystem: subsystem, Name: name, Help: help})
		registry.MustRegister(c)
		return c
	}
	vec := func(name, help, label string) *prometheus.CounterVec {
		c := prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: kernel.Namespace, Subsystem: subsystem, Name: name, Help: help}, []string{label})
		registry.MustRegister(c)
		return c
	}
	histogram := func(name, help string, buckets []float64) prometheus.Histogram {
		h := prometheus.NewHistogram(prometheus.HistogramOpts{Namespace: kernel.Namespace, Subsystem: subsystem, Name: name, Help: help, Buckets: buckets})
		registry.MustRegister(h)
		return h
	}
	return &ledgerMetrics{
		blocks:       counter("blocks_total", "Committed blocks, those that were fetched included."),
		transactions: counter("transactions_total", "Committed transactions."),
		bytes:        counter("transaction_bytes_total", "Bytes of committed transactions."),
		finality: histogram("finality_seconds", "Time from a block's first sight to its commit, where this peer votes.",
			prometheus.ExponentialBuckets(0.001, 2, 16)),
		viewChanges: vec("view_changes_total", "Views left, by reason.", "reason"),
		rejected:    vec("rejected_total", "Transactions refused, by rejection code.", "code"),
		syncs: histogram("log_sync_seconds", "Time of one flush of the log of votes.",
			prometheus.ExponentialBuckets(0.0001, 2, 14)),
		records:    counter("log_records_total", "Records written to the log of votes."),
		dropped:    vec("dropped_total", "What was dropped because a queue was full, by kind.", "what"),
		misbehaved: vec("misbehaviour_total", "What validators did and should not have, by kind.", "kind"),
	}
}

// Committed implements ledger.Observer.
func (m *ledgerMetrics) Committed(b ledger.BlockInfo, latency time.Duration) {
	m.blocks.Inc()
	m.transactions.Add(float64(b.Header.Count))
	m.bytes.Add(float64(b.Bytes))
	if latency > 0 {
		m.finality.Observe(latency.Seconds())
	}
}

// ViewChanged implements ledger.Observer.
func (m *ledgerMetrics) ViewChanged(_ uint64, reason string) {
	m.viewChanges.WithLabelValues(reason).Inc()
}

// Rejected implements ledger.Observer.
func (m *ledgerMetrics) Rejected(code tx.Code) { m.rejected.WithLabelValues(code.String()).Inc() }

// Synced implements ledger.Observer.
func (m *ledgerMetrics) Synced(records int, took time.Duration) {
	m.records.Add(float64(records))
	m.syncs.Observe(took.Seconds())
}

// Dropped implements ledger.Observer.
func (m *ledgerMetrics) Dropped(what string) { m.dropped.WithLabelValues(what).Inc() }

// Misbehaved implements ledger.Observer.
func (m *ledgerMetrics) Misbehaved(kind string, _ sig.PublicKey) {
	m.misbehaved.WithLabelValues(kind).Inc()
}

// statusTimeout bounds what a scrape waits for the ledger's status.
const statusTimeout = 2 * time.Second

// ledgerGauges reads figures from the ledger's status when they are asked for. It
// is a prometheus.Collector.
type ledgerGauges struct {
	status func(context.Context) (ledger.Status, error)
	role   *prometheus.Desc
	values []ledgerGauge
}

type ledgerGauge struct {
	desc *prometheus.Desc
	of   func(*ledger.Status) float64
}

func newLedgerGauges(status func(context.Context) (ledger.Status, error)) *ledgerGauges {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(prometheus.BuildFQName(kernel.Namespace, subsystem, name), help, labels, nil)
	}
	g := &ledgerGauges{status: status, role: desc("role", "1 for what this peer is to the ledger, 0 for what it is not.", "role")}
	for _, v := range []struct {
		name, help string
		of         func(*ledger.Status) float64
	}{
		{"epoch", "Epoch.", func(s *ledger.Status) float64 { return float64(s.Epoch) }},
		{"view", "View of the epoch.", func(s *ledger.Status) float64 { return float64(s.View) }},
		{"changing_view", "1 while a view change runs.", func(s *ledger.Status) float64 { return oneIf(s.Changing) }},
		{"committed_sequence", "Sequence number of the last committed block.", func(s *ledger.Status) float64 { return float64(s.Committed) }},
		{"stable_sequence", "Sequence number of the last certified checkpoint.", func(s *ledger.Status) float64 { return float64(s.Stable) }},
		{"committed_timestamp_seconds", "Time of the last committed block.", func(s *ledger.Status) float64 { return float64(s.Time.UnixMilli()) / 1000 }},
		{"waiting_transactions", "Transactions that wait to be ordered.", func(s *ledger.Status) float64 { return float64(s.Waiting) }},
		{"oldest_waiting_seconds", "How long the oldest of them has waited.", func(s *ledger.Status) float64 { return s.Oldest.Seconds() }},
		{"validators", "Validators of the epoch.", func(s *ledger.Status) float64 { return float64(len(s.Validators)) }},
		{"quorum", "Votes that commit.", func(s *ledger.Status) float64 { return float64(s.Quorum) }},
		{"stuck", "1 while nothing can be committed.", func(s *ledger.Status) float64 { return oneIf(s.Stuck) }},
		{"evidence", "Proofs of misbehaviour held.", func(s *ledger.Status) float64 { return float64(len(s.Evidence)) }},
	} {
		g.values = append(g.values, ledgerGauge{desc(v.name, v.help), v.of})
	}
	return g
}

// Describe implements prometheus.Collector.
func (g *ledgerGauges) Describe(out chan<- *prometheus.Desc) {
	out <- g.role
	for _, v := range g.values {
		out <- v.desc
	}
}

// Collect implements prometheus.Collector. Without a status there is nothing to
// tell: an absent figure is noticed, a wrong one is not.
func (g *ledgerGauges) Collect(out chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), statusTimeout)
	defer cancel()
	st, err := g.status(ctx)
	if err != nil {
		return
	}
	for _, r := range []ledger.Role{ledger.RoleValidator, ledger.RoleRecovering, ledger.RoleCatchingUp, ledger.RoleFollower, ledger.RoleHalted} {
		// The one that this peer has is 1.
		out <- prometheus.MustNewConstMetric(g.role, prometheus.GaugeValue, oneIf(st.Role == r), string(r))
	}
	for _, v := range g.values {
		out <- prometheus.MustNewConstMetric(v.desc, prometheus.GaugeValue, v.of(&st))
	}
}

func oneIf(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// linkMetrics counts what goes between validators. It is a consensus.Observer, and
// notes who turned out to be of another ledger.
type linkMetrics struct {
	sentFrames, sentBytes         *prometheus.CounterVec // by class
	receivedFrames, receivedBytes *prometheus.CounterVec // by class
	dropped                       *prometheus.CounterVec // by class
	streams                       *prometheus.GaugeVec   // by class
	refused                       prometheus.Counter

	onRefused func(peer.ID, error)
}

func newLinkMetrics(registry prometheus.Registerer, onRefused func(peer.ID, error)) *linkMetrics {
	opts := func(name, help string) prometheus.Opts {
		return prometheus.Opts{Namespace: kernel.Namespace, Subsystem: "consensus", Name: name, Help: help}
	}
	vec := func(name, help string) *prometheus.CounterVec {
		c := prometheus.NewCounterVec(prometheus.CounterOpts(opts(name, help)), []string{"class"})
		registry.MustRegister(c)
		return c
	}
	m := &linkMetrics{
		sentFrames:     vec("sent_frames_total", "Frames sent to validators."),
		sentBytes:      vec("sent_bytes_total", "Bytes of frames sent to validators."),
		receivedFrames: vec("received_frames_total", "Frames received from validators."),
		receivedBytes:  vec("received_bytes_total", "Bytes of frames received from validators."),
		dropped:        vec("dropped_frames_total", "Frames for validators that were not sent."),
		streams:        prometheus.NewGaugeVec(prometheus.GaugeOpts(opts("streams", "Open streams to validators.")), []string{"class"}),
		refused:        prometheus.NewCounter(prometheus.CounterOpts(opts("refused_streams_total", "Streams of peers that were refused."))),
		onRefused:      onRefused,
	}
	registry.MustRegister(m.streams, m.refused)
	return m
}

// Sent implements consensus.Observer.
func (m *linkMetrics) Sent(_ sig.PublicKey, class consensus.Class, frames, bytes int) {
	m.sentFrames.WithLabelValues(class.String()).Add(float64(frames))
	m.sentBytes.WithLabelValues(class.String()).Add(float64(bytes))
}

// Received implements consensus.Observer.
func (m *linkMetrics) Received(_ sig.PublicKey, class consensus.Class, bytes int) {
	m.receivedFrames.WithLabelValues(class.String()).Inc()
	m.receivedBytes.WithLabelValues(class.String()).Add(float64(bytes))
}

// Dropped implements consensus.Observer.
func (m *linkMetrics) Dropped(_ sig.PublicKey, class consensus.Class, frames int) {
	m.dropped.WithLabelValues(class.String()).Add(float64(frames))
}

// Opened implements consensus.Observer.
func (m *linkMetrics) Opened(_ sig.PublicKey, class consensus.Class) {
	m.streams.WithLabelValues(class.String()).Inc()
}

// Closed implements consensus.Observer.
func (m *linkMetrics) Closed(_ sig.PublicKey, class consensus.Class, _ error) {
	m.streams.WithLabelValues(class.String()).Dec()
}

// Refused implements consensus.Observer.
func (m *linkMetrics) Refused(p peer.ID, reason error) {
	m.refused.Inc()
	m.onRefused(p, reason)
}
