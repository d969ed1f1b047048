package dht

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ipfs/go-datastore"
	"github.com/ipfs/go-datastore/namespace"
	"github.com/libp2p/go-libp2p-kad-dht/provider"
	"github.com/libp2p/go-libp2p-kad-dht/provider/keystore"
	mh "github.com/multiformats/go-multihash"

	"github.com/decube/decube/block"
)

// feedStep is the most keys handed to the sweep at a time.
const feedStep = 8 << 10

// cleanMark is where a clean stop leaves the strategy it ran under. It is
// removed at the start, so that a crash leaves none.
var cleanMark = datastore.NewKey("clean")

// bulk is the key store, the queue of keys that were never provided, and the
// sweep that provides both.
type bulk struct {
	cfg   Config
	ds    datastore.Batching
	keys  *keystore.ResettableKeystore
	clean bool // the last stop was clean and under the same strategy

	mu       sync.Mutex
	queue    []mh.Multihash
	wake     chan struct{} // buffered, 1
	sweep    *provider.SweepingProvider
	closed   bool
	upToDate bool
	deferred atomic.Int64
	lastSize atomic.Int64 // keys
}

func newBulk(ds datastore.Batching, cfg Config) (*bulk, error) {
	ctx := context.Background()
	mark, err := ds.Get(ctx, cleanMark)
	if err != nil && !errors.Is(err, datastore.ErrNotFound) {
		return nil, err
	}
	if err := ds.Delete(ctx, cleanMark); err != nil {
		return nil, err
	}
	keys, err := keystore.NewResettableKeystore(parts{namespace.Wrap(ds, datastore.NewKey("/keys"))})
	if err != nil {
		return nil, err
	}
	return &bulk{
		cfg: cfg, ds: ds, keys: keys,
		clean: string(mark) == string(cfg.Strategy),
		wake:  make(chan struct{}, 1),
	}, nil
}

// close stops the sweep and the key store, and leaves the mark of a clean stop
// when the key store is up to date.
func (b *bulk) close() error {
	b.mu.Lock()
	b.closed = true
	sweep, upToDate, waiting := b.sweep, b.upToDate, len(b.queue)
	b.mu.Unlock()
	var errs []error
	if sweep != nil {
		errs = append(errs, sweep.Close())
	}
	errs = append(errs, b.keys.Close())
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("dht: close key store: %w", err)
	}
	if !upToDate || waiting > 0 {
		return nil // the next start reads everything again
	}
	if err := b.ds.Put(context.Background(), cleanMark, []byte(b.cfg.Strategy)); err != nil {
		return fmt.Errorf("dht: mark clean stop: %w", err)
	}
	return nil
}

func (b *bulk) status(ctx context.Context, st *Status) {
	b.mu.Lock()
	sweep := b.sweep
	st.Queued, st.Ready = len(b.queue), b.upToDate
	b.mu.Unlock()
	if sweep != nil {
		if sw, err := sweep.Stats(ctx); err == nil {
			st.Queued += int(sw.Queues.PendingKeyProvides) + sw.Operations.Ongoing.KeyProvides
		}
	}
	st.Deferred = b.deferred.Load()
	st.Keys = b.size(ctx)
}

// sizePatience is how long the key store is waited for when it is asked its size.
const sizePatience = 100 * time.Millisecond

// size returns the number of keys, as it was last when the key store is busy.
func (b *bulk) size(ctx context.Context) int64 {
	ctx, cancel := context.WithTimeout(ctx, sizePatience)
	defer cancel()
	if n, err := b.keys.Size(ctx); err == nil {
		b.lastSize.Store(int64(n))
	}
	return b.lastSize.Load()
}

// remember enters ids into the key store without providing them.
func (b *bulk) remember(ctx context.Context, ids []block.ID) error {
	keys := multihashes(ids)
	if _, err := b.keys.Put(ctx, keys...); err != nil {
		return fmt.Errorf("dht: remember %d keys: %w", len(keys), err)
	}
	if sweep := b.running(); sweep != nil {
		if err := sweep.AddToSchedule(keys...); err != nil && !errors.Is(err, provider.ErrClosed) {
			return fmt.Errorf("dht: schedule %d keys: %w", len(keys), err)
		}
	}
	return nil
}

func (b *bulk) running() *provider.SweepingProvider {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.sweep
}

// Announce enters newly held blocks of one kind for the sweep, when the
// strategy covers them: they are provided soon, in bulk, and again with every
// sweep. Roots are provided at once, in the background. The keys are durable on
// return as far as the datastore is; a whole batch costs little more than one
// key, so callers announce in batches.
func (d *DHT) Announce(ctx context.Context, kind Kind, ids ...block.ID) error {
	if d.bulk == nil || !d.cfg.Strategy.Covers(kind) || len(ids) == 0 {
		return nil
	}
	if kind == Root {
		if err := d.bulk.remember(ctx, ids); err != nil {
			return err
		}
		d.answerFor(ids)
		if !d.pending.add(ids...) {
			return fmt.Errorf("dht: announce %d roots: %w", len(ids), ErrPendingFull)
		}
		return nil
	}
	fresh, err := d.bulk.keys.Put(ctx, multihashes(ids)...)
	if err != nil {
		return fmt.Errorf("dht: announce %d keys: %w", len(ids), err)
	}
	d.bulk.enqueue(fresh)
	return nil
}

