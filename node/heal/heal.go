// Package heal is the part of a node that fetches damaged blocks again from the swarm.
package heal

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/decube/decube/block"
	"github.com/decube/decube/node/kernel"
	"github.com/decube/decube/protocols/exchange"
)

const (
	mostDamaged  = 4096            // blocks that wait to be healed
	healTogether = 64              // blocks asked for at a time
	healTimeout  = 5 * time.Minute // of one attempt
	healFirst    = 5 * time.Second // pause after the first failure; doubles
	healSlowest  = time.Hour       // longest pause
)

// Fetcher gets single blocks from the swarm into the store. The error is an
// *exchange.MissingError that names those that nobody had.
type Fetcher interface {
	FetchBlocks(ctx context.Context, ids []block.ID) error
}

// Part is the part.
type Part struct{ healer *healer }

var (
	_ kernel.Part     = (*Part)(nil)
	_ kernel.Preparer = (*Part)(nil)
)

// New returns the part, which asks the swarm by way of f.
func New(f Fetcher) *Part { return &Part{newHealer(f.FetchBlocks, nil)} }

// Name implements kernel.Part.
func (p *Part) Name() string { return "heal" }

// Prepare implements kernel.Preparer. Opening the store may find damage already.
func (p *Part) Prepare(k *kernel.Kernel) error {
	p.healer.log = k.Log.With("room", "heal")
	k.Events.OnDamaged(p.healer.damaged)
	return nil
}

// Open implements kernel.Part.
func (p *Part) Open(context.Context, *kernel.Kernel) (kernel.Running, error) {
	return kernel.Running{Run: p.healer.run, Again: true, Warnings: p.warnings}, nil
}

func (p *Part) warnings(context.Context) []string {
	if count := p.healer.waiting(); count > 0 {
		return []string{fmt.Sprintf("%d damaged blocks are waiting to be fetched again from the swarm", count)}
	}
	return nil
}

// healer fetches damaged blocks again from the swarm. The store has put them
// aside when the healer hears of them; what is fetched takes their place.
type healer struct {
	fetch func(ctx context.Context, ids []block.ID) error
	log   *slog.Logger
	wake  chan struct{}

	mu   sync.Mutex
	sick map[block.ID]*treatment
}

// treatment is when a block is to be fetched, and how often that failed.
type treatment struct {
	failures int
	next     time.Time
}

func newHealer(fetch func(ctx context.Context, ids []block.ID) error, log *slog.Logger) *healer {
	return &healer{fetch: fetch, log: log, wake: make(chan struct{}, 1), sick: make(map[block.ID]*treatment)}
}

// damaged takes note of a block. It never blocks; when too many are waiting the
// block is left to fsck.
func (h *healer) damaged(id block.ID) {
	h.mu.Lock()
	full := len(h.sick) >= mostDamaged
	if !full && h.sick[id] == nil {
		h.sick[id] = &treatment{next: time.Now()}
	}
	h.mu.Unlock()
	if full {
		h.log.Error("too many damaged blocks, run fsck", "block", id)
		return
	}
	select {
	case h.wake <- struct{}{}:
	default:
	}
}

// waiting returns how many blocks are not healed yet.
func (h *healer) waiting() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.sick)
}

// run heals until ctx is done.
func (h *healer) run(ctx context.Context) error {
	timer := time.NewTimer(healSlowest)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-h.wake:
		case <-timer.C:
		}
		for ids := h.due(); len(ids) > 0 && ctx.Err() == nil; ids = h.due() {
			h.treat(ctx, ids)
		}
		timer.Reset(h.untilNext())
	}
}

// treat fetches blocks together, and notes which of them nobody had.
func (h *healer) treat(ctx context.Context, ids []block.ID) {
	err := h.attempt(ctx, ids)
	if ctx.Err() != nil {
		return
	}
	missing := ids
	var partly *exchange.MissingError
	switch {
	case err == nil:
		missing = nil
	case errors.As(err, &partly):
		missing = partly.Missing
	}
	h.settle(ids, missing, err)
}

func (h *healer) attempt(ctx context.Context, ids []block.ID) error {
	ctx, cancel := context.WithTimeout(ctx, healTimeout)
	defer cancel()
	return h.fetch(ctx, ids)
}

// settle records the outcome of an attempt.
func (h *healer) settle(ids, missing []block.ID, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, id := range ids {
		t := h.sick[id]
		if !slices.Contains(missing, id) {
			delete(h.sick, id)
			h.log.Info("a damaged block was fetched again", "block", id)
			continue
		}
		pause := healSlowest
		if t.failures < 10 {
			pause = min(healSlowest, healFirst<<t.failures)
		}
		t.failures++
		t.next = time.Now().Add(pause)
		h.log.Warn("a damaged block could not be fetched again", "block", id, "attempts", t.failures, "next", pause, "err", err)
	}
}

// due returns some of the blocks whose time has come.
func (h *healer) due() []block.ID {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := time.Now()
	var ids []block.ID
	for id, t := range h.sick {
		if len(ids) < healTogether && !t.next.After(now) {
			ids = append(ids, id)
		}
	}
	return ids
}

func (h *healer) untilNext() time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	wait := healSlowest
	for _, t := range h.sick {
		wait = min(wait, time.Until(t.next))
	}
	return max(wait, 0)
}
