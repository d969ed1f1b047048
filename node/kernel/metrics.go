package node

import (
	"net/http"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/decube/decube/block"
	"github.com/decube/decube/blockstore"
)

// namespace begins the name of every metric of the program.
const namespace = "decube"

// metrics counts what the rooms report. It is an exchange.Observer.
type metrics struct {
	registry *prometheus.Registry
	moved    atomic.Int64 // bytes of blocks read, written, sent and received

	flushedBlocks, flushedBytes prometheus.Counter
	flushSeconds                prometheus.Histogram
	readBytes                   prometheus.Counter
	corrupted, refused          prometheus.Counter
	collections, collectedBytes prometheus.Counter
	servedBlocks, servedBytes   prometheus.Counter
	fetchedBlocks, fetchedBytes prometheus.Counter
	dropped                     prometheus.Counter
}

func newMetrics() *metrics {
	m := &metrics{registry: prometheus.NewRegistry()}
	counter := func(name, help string) prometheus.Counter {
		c := prometheus.NewCounter(prometheus.CounterOpts{Namespace: namespace, Name: name, Help: help})
		m.registry.MustRegister(c)
		return c
	}
	m.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	m.flushSeconds = prometheus.NewHistogram(prometheus.HistogramOpts{
		Namespace: namespace, Name: "blockstore_flush_seconds", Help: "Time of a commit to disk.",
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
	m.servedBlocks = counter("exchange_served_blocks_total", "Blocks sent to peers.")
	m.servedBytes = counter("exchange_served_bytes_total", "Bytes of blocks sent to peers.")
	m.fetchedBlocks = counter("exchange_fetched_blocks_total", "Blocks received from peers and verified.")
	m.fetchedBytes = counter("exchange_fetched_bytes_total", "Bytes of blocks received from peers and verified.")
	m.dropped = counter("exchange_dropped_peers_total", "Peers dropped from a fetch for what they did.")
	return m
}

func (m *metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{Registry: m.registry})
}

// Served implements exchange.Observer.
func (m *metrics) Served(_ peer.ID, bytes int) {
	m.moved.Add(int64(bytes))
	m.servedBlocks.Inc()
	m.servedBytes.Add(float64(bytes))
}

// Fetched implements exchange.Observer.
func (m *metrics) Fetched(_ peer.ID, bytes int) {
	m.moved.Add(int64(bytes))
	m.fetchedBlocks.Inc()
	m.fetchedBytes.Add(float64(bytes))
}

// Dropped implements exchange.Observer.
func (m *metrics) Dropped(peer.ID, error) { m.dropped.Inc() }

// storeObserver is a blockstore.Observer: it counts, and has damaged blocks healed.
type storeObserver struct {
	*metrics

	healer *healer
}

// Flushed implements blockstore.Observer.
func (o storeObserver) Flushed(blocks int, bytes int64, took time.Duration) {
	o.moved.Add(bytes)
	o.flushedBlocks.Add(float64(blocks))
	o.flushedBytes.Add(float64(bytes))
	o.flushSeconds.Observe(took.Seconds())
}

// Read implements blockstore.Observer.
func (o storeObserver) Read(bytes int) {
	o.moved.Add(int64(bytes))
	o.readBytes.Add(float64(bytes))
}

// Corrupted implements blockstore.Observer.
func (o storeObserver) Corrupted(id block.ID, _ error) {
	o.corrupted.Inc()
	o.healer.damaged(id)
}

// Refused implements blockstore.Observer.
func (o storeObserver) Refused(error) { o.refused.Inc() }

// Collected implements blockstore.Observer.
func (o storeObserver) Collected(r blockstore.GCResult) {
	o.collections.Inc()
	o.collectedBytes.Add(float64(r.FreedBytes))
}