// Forget stops announcing ids. Records that others hold expire by themselves.
func (d *DHT) Forget(ctx context.Context, ids ...block.ID) error {
	for _, id := range ids {
		if err := d.records.Withdraw(id.Digest().Multihash()); err != nil {
			return fmt.Errorf("dht: forget %s: %w", id, err)
		}
	}
	if d.bulk == nil || len(ids) == 0 {
		return nil
	}
	if err := d.bulk.keys.Delete(ctx, multihashes(ids)...); err != nil {
		return fmt.Errorf("dht: forget %d keys: %w", len(ids), err)
	}
	return nil
}

func (b *bulk) enqueue(keys []mh.Multihash) {
	b.mu.Lock()
	room := max(0, b.cfg.MaxQueued-len(b.queue))
	if over := len(keys) - room; over > 0 {
		b.deferred.Add(int64(over))
		keys = keys[:room]
	}
	b.queue = append(b.queue, keys...)
	b.mu.Unlock()
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

// runBulk brings the key store up to date, then sweeps until ctx ends.
func (d *DHT) runBulk(ctx context.Context) error {
	if !d.bulk.clean && d.keys != nil {
		if err := d.reload(ctx); err != nil {
			return err
		}
	}
	if err := d.startSweep(); err != nil {
		return err
	}
	return d.bulk.feed(ctx)
}

func (d *DHT) startSweep() error {
	r := &patientRouter{dht: d}
	sweep, err := provider.New(
		provider.WithHost(d.host),
		provider.WithRouter(r),
		provider.WithMessageSender(d.kad.MessageSender()),
		provider.WithSelfAddrs(d.kad.FilteredAddrs),
		provider.WithAddLocalRecord(func(_ context.Context, key mh.Multihash) error {
			return d.records.Provide(key, d.cfg.Strategy == Roots)
		}),
		provider.WithDatastore(uncancelled{namespace.Wrap(d.bulk.ds, datastore.NewKey("/sweep"))}),
		provider.WithKeystore(d.bulk.keys),
		provider.WithReprovideInterval(d.cfg.ReprovideInterval),
		provider.WithResumeCycle(d.bulk.clean),
		provider.WithConnectivityCheckOnlineInterval(time.Second),
		provider.WithConnectivityCallbacks(
			func() { r.online.Store(true) },
			func() { r.online.Store(false) },
			func() { r.online.Store(false) },
		),
	)
	if err != nil {
		return fmt.Errorf("dht: start sweep: %w", err)
	}
	d.bulk.mu.Lock()
	defer d.bulk.mu.Unlock()
	d.bulk.sweep, d.bulk.upToDate = sweep, true
	return nil
}

// feed hands queued keys to the sweep while the sweep's own queue has room.
func (b *bulk) feed(ctx context.Context) error {
	sweep := b.running()
	poll := time.NewTicker(time.Second)
	defer poll.Stop()
	for {
		keys, err := b.next(ctx, sweep)
		if err != nil {
			return err
		}
		if len(keys) > 0 {
			err := errors.Join(sweep.AddToSchedule(keys...), sweep.ProvideOnce(keys...))
			if err != nil {
				return fmt.Errorf("dht: sweep: %w", err)
			}
			continue
		}
		b.mu.Lock()
		idle := len(b.queue) == 0
		b.mu.Unlock()
		tick := poll.C
		if idle {
			tick = nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-b.wake:
		case <-tick:
		}
	}
}

// next takes keys off the queue, none while the sweep has enough to do.
func (b *bulk) next(ctx context.Context, sweep *provider.SweepingProvider) ([]mh.Multihash, error) {
	b.mu.Lock()
	idle := len(b.queue) == 0
	b.mu.Unlock()
	if idle {
		return nil, nil
	}
	st, err := sweep.Stats(ctx)
	if err != nil {
		return nil, fmt.Errorf("dht: sweep: %w", err)
	}
	if st.Queues.PendingKeyProvides >= feedStep {
		return nil, nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	n := min(feedStep, len(b.queue))
	keys := b.queue[:n:n]
	b.queue = b.queue[n:]
	if len(b.queue) == 0 {
		b.queue = nil
	}
	return keys, nil
}

func multihashes(ids []block.ID) []mh.Multihash {
	keys := make([]mh.Multihash, len(ids))
	for i, id := range ids {
		keys[i] = id.Digest().Multihash()
	}
	return keys
}
