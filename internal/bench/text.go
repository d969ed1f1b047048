package bench

import (
	"fmt"
	"strings"
)

// seconds prints a duration with about three significant places.
func seconds(s float64) string {
	switch {
	case s >= 1:
		return fmt.Sprintf("%.2f s", s)
	case s >= 0.01:
		return fmt.Sprintf("%.0f ms", s*1000)
	default:
		return fmt.Sprintf("%.3g ms", s*1000)
	}
}

func rate(bytesPerSecond float64) string {
	if bytesPerSecond == 0 {
		return ""
	}
	return fmt.Sprintf("%.0f", bytesPerSecond/1e6)
}

func ratio(r float64) string {
	if r == 0 {
		return ""
	}
	return fmt.Sprintf("%.2f", r)
}

// quantity prints a limit in its unit.
func quantity(v float64, unit string) string {
	switch unit {
	case unitRate:
		return fmt.Sprintf("%.0f MB/s", v/1e6)
	case unitPer:
		return fmt.Sprintf("%.2f s/GiB", v)
	default:
		return fmt.Sprintf("%.0f %s", v, unit)
	}
}

// metricText prints a metric's value, whose unit the end of its name tells.
func metricText(metric string, v float64) string {
	switch {
	case metric == MetricRatioToL:
		return fmt.Sprintf("%.2f x L", v)
	case metric == MetricCPUPerGiB:
		return fmt.Sprintf("%.2f CPU s/GiB", v)
	case strings.HasSuffix(metric, "bytes_per_second"):
		return fmt.Sprintf("%.0f MB/s", v/1e6)
	case strings.HasSuffix(metric, "bytes"):
		return fmt.Sprintf("%.1f MiB", v/mib)
	case strings.HasSuffix(metric, "seconds"):
		return seconds(v)
	case strings.HasSuffix(metric, "share"):
		return fmt.Sprintf("%.2f%%", 100*v)
	default:
		return fmt.Sprintf("%.2f", v)
	}
}
