package host

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"
	libp2phost "github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/decube/decube/internal/limits"
)

// relayedConn is an inbound connection from an address, which may lead through a relay.
type relayedConn struct {
	silentConn

	opened time.Time
}

func (c relayedConn) Stat() network.ConnStats {
	return network.ConnStats{Stats: network.Stats{Direction: network.DirInbound, Opened: c.opened}, NumStreams: 1}
}

// Many who come through a relay cost it none of its own connections.
func TestRelayOfACrowdStays(t *testing.T) {
	now := time.Unix(1000, 0)
	conn := func(id, at string, age time.Duration) guest {
		return guestOf(relayedConn{silentConn{peer: peer.ID(id), addr: addr(t, at)}, now.Add(-age)})
	}
	const relay = "/ip4/198.51.100.7/tcp/1"
	guests := []guest{conn("relay", relay, time.Hour)}
	for i := range 16 {
		guests = append(guests, conn(fmt.Sprint("hostile", i), relay+"/p2p/"+somebody+"/p2p-circuit", time.Minute))
	}
	guests = append(guests, conn("honest", "/ip4/192.0.2.1/tcp/1", time.Hour))
	for range 15 {
		i := leaving(guests, now)
		if id := guests[i].peer; id == "relay" || id == "honest" {
			t.Fatalf("%s leaves, and %d others stay", id, len(guests)-1)
		}
		guests = slices.Delete(guests, i, i+1)
	}
}

// One provider's network of IPv6 has 65,536 that count as a prefix each: when there are too many
// connections it is what loses some, though none of these holds two.
func TestAProviderOfIPv6LeavesFirst(t *testing.T) {
	now := time.Unix(1000, 0)
	var guests []guest
	for i := range 120 {
		ip := netip.AddrFrom16([16]byte{0x20, 0x01, 0x0d, 0xb8, 0, byte(i), 15: 1})
		guests = append(guests, guest{peer: peer.ID(fmt.Sprint("hostile", i)), ip: ip, opened: now, streams: 1})
	}
	for i := range 20 {
		ip := netip.AddrFrom4([4]byte{20, 0, byte(i), 1})
		guests = append(guests, guest{peer: peer.ID(fmt.Sprint("honest", i)), ip: ip, opened: now.Add(-time.Hour)})
	}
	for range 100 {
		i := leaving(guests, now)
		if id := string(guests[i].peer); strings.HasPrefix(id, "honest") {
			t.Fatalf("%s leaves, and %d others stay", id, len(guests)-1)
		}
		guests = slices.Delete(guests, i, i+1)
	}
}

