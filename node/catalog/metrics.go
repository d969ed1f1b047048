package catalog

import (
	"context"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/decube/decube/crdtsync"
	"github.com/decube/decube/node/kernel"
)

// gauges reads how the catalog is when it is asked for metrics.
type gauges struct {
	status func(context.Context) (crdtsync.Status, error)
	all    []gauge
}

// gauge is one figure.
type gauge struct {
	desc *prometheus.Desc
	kind prometheus.ValueType
	of   func(*crdtsync.Status) float64
}

func newGauges(status func(context.Context) (crdtsync.Status, error)) *gauges {
	g := &gauges{status: status}
	add := func(name, help string, kind prometheus.ValueType, of func(*crdtsync.Status) float64) {
		g.all = append(g.all, gauge{prometheus.NewDesc(kernel.Namespace+"_catalog_"+name, help, nil, nil), kind, of})
	}
	add("bundles", "Bundles that are held.", prometheus.GaugeValue, func(s *crdtsync.Status) float64 { return float64(s.Bundles) })
	add("bytes", "Bytes of all that is held.", prometheus.GaugeValue, func(s *crdtsync.Status) float64 { return float64(s.Bytes) })
	add("documents", "Documents that exist.", prometheus.GaugeValue, func(s *crdtsync.Status) float64 { return float64(s.Documents) })
	add("dropped_total", "Bundles that came and were not taken in.", prometheus.CounterValue, func(s *crdtsync.Status) float64 { return float64(s.Dropped) })
	add("faults", "Writers that are proved to have broken a rule.", prometheus.GaugeValue, func(s *crdtsync.Status) float64 { return float64(s.Faults) })
	add("peers", "Peers that are asked for what is lacking.", prometheus.GaugeValue, func(s *crdtsync.Status) float64 { return float64(len(s.Peers)) })
	add("peers_in_step", "Peers of which all was held when they were asked last.", prometheus.GaugeValue, inStep)
	add("spaces", "Spaces of which something is held.", prometheus.GaugeValue, func(s *crdtsync.Status) float64 { return float64(s.Spaces) })
	add("waiting", "Bundles that wait for those before them.", prometheus.GaugeValue, func(s *crdtsync.Status) float64 { return float64(s.Waiting) })
	return g
}

func inStep(s *crdtsync.Status) float64 {
	n := 0
	for _, p := range s.Peers {
		if p.InStep {
			n++
		}
	}
	return float64(n)
}

// Describe implements prometheus.Collector.
func (g *gauges) Describe(out chan<- *prometheus.Desc) {
	for _, a := range g.all {
		out <- a.desc
	}
}

// Collect implements prometheus.Collector.
func (g *gauges) Collect(out chan<- prometheus.Metric) {
	s, err := g.status(context.Background())
	if err != nil {
		return
	}
	for _, a := range g.all {
		out <- prometheus.MustNewConstMetric(a.desc, a.kind, a.of(&s))
	}
}
