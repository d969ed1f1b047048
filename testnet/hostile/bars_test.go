package hostile

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"
)

// calm is a result that misses nothing.
func calm() Result {
	point := func() Figures {
		return Figures{
			Serve: Rate{Rate: 100 << 20}, Fetch: Rate{Rate: 100 << 20}, Protected: Rate{Rate: 100 << 20}, Newcomer: Time{Took: time.Second}, Head: &Time{Took: time.Millisecond},
			Idle: State{Resident: 50 << 20, Group: 60 << 20, Goroutines: 100, Descriptors: 20, Log: 1000},
			Peak: State{Resident: 80 << 20, Group: 70 << 20, Goroutines: 150, Descriptors: 30, Log: 1000},
		}
	}
	return Result{
		Attack: "calm", Identities: 3, Addresses: 2, Seconds: 10, Counts: map[string]int64{"smiles": 25},
		Before: point(), During: point(), After: point(),
	}
}

func TestJudge(t *testing.T) {
	for _, c := range []struct {
		what string
		spy  func(*Result)
		want []string
	}{
		{"calm", func(*Result) {}, nil},
		{"half is lost", func(r *Result) { r.During.Serve.Rate /= 2 }, nil},
		{"more is lost", func(r *Result) { r.During.Serve.Rate /= 4; r.During.Fetch = Rate{Err: "late"} }, []string{"serving lost 75 %", "fetching lost 100 %"}},
		{"a member loses", func(r *Result) { r.During.Protected.Rate /= 4 }, []string{"serving a member lost 75 %"}},
		{"nothing was there to lose", func(r *Result) { r.Before.Fetch, r.During.Fetch = Rate{}, Rate{} }, nil},
		{"does not come back", func(r *Result) { r.After.Fetch.Rate /= 4 }, []string{"fetching is 75 % below what it was, 30s after"}},
		{"late", func(r *Result) { r.During.Newcomer.Took = 6 * time.Second }, []string{"a newcomer took 6.0 s"}},
		{"never", func(r *Result) { r.After.Newcomer.Err = "no" }, []string{"a newcomer failed, 30s after: no"}},
		{"no head", func(r *Result) { r.During.Head = &Time{Err: "busy"} }, []string{"asking for the ledger's head failed: busy"}},
		{"no decision", func(r *Result) { r.During.Decide = &Time{Took: 6 * time.Second} }, []string{"deciding on a transaction took 6.0 s"}},
		{"no ledger", func(r *Result) { r.During.Head = nil }, nil},
		{"fat", func(r *Result) { r.During.Peak.Group = 600 << 20 }, []string{"520 MiB more memory"}},
		{"fat for ever", func(r *Result) { r.After.Idle.Resident = 300 << 20 }, []string{"220 MiB are not given back 30s after"}},
		{"leaks", func(r *Result) { r.After.Idle.Goroutines += 300; r.After.Idle.Descriptors += 300 }, []string{
			"300 goroutines are left 30s after", "300 descriptors are left 30s after",
		}},
		{"talks", func(r *Result) { r.During.Peak.Log = 3 << 20 }, []string{"3071 KiB logged"}},
		{"is led", func(r *Result) { r.Trapped = 2 }, []string{"led 2 times to its own network"}},
		{"dead", func(r *Result) { r.Died = "panic"; r.After.Idle.Goroutines += 300 }, []string{"the daemon died: panic"}},
	} {
		r := calm()
		c.spy(&r)
		if got := DefaultBars().Judge(r); !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", c.what, got, c.want)
		}
	}
}

// Of many nothing is asked for strangers but that they get in, and for who has a role half.
func TestJudgeOfMany(t *testing.T) {
	r := calm()
	r.During.Serve, r.During.Fetch = Rate{Err: "late"}, Rate{Err: "late"}
	r.During.Newcomer.Took, r.During.Head.Took, r.During.Peak.Group = 50*time.Second, 50*time.Second, 1<<30
	if got := ManyBars().Judge(r); len(got) > 0 {
		t.Errorf("missed: %q", got)
	}
	r.During.Protected.Rate /= 3
	r.During.Newcomer.Took = 61 * time.Second
	r.After.Idle.Goroutines += 300
	want := []string{"serving a member lost 67 %", "a newcomer took 61.0 s", "300 goroutines are left 30s after"}
	if got := ManyBars().Judge(r); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// A fetch that was slow for once is not held against what is left of an attack.
func TestBetter(t *testing.T) {
	r := calm()
	slow := func() bool { return r.After.slow(r.Before, 0.5, 0.5) }
	if slow() {
		t.Error("a calm result is slow")
	}
	r.After.Fetch = Rate{Err: "late"}
	if !slow() {
		t.Error("a fetch that is never done is not slow")
	}
	again := calm().After
	again.Serve.Rate, again.Peak.Goroutines = 1, 999
	r.After = r.After.better(again)
	if slow() || r.After.Serve.Rate != 100<<20 || r.After.Fetch.Err != "" || r.After.Peak.Goroutines != 999 {
		t.Errorf("%+v", r.After)
	}
}

// What a peer with a role gets has a bound of its own.
func TestSlowOfMember(t *testing.T) {
	r := calm()
	r.During.Serve.Rate, r.During.Protected.Rate = 1, 60<<20
	if r.During.slow(r.Before, 1, 0.5) {
		t.Error("strangers may lose all")
	}
	r.During.Protected.Rate = 40 << 20
	if !r.During.slow(r.Before, 1, 0.5) {
		t.Error("a member may lose half")
	}
}

func TestTable(t *testing.T) {
	good, bad := calm(), calm()
	bad.Attack, bad.During.Serve, bad.Died, bad.Missed = "bad", Rate{Err: "late"}, "panic", []string{"one", "two"}
	r := Report{Bars: DefaultBars(), Results: []Result{good, bad}}
	var out bytes.Buffer
	if err := r.Table(&out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"calm   3/2  100 100 100  100 100 100   100 100 100  1.0 1.0 1.0    80 80 60", "100 - 100", "NO",
		"calm: all bars held", "bad: MISSED: one; two", "10 s, head s: 0.0 0.0 0.0, smiles: 25 (2.5 a second)",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in\n%s", want, &out)
		}
	}
	if !r.Missed() || (Report{Results: []Result{good}}).Missed() {
		t.Error("the report is wrong about what was missed")
	}
	good.Failed = "no way"
	if !(Report{Results: []Result{good}}).Missed() || verdict(good) != "calm: could not be made: no way" {
		t.Errorf("an attack that was not made counts as warded off: %s", verdict(good))
	}
}