func TestLeaving(t *testing.T) {
	now := time.Unix(1000, 0)
	at := func(id, ip string, age time.Duration, streams int) guest {
		return guest{peer: peer.ID(id), ip: netip.MustParseAddr(ip), opened: now.Add(-age), streams: streams}
	}
	old, young := time.Minute, time.Second
	for name, c := range map[string]struct {
		guests []guest
		want   []string // peers in the order in which they leave
	}{
		"nobody":                {nil, nil},
		"the oldest":            {[]guest{at("b", "192.0.2.1", old, 0), at("a", "198.51.100.1", 2*old, 0)}, []string{"a", "b"}},
		"who is idle":           {[]guest{at("b", "192.0.2.1", 2*old, 1), at("a", "198.51.100.1", old, 0)}, []string{"a", "b"}},
		"who is young is not":   {[]guest{at("b", "192.0.2.1", young, 0), at("a", "198.51.100.1", old, 0)}, []string{"a", "b"}},
		"who is young, in time": {[]guest{at("b", "192.0.2.1", young, 0), at("a", "198.51.100.1", old, 9)}, []string{"a", "b"}},
		"the prefix with most": {[]guest{
			at("c", "192.0.2.1", 9*old, 0), at("a", "198.51.100.1", 2*old, 0), at("b", "198.51.100.2", old, 0),
		}, []string{"a", "c", "b"}},
		"the address with most": {[]guest{
			at("c", "198.51.100.9", 9*old, 0), at("a", "198.51.100.1", 2*old, 0), at("b", "198.51.100.1", old, 0),
		}, []string{"a", "c", "b"}},
		"the peer with most": {[]guest{
			at("c", "198.51.100.1", 9*old, 0), at("a", "198.51.100.1", 2*old, 0), at("a", "198.51.100.1", old, 0),
		}, []string{"a", "c", "a"}},
		"a crowd that has streams before an idle one": {
			append(slices.Repeat([]guest{at("a", "198.51.100.1", young, 1)}, 9), at("h", "192.0.2.1", old, 0)),
			append(slices.Repeat([]string{"a"}, 8), "h", "a"),
		},
		"and before an idle neighbour": {
			append(slices.Repeat([]guest{at("a", "192.0.2.9", young, 1)}, 9), at("h", "192.0.2.1", old, 0)),
			append(slices.Repeat([]string{"a"}, 8), "h", "a"),
		},
		"a /48 is one prefix": {[]guest{
			at("c", "192.0.2.1", 9*old, 0), at("a", "2001:db8:0:100::1", 2*old, 0), at("b", "2001:db8:0:200::1", old, 0),
		}, []string{"a", "c", "b"}},
	} {
		left, got := slices.Clone(c.guests), []string(nil)
		for i := leaving(left, now); i >= 0; i = leaving(left, now) {
			got = append(got, string(left[i].peer))
			left = slices.Delete(left, i, i+1)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

// Connections that nobody uses keep no newcomer out, and nobody who is protected goes.
func TestIdleConnectionsMakeRoom(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	budget, err := limits.NewBudget(limits.Machine{Memory: 1 << 30, Files: 128})
	if err != nil {
		t.Fatal(err)
	}
	key, _, err := crypto.GenerateEd25519Key(nil)
	if err != nil {
		t.Fatal(err)
	}
	cfg := Default()
	cfg.Listen = []string{"/ip4/127.0.0.1/tcp/0"}
	h, err := New(cfg, Options{Identity: key, Budget: budget})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	if err := h.Listen(); err != nil {
		t.Fatal(err)
	}
	h.SetStreamHandler("/echo", func(s network.Stream) {
		_, _ = io.Copy(s, s)
		_ = s.Close()
	})
	info := peer.AddrInfo{ID: h.ID(), Addrs: h.Addrs()}
	friend := listening(t)
	h.ConnManager().Protect(friend.ID(), "test")
	if err := friend.Connect(ctx, info); err != nil {
		t.Fatal(err)
	}
	most := budget.System.ConnsInbound
	for i := range 2 * most {
		other := listening(t)
		// The one before may still be on its way out.
		for err := other.Connect(ctx, info); err != nil; err = other.Connect(ctx, info) {
			if ctx.Err() != nil {
				t.Fatalf("the newcomer %d: %v", i, err)
			}
		}
	}
	for _, holder := range h.Holders(10) {
		if holder.Network.String() != "127.0.0.0/24" || holder.Conns < holder.Peers || holder.Peers < 2 {
			t.Errorf("a holder is %+v", holder)
		}
	}
	if n := len(h.Holders(0)); n != 0 {
		t.Errorf("%d holders where none are asked for", n)
	}
	if conns := h.Network().ConnsToPeer(friend.ID()); len(conns) == 0 {
		t.Error("who was protected had to go")
	}
	look := time.NewTicker(time.Millisecond)
	defer look.Stop()
	for len(h.Network().Conns()) > most/8*7 {
		select {
		case <-look.C:
		case <-ctx.Done():
			t.Fatalf("%d connections are left", len(h.Network().Conns()))
		}
	}
}

// slowHost has connections that take until the end of a test to be closed.
type slowHost struct {
	libp2phost.Host

	network *slowNetwork
}

func (h *slowHost) Network() network.Network { return h.network }

type slowNetwork struct {
	network.Network

	mu      sync.Mutex
	conns   map[network.Conn]*slowConn
	closing chan network.Conn
	release chan struct{}
}

func (n *slowNetwork) Conns() []network.Conn {
	n.mu.Lock()
	defer n.mu.Unlock()
	all := n.Network.Conns()
	for i, c := range all {
		if n.conns[c] == nil {
			n.conns[c] = &slowConn{c, n}
		}
		all[i] = n.conns[c]
	}
	return all
}

type slowConn struct {
	network.Conn

	network *slowNetwork
}

func (c *slowConn) CloseWithError(code network.ConnErrorCode) error {
	c.network.closing <- c
	<-c.network.release
	return c.Conn.CloseWithError(code)
}

// Who does not let its connection be closed does not keep that of others open.
func TestSlowClosingHoldsUpNobody(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	h := listening(t)
	const most, came = 2, 6
	n := &slowNetwork{
		Network: h.Network(), conns: map[network.Conn]*slowConn{}, closing: make(chan network.Conn, came), release: make(chan struct{}),
	}
	d := watchDoor(&slowHost{h, n}, most, new(atomic.Bool), slog.New(slog.DiscardHandler))
	for range came {
		if err := listening(t).Connect(ctx, peer.AddrInfo{ID: h.ID(), Addrs: h.Addrs()}); err != nil {
			t.Fatal(err)
		}
	}
	seen := map[network.Conn]bool{}
	for range came - most {
		select {
		case c := <-n.closing:
			seen[c] = true
		case <-ctx.Done():
			t.Fatalf("%d connections are being closed", len(seen))
		}
	}
	if len(seen) != came-most {
		t.Errorf("%d connections are being closed", len(seen))
	}
	close(n.release)
	d.close()
	if len(n.closing) > 0 || len(d.closing) > 0 {
		t.Errorf("%d too many were closed, %d are still", len(n.closing), len(d.closing))
	}
}
