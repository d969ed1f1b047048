package content

import (
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/decube/decube/node/kernel"
)

// metrics counts what goes to and comes from peers. It is an exchange.Observer.
type metrics struct {
	servedBlocks, servedBytes   prometheus.Counter
	fetchedBlocks, fetchedBytes prometheus.Counter
	dropped                     prometheus.Counter
}

func newMetrics(registry prometheus.Registerer) *metrics {
	counter := func(name, help string) prometheus.Counter {
		c := prometheus.NewCounter(prometheus.CounterOpts{Namespace: kernel.Namespace, Name: name, Help: help})
		registry.MustRegister(c)
		return c
	}
	return &metrics{
		servedBlocks:  counter("exchange_served_blocks_total", "Blocks sent to peers."),
		servedBytes:   counter("exchange_served_bytes_total", "Bytes of blocks sent to peers."),
		fetchedBlocks: counter("exchange_fetched_blocks_total", "Blocks received from peers and verified."),
		fetchedBytes:  counter("exchange_fetched_bytes_total", "Bytes of blocks received from peers and verified."),
		dropped:       counter("exchange_dropped_peers_total", "Peers dropped from a fetch for what they did."),
	}
}

// Served implements exchange.Observer.
func (m *metrics) Served(_ peer.ID, bytes int) {
	m.servedBlocks.Inc()
	m.servedBytes.Add(float64(bytes))
}

// Fetched implements exchange.Observer.
func (m *metrics) Fetched(_ peer.ID, bytes int) {
	m.fetchedBlocks.Inc()
	m.fetchedBytes.Add(float64(bytes))
}

// Dropped implements exchange.Observer.
func (m *metrics) Dropped(peer.ID, error) { m.dropped.Inc() }
