package suite

import (
	"time"

	"github.com/decube/decube/internal/bench"
)

// The targets that benchmarks are held against. They are ambitions, well ahead
// of other tools, and are never edited to fit a result: see docs/benchmarks.md.

func createTargets(src Source) []bench.Target {
	if src.Name != "R" {
		return []bench.Target{{Metric: bench.MetricSeconds, Op: bench.AtMost, Want: 0.6}}
	}
	return []bench.Target{
		{Metric: bench.MetricRatioToL, Op: bench.AtMost, Want: 1.4},
		{Metric: bench.MetricCPUPerGiB, Op: bench.AtMost, Want: 2.0},
		{Metric: bench.MetricPeakBytes, Op: bench.AtMost, Want: 256 << 20},
	}
}

func unchangedTargets() []bench.Target {
	return []bench.Target{{Metric: bench.MetricSeconds, Op: bench.AtMost, Want: 0.15}}
}

func restoreTargets(src Source) []bench.Target {
	if src.Name != "R" {
		return []bench.Target{{Metric: bench.MetricSeconds, Op: bench.AtMost, Want: 1.0}}
	}
	return []bench.Target{{Metric: bench.MetricRatioToL, Op: bench.AtMost, Want: 1.4}}
}

// fetchTargets are for both daemons on the same two cores. QUIC is made in this process
// what TCP is in the kernel, packet by packet.
func fetchTargets(transport string) []bench.Target {
	most := 2.0
	if transport == "QUIC" {
		most = 5.0
	}
	return []bench.Target{{Metric: bench.MetricRatioToL, Op: bench.AtMost, Want: most}}
}

// metricSpeedup is how many times faster a fetch from several rate-limited
// providers is than one from a single such provider.
const metricSpeedup = "speedup"

func speedupTargets() []bench.Target {
	return []bench.Target{{Metric: metricSpeedup, Op: bench.AtLeast, Want: 3.6}}
}

func storeTargets() []bench.Target {
	return []bench.Target{{Metric: bench.MetricBytesPerSecond, Op: bench.AtLeast, Want: 700e6}}
}

func retrieveTargets() []bench.Target {
	return []bench.Target{{Metric: bench.MetricBytesPerSecond, Op: bench.AtLeast, Want: 1.2e9}}
}

// Metrics of a daemon that has nothing to do.
const (
	metricResident = "resident_bytes"
	metricCPUShare = "cpu_share" // of one core
)

func idleTargets() []bench.Target {
	return []bench.Target{
		{Metric: metricResident, Op: bench.AtMost, Want: 80 << 20},
		{Metric: metricCPUShare, Op: bench.AtMost, Want: 0.01},
	}
}

func startTargets() []bench.Target {
	return []bench.Target{{Metric: bench.MetricSeconds, Op: bench.AtMost, Want: 1.0}}
}

// targets are for four validators on one machine, and for what each of the ways to
// put them to work is there to show.
func (c Consensus) targets() []bench.Target {
	switch {
	case c.Validators != 4:
		return nil
	case c.Fault == "kill-leader":
		return []bench.Target{{Metric: bench.MetricNextCommit, Op: bench.AtMost, Want: 1.0}}
	case c.Fault != noFault:
		return nil
	case c.Clients == 1 && c.RTT == 0:
		return []bench.Target{
			{Metric: bench.MetricLatencyP50, Op: bench.AtMost, Want: 0.008},
			{Metric: bench.MetricLatencyP95, Op: bench.AtMost, Want: 0.020},
		}
	case c.Clients == 1 && c.RTT == 100*time.Millisecond:
		return []bench.Target{{Metric: bench.MetricLatencyP50, Op: bench.AtMost, Want: 0.350}}
	case c.Clients >= saturating && c.RTT == 0:
		return []bench.Target{{Metric: bench.MetricTransactionRate, Op: bench.AtLeast, Want: 10_000}}
	}
	return nil
}
