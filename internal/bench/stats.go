package bench

import (
	"math"
	"slices"
)

const (
	gib = 1 << 30
	mib = 1 << 20
)

// Distribution describes a set of samples. P50 is the median; P95 and P99 are
// nearest-rank percentiles, so with fewer than 20 or 100 samples they are the
// maximum rather than a guess beyond it.
type Distribution struct {
	N   int     `json:"n"`
	Min float64 `json:"min"`
	P50 float64 `json:"p50"`
	P95 float64 `json:"p95"`
	P99 float64 `json:"p99"`
	Max float64 `json:"max"`
}

// Distribute describes samples, which it leaves as they are. No samples give the
// zero Distribution.
func Distribute(samples []float64) Distribution {
	if len(samples) == 0 {
		return Distribution{}
	}
	s := slices.Sorted(slices.Values(samples))
	rank := func(p float64) float64 { return s[int(math.Ceil(p*float64(len(s))))-1] }
	return Distribution{N: len(s), Min: s[0], P50: Median(s), P95: rank(0.95), P99: rank(0.99), Max: s[len(s)-1]}
}

// Median returns the middle sample, or the mean of the middle two; 0 of none.
func Median(samples []float64) float64 {
	if len(samples) == 0 {
		return 0
	}
	s := slices.Sorted(slices.Values(samples))
	m := len(s) / 2
	if len(s)%2 == 1 {
		return s[m]
	}
	return (s[m-1] + s[m]) / 2
}

// exactLimit is the largest number of samples for which the permutation
// distribution is counted; above it the normal approximation is within 0.001.
const exactLimit = 50

// MannWhitney returns the two-sided p-value of the Mann-Whitney U test: how
// likely medians at least this far apart are when a and b come from one
// distribution. It assumes nothing about that distribution's shape. Ties are
// handled by midranks; the distribution is exact, ties included, up to 50
// samples in all and approximated by the normal above. An empty side gives 1.
func MannWhitney(a, b []float64) float64 {
	if len(a) == 0 || len(b) == 0 {
		return 1
	}
	ranks, ties := doubledMidranks(a, b)
	sum := 0
	for _, r := range ranks[:len(a)] {
		sum += r
	}
	if len(ranks) <= exactLimit {
		return exactRankSum(ranks, len(a), sum)
	}
	n1, n2 := float64(len(a)), float64(len(b))
	n := n1 + n2
	deviation := math.Abs(float64(sum)/2-n1*(n+1)/2) - 0.5 // continuity
	sd := math.Sqrt(n1 * n2 / 12 * (n + 1 - ties/(n*(n-1))))
	if deviation <= 0 || sd == 0 {
		return 1
	}
	return min(1, math.Erfc(deviation/sd/math.Sqrt2))
}

// doubledMidranks ranks a followed by b together, each rank times two so that
// midranks stay whole, and returns the sum of t^3-t over groups of t equals.
func doubledMidranks(a, b []float64) (ranks []int, ties float64) {
	all := slices.Concat(a, b)
	order := make([]int, len(all))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(i, j int) int {
		switch {
		case all[i] < all[j]:
			return -1
		case all[i] > all[j]:
			return 1
		default:
			return 0
		}
	})
	ranks = make([]int, len(all))
	for from := 0; from < len(order); {
		to := from + 1
		for to < len(order) && all[order[to]] == all[order[from]] {
			to++
		}
		for _, i := range order[from:to] {
			ranks[i] = from + to + 1 // twice the mean of ranks from+1..to
		}
		t := float64(to - from)
		ties += t*t*t - t
		from = to
	}
	return ranks, ties
}

// exactRankSum counts, over all ways to choose n of the ranks, those whose sum
// lies at least as far from the mean as sum does.
func exactRankSum(ranks []int, n, sum int) float64 {
	total := 0
	for _, r := range ranks {
		total += r
	}
	// ways[k][s] is the number of ways to choose k ranks that add up to s.
	ways := make([][]float64, n+1)
	for k := range ways {
		ways[k] = make([]float64, total+1)
	}
	ways[0][0] = 1
	reach := 0 // no sum is larger so far
	for _, r := range ranks {
		reach += r
		for k := n; k > 0; k-- {
			for s := reach; s >= r; s-- {
				ways[k][s] += ways[k-1][s-r]
			}
		}
	}
	// Compare |s - mean| with mean = n*total/N, all times N to stay whole.
	far := func(s int) int { return max(s*len(ranks)-n*total, n*total-s*len(ranks)) }
	var extreme, every float64
	for s, w := range ways[n] {
		every += w
		if far(s) >= far(sum) {
			extreme += w
		}
	}
	return extreme / every
}
