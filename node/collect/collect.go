// Package collect is the part of a node that collects garbage in its block store from time
// to time, and early when the quota is nearly used up.
package collect

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/decube/decube/api"
	"github.com/decube/decube/blockstore"
	"github.com/decube/decube/internal/config"
	"github.com/decube/decube/node/kernel"
)

// watermarkEvery is how often the store's size is compared with the watermark.
const watermarkEvery = time.Minute

// Config is the gc section.
type Config struct {
	Enabled  bool          // collect garbage in the background
	Interval time.Duration // between collections
	// Watermark is the part of the quota, in percent, at which a collection starts
	// early.
	Watermark int
}

// Default returns the settings of an ordinary peer.
func Default() Config { return Config{Enabled: true, Interval: time.Hour, Watermark: 90} }

// Validate checks the bounds.
func (c Config) Validate() error {
	switch {
	case c.Interval < time.Minute:
		return config.Invalid("interval", c.Interval, "must be at least 1m")
	case c.Watermark < 1 || c.Watermark > 100:
		return config.Invalid("watermark", c.Watermark, "must be from 1 to 100 percent of the quota")
	}
	return nil
}

// Part is the part.
type Part struct {
	cfg   Config
	quota int64 // of the block store, in bytes; 0 is none
}

var _ kernel.Part = (*Part)(nil)

// New returns the part with valid settings, for a store with a quota in bytes, 0 for none.
func New(cfg Config, quota int64) *Part { return &Part{cfg, quota} }

// Name implements kernel.Part.
func (p *Part) Name() string { return "collect" }

// Open implements kernel.Part.
func (p *Part) Open(_ context.Context, k *kernel.Kernel) (kernel.Running, error) {
	c := newCollector(k.Local, k.Store, p.cfg, p.quota, k.Log.With("room", "gc"))
	return kernel.Running{Run: c.run, Again: true}, nil
}

// collector collects garbage from time to time, and early when the quota is
// nearly used up.
type collector struct {
	repo  garbageCollector
	size  sizer
	cfg   Config
	quota int64
	log   *slog.Logger

	// floor is the store's size after the last early collection: as long as
	// nothing was added since, another one would free nothing either.
	floor int64
}

// garbageCollector collects; it returns api.ErrConflict while another collection runs.
type garbageCollector interface {
	GC(ctx context.Context, req api.GCRequest, progress func(api.Progress)) (api.GCResult, error)
}

// sizer tells how large the store is.
type sizer interface {
	Stat(ctx context.Context) (blockstore.Stat, error)
}

func newCollector(gc garbageCollector, size sizer, cfg Config, quota int64, log *slog.Logger) *collector {
	return &collector{repo: gc, size: size, cfg: cfg, quota: quota, log: log}
}

// run collects until ctx is done. A collection that fails is logged and tried
// again at the next occasion.
func (c *collector) run(ctx context.Context) error {
	if !c.cfg.Enabled {
		return nil
	}
	every := time.NewTicker(c.cfg.Interval)
	defer every.Stop()
	var watermark <-chan time.Time
	if c.quota > 0 {
		t := time.NewTicker(watermarkEvery)
		defer t.Stop()
		watermark = t.C
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-every.C:
			c.collect(ctx, "interval")
		case <-watermark:
			if c.nearlyFull(ctx) {
				c.collect(ctx, "watermark")
				c.floor = c.used(ctx)
			}
		}
	}
}

func (c *collector) nearlyFull(ctx context.Context) bool {
	used := c.used(ctx)
	return used > c.floor && used >= c.quota/100*int64(c.cfg.Watermark)
}

// used returns the bytes the store takes on disk, 0 when that is not known.
func (c *collector) used(ctx context.Context) int64 {
	stat, err := c.size.Stat(ctx)
	if err != nil {
		if ctx.Err() == nil {
			c.log.Warn("the store's size is not known", "err", err)
		}
		return 0
	}
	return stat.DiskBytes
}

func (c *collector) collect(ctx context.Context, reason string) {
	result, err := c.repo.GC(ctx, api.GCRequest{}, func(api.Progress) {})
	switch {
	case err == nil:
		c.log.Info("collected garbage", "reason", reason, "removed", result.Removed, "freed", result.FreedBytes,
			"kept", result.Kept, "seconds", result.Seconds)
	case errors.Is(err, api.ErrConflict) || ctx.Err() != nil:
	default:
		c.log.Error("garbage could not be collected", "reason", reason, "err", err)
	}
}
