package host

import (
	"testing"
	"time"
)

func TestRates(t *testing.T) {
	r, now := newRates[string](10, 20), time.Unix(0, 0)
	count := func(of string, times int) (allowed int) {
		for range times {
			if r.allow(now, of) {
				allowed++
			}
		}
		return allowed
	}
	for _, c := range []struct {
		after time.Duration
		of    string
		times int
		want  int
	}{
		{0, "a", 100, 20}, {0, "b", 5, 5}, {time.Second, "a", 100, 10}, {100 * time.Millisecond, "a", 2, 1}, {0, "b", 100, 20}, {time.Hour, "a", 100, 20},
	} {
		now = now.Add(c.after)
		if got := count(c.of, c.times); got != c.want {
			t.Errorf("%s, %v later: %d of %d, want %d", c.of, c.after, got, c.times, c.want)
		}
	}
	for i := range 10_000 {
		now = now.Add(time.Millisecond)
		r.allow(now, string(rune(i+1000)))
	}
	if len(r.buckets) > 2*2*1000+2 { // who came within twice the time in which all is given back
		t.Errorf("%d are remembered", len(r.buckets))
	}
}

func TestShunned(t *testing.T) {
	s, now := newShunned[string](refusalsMost, shunFor), time.Unix(0, 0)
	for range refusalsMost - 1 {
		if s.refused(now, "a") {
			t.Fatal("shunned too early")
		}
	}
	if s.shuns(now, "a") {
		t.Error("shunned too early")
	}
	if !s.refused(now, "a") || !s.shuns(now, "a") || s.shuns(now, "b") {
		t.Error("not shunned")
	}
	now = now.Add(shunFor - time.Millisecond)
	if !s.shuns(now, "a") {
		t.Error("forgiven too early")
	}
	now = now.Add(time.Millisecond)
	if s.shuns(now, "a") {
		t.Error("not forgiven")
	}
	for i := range 10 * refusalsMost { // now and then is allowed
		now = now.Add(refusalsWithin / (refusalsMost - 1) * 2)
		if s.refused(now, "c") {
			t.Fatalf("shunned at the refusal %d", i)
		}
	}
	for i := range 3 * mostShunned {
		for range refusalsMost {
			s.refused(now, string(rune(i+1000)))
		}
	}
	if len(s.until) > mostShunned {
		t.Errorf("%d are shunned", len(s.until))
	}
}
