package blocksession_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/decube/decube/api"
	"github.com/decube/decube/api/blocksession"
	"github.com/decube/decube/block"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// memStore is a store in memory whose behaviour a test can change.
type memStore struct {
	mu      sync.Mutex
	blocks  map[block.ID][]byte
	heal    map[block.ID][]byte // what peers hold
	full    bool
	writers atomic.Int64
	added   atomic.Int64
	stall   chan struct{} // GETs from the network wait for it
}

func newMemStore(blocks ...block.Block) *memStore {
	m := &memStore{blocks: map[block.ID][]byte{}, heal: map[block.ID][]byte{}}
	for _, b := range blocks {
		m.blocks[b.ID()] = b.Data()
	}
	return m
}

func (m *memStore) NewWriter(context.Context) (blocksession.Writer, error) {
	m.writers.Add(1)
	return &memWriter{memStore: m}, nil
}

func (m *memStore) GetUnverified(ctx context.Context, id block.ID, network bool, buf []byte) ([]byte, error) {
	m.mu.Lock()
	data, ok := m.blocks[id]
	peer, remote := m.heal[id]
	m.mu.Unlock()
	switch {
	case ok:
		return append(buf, data...), nil
	case network && m.stall != nil:
		select {
		case <-m.stall:
			return nil, fmt.Errorf("%w: gave up", api.ErrTimeout)
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	case network && remote:
		return append(buf, peer...), nil
	}
	return nil, fmt.Errorf("%w: block %s", api.ErrNotFound, id)
}

func (m *memStore) Heal(_ context.Context, id block.ID) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	data, ok := m.heal[id]
	if !ok {
		return fmt.Errorf("%w: no peer holds %s", api.ErrNotFound, id)
	}
	m.blocks[id] = data
	return nil
}

type memWriter struct {
	*memStore

	mu    sync.Mutex
	stats blocksession.Stats
}

func (w *memWriter) Touch(_ context.Context, ids []block.ID) ([]bool, error) {
	w.memStore.mu.Lock()
	defer w.memStore.mu.Unlock()
	held := make([]bool, len(ids))
	for i, id := range ids {
		_, held[i] = w.blocks[id]
	}
	return held, nil
}

