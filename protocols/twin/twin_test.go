package twin

import (
	"context"
	"crypto/rand"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/libp2p/go-flow-metrics.(*sweeper).run"))
}

func newKey(t *testing.T) crypto.PrivKey {
	t.Helper()
	key, _, err := crypto.GenerateEd25519Key(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// process is a running peer.
type process struct {
	*Watch

	host host.Host
	stop func()
}

// start runs a peer with an identity, connected to others.
func start(t *testing.T, key crypto.PrivKey, to ...*process) *process {
	t.Helper()
	h, err := libp2p.New(libp2p.Identity(key), libp2p.ListenAddrStrings("/ip4/127.0.0.1/tcp/0"), libp2p.DisableRelay())
	if err != nil {
		t.Fatal(err)
	}
	p := &process{Watch: New(h, Options{}), host: h}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx) }()
	stopped := false
	p.stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(p.stop)
	for _, other := range to {
		for !spoken(other.host) {
			if t.Context().Err() != nil {
				t.Fatal("it does not start")
			}
		}
		if err := h.Connect(t.Context(), peer.AddrInfo{ID: other.host.ID(), Addrs: other.host.Addrs()}); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

func spoken(h host.Host) bool { return slices.Contains(h.Mux().Protocols(), ID) }

// greet greets, and reports whether that shows a twin.
func (p *process) greet(t *testing.T, other *process) bool {
	t.Helper()
	p.mu.Lock()
	p.noticed = time.Time{}
	p.mu.Unlock()
	if err := p.Greet(t.Context(), other.host.ID()); err != nil {
		t.Fatal(err)
	}
	return p.Warning() != ""
}

func TestTwinsAreToldOfEachOther(t *testing.T) {
	witness, key := start(t, newKey(t)), newKey(t)
	first, second, other := start(t, key, witness), start(t, key, witness), start(t, newKey(t), witness)
	for i, step := range []struct {
		who  *process
		twin bool
	}{
		{first, false}, {other, false}, {second, false}, {first, true}, {second, true}, {other, false}, {first, true},
	} {
		if got := step.who.greet(t, witness); got != step.twin {
			t.Errorf("step %d: %v", i, got)
		}
	}
	if w := first.Warning(); !strings.Contains(w, witness.host.ID().String()) || !strings.Contains(w, first.host.ID().String()) {
		t.Errorf("the warning is %q", w)
	}
	second.stop()
	for closed := false; !closed; { // until the witness knows
		closed = len(witness.host.Network().ConnsToPeer(first.host.ID())) == 1
	}
	if first.greet(t, witness) {
		t.Error("a twin that has gone is still there")
	}
}

// What a killed process has left behind is no twin of the one that comes after it.
func TestNextRunIsNoTwin(t *testing.T) {
	witness, key := start(t, newKey(t)), newKey(t)
	killed := start(t, key, witness) // its connection stays open, and nobody is behind it
	if killed.greet(t, witness) {
		t.Error("the first run has a twin")
	}
	next := start(t, key, witness)
	for range 5 {
		if next.greet(t, witness) {
			t.Error("the next run has a twin")
		}
	}
}

// conn is a connection as far as it is remembered.
type conn struct {
	network.Conn

	id     peer.ID
	closed bool
}

func (c *conn) RemotePeer() peer.ID { return c.id }
func (c *conn) IsClosed() bool      { return c.closed }

// What strangers can have remembered is bounded.
func TestSightingsAreBounded(t *testing.T) {
	w := &Watch{seen: map[peer.ID][]sighting{}}
	now := time.Unix(0, 0)
	one := &conn{id: "one"}
	for i := range 100 {
		now = now.Add(time.Second)
		w.saw(now, one, run{byte(i)})
	}
	if n := len(w.seen["one"]); n != mostRuns {
		t.Errorf("%d runs of one peer are remembered", n)
	}
	var all []*conn
	for i := range 2 * mostPeers {
		c := &conn{id: peer.ID(rune(i + 1000))}
		all = append(all, c)
		w.saw(now, c, run{1})
	}
	if len(w.seen) > mostPeers {
		t.Errorf("%d peers are remembered", len(w.seen))
	}
	for _, c := range all {
		c.closed = true
	}
	w.saw(now, &conn{id: "late"}, run{1})
	if len(w.seen) != 2 || w.seen["late"] == nil {
		t.Errorf("%d peers are remembered when all but one have gone", len(w.seen))
	}
}
