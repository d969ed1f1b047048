package ledger

import (
	"context"
	"crypto/rand"
	"fmt"
	"iter"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/decube/decube/internal/sig"
	"github.com/decube/decube/ledger/codec"
	"github.com/decube/decube/ledger/genesis"
	"github.com/decube/decube/ledger/journal"
	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/ledger/receipt"
	"github.com/decube/decube/ledger/tx"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what must happen.
const patience = 30 * time.Second

// smallBlocks is how many bytes a block of a swarm may have, and smallLog the log of a
// member, which fits the largest record then, with little room beside. One as it ships is
// 18 MiB of zeros, written for each member of each test.
const smallBlocks = 192 << 10

var smallLog = logSize{segment: 1 << 19, segments: 2}

// options are those of a log of this size in a member's directory.
func (s logSize) options(dir string) journal.Options {
	return journal.Options{Dir: dir, SegmentSize: s.segment, Segments: s.segments}
}

// swarm is a ledger's peers in memory: frames go from one to another through
// bounded queues, one for each pair and class, as streams would carry them.
type swarm struct {
	t       testing.TB
	genesis *genesis.Genesis
	cfg     Config
	dir     string

	mu    sync.Mutex
	peers map[sig.PublicKey]*member
	all   []*member
	cut   func(from, to sig.PublicKey) bool
	lose  func(from, to sig.PublicKey, frame []byte) bool // frames that do not arrive
	wrap  func(asker, asked *member, s Source) Source     // what a member takes another one for
	tap   func(from *member, class Class, frame []byte)   // told of what members send

	transferAfter uint64
	stateEvery    int
	log           func(*member) *slog.Logger // nil: no log
}

// member is one peer, running or not.
type member struct {
	swarm  *swarm
	key    sig.PrivateKey
	dir    string
	log    logSize
	ledger *Ledger
	stop   context.CancelFunc
	done   chan error
	links  map[sig.PublicKey]*link
	sends  sync.WaitGroup
}

// link carries one peer's frames to another.
type link struct {
	queues [3]chan []byte
}

func newSwarm(tb testing.TB, validators, followers int, change func(*genesis.Params)) *swarm {
	tb.Helper()
	return newSwarmAt(tb, time.Now(), validators, followers, change)
}

// newSwarmAt is newSwarm for a ledger that was made at some time.
func newSwarmAt(tb testing.TB, created time.Time, validators, followers int, change func(*genesis.Params)) *swarm {
	tb.Helper()
	s := &swarm{t: tb, cfg: Default(), dir: tb.TempDir(), peers: map[sig.PublicKey]*member{}}
	var set []genesis.Validator
	for i := range validators + followers {
		key, err := sig.Generate(rand.Reader)
		if err != nil {
			tb.Fatal(err)
		}
		s.all = append(s.all, &member{swarm: s, key: key, dir: filepath.Join(s.dir, fmt.Sprint(i)), log: smallLog})
		if i < validators {
			set = append(set, genesis.Validator{Key: key.Public(), Name: fmt.Sprintf("v%d", i)})
		}
	}
	p := genesis.DefaultParams()
	p.MaxBlockBytes = smallBlocks
	if change != nil {
		change(&p)
	}
	g, err := genesis.New("test", created, set, p)
	if err != nil {
		tb.Fatal(err)
	}
	s.genesis = g
	for _, m := range s.all {
		if err := journal.Create(m.log.options(m.dir)); err != nil {
			tb.Fatal(err)
		}
		if err := Init(m.dir, g); err != nil {
			tb.Fatal(err)
		}
	}
	return s
}

// start runs a member.
func (m *member) start() {
	t := m.swarm.t
	t.Helper()
	var log *slog.Logger
	if os.Getenv("DECUBE_TEST_LOG") != "" {
		log = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug})).With("peer", filepath.Base(m.dir))
	}
	if m.swarm.log != nil {
		log = m.swarm.log(m)
	}
	l, err := Open(t.Context(), Options{
		Genesis: m.swarm.genesis, Key: m.key, Dir: m.dir, Config: m.swarm.cfg, Transport: m, Peers: m, Log: log,
		TransferAfter: m.swarm.transferAfter, StateEvery: m.swarm.stateEvery, log: m.log,
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	m.swarm.mu.Lock()
	m.ledger, m.stop, m.done = l, cancel, make(chan error, 1)
	m.swarm.mu.Unlock()
	m.links = map[sig.PublicKey]*link{}
	for _, to := range m.swarm.all {
		if to != m {
			m.links[to.key.Public()] = m.link(ctx, to)
		}
	}
	m.swarm.mu.Lock()
	m.swarm.peers[m.key.Public()] = m
	m.swarm.mu.Unlock()
	go func() { m.done <- l.Run(ctx) }()
	t.Cleanup(m.halt)
}

// live returns the ledger that runs or ran last.
func (m *member) live() *Ledger {
	m.swarm.mu.Lock()
	defer m.swarm.mu.Unlock()
	return m.ledger
}

// link makes the queues to another member with the goroutines that empty them.
func (m *member) link(ctx context.Context, to *member) *link {
	l := &link{}
	for class := range l.queues {
		q := make(chan []byte, 4096)
		l.queues[class] = q
		m.sends.Go(func() {
			for {
				select {
				case <-ctx.Done():
					return
				case frame := <-q:
					if target := m.swarm.reach(m.key.Public(), to.key.Public()); target != nil && !m.swarm.loses(m, to, frame) {
						target.Receive(m.key.Public(), Class(class), append([]byte(nil), frame...))
					}
				}
			}
		})
	}
	return l
}

// reach returns another member's ledger, or nil when it is down or cut off.
func (s *swarm) reach(from, to sig.PublicKey) *Ledger {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.peers[to]
	if m == nil || (s.cut != nil && s.cut(from, to)) {
		return nil
	}
	return m.ledger
}

// loses reports whether a frame from one member to another is lost.
func (s *swarm) loses(from, to *member, frame []byte) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lose != nil && s.lose(from.key.Public(), to.key.Public(), frame)
}

