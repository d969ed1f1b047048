package collect

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/decube/decube/api"
	"github.com/decube/decube/blockstore"
)

// fakeStore has a size, and a collection that brings it down to a floor.
type fakeStore struct {
	start     time.Time
	used      int64
	floor     int64
	err       error
	collected []time.Duration
}

func (f *fakeStore) GC(context.Context, api.GCRequest, func(api.Progress)) (api.GCResult, error) {
	f.collected = append(f.collected, time.Since(f.start))
	if f.err == nil {
		f.used = min(f.used, f.floor)
	}
	return api.GCResult{}, f.err
}

func (f *fakeStore) Stat(context.Context) (blockstore.Stat, error) {
	return blockstore.Stat{DiskBytes: f.used}, nil
}

func TestCollector(t *testing.T) {
	for _, tc := range []struct {
		name  string
		store fakeStore
		cfg   Config
		quota int64
		want  []time.Duration // within three hours
	}{
		{
			name: "at intervals", cfg: Config{Enabled: true, Interval: time.Hour, Watermark: 90},
			want: []time.Duration{time.Hour, 2 * time.Hour, 3 * time.Hour},
		},
		{name: "switched off", cfg: Config{Interval: time.Hour, Watermark: 90}, quota: 100, store: fakeStore{used: 100}},
		{
			name: "early when the quota is nearly used", cfg: Config{Enabled: true, Interval: 2 * time.Hour, Watermark: 90},
			quota: 1000, store: fakeStore{used: 900, floor: 100},
			want: []time.Duration{time.Minute, 2 * time.Hour},
		},
		{
			name: "not again and again when nothing can be freed", cfg: Config{Enabled: true, Interval: 2 * time.Hour, Watermark: 90},
			quota: 1000, store: fakeStore{used: 950, floor: 950},
			want: []time.Duration{time.Minute, 2 * time.Hour},
		},
		{
			name: "goes on after a failure", cfg: Config{Enabled: true, Interval: time.Hour, Watermark: 90},
			store: fakeStore{err: errors.New("disk on fire")},
			want:  []time.Duration{time.Hour, 2 * time.Hour, 3 * time.Hour},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := tc.store
				store.start = time.Now()
				c := newCollector(&store, &store, tc.cfg, tc.quota, slog.New(slog.DiscardHandler))
				ctx, cancel := context.WithTimeout(t.Context(), 3*time.Hour+30*time.Second)
				defer cancel()
				if err := c.run(ctx); err != nil {
					t.Fatal(err)
				}
				if !slices.Equal(store.collected, tc.want) {
					t.Errorf("collected after %v, want %v", store.collected, tc.want)
				}
			})
		})
	}
}
