package bench

import (
	"context"
	"errors"
	"os"
	"testing"
)

func TestMeasureLimits(t *testing.T) {
	dir := t.TempDir()
	o := LimitOptions{Dir: dir, Bytes: 9<<20 + 5, Repeats: 2}
	l, err := MeasureLimits(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if l.Bytes != 9<<20 {
		t.Errorf("%d bytes were moved, want whole MiB: %d", l.Bytes, 9<<20)
	}
	if len(l.Figures) != 10 {
		t.Errorf("%d figures, want 10", len(l.Figures))
	}
	for _, f := range l.Figures {
		if len(f.Samples) != 2 || f.Median <= 0 || f.Unit == "" {
			t.Errorf("%+v", f)
		}
	}
	if err := l.Again(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	if f := l.Get(LimitHashWrite); len(f.Samples) != 4 || f.Median != l.L {
		t.Errorf("after measuring again: %+v, L = %v", f, l.L)
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 0 {
		t.Errorf("scratch files are left: %v, %v", left, err)
	}
}

func TestMeasureLimitsStops(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := MeasureLimits(ctx, LimitOptions{Dir: t.TempDir(), Bytes: 1 << 20}); !errors.Is(err, context.Canceled) {
		t.Errorf("error is %v", err)
	}
	if _, err := MeasureLimits(t.Context(), LimitOptions{Dir: "/nowhere/at/all"}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("error is %v", err)
	}
}
