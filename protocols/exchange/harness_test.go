package exchange

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/decube/decube/block"
)

// memStore is a Store in memory.
type memStore struct {
	mu      sync.Mutex
	blocks  map[block.ID]block.Block
	damaged map[block.ID]bool
	pins    map[block.ID]string
	full    int // bytes it still takes, when positive
	flushes int
}

func newMemStore() *memStore {
	return &memStore{blocks: map[block.ID]block.Block{}, damaged: map[block.ID]bool{}, pins: map[block.ID]string{}}
}

func (s *memStore) Has(_ context.Context, ids []block.ID) ([]bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	has := make([]bool, len(ids))
	for i, id := range ids {
		_, has[i] = s.blocks[id]
	}
	return has, nil
}

func (s *memStore) Get(ctx context.Context, id block.ID, buf []byte) (block.Block, error) {
	data, err := s.GetSummed(ctx, id, buf)
	if err != nil {
		return block.Block{}, err
	}
	return block.Check(id, data)
}

func (s *memStore) GetSummed(ctx context.Context, id block.ID, buf []byte) ([]byte, error) {
	s.mu.Lock()
	b, ok := s.blocks[id]
	bad := s.damaged[id]
	s.mu.Unlock()
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case !ok:
		return nil, fmt.Errorf("%s: %w", id, block.ErrNotFound)
	case bad:
		s.mu.Lock()
		delete(s.blocks, id)
		s.mu.Unlock()
		return nil, errors.New("corrupt")
	}
	return append(buf[:0], b.Data()...), nil
}

func (s *memStore) Pin(_ context.Context, root block.ID, partial bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.pins[root] != "complete" {
		s.pins[root] = map[bool]string{true: "partial", false: "complete"}[partial]
	}
	return nil
}

func (s *memStore) put(blocks ...block.Block) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, b := range blocks {
		s.blocks[b.ID()] = b
	}
}

func (s *memStore) has(id block.ID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.blocks[id]
	return ok
}

func (s *memStore) NewWriter(context.Context) (Writer, error) { return &memWriter{s: s}, nil }

var errFull = errors.New("disk full")

// memWriter keeps what is added until Flush.
type memWriter struct {
	s     *memStore
	added []block.Block
}

func (w *memWriter) Touch(ctx context.Context, ids []block.ID) ([]bool, error) {
	return w.s.Has(ctx, ids)
}

func (w *memWriter) Add(_ context.Context, b block.Block, release func()) error {
	if release != nil {
		defer release()
	}
	w.s.mu.Lock()
	defer w.s.mu.Unlock()
	if w.s.full > 0 {
		if w.s.full -= b.Len(); w.s.full <= 0 {
			return errFull
		}
	}
	c, err := block.Check(b.ID(), append([]byte(nil), b.Data()...))
	w.added = append(w.added, c)
	return err
}

func (w *memWriter) Flush(context.Context) error {
	w.s.put(w.added...)
	w.added = nil
	w.s.mu.Lock()
	defer w.s.mu.Unlock()
	w.s.flushes++
	return nil
}

func (w *memWriter) Close() error { return nil }

// listIndex is an Index in memory.
type listIndex []struct {
	id   block.ID
	size int
}

func (x listIndex) Len() int                 { return len(x) }
func (x listIndex) At(i int) (block.ID, int) { return x[i].id, x[i].size }

const entrySize = block.IDSize + 4

// testLoad reads the manifests that build makes: a root naming one page.
func testLoad(ctx context.Context, src Source, root block.ID) (Index, error) {
	if root.Codec() != block.DagCBOR {
		return nil, fmt.Errorf("%s is not a root", root)
	}
	r, err := src.Get(ctx, root, nil)
	if err != nil {
		return nil, err
	}
	pageID, err := block.FromBytes(r.Data()[:block.IDSize])
	if err != nil {
		return nil, err
	}
	page, err := src.Get(ctx, pageID, nil)
	if err != nil {
		return nil, err
	}
	index := make(listIndex, page.Len()/entrySize)
	for i := range index {
		e := page.Data()[i*entrySize:]
		if index[i].id, err = block.FromBytes(e[:block.IDSize]); err != nil {
			return nil, err
		}
		index[i].size = int(binary.BigEndian.Uint32(e[block.IDSize:]))
	}
	return index, nil
}

// sample is a snapshot of random blocks.
type sample struct {
	root   block.ID
	meta   []block.Block // root and page
	blocks []block.Block
	bytes  int64
}

// build makes a snapshot of blocks of the given sizes.
func build(seed uint64, sizes ...int) *sample {
	src := rand.NewChaCha8([32]byte{0: byte(seed), 1: byte(seed >> 8)})
	s := &sample{}
	var page []byte
	for _, n := range sizes {
		data := make([]byte, n)
		_, _ = src.Read(data)
		b := block.New(block.Raw, data)
		s.blocks = append(s.blocks, b)
		s.bytes += int64(n)
		page = b.ID().AppendBytes(page)
		page = binary.BigEndian.AppendUint32(page, uint32(n))
	}
	p := block.New(block.DagCBOR, page)
	r := block.New(block.DagCBOR, append(p.ID().Bytes(), byte(seed)))
	s.root, s.meta = r.ID(), []block.Block{r, p}
	return s
}

// uniform returns n equal sizes.
func uniform(n, size int) []int {
	sizes := make([]int, n)
	for i := range sizes {
		sizes[i] = size + i%7
	}
	return sizes
}

// finder knows providers by block.
type finder struct {
	mu        sync.Mutex
	providers map[block.ID][]finding
	searches  map[block.ID]int
	err       error
}

