package crdtsync

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/decube/decube/crdtsync/driver"
	"github.com/decube/decube/crdtsync/replica"
	"github.com/decube/decube/internal/capability"
	"github.com/decube/decube/internal/records"
	"github.com/decube/decube/internal/sig"
)

// DefaultForeign is how much memory in bytes spaces of others take, if nothing else is said.
const DefaultForeign = 256 << 20

// MaxMessage is the most bytes of what is published: a bundle, or something as short.
const MaxMessage = 80 << 10

// Network is how a catalog reaches others. Its methods may be called concurrently.
type Network interface {
	// Publish tells all others. It does not wait for them, and may lose what it is given: they
	// will ask.
	Publish(data []byte) error
	// Peers returns the names of peers that can be asked.
	Peers() []string
	// Changed has an element when Peers may return others than when it was last empty.
	Changed() <-chan struct{}
	// Open begins to ask a peer.
	Open(ctx context.Context, peer string) (Conversation, error)
}

// Conversation is questions to one peer, one after the other.
type Conversation interface {
	Ask(ctx context.Context, a driver.Ask) (driver.Answer, error)
	Close()
}

// Options is what a catalog is opened with.
type Options struct {
	Document *capability.Succession
	Key      sig.PrivateKey
	// Store belongs to the catalog, which closes it, also when Open fails.
	Store records.Store
	// Network may be nil: the peer is alone then.
	Network Network
	// Foreign bounds the memory in bytes that spaces of others take; 0 means DefaultForeign.
	Foreign int64
	Log     *slog.Logger // nil: nothing is logged
}

// Catalog is an open catalog. See [API] for what can be done with it. Run has to be called for
// it to work, and Close in the end.
type Catalog struct {
	o    Options
	log  *slog.Logger
	disk disk
	sync syncer
	took *budgets

	mu       sync.Mutex // of all below
	driver   *driver.Driver
	batch    *batch
	requests []*request // writes that are in no bundle yet
	failed   error      // why nothing is taken in any more
}

// Open opens the catalog that a store has. It returns ErrForeign for one of another swarm or
// format, and ErrCorrupt of the package records for one that is damaged.
func Open(ctx context.Context, o Options) (*Catalog, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Foreign == 0 {
		o.Foreign = DefaultForeign
	}
	c := &Catalog{o: o, log: o.Log, batch: newBatch(), disk: disk{store: o.Store}, took: newBudgets()}
	c.sync = newSyncer(c)
	now := time.Now().UnixNano()
	c.driver = driver.New(driver.Options{
		Document: o.Document, Key: o.Key, Began: now, Random: random, Foreign: o.Foreign, Verify: sig.NewVerifier(verifierKeys),
	})
	if err := c.disk.restore(ctx, c.driver, o.Document.Swarm(), now); err != nil {
		return nil, errors.Join(fmt.Errorf("open the catalog: %w", err), o.Store.Close())
	}
	return c, nil
}

// verifierKeys is how many keys of writers are kept expanded.
const verifierKeys = 1024

func random() uint64 {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails, as its documentation says
	return binary.BigEndian.Uint64(b[:])
}

// Run works until ctx is done, and returns nil then. An error is of the disk: nothing is taken
// in any more, and what was acknowledged is there.
func (c *Catalog) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var running sync.WaitGroup
	defer running.Wait()
	running.Go(func() { c.sync.run(ctx) })
	err := c.commit(ctx)
	cancel()
	return err
}

// Close closes the store. Run has returned, or was never called.
func (c *Catalog) Close() error {
	c.stop(ErrClosed)
	return c.o.Store.Close()
}

// stop has everything fail from now on, and those who wait for the disk.
func (c *Catalog) stop(why error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.failed == nil {
		c.failed = why
	}
	for _, r := range c.requests {
		r.place(Written{}, nil, c.failed)
	}
	c.requests = nil
	c.batch.done(c.failed)
	c.batch = newBatch()
}

// queue has the effects of the driver carried out, and returns the batch that they are in. The
// caller holds the lock.
func (c *Catalog) queue() *batch {
	c.batch.add(c.driver.Effects())
	return c.batch
}

// Verdict says what to do with something that was published.
type Verdict int

const (
	// Accept is for news, of which others may be told.
	Accept Verdict = iota
	// Ignore is for what is none, or cannot be judged here. Nobody is at fault.
	Ignore
	// Reject is for what no honest peer sends.
	Reject
)

// Receive takes in what a peer has published.
func (c *Catalog) Receive(from string, data []byte) Verdict {
	if len(data) > MaxMessage {
		return Reject
	}
	if !c.took.allow(time.Now(), from, len(data)) {
		c.sync.behind()
		return Ignore
	}
	i, err := driver.DecodeItem(data)
	if err != nil {
		return Reject
	}
	news, err := c.take(i)
	switch {
	case errors.Is(err, driver.ErrInvalid):
		return Reject
	case errors.Is(err, replica.ErrGap), errors.Is(err, capability.ErrUnknown):
		c.sync.ask(from)
		return Ignore
	case err != nil || !news:
		return Ignore
	}
	return Accept
}

func (c *Catalog) take(i driver.Item) (bool, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.failed != nil {
		return false, c.failed
	}
	if c.batch.bytes > mostBatch {
		c.sync.behind()
		return false, driver.ErrFull
	}
	news, err := c.driver.Take(time.Now().UnixNano(), i)
	c.queue()
	return news, err
}

// Answer answers a question of another peer. What it returns must not be changed.
func (c *Catalog) Answer(a driver.Ask) driver.Answer {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.driver.Answer(a)
}
