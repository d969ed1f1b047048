package dht

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/event"
	"golang.org/x/sync/errgroup"

	"github.com/decube/decube/block"
)

const (
	// provideConcurrency is the number of urgent provides at a time.
	provideConcurrency = 4
	// settleStep and settleFor are how often and how long the routing table is
	// looked at after a peer said hello: it is checked before it is entered.
	settleStep = 10 * time.Millisecond
	settleFor  = 2 * time.Second
	// retryEvery is the time after which what failed is tried again.
	retryEvery = 30 * time.Second
)

// pending holds the blocks that wait for an urgent provide, each once, oldest
// first.
type pending struct {
	mu    sync.Mutex
	limit int
	order []block.ID
	has   map[block.ID]struct{}
	wake  chan struct{} // buffered, 1
}

func newPending(limit int) *pending {
	return &pending{limit: limit, has: make(map[block.ID]struct{}), wake: make(chan struct{}, 1)}
}

// add enters ids that are not in yet; it reports whether all found room.
func (p *pending) add(ids ...block.ID) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, id := range ids {
		if _, in := p.has[id]; in {
			continue
		}
		if len(p.order) == p.limit {
			return false
		}
		p.has[id] = struct{}{}
		p.order = append(p.order, id)
	}
	select {
	case p.wake <- struct{}{}:
	default:
	}
	return true
}

// take removes up to n of the oldest.
func (p *pending) take(n int) []block.ID {
	p.mu.Lock()
	defer p.mu.Unlock()
	n = min(n, len(p.order))
	ids := append([]block.ID(nil), p.order[:n]...)
	p.order = append(p.order[:0], p.order[n:]...)
	for _, id := range ids {
		delete(p.has, id)
	}
	return ids
}

func (p *pending) len() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.order)
}

// Provide tells the swarm now that this peer holds ids, whatever the strategy,
// and remembers them for the sweep unless the strategy is none. It returns when
// the closest peers were told. When nobody is connected, or telling them
// failed, the blocks wait and are provided by Run upon the next connection;
// that is not an error. It returns ErrPendingFull when too many wait, and ctx's
// error when ctx ends first, in which case they wait too.
func (d *DHT) Provide(ctx context.Context, ids ...block.ID) error {
	if d.bulk != nil {
		if err := d.bulk.remember(ctx, ids); err != nil {
			return err
		}
	}
	d.answerFor(ids)
	left := ids
	if d.connected() {
		left = d.provideAll(ctx, ids)
	}
	if len(left) == 0 {
		return nil
	}
	if !d.pending.add(left...) {
		return fmt.Errorf("dht: provide %d blocks: %w", len(left), ErrPendingFull)
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("dht: provide %d blocks: %w", len(ids), err)
	}
	return nil
}

// provideAll provides ids and returns those that failed.
func (d *DHT) provideAll(ctx context.Context, ids []block.ID) []block.ID {
	var (
		mu     sync.Mutex
		failed []block.ID
		g      errgroup.Group
	)
	g.SetLimit(provideConcurrency)
	for _, id := range ids {
		g.Go(func() error {
			if err := d.provideOne(ctx, id); err != nil {
				d.log.Debug("provide failed", "id", id.String(), "err", err)
				mu.Lock()
				failed = append(failed, id)
				mu.Unlock()
			}
			return nil
		})
	}
	_ = g.Wait() // no function of the group returns an error
	return failed
}

func (d *DHT) provideOne(ctx context.Context, id block.ID) error {
	ctx, cancel := context.WithTimeout(ctx, d.cfg.ProvideTimeout)
	defer cancel()
	if err := d.kad.Provide(ctx, id.CID(), true); err != nil {
		return err
	}
	if !d.connected() {
		return ErrNotConnected // the last peer went away meanwhile
	}
	return nil
}

// runPending provides what waits whenever a peer is there to be told.
func (d *DHT) runPending(ctx context.Context) error {
	sub, err := d.host.EventBus().Subscribe([]any{
		new(event.EvtPeerIdentificationCompleted), new(event.EvtPeerProtocolsUpdated),
	})
	if err != nil {
		return fmt.Errorf("dht: watch connections: %w", err)
	}
	// Events are read however long providing takes: whoever publishes one waits for every
	// subscriber, and all other subscribers wait for that.
	came := make(chan struct{}, 1)
	var reading sync.WaitGroup
	reading.Go(func() {
		for range sub.Out() { // until it is closed
			select {
			case came <- struct{}{}:
			default: // it is known that somebody came
			}
		}
	})
	defer reading.Wait()
	defer sub.Close()
	retry := time.NewTicker(retryEvery)
	defer retry.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-came:
			d.settle(ctx)
		case <-d.pending.wake:
		case <-retry.C:
		}
		d.drainPending(ctx)
	}
}

// settle waits for a new peer to enter an empty routing table.
func (d *DHT) settle(ctx context.Context) {
	if d.pending.len() == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, settleFor)
	defer cancel()
	step := time.NewTicker(settleStep)
	defer step.Stop()
	for !d.connected() {
		select {
		case <-ctx.Done():
			return
		case <-step.C:
		}
	}
}

// drainPending provides what waits, in batches, until it is empty or fails.
func (d *DHT) drainPending(ctx context.Context) {
	for d.connected() && ctx.Err() == nil {
		ids := d.pending.take(8 * provideConcurrency)
		if len(ids) == 0 {
			return
		}
		failed := d.provideAll(ctx, ids)
		if len(failed) > 0 {
			d.pending.requeue(failed)
			return
		}
	}
}

// requeue puts back what failed, without waking the loop that failed it.
func (p *pending) requeue(ids []block.ID) {
	p.add(ids...)
	select {
	case <-p.wake:
	default:
	}
}
