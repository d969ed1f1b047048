package bench

import (
	"math"
	"math/rand/v2"
	"testing"
)

func TestDistribute(t *testing.T) {
	hundred := make([]float64, 100)
	for i := range hundred {
		hundred[i] = float64(100 - i)
	}
	for _, c := range []struct {
		name    string
		samples []float64
		want    Distribution
	}{
		{"none", nil, Distribution{}},
		{"one", []float64{7}, Distribution{1, 7, 7, 7, 7, 7}},
		{"even", []float64{4, 1, 3, 2}, Distribution{4, 1, 2.5, 4, 4, 4}},
		{"hundred", hundred, Distribution{100, 1, 50.5, 95, 99, 100}},
	} {
		if got := Distribute(c.samples); got != c.want {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
	}
	if hundred[0] != 100 {
		t.Error("Distribute changed its argument")
	}
}

func TestMannWhitney(t *testing.T) {
	for _, c := range []struct {
		name string
		a, b []float64
		want float64
	}{
		{"empty", nil, []float64{1}, 1},
		{"all equal", []float64{5, 5, 5}, []float64{5, 5, 5}, 1},
		// 2 of C(6,3) = 20 arrangements are this extreme.
		{"three apart", []float64{1, 2, 3}, []float64{4, 5, 6}, 0.1},
		{"four apart", []float64{1, 2, 3, 4}, []float64{5, 6, 7, 8}, 2.0 / 70},
		{"five apart", []float64{6, 7, 8, 9, 10}, []float64{1, 2, 3, 4, 5}, 2.0 / 252},
		// U = 3; wilcox.test(c(1,2,5,7), c(3,6,8,9,10)) in R gives 0.1111.
		{"overlap", []float64{1, 2, 5, 7}, []float64{3, 6, 8, 9, 10}, 14.0 / 126},
	} {
		if got := MannWhitney(c.a, c.b); math.Abs(got-c.want) > 1e-12 {
			t.Errorf("%s: p = %v, want %v", c.name, got, c.want)
		}
		if got := MannWhitney(c.b, c.a); math.Abs(got-c.want) > 1e-12 {
			t.Errorf("%s, sides exchanged: p = %v, want %v", c.name, got, c.want)
		}
	}
}

// The exact count and the normal approximation must agree where they meet, with
// ties and without.
func TestMannWhitneyApproximation(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, ties := range []bool{false, true} {
		for range 10 {
			a, b := make([]float64, 25), make([]float64, 25)
			for i := range a {
				a[i], b[i] = r.Float64(), r.Float64()+0.2
				if ties {
					a[i], b[i] = math.Floor(10*a[i]), math.Floor(10*b[i])
				}
			}
			exact := MannWhitney(a, b)
			// One more equal pair far outside crosses the limit and changes little.
			approximate := MannWhitney(append(a, -9), append(b, -9))
			if math.Abs(exact-approximate) > 0.03 {
				t.Errorf("ties %v: exact p = %v, approximation beside it %v", ties, exact, approximate)
			}
		}
	}
}

// On equal distributions a test at 5% must cry wolf in about 5% of the cases.
func TestMannWhitneyFalseAlarms(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	alarms := 0
	const runs = 1000
	for range runs {
		a, b := make([]float64, 8), make([]float64, 8)
		for i := range a {
			a[i], b[i] = r.ExpFloat64(), r.ExpFloat64()
		}
		if MannWhitney(a, b) < significance {
			alarms++
		}
	}
	if share := float64(alarms) / runs; share < 0.02 || share > 0.07 {
		t.Errorf("%.1f%% false alarms, want about 5%%", 100*share)
	}
}