func (w *memWriter) Add(_ context.Context, b block.Block, release func()) error {
	defer release()
	w.added.Add(1)
	w.memStore.mu.Lock()
	defer w.memStore.mu.Unlock()
	if w.full {
		return fmt.Errorf("%w: 0 bytes left", api.ErrNoSpace)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, ok := w.blocks[b.ID()]; !ok {
		w.stats.NewBlocks++
		w.stats.NewBytes += int64(b.Len())
		w.blocks[b.ID()] = bytes.Clone(b.Data())
	}
	return nil
}

func (w *memWriter) Flush(context.Context) (blocksession.Stats, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.stats, nil
}

func (w *memWriter) Close() error {
	w.writers.Add(-1)
	return nil
}

// connect returns both ends of a unix socket.
func connect(tb testing.TB) (client, server net.Conn) {
	tb.Helper()
	var lc net.ListenConfig
	l, err := lc.Listen(tb.Context(), "unix", filepath.Join(tb.TempDir(), "s"))
	if err != nil {
		tb.Fatal(err)
	}
	defer l.Close()
	var d net.Dialer
	client, err = d.DialContext(tb.Context(), "unix", l.Addr().String())
	if err != nil {
		tb.Fatal(err)
	}
	server, err = l.Accept()
	if err != nil {
		tb.Fatal(err)
	}
	return client, server
}

// open returns a session with store behind it, and what Serve returns once the
// session has ended.
func open(tb testing.TB, store blocksession.Store, opts blocksession.Options) (*blocksession.Session, <-chan error) {
	tb.Helper()
	client, server := connect(tb)
	served := make(chan error, 1)
	go func() { served <- blocksession.Serve(context.Background(), server, store, opts.Limits) }()
	s := blocksession.New(client, opts)
	tb.Cleanup(func() { s.Close() })
	return s, served
}

// someBlocks returns n blocks of up to 100 KiB, always the same for a seed.
func someBlocks(n int, seed uint64) []block.Block {
	r := rand.New(rand.NewPCG(seed, 0))
	var key [32]byte
	key[0] = byte(seed)
	src := rand.NewChaCha8(key)
	blocks := make([]block.Block, n)
	for i := range blocks {
		data := make([]byte, r.IntN(100<<10))
		_, _ = src.Read(data)
		blocks[i] = block.New(block.Raw, data)
	}
	return blocks
}

func TestWritesOnlyWhatIsMissing(t *testing.T) {
	blocks := someBlocks(500, 1)
	store := newMemStore(blocks[:200]...)
	s, served := open(t, store, blocksession.Options{Limits: blocksession.Limits{Window: 4 << 20}})
	var released atomic.Int64
	var bytesAdded int64
	for _, b := range blocks {
		bytesAdded += int64(b.Len())
		if err := s.Add(t.Context(), b, func() { released.Add(1) }); err != nil {
			t.Fatal(err)
		}
	}
	stats, err := s.Flush(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if stats.Blocks != 500 || stats.NewBlocks != 300 || stats.Bytes != bytesAdded {
		t.Errorf("stats %+v", stats)
	}
	if n := store.added.Load(); n != 300 {
		t.Errorf("%d blocks were sent, want 300", n)
	}
	for _, b := range blocks {
		got, err := s.Get(t.Context(), b.ID(), nil)
		if err != nil || !bytes.Equal(got.Data(), b.Data()) {
			t.Fatalf("reading back %s: %v", b.ID(), err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-served; err != nil {
		t.Errorf("Serve: %v", err)
	}
	if n := released.Load(); n != 500 {
		t.Errorf("%d blocks released, want 500", n)
	}
	if n := store.writers.Load(); n != 0 {
		t.Errorf("%d writers are open", n)
	}
}

func TestManyGoroutines(t *testing.T) {
	store := newMemStore()
	s, _ := open(t, store, blocksession.Options{})
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			blocks := someBlocks(60, uint64(g/2)) // every block comes from two goroutines
			for i, b := range blocks {
				if err := s.Add(t.Context(), b, nil); err != nil {
					t.Error(err)
				}
				if i%20 != 19 {
					continue
				}
				if _, err := s.Flush(t.Context()); err != nil {
					t.Error(err)
				}
				if got, err := s.Get(t.Context(), b.ID(), make([]byte, 0, 128<<10)); err != nil || got.ID() != b.ID() {
					t.Errorf("Get: %v", err)
				}
			}
			ids := make([]block.ID, len(blocks))
			for i, b := range blocks {
				ids[i] = b.ID()
			}
			held, err := s.Touch(t.Context(), ids)
			if err != nil {
				t.Error(err)
			}
			for i := range held {
				if !held[i] {
					t.Errorf("block %d was flushed and is not held", i)
				}
			}
		})
	}
	wg.Wait()
}

func TestFullStore(t *testing.T) {
	store := newMemStore()
	store.full = true
	s, _ := open(t, store, blocksession.Options{Limits: blocksession.Limits{Window: 4 << 20}})
	var released atomic.Int64
	var err error
	blocks := someBlocks(400, 2)
	tried := 0
	for _, b := range blocks {
		tried++
		if err = s.Add(t.Context(), b, func() { released.Add(1) }); err != nil {
			break
		}
	}
	if !errors.Is(err, api.ErrNoSpace) {
		t.Errorf("after %d of 400 blocks: %v, want ErrNoSpace long before the end", tried, err)
	}
	if _, err := s.Flush(t.Context()); !errors.Is(err, api.ErrNoSpace) {
		t.Errorf("Flush: %v, want ErrNoSpace", err)
	}
	store.mu.Lock()
	store.blocks[blocks[0].ID()] = blocks[0].Data()
	store.mu.Unlock()
	if _, err := s.Get(t.Context(), blocks[0].ID(), nil); err != nil {
		t.Errorf("reading after a failed write: %v", err)
	}
	s.Close()
	if int(released.Load()) != tried {
		t.Errorf("%d blocks released of %d", released.Load(), tried)
	}
}

func TestDamagedBlockIsHealed(t *testing.T) {
	b := someBlocks(1, 3)[0]
	store := newMemStore()
	bad := bytes.Clone(b.Data())
	bad[0] ^= 1
	store.blocks[b.ID()] = bad
	s, _ := open(t, store, blocksession.Options{})
	if _, err := s.Get(t.Context(), b.ID(), nil); !errors.Is(err, api.ErrCorrupt) {
		t.Errorf("nobody has it: %v, want ErrCorrupt", err)
	}
	store.mu.Lock()
	store.heal[b.ID()] = b.Data()
	store.mu.Unlock()
	if _, err := s.Get(t.Context(), b.ID(), nil); err != nil {
		t.Errorf("a peer has it: %v", err)
	}
}

func TestNetworkOnlyWhenAllowed(t *testing.T) {
	b := someBlocks(1, 4)[0]
	store := newMemStore()
	store.heal[b.ID()] = b.Data()
	local, _ := open(t, store, blocksession.Options{})
	if _, err := local.Get(t.Context(), b.ID(), nil); !errors.Is(err, api.ErrNotFound) {
		t.Errorf("without network: %v, want ErrNotFound", err)
	}
	remote, _ := open(t, store, blocksession.Options{Network: true})
	if _, err := remote.Get(t.Context(), b.ID(), nil); err != nil {
		t.Errorf("with network: %v", err)
	}
}

func TestCancelledGet(t *testing.T) {
	b := someBlocks(1, 5)[0]
	store := newMemStore(b)
	store.stall = make(chan struct{})
	s, served := open(t, store, blocksession.Options{Network: true, Limits: blocksession.Limits{Readers: 1}})
	missing := block.New(block.Raw, []byte("nobody has this"))
	ctx, cancel := context.WithCancel(t.Context())
	got := make(chan error)
	go func() {
		_, err := s.Get(ctx, missing.ID(), nil)
		got <- err
	}()
	cancel()
	if err := <-got; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want Canceled", err)
	}
	// The one reader is free again only if the node has given up too.
	if _, err := s.Get(t.Context(), b.ID(), nil); err != nil {
		t.Error(err)
	}
	s.Close()
	if err := <-served; err != nil {
		t.Errorf("Serve: %v", err)
	}
}

func TestNodeStops(t *testing.T) {
	client, server := connect(t)
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	store := newMemStore()
	go func() { served <- blocksession.Serve(ctx, server, store, blocksession.Limits{}) }()
	s := blocksession.New(client, blocksession.Options{})
	defer s.Close()
	if _, err := s.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	stop()
	if err := <-served; !errors.Is(err, blocksession.ErrClosed) {
		t.Errorf("Serve: %v", err)
	}
	if _, err := s.Flush(t.Context()); !errors.Is(err, blocksession.ErrClosed) {
		t.Errorf("Flush: %v, want ErrClosed", err)
	}
	if store.writers.Load() != 0 {
		t.Error("the writer is open")
	}
}

// TestNodeStopsWhileItAnswers stops a node that answers a client which does not read.
func TestNodeStopsWhileItAnswers(t *testing.T) {
	client, server := net.Pipe() // takes no byte that is not read
	defer client.Close()
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- blocksession.Serve(ctx, server, newMemStore(), blocksession.Limits{}) }()
	if _, err := client.Write(touchOfNothing()); err != nil {
		t.Fatal(err)
	}
	if _, err := client.Read(make([]byte, 1)); err != nil { // of the answer
		t.Fatal(err)
	}
	stop()
	select {
	case err := <-served:
		if !errors.Is(err, blocksession.ErrClosed) {
			t.Errorf("Serve: %v", err)
		}
	case <-time.After(20 * time.Second):
		t.Error("the node waits for a client that does not read")
	}
}

