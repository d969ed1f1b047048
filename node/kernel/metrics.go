package kernel

import (
	"net/http"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/decube/decube/block"
	"github.com/decube/decube/blockstore"
	"github.com/decube/decube/node/host"
)

// Namespace begins the name of every metric of the program.
const Namespace = "decube"

// metrics counts what the block store reports. It is a blockstore.Observer, and passes on
// which blocks are damaged.
type metrics struct {
	registry *prometheus.Registry
	events   *Events
	moved    atomic.Int64 // bytes of blocks read and written

	flushedBlocks, flushedBytes prometheus.Counter
	flushSeconds                prometheus.Histogram
	readBytes                   prometheus.Counter
	corrupted, refused          prometheus.Counter
	collections, collectedBytes prometheus.Counter
}

func newMetrics(events *Events) *metrics {
	m := &metrics{registry: prometheus.NewRegistry(), events: events}
	counter := func(name, help string) prometheus.Counter {
		c := prometheus.NewCounter(prometheus.CounterOpts{Namespace: Namespace, Name: name, Help: help})
		m.registry.MustRegister(c)
		return c
	}
	m.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	m.flushSeconds = prometheus.NewHistogram(prometheus.HistogramOpts{
		Namespace: Namespace, Name: "blockstore_flush_seconds", Help: "Time of a commit to disk.",
		Buckets: prometheus.ExponentialBuckets(0.001, 2, 14),
	})
	m.registry.MustRegister(m.flushSeconds)
	m.flushedBlocks = counter("blockstore_flushed_blocks_total", "Blocks made durable.")
	m.flushedBytes = counter("blockstore_flushed_bytes_total", "Bytes of blocks made durable.")
	m.readBytes = counter("blockstore_read_bytes_total", "Bytes of blocks read.")
	m.corrupted = counter("blockstore_corrupted_blocks_total", "Blocks found damaged.")
	m.refused = counter("blockstore_refused_writes_total", "Writes refused for want of space or quota.")
	m.collections = counter("blockstore_collections_total", "Garbage collections.")
	m.collectedBytes = counter("blockstore_collected_bytes_total", "Bytes freed by garbage collections.")
	return m
}

func (m *metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{Registry: m.registry})
}

// Flushed implements blockstore.Observer.
func (m *metrics) Flushed(blocks int, bytes int64, took time.Duration) {
	m.moved.Add(bytes)
	m.flushedBlocks.Add(float64(blocks))
	m.flushedBytes.Add(float64(bytes))
	m.flushSeconds.Observe(took.Seconds())
}

// Read implements blockstore.Observer.
func (m *metrics) Read(bytes int) {
	m.moved.Add(int64(bytes))
	m.readBytes.Add(float64(bytes))
}

// Corrupted implements blockstore.Observer.
func (m *metrics) Corrupted(id block.ID, _ error) {
	m.corrupted.Inc()
	m.events.damaged(id)
}

// Refused implements blockstore.Observer.
func (m *metrics) Refused(error) { m.refused.Inc() }

// Collected implements blockstore.Observer.
func (m *metrics) Collected(r blockstore.GCResult) {
	m.collections.Inc()
	m.collectedBytes.Add(float64(r.FreedBytes))
}

// passed is a collector of the bytes that have passed under the bounds of a host.
type passed struct {
	host  *host.Host
	bytes *prometheus.Desc
}

func newPassed(h *host.Host) passed {
	return passed{h, prometheus.NewDesc(prometheus.BuildFQName(Namespace, "", "bandwidth_bytes_total"),
		"Bytes that have passed over connections, where any bound is set.", []string{"direction", "class"}, nil)}
}

// Describe implements prometheus.Collector.
func (p passed) Describe(to chan<- *prometheus.Desc) { to <- p.bytes }

// Collect implements prometheus.Collector. Without bounds there is nothing that only grows.
func (p passed) Collect(to chan<- prometheus.Metric) {
	if !p.host.Bounded() {
		return
	}
	for _, u := range p.host.Passing() {
		to <- prometheus.MustNewConstMetric(p.bytes, prometheus.CounterValue, float64(u.Bytes), u.Direction.String(), u.Party.String())
	}
}