// setLose says which frames are lost from now on, nil for none.
func (s *swarm) setLose(lose func(from, to sig.PublicKey, frame []byte) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lose = lose
}

// halt stops a member and waits for it.
func (m *member) halt() {
	if m.stop == nil {
		return
	}
	m.swarm.mu.Lock()
	delete(m.swarm.peers, m.key.Public())
	m.swarm.mu.Unlock()
	m.stop()
	if err := <-m.done; err != nil {
		m.swarm.t.Errorf("%s: %v", m.dir, err)
	}
	m.sends.Wait()
	m.stop = nil
}

// SetValidators implements Transport.
func (m *member) SetValidators([]sig.PublicKey) {}

// Send implements Transport.
func (m *member) Send(to sig.PublicKey, class Class, frame []byte) bool {
	m.swarm.mu.Lock()
	tap := m.swarm.tap
	m.swarm.mu.Unlock()
	if tap != nil {
		tap(m, class, frame)
	}
	select {
	case m.links[to].queues[class] <- frame:
		return true
	default:
		return false
	}
}

// Sources implements Peers.
func (m *member) Sources(n int) []Source {
	m.swarm.mu.Lock()
	wrap := m.swarm.wrap
	m.swarm.mu.Unlock()
	var out []Source
	for _, other := range m.swarm.all {
		if other != m && len(out) < n && m.swarm.reach(m.key.Public(), other.key.Public()) != nil {
			var s Source = source{m, other}
			if wrap != nil {
				s = wrap(m, other, s)
			}
			out = append(out, s)
		}
	}
	return out
}

// Changed implements Peers.
func (m *member) Changed() <-chan struct{} { return nil }

// messageFrame returns the frame of a message of the core.
func messageFrame(m pbft.Message) []byte { return codec.AppendFrame(nil, codec.Message{Message: m}) }