// TestClientLeavesAnswersUnread ends a session as an interrupted command does: the
// system tells the node of a reset then, and not of an end.
func TestClientLeavesAnswersUnread(t *testing.T) {
	client, server := connect(t)
	served := make(chan error, 1)
	go func() { served <- blocksession.Serve(t.Context(), server, newMemStore(), blocksession.Limits{}) }()
	if _, err := client.Write(touchOfNothing()); err != nil {
		t.Fatal(err)
	}
	if _, err := client.Read(make([]byte, 1)); err != nil { // of the answer
		t.Fatal(err)
	}
	if err := client.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-served; err != nil {
		t.Errorf("Serve: %v", err)
	}
}

// touchOfNothing is a frame that is answered by another one.
func touchOfNothing() []byte { return append([]byte{1}, make([]byte, 15)...) }

func TestConnectionDies(t *testing.T) {
	client, server := connect(t)
	s := blocksession.New(client, blocksession.Options{Limits: blocksession.Limits{Window: 4 << 20}})
	var released atomic.Int64
	added := make(chan int)
	go func() {
		n := 0
		for _, b := range someBlocks(300, 6) {
			n++
			if err := s.Add(t.Context(), b, func() { released.Add(1) }); err != nil {
				break
			}
		}
		added <- n
	}()
	server.Close()
	n := <-added
	if _, err := s.Flush(t.Context()); !errors.Is(err, blocksession.ErrClosed) {
		t.Errorf("Flush: %v, want ErrClosed", err)
	}
	s.Close()
	if int(released.Load()) != n {
		t.Errorf("%d blocks released of %d", released.Load(), n)
	}
}
