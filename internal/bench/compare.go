package bench

import "fmt"

// significance is the p-value below which a difference is called a change.
const significance = 0.05

// Verdicts of a Comparison.
const (
	Better  = "better"
	Worse   = "worse"
	Same    = "no change shown"
	TooFew  = "too few samples" // no outcome could have been significant
	OnlyOld = "only in the first"
	OnlyNew = "only in the second"
)

// Comparison is one metric of one operation in two runs.
type Comparison struct {
	Operation string  `json:"operation"`
	Metric    string  `json:"metric"` // "seconds" or "cpu_seconds"
	Old       float64 `json:"old"`    // medians
	New       float64 `json:"new"`
	Change    float64 `json:"change"` // (new - old) / old
	P         float64 `json:"p"`      // how likely such a difference is by chance
	Verdict   string  `json:"verdict"`
}

// Compare sets the operations of two runs against each other, in the order of
// the first. A difference counts as a change only when a rank test finds it
// unlikely (p < 0.05) to be chance; that needs at least four samples a side.
func Compare(before, after *Document) []Comparison {
	seen := map[string]*Operation{}
	for _, o := range after.Operations {
		seen[o.Key()] = o
	}
	var out []Comparison
	for _, a := range before.Operations {
		b, ok := seen[a.Key()]
		delete(seen, a.Key())
		if len(a.Samples) == 0 {
			continue
		}
		if !ok || len(b.Samples) == 0 {
			out = append(out, Comparison{Operation: a.Key(), Metric: MetricSeconds, Verdict: OnlyOld, P: 1})
			continue
		}
		out = append(out,
			compare(a, b, MetricSeconds, func(s Sample) float64 { return s.Seconds }),
			compare(a, b, "cpu_seconds", func(s Sample) float64 { return s.CPUSeconds }))
	}
	for _, b := range after.Operations {
		if seen[b.Key()] != nil && len(b.Samples) > 0 {
			out = append(out, Comparison{Operation: b.Key(), Metric: MetricSeconds, Verdict: OnlyNew, P: 1})
		}
	}
	return out
}

func compare(a, b *Operation, metric string, get func(Sample) float64) Comparison {
	x, y := values(a.Samples, get), values(b.Samples, get)
	c := Comparison{Operation: a.Key(), Metric: metric, Old: Median(x), New: Median(y), P: MannWhitney(x, y)}
	if c.Old != 0 {
		c.Change = (c.New - c.Old) / c.Old
	}
	switch {
	case leastP(len(x), len(y)) >= significance:
		c.Verdict = TooFew
	case c.P >= significance || c.Old == c.New:
		c.Verdict = Same
	case c.New < c.Old:
		c.Verdict = Better
	default:
		c.Verdict = Worse
	}
	return c
}

func values(samples []Sample, get func(Sample) float64) []float64 {
	out := make([]float64, len(samples))
	for i, s := range samples {
		out[i] = get(s)
	}
	return out
}

// leastP is the smallest p-value that n and m samples without ties can give:
// two in as many as there are ways to choose n of n+m.
func leastP(n, m int) float64 {
	ways := 1.0
	for i := range n {
		ways = ways * float64(m+i+1) / float64(i+1)
	}
	return min(1, 2/ways)
}

// Incomparable says why absolute figures of two runs should not be compared, or
// is empty.
func Incomparable(before, after *Document) string {
	if !before.Machine.Same(after.Machine) {
		return fmt.Sprintf("the runs were made on different machines (%s, %d cores, %s; %s, %d cores, %s)",
			before.Machine.CPU, before.Machine.Cores, before.Machine.FileSystem,
			after.Machine.CPU, after.Machine.Cores, after.Machine.FileSystem)
	}
	if a, b := before.Limits.L, after.Limits.L; a > 0 && b > 0 && max(a, b)/min(a, b) > 1.15 {
		return fmt.Sprintf("the disk limit L moved between the runs, from %.2f to %.2f s/GiB", a, b)
	}
	return ""
}
