package statesync

import (
	"context"
	"fmt"
	"iter"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/peerstore"
	rcmgr "github.com/libp2p/go-libp2p/p2p/host/resource-manager"
	"go.uber.org/goleak"

	"github.com/decube/decube/internal/limits"
	"github.com/decube/decube/internal/limits/resources"
	"github.com/decube/decube/internal/streams"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds every wait of a test.
const patience = 20 * time.Second

// chain is a Source in memory.
type chain struct {
	first uint64 // blocks below are pruned

	mu      sync.Mutex
	blocks  [][]byte // from first on
	changed chan struct{}

	chunk   func(seq uint64, start []byte) ([]byte, error)
	submit  func(ctx context.Context, transaction []byte) (Verdict, error)
	bodies  map[[32]byte][]byte
	running sync.WaitGroup // calls of Blocks
}

func newChain(first uint64, blocks ...string) *chain {
	c := &chain{first: first, changed: make(chan struct{}), bodies: map[[32]byte][]byte{}}
	c.grow(blocks...)
	return c
}

func (c *chain) grow(blocks ...string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, b := range blocks {
		c.blocks = append(c.blocks, []byte(b))
	}
	close(c.changed)
	c.changed = make(chan struct{})
}

func (c *chain) at(seq uint64) (blob []byte, changed <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if i := seq - c.first; i < uint64(len(c.blocks)) {
		blob = c.blocks[i]
	}
	return blob, c.changed
}

func (c *chain) Head(context.Context) ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return fmt.Appendf(nil, "head %d", c.first+uint64(len(c.blocks))-1), nil
}

func (c *chain) Blocks(ctx context.Context, from uint64, follow bool) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		c.running.Add(1)
		defer c.running.Done()
		if from < c.first {
			yield(nil, fmt.Errorf("block %d: %w", from, ErrPruned))
			return
		}
		for seq := from; ; {
			blob, changed := c.at(seq)
			if blob != nil {
				if !yield(blob, nil) {
					return
				}
				seq++
				continue
			}
			if !follow {
				return
			}
			select {
			case <-changed:
			case <-ctx.Done():
				yield(nil, ctx.Err())
				return
			}
		}
	}
}

func (c *chain) Chunk(_ context.Context, seq uint64, start []byte) ([]byte, error) {
	return c.chunk(seq, start)
}

func (c *chain) Hops(_ context.Context, from uint64) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		for e := from; e < 3; e++ {
			if !yield(fmt.Appendf(nil, "epoch %d", e), nil) {
				return
			}
		}
	}
}

func (c *chain) Submit(ctx context.Context, _ netip.Addr, transaction []byte) (Verdict, error) {
	return c.submit(ctx, transaction)
}

func (c *chain) Bodies(_ context.Context, _ [32]byte, ids [][32]byte) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		for _, id := range ids {
			if !yield(c.bodies[id], nil) {
				return
			}
		}
	}
}

// newHost returns a host on loopback, with the limits of a machine of 8 GiB.
func newHost(tb testing.TB) host.Host {
	tb.Helper()
	budget, err := limits.NewBudget(limits.Machine{Memory: 8 << 30, Files: 4096})
	if err != nil {
		tb.Fatal(err)
	}
	return newHostOf(tb, budget, budget.Statesync(string(ID), ServiceName))
}

// newHostOf returns a host on loopback, with the limits of a budget with a row.
func newHostOf(tb testing.TB, budget *limits.Budget, row limits.Row) host.Host {
	tb.Helper()
	if err := budget.Add(row); err != nil {
		tb.Fatal(err)
	}
	m, err := rcmgr.NewResourceManager(rcmgr.NewFixedLimiter(resources.Limits(budget)))
	if err != nil {
		tb.Fatal(err)
	}
	h, err := libp2p.New(libp2p.ListenAddrStrings("/ip4/127.0.0.1/tcp/0"), libp2p.DisableRelay(), libp2p.ResourceManager(m))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = h.Close() })
	return h
}

// served is a peer that serves until the test, or stop, ends it.
type served struct {
	host    host.Host
	events  *events
	streams *streams.Streams
	stop    func()
}

func serve(tb testing.TB, h host.Host, source Source, mods ...func(*Limits)) *served {
	tb.Helper()
	l := DefaultLimits()
	for _, mod := range mods {
		mod(&l)
	}
	p := &served{host: h, events: &events{}}
	s, err := New(h, source, Options{Limits: l, Observer: p.events})
	if err != nil {
		tb.Fatal(err)
	}
	v, err := streams.Open(h, s.serving(), s.Handler())
	if err != nil {
		tb.Fatal(err)
	}
	p.streams, p.stop = v, sync.OnceFunc(func() { _ = v.Close() })
	tb.Cleanup(p.stop)
	return p
}

// ask returns a new host's view of p.
func (p *served) ask(tb testing.TB, mods ...func(*Limits)) *Peer {
	tb.Helper()
	return askOf(tb, newHost(tb), p.host, mods...)
}

func askOf(tb testing.TB, h, other host.Host, mods ...func(*Limits)) *Peer {
	tb.Helper()
	l := DefaultLimits()
	for _, mod := range mods {
		mod(&l)
	}
	s, err := New(h, nil, Options{Limits: l})
	if err != nil {
		tb.Fatal(err)
	}
	h.Peerstore().AddAddrs(other.ID(), other.Addrs(), peerstore.PermanentAddrTTL)
	return s.Peer(other.ID())
}

// events is an Observer that remembers.
type events struct {
	mu      sync.Mutex
	served  int
	refused []error
}

func (e *events) Served(peer.ID, int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.served++
}

func (e *events) Fetched(peer.ID, int) {}

func (e *events) Refused(_ peer.ID, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.refused = append(e.refused, err)
}

// within returns a context that ends when a test has waited too long.
func within(tb testing.TB) context.Context {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	tb.Cleanup(cancel)
	return ctx
}

// collect returns the items of an iterator and its error.
func collect(items iter.Seq2[[]byte, error]) (got []string, err error) {
	for blob, err := range items {
		if err != nil {
			return got, err
		}
		got = append(got, string(blob))
	}
	return got, nil
}