// finding is a provider that a search comes upon once ready is closed; nil is at
// once.
type finding struct {
	info  peer.AddrInfo
	ready <-chan struct{}
}

func newFinder() *finder {
	return &finder{providers: map[block.ID][]finding{}, searches: map[block.ID]int{}}
}

func (f *finder) add(id block.ID, infos ...peer.AddrInfo) {
	for _, info := range infos {
		f.addWhen(id, info, nil)
	}
}

func (f *finder) addWhen(id block.ID, info peer.AddrInfo, ready <-chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.providers[id] = append(f.providers[id], finding{info, ready})
}

func (f *finder) FindProviders(ctx context.Context, id block.ID) iter.Seq2[peer.AddrInfo, error] {
	f.mu.Lock()
	found := slices.Clone(f.providers[id])
	f.searches[id]++
	failure := f.err
	f.mu.Unlock()
	return func(yield func(peer.AddrInfo, error) bool) {
		for _, p := range found {
			if p.ready != nil {
				select {
				case <-p.ready:
				case <-ctx.Done():
					return
				}
			}
			if !yield(p.info, nil) {
				return
			}
		}
		if failure != nil {
			yield(peer.AddrInfo{}, failure)
		}
	}
}

// party is one peer of a test.
type party struct {
	host   host.Host
	store  *memStore
	x      *Exchange
	finder *finder
	events *events
}

func (p *party) info() peer.AddrInfo { return peer.AddrInfo{ID: p.host.ID(), Addrs: p.host.Addrs()} }

func newHost(tb testing.TB, opts ...libp2p.Option) host.Host {
	tb.Helper()
	if len(opts) == 0 {
		opts = []libp2p.Option{libp2p.ListenAddrStrings("/ip4/127.0.0.1/tcp/0")}
	}
	h, err := libp2p.New(append(opts, libp2p.DisableRelay())...)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = h.Close() })
	return h
}

// quick makes every delay of the limits short enough for a test.
func quick(c *Config) {
	l := &c.Limits
	l.RequestTimeout, l.IdleTimeout, l.StallTimeout = 5*time.Second, 10*time.Second, 5*time.Second
	l.RetryDelay, l.SearchDelay, l.HaveRefresh = 10*time.Millisecond, 20*time.Millisecond, 50*time.Millisecond
	l.HedgeDelay = 50 * time.Millisecond
	l.OfflineGrace, l.Patience, l.HaveTTL = 200*time.Millisecond, 20*time.Second, 0
	l.LeaseMin, l.LeaseMax = 256<<10, 4<<20
	c.FlushInterval = 50 * time.Millisecond
}

// join starts an exchange on h until the test ends.
func join(tb testing.TB, h host.Host, f *finder, mods ...func(*Config)) *party {
	tb.Helper()
	cfg := Default()
	quick(&cfg)
	for _, mod := range mods {
		mod(&cfg)
	}
	p := &party{host: h, store: newMemStore(), finder: f, events: newEvents()}
	x, err := New(h, p.store, f, testLoad, cfg, Options{Observer: p.events})
	if err != nil {
		tb.Fatal(err)
	}
	p.x = x
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- x.Run(ctx) }()
	tb.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			tb.Error(err)
		}
	})
	return p
}

// provide gives a party all of a sample and tells the finder.
func (p *party) provide(s *sample) *party { return p.provideWhen(s, nil) }

// provideWhen gives a party all of a sample, which is found once ready is closed.
func (p *party) provideWhen(s *sample, ready <-chan struct{}) *party {
	p.store.put(s.meta...)
	p.store.put(s.blocks...)
	p.finder.addWhen(s.root, p.info(), ready)
	return p
}

// events is an Observer that counts.
type events struct {
	mu      sync.Mutex
	served  int64
	fetched int64
	dropped map[peer.ID]error
	gone    map[peer.ID]chan struct{} // closed when the peer is dropped
}

func newEvents() *events {
	return &events{dropped: map[peer.ID]error{}, gone: map[peer.ID]chan struct{}{}}
}

func (e *events) Served(_ peer.ID, n int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.served += int64(n)
}

func (e *events) Fetched(_ peer.ID, n int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.fetched += int64(n)
}

func (e *events) Dropped(p peer.ID, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if _, again := e.dropped[p]; !again {
		close(e.goneLocked(p))
	}
	e.dropped[p] = err
}

// whenDropped is closed when p is dropped.
func (e *events) whenDropped(p peer.ID) <-chan struct{} {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.goneLocked(p)
}

func (e *events) goneLocked(p peer.ID) chan struct{} {
	if e.gone[p] == nil {
		e.gone[p] = make(chan struct{})
	}
	return e.gone[p]
}

func (e *events) bytesServed() int64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.served
}

// mustHold checks that p holds all of s.
func (p *party) mustHold(tb testing.TB, s *sample) {
	tb.Helper()
	for _, b := range append(append([]block.Block(nil), s.meta...), s.blocks...) {
		if !p.store.has(b.ID()) {
			tb.Fatalf("%s is missing", b.ID())
		}
	}
	p.store.mu.Lock()
	defer p.store.mu.Unlock()
	if got := p.store.pins[s.root]; got != "complete" {
		tb.Errorf("pin is %q, want complete", got)
	}
}

// fetch fetches s, which must succeed.
func (p *party) fetch(tb testing.TB, s *sample) FetchResult {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	res, err := p.x.Fetch(ctx, s.root, FetchOptions{})
	if err != nil {
		tb.Fatal(err)
	}
	p.mustHold(tb, s)
	return res
}

func (e *events) reason(p peer.ID) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.dropped[p]
}