// nobodyHears is a Transport that takes everything and delivers nothing.
type nobodyHears struct{}

func (nobodyHears) SetValidators([]sig.PublicKey) {}

func (nobodyHears) Send(sig.PublicKey, Class, []byte) bool { return true }

// source is another member as a source of blocks.
type source struct{ from, to *member }

func (s source) ledger() *Ledger { return s.from.swarm.reach(s.from.key.Public(), s.to.key.Public()) }

func (s source) Name() string { return filepath.Base(s.to.dir) }

func (s source) Head(ctx context.Context) ([]byte, error) {
	if l := s.ledger(); l != nil {
		return l.ServeHead(ctx)
	}
	return nil, errGone
}

func (s source) Blocks(ctx context.Context, r Range) iter.Seq2[[]byte, error] {
	if l := s.ledger(); l != nil {
		return l.ServeBlocks(ctx, r.From, r.Count == 0)
	}
	return func(yield func([]byte, error) bool) { yield(nil, errGone) }
}

func (s source) Chunk(ctx context.Context, seq uint64, start []byte) ([]byte, error) {
	if l := s.ledger(); l != nil {
		return l.ServeChunk(ctx, seq, start)
	}
	return nil, errGone
}

func (s source) Hops(ctx context.Context, from uint64) iter.Seq2[[]byte, error] {
	if l := s.ledger(); l != nil {
		return l.ServeHops(ctx, from)
	}
	return func(yield func([]byte, error) bool) { yield(nil, errGone) }
}

func (s source) Submit(ctx context.Context, raw []byte) error {
	if l := s.ledger(); l != nil {
		return l.ServeSubmit(ctx, netip.IPv6Loopback(), raw)
	}
	return errGone
}

// startAll runs all members.
func (s *swarm) startAll() {
	s.t.Helper()
	for _, m := range s.all {
		m.start()
	}
}

// put submits a record at a member.
func (m *member) put(ctx context.Context, key string) (tx.ID, Committed, error) {
	t, at, err := m.live().Do(ctx, tx.RecordPut{Key: key, Value: []byte("value of " + key)})
	if err != nil {
		return tx.ID{}, at, fmt.Errorf("put %q at %s: %w", key, filepath.Base(m.dir), err)
	}
	return t.ID(), at, nil
}

// agree waits until all members given have a block and compares them there.
func (s *swarm) agree(ctx context.Context, seq uint64, members ...*member) {
	s.t.Helper()
	var want *Block
	for _, m := range members {
		for {
			moved := m.ledger.callers.moved.wait()
			if m.ledger.head().Header.Seq >= seq {
				break
			}
			select {
			case <-moved:
			case <-ctx.Done():
				s.t.Fatalf("%s has %d blocks, want %d", filepath.Base(m.dir), m.ledger.head().Header.Seq, seq)
			}
		}
		b, err := m.ledger.Block(ctx, seq)
		if err != nil {
			s.t.Fatal(err)
		}
		if want == nil {
			want = b
		}
		if b.Digest != want.Digest {
			s.t.Fatalf("%s has %v at %d, others %v", filepath.Base(m.dir), b.Digest, seq, want.Digest)
		}
	}
}

func TestFourValidatorsAndAFollower(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	s := newSwarm(t, 4, 1, nil)
	s.startAll()
	var last Committed
	for i := range 20 {
		m := s.all[i%5]
		id, at, err := m.put(ctx, fmt.Sprint("key", i))
		if err != nil {
			t.Fatal(err)
		}
		last = at
		encoded, err := m.ledger.Receipt(ctx, id)
		if err != nil {
			t.Fatal(err)
		}
		r, err := receipt.Decode(encoded)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := receipt.Verify(r, receipt.FromGenesis(s.genesis), sig.NewVerifier(0)); err != nil {
			t.Fatal(err)
		}
	}
	s.agree(ctx, last.Block, s.all...)
}
