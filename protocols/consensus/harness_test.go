package consensus

import (
	"bufio"
	"context"
	"log/slog"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/peerstore"
	"go.uber.org/goleak"

	"github.com/decube/decube/internal/sig"
	"github.com/decube/decube/internal/wire"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		goleak.IgnoreAnyFunction("github.com/quic-go/quic-go.(*Transport).listen"), // end after the host's Close
		goleak.IgnoreAnyFunction("github.com/libp2p/go-libp2p/p2p/transport/quicreuse.(*reuse).gc"))
}

// patience bounds every wait of a test.
const patience = 20 * time.Second

// genesis is the network of all parties that are not given another.
var genesis = [32]byte{1, 2, 3}

// newKey returns a private key.
func newKey(tb testing.TB) crypto.PrivKey {
	tb.Helper()
	key, _, err := crypto.GenerateEd25519Key(nil)
	if err != nil {
		tb.Fatal(err)
	}
	return key
}

func newHost(tb testing.TB, key crypto.PrivKey, opts ...libp2p.Option) host.Host {
	tb.Helper()
	if len(opts) == 0 {
		opts = []libp2p.Option{libp2p.ListenAddrStrings("/ip4/127.0.0.1/tcp/0")}
	}
	h, err := libp2p.New(append(opts, libp2p.DisableRelay(), libp2p.Identity(key))...)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = h.Close() })
	return h
}

func keyOf(tb testing.TB, h host.Host) sig.PublicKey {
	tb.Helper()
	public, err := h.ID().ExtractPublicKey()
	if err != nil {
		tb.Fatal(err)
	}
	raw, err := public.Raw()
	if err != nil {
		tb.Fatal(err)
	}
	return sig.PublicKey(raw)
}

// meet tells each host the others' addresses.
func meet(hosts ...host.Host) {
	for _, h := range hosts {
		for _, other := range hosts {
			if h != other {
				h.Peerstore().AddAddrs(other.ID(), other.Addrs(), peerstore.PermanentAddrTTL)
			}
		}
	}
}

// frame is what a party received.
type frame struct {
	from  sig.PublicKey
	class Class
	data  string
}

// party is one validator of a test.
type party struct {
	host   host.Host
	key    sig.PublicKey
	c      *Consensus
	events *events
	stop   func()
}

// quick makes every delay short enough for a test.
func quick(o *Options) {
	o.Limits = DefaultLimits()
	o.Limits.RetryMin, o.Limits.RetryMax = 5*time.Millisecond, 50*time.Millisecond
	o.Limits.HandshakeTimeout, o.Limits.DialTimeout, o.Limits.StallTimeout = 5*time.Second, 5*time.Second, 5*time.Second
	o.Limits.KeyTimeout = 800 * time.Millisecond
	o.Limits.FindInterval = 10 * time.Millisecond
}

// join starts a validator on h until the test, or stop, ends it.
func join(tb testing.TB, h host.Host, mods ...func(*Options)) *party {
	tb.Helper()
	e := newEvents()
	o := Options{Network: genesis, Observer: e, Log: slog.New(slog.NewTextHandler(e, nil)), Lost: e.lost, Duplicate: e.duplicate, KeyInUse: e.keyInUse}
	o.Receive = func(from sig.PublicKey, class Class, data []byte) {
		e.received <- frame{from, class, string(data)}
	}
	quick(&o)
	for _, mod := range mods {
		mod(&o)
	}
	p := &party{host: h, key: keyOf(tb, h), c: New(h, o), events: e}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- p.c.Run(ctx) }()
	for !slices.Contains(h.Mux().Protocols(), ID) { // until it takes streams
		runtime.Gosched()
	}
	p.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			tb.Error(err)
		}
	})
	tb.Cleanup(p.stop)
	return p
}

// committee makes the parties each other's validators.
func committee(parties ...*party) {
	keys := make([]sig.PublicKey, len(parties))
	for i, p := range parties {
		keys[i] = p.key
	}
	for _, p := range parties {
		p.c.SetValidators(keys)
	}
}

// pair starts two validators that know each other.
func pair(tb testing.TB, mods ...func(*Options)) (a, b *party) {
	tb.Helper()
	ha, hb := newHost(tb, newKey(tb)), newHost(tb, newKey(tb))
	meet(ha, hb)
	a, b = join(tb, ha, mods...), join(tb, hb, mods...)
	committee(a, b)
	return a, b
}

// await returns the next frame that p received.
func (p *party) await(tb testing.TB) frame {
	tb.Helper()
	return next(tb, p.events.received)
}

// awaitData passes over frames until one with the data comes.
func (p *party) awaitData(tb testing.TB, data string) {
	tb.Helper()
	for p.await(tb).data != data {
		continue
	}
}

func next[V any](tb testing.TB, c <-chan V) V {
	tb.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		tb.Fatal("nothing came")
		panic("unreachable")
	}
}

