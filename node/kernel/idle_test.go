package kernel

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

func TestTrimmerTrimsOnceAfterWork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		busy := func() bool { // from 25 s to 45 s
			return time.Since(start) > 25*time.Second && time.Since(start) < 45*time.Second
		}
		var moved int64
		var trimmed []time.Duration
		tr := newTrimmer(func() int64 {
			if busy() {
				moved++
			}
			return moved
		})
		tr.trim = func() { trimmed = append(trimmed, time.Since(start)) }
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		defer cancel()
		if err := tr.run(ctx); err != nil {
			t.Fatal(err)
		}
		if want := []time.Duration{10 * time.Second, 50 * time.Second}; !slices.Equal(trimmed, want) {
			t.Errorf("trimmed after %v, want %v", trimmed, want)
		}
	})
}