// opened waits until p has a stream of each class to every one of the others.
func (p *party) opened(tb testing.TB, others ...*party) {
	tb.Helper()
	for _, other := range others {
		for _, class := range classes {
			p.events.wait(tb, func() bool { return p.events.open[link{other.key, class}] })
		}
	}
}

type link struct {
	to    sig.PublicKey
	class Class
}

// events is an Observer and a log that remember.
type events struct {
	received   chan frame
	lostKeys   chan sig.PublicKey
	duplicates chan sig.PublicKey

	mu        sync.Mutex
	changed   chan struct{}
	open      map[link]bool
	closed    map[link]error
	dropped   map[link]int
	sent      map[link]int
	refused   map[peer.ID]error
	refusal   int // how many there were
	behaviour map[peer.ID]string
	inUse     int // how often it was told that its key is in use
	log       strings.Builder
}

func newEvents() *events {
	return &events{
		received: make(chan frame, 1<<16), lostKeys: make(chan sig.PublicKey, 1<<10), duplicates: make(chan sig.PublicKey, 1<<10),
		changed: make(chan struct{}), open: map[link]bool{}, closed: map[link]error{}, dropped: map[link]int{}, sent: map[link]int{}, refused: map[peer.ID]error{}, behaviour: map[peer.ID]string{},
	}
}

// note changes what is remembered, and wakes who waits.
func (e *events) note(change func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	change()
	close(e.changed)
	e.changed = make(chan struct{})
}

// wait waits until something is so.
func (e *events) wait(tb testing.TB, so func() bool) {
	tb.Helper()
	deadline := time.After(patience)
	for {
		e.mu.Lock()
		yes, changed := so(), e.changed
		e.mu.Unlock()
		if yes {
			return
		}
		select {
		case <-changed:
		case <-deadline:
			e.mu.Lock()
			defer e.mu.Unlock()
			tb.Fatalf("did not happen; open %v, closed %v, refused %v, log:\n%s", e.open, e.closed, e.refused, e.log.String())
		}
	}
}

func (e *events) lost(key sig.PublicKey)      { e.lostKeys <- key }
func (e *events) duplicate(key sig.PublicKey) { e.duplicates <- key }
func (e *events) keyInUse()                   { e.note(func() { e.inUse++ }) }

func (e *events) Sent(to sig.PublicKey, c Class, frames, _ int) {
	e.note(func() { e.sent[link{to, c}] += frames })
}

func (e *events) Received(sig.PublicKey, Class, int) {}

func (e *events) Dropped(to sig.PublicKey, c Class, n int) {
	e.note(func() { e.dropped[link{to, c}] += n })
}

func (e *events) Opened(to sig.PublicKey, c Class) {
	e.note(func() { e.open[link{to, c}] = true })
}

func (e *events) Closed(to sig.PublicKey, c Class, err error) {
	e.note(func() { e.open[link{to, c}] = false; e.closed[link{to, c}] = err })
}

func (e *events) Refused(p peer.ID, err error) {
	e.note(func() { e.refused[p] = err; e.refusal++ })
}

// refusals returns how often a stream was refused.
func (e *events) refusals() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.refusal
}

func (e *events) Write(b []byte) (int, error) {
	e.note(func() { e.log.Write(b) })
	return len(b), nil
}

// says waits until the log has a line with all of words.
func (e *events) says(tb testing.TB, words ...string) {
	tb.Helper()
	e.wait(tb, func() bool {
		for line := range strings.Lines(e.log.String()) {
			all := true
			for _, w := range words {
				all = all && strings.Contains(line, w)
			}
			if all {
				return true
			}
		}
		return false
	})
}

// dial opens a raw stream from h to p.
func dial(tb testing.TB, h host.Host, p *party) (network.Stream, *bufio.Reader) {
	tb.Helper()
	// Two hosts that dial each other at the same moment may both fail.
	s, err := tryDial(tb, h, p)
	for begun := time.Now(); err != nil && time.Since(begun) < patience; {
		s, err = tryDial(tb, h, p)
	}
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = s.Reset() })
	if err := s.SetDeadline(time.Now().Add(patience)); err != nil {
		tb.Fatal(err)
	}
	return s, bufio.NewReader(s)
}

func tryDial(tb testing.TB, h host.Host, p *party) (network.Stream, error) {
	tb.Helper()
	ctx := network.WithForceDirectDial(tb.Context(), "no pause after a failure")
	if err := h.Connect(ctx, peer.AddrInfo{ID: p.host.ID(), Addrs: p.host.Addrs()}); err != nil {
		return nil, err
	}
	return h.NewStream(tb.Context(), p.host.ID(), ID)
}

// greet says hello on a raw stream and returns the reply as readReply does.
func greet(tb testing.TB, s network.Stream, r *bufio.Reader, class Class, boot uint64) error {
	tb.Helper()
	b := appendHello(nil, hello{class: class, boot: boot, network: genesis})
	if _, err := s.Write(wire.AppendFrame(nil, b)); err != nil {
		tb.Fatal(err)
	}
	return readReply(r)
}
