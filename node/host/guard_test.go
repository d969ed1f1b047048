package host

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"

	"github.com/decube/decube/internal/admission"
	"github.com/decube/decube/internal/limits"
)

func addr(t *testing.T, text string) ma.Multiaddr {
	t.Helper()
	a, err := ma.NewMultiaddr(text)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// What strangers may have a peer dial, in each scope.
func TestScopes(t *testing.T) {
	for text, least := range map[string]Scope{
		"/ip4/1.1.1.1/tcp/4001":                                ScopePublic,
		"/ip6/2606:4700::1111/udp/4001/quic-v1":                ScopePublic,
		"/dns4/example.org/tcp/4001":                           ScopePublic, // it comes again when it is resolved
		"/ip4/1.1.1.1/tcp/1/p2p/" + somebody + "/p2p-circuit":  ScopePublic,
		"/ip6/64:ff9b::0101:0101/tcp/1":                        ScopePublic,
		"/ip4/10.1.2.3/tcp/4001":                               ScopePrivate,
		"/ip4/172.16.0.1/udp/4001/quic-v1":                     ScopePrivate,
		"/ip4/192.168.1.1/tcp/80":                              ScopePrivate,
		"/ip4/100.64.0.1/tcp/1":                                ScopePrivate,
		"/ip4/198.18.0.1/tcp/1":                                ScopePrivate,
		"/ip6/fd00::1/tcp/1":                                   ScopePrivate,
		"/ip6/::ffff:10.0.0.1/tcp/1":                           ScopePrivate,
		"/ip6/64:ff9b::0a00:0001/tcp/1":                        ScopePrivate,
		"/ip6/2002:c0a8:0101::1/tcp/1":                         ScopePrivate,
		"/ip4/10.0.0.1/tcp/1/p2p/" + somebody + "/p2p-circuit": ScopePrivate,
		"/ip4/127.0.0.1/tcp/22":                                ScopeLocal,
		"/ip4/127.9.9.9/udp/53/quic-v1":                        ScopeLocal,
		"/ip6/::1/tcp/22":                                      ScopeLocal,
		"/ip6/::ffff:127.0.0.1/tcp/22":                         ScopeLocal,
		"/ip6/64:ff9b::7f00:0001/tcp/22":                       ScopeLocal,
		"/ip6/2002:7f00:0001::1/tcp/22":                        ScopeLocal,
		"/ip6/64:ff9b:1::1/tcp/22":                             ScopeLocal,
		"/ip4/169.254.169.254/tcp/80":                          ScopeLocal,
		"/ip6/fe80::1/tcp/1":                                   ScopeLocal,
		"/ip4/0.0.0.0/tcp/1":                                   ScopeLocal,
		"/ip4/0.1.2.3/tcp/1":                                   ScopeLocal,
		"/ip6/::/tcp/1":                                        ScopeLocal,
		"/ip4/224.0.0.1/udp/1/quic-v1":                         ScopeLocal,
		"/ip4/255.255.255.255/udp/1/quic-v1":                   ScopeLocal,
		"/ip6/ff02::1/udp/1/quic-v1":                           ScopeLocal,
		"/ip4/192.0.2.1/tcp/1":                                 ScopeLocal,
		"/ip6/2001:db8::1/tcp/1":                               ScopeLocal,
		"/ip6/fec0::1/tcp/1":                                   ScopePrivate,
		"/ip6/::7f00:0001/tcp/1":                               ScopeLocal,
		"/ip6/::ffff:0:127.0.0.1/tcp/1":                        ScopeLocal,
		"/ip6/3fff::1/tcp/1":                                   ScopeLocal,
		"/ip6zone/lo/ip6/::1/tcp/1":                            ScopeLocal,
	} {
		scopes := []Scope{ScopePublic, ScopePrivate, ScopeLocal}
		for i, scope := range scopes {
			if got, want := newDials(scope).may(addr(t, text)), i >= slices.Index(scopes, least); got != want {
				t.Errorf("%s in the scope %s: %v", text, scope, got)
			}
		}
		told := newDials(ScopePublic)
		told.told(peer.AddrInfo{ID: "x", Addrs: []ma.Multiaddr{addr(t, text)}})
		if !told.may(addr(t, text)) {
			t.Errorf("%s is refused to who was told of it", text)
		}
	}
}

const somebody = "12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5SA"

// zone is what names stand for.
type zone struct {
	t     *testing.T
	names map[string][]string
}

func (z zone) ResolveDNSAddr(ctx context.Context, _ peer.ID, a ma.Multiaddr, _, most int) ([]ma.Multiaddr, error) {
	return z.ResolveDNSComponent(ctx, a, most)
}

func (z zone) ResolveDNSComponent(_ context.Context, a ma.Multiaddr, _ int) (stands []ma.Multiaddr, err error) {
	for _, text := range z.names[a.String()] {
		stands = append(stands, addr(z.t, text))
	}
	return stands, nil
}

// One address that was named opens no other, and a name those that it stands for: whoever
// can have a record about a peer believed opens none.
func TestToldIsNoMoreThanWasSaid(t *testing.T) {
	d := newDials(ScopePublic)
	d.configured(peer.AddrInfo{ID: "settings", Addrs: []ma.Multiaddr{addr(t, "/ip4/10.0.0.9/tcp/9"), addr(t, "/dns4/c.example/tcp/9")}})
	d.told(
		peer.AddrInfo{ID: "a", Addrs: []ma.Multiaddr{addr(t, "/ip4/10.0.0.1/tcp/1")}},
		peer.AddrInfo{ID: somebody, Addrs: []ma.Multiaddr{addr(t, "/dns4/b.example/tcp/1"), addr(t, "/dnsaddr/c.example")}},
	)
	names := map[string][]string{
		"/dns4/b.example/tcp/1":                 {"/ip4/10.0.0.2/tcp/1"},
		"/dns4/d.example/tcp/1":                 {"/ip4/10.0.0.4/tcp/1"},
		"/dnsaddr/c.example":                    {"/dns4/e.example/tcp/1/p2p/" + somebody, "/ip4/10.0.0.6/tcp/1/p2p/" + somebody},
		"/dns4/e.example/tcp/1/p2p/" + somebody: {"/ip4/10.0.0.5/tcp/1/p2p/" + somebody},
	}
	r := resolver{zone{t, names}, d}
	look := func() {
		t.Helper()
		for name := range names {
			if _, err := r.ResolveDNSAddr(t.Context(), "", addr(t, name), 1, 9); err != nil {
				t.Fatal(err)
			}
			if _, err := r.ResolveDNSComponent(t.Context(), addr(t, name), 9); err != nil {
				t.Fatal(err)
			}
		}
	}
	check := func(want map[string]bool) {
		t.Helper()
		for text, want := range want {
			if got := d.may(addr(t, text)); got != want {
				t.Errorf("%s: %v", text, got)
			}
		}
	}
	check(map[string]bool{
		"/ip4/10.0.0.1/tcp/1": true, "/ip4/10.0.0.1/tcp/2": false, "/ip4/10.0.0.2/tcp/1": false,
	})
	look()
	look() // whichever is looked up first
	check(map[string]bool{
		"/ip4/10.0.0.2/tcp/1": true, "/ip4/10.0.0.2/tcp/9": false, "/ip4/127.0.0.1/tcp/9": false,
		"/ip4/10.0.0.4/tcp/1": false, "/ip4/10.0.0.5/tcp/1": true, "/ip4/10.0.0.6/tcp/1": true,
	})
	names["/dns4/b.example/tcp/1"] = []string{"/ip4/10.0.0.3/tcp/1"}
	look()
	check(map[string]bool{"/ip4/10.0.0.2/tcp/1": false, "/ip4/10.0.0.3/tcp/1": true})
	for i := range 3 * mostTold {
		d.told(peer.AddrInfo{ID: "z", Addrs: []ma.Multiaddr{addr(t, fmt.Sprintf("/ip4/10.0.0.1/tcp/%d", i%60000+1))}})
	}
	if len(d.addrs)+len(d.names) > mostTold+2 || len(d.order) > mostTold {
		t.Errorf("%d addresses are remembered", len(d.addrs))
	}
	check(map[string]bool{ // what the settings name, and the last one, are
		"/ip4/10.0.0.9/tcp/9": true, fmt.Sprintf("/ip4/10.0.0.1/tcp/%d", 3*mostTold): true, "/ip4/10.0.0.1/tcp/1": false,
	})
}

// What strangers say of a peer that was named by a name is not dialled, and the name is.
func TestNamesAreDialledAlone(t *testing.T) {
	other, trap := listening(t), listening(t)
	port := func(h *Host) string {
		p, err := h.Addrs()[0].ValueForProtocol(ma.P_TCP)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	cfg := Default()
	cfg.Listen, cfg.Scope = []string{"/ip4/127.0.0.1/tcp/0"}, ScopePublic
	key, _, err := crypto.GenerateEd25519Key(nil)
	if err != nil {
		t.Fatal(err)
	}
	h, err := New(cfg, Options{Identity: key})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	name := peer.AddrInfo{ID: other.ID(), Addrs: []ma.Multiaddr{addr(t, "/dns4/localhost/tcp/"+port(other))}}
	h.Told(name)
	heard := peer.AddrInfo{ID: other.ID(), Addrs: []ma.Multiaddr{addr(t, "/ip4/127.0.0.1/tcp/"+port(trap))}}
	if err := h.Connect(t.Context(), heard); !errors.Is(err, swarm.ErrGaterDisallowedConnection) {
		t.Errorf("what was heard of it is dialled: %v", err)
	}
	h.Peerstore().ClearAddrs(other.ID())
	if err := h.Connect(t.Context(), name); err != nil {
		t.Errorf("by its name: %v", err)
	}
}

func TestDialScope(t *testing.T) {
	for name, c := range map[string]struct {
		set  func(*Config)
		want Scope
	}{
		"as it is installed":    {func(*Config) {}, ScopePrivate},
		"on loopback":           {func(c *Config) { c.Listen = []string{"/ip4/127.0.0.1/tcp/0"} }, ScopeLocal},
		"a bootstrap here":      {func(c *Config) { c.Bootstrap = []string{"/ip4/127.0.0.1/tcp/1/p2p/" + somebody} }, ScopeLocal},
		"a bootstrap near":      {func(c *Config) { c.Bootstrap = []string{"/ip4/192.168.1.1/tcp/1/p2p/" + somebody} }, ScopePrivate},
		"a bootstrap far":       {func(c *Config) { c.Bootstrap = []string{"/ip4/1.1.1.1/tcp/1/p2p/" + somebody} }, ScopePublic},
		"a bootstrap by name":   {func(c *Config) { c.Bootstrap = []string{"/dns4/b.example/tcp/1/p2p/" + somebody} }, ScopePrivate},
		"an address of its own": {func(c *Config) { c.Listen = append(c.Listen, "/ip4/1.1.1.1/tcp/1") }, ScopePublic},
		"announced":             {func(c *Config) { c.Announce = []string{"/ip4/1.1.1.1/tcp/1"} }, ScopePublic},
		"chosen": {func(c *Config) {
			c.Scope, c.Bootstrap = ScopePublic, []string{"/ip4/127.0.0.1/tcp/1/p2p/" + somebody}
		}, ScopePublic},
	} {
		cfg := Default()
		c.set(&cfg)
		if got := cfg.DialScope(); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

// crowd opens handshakes and notes which are cut off.
type crowd struct {
	h     *pending[string, netip.Prefix]
	now   time.Time
	alive map[string]bool
}

func newCrowd(most int) *crowd {
	return &crowd{newPending[string, netip.Prefix](most, handshakesPerAddress, handshakeTimeout), time.Unix(0, 0), map[string]bool{}}
}

func (c *crowd) begin(remote, ip string) {
	c.alive[remote] = true
	for _, cut := range c.h.begin(c.now, remote, admission.AddressOf(netip.MustParseAddr(ip)), func() { delete(c.alive, remote) }) {
		cut()
	}
	c.now = c.now.Add(time.Millisecond)
}

func TestHandshakesOfOneAddress(t *testing.T) {
	c := newCrowd(100)
	c.begin("other", "192.0.2.2")
	for i := range 20 {
		c.begin(fmt.Sprint(i), "192.0.2.1")
	}
	for i := range 20 {
		if alive, want := c.alive[fmt.Sprint(i)], i >= 20-handshakesPerAddress; alive != want {
			t.Errorf("the handshake %d: %v", i, alive)
		}
	}
	if !c.alive["other"] {
		t.Error("another address has lost one")
	}
	// A /56 is one address, one of its neighbours another.
	for i := range 20 {
		c.begin(fmt.Sprint("six", i), fmt.Sprintf("2001:db8:0:1%02x::1", i))
	}
	if c.alive["six0"] || !c.alive["six19"] || !c.alive["other"] {
		t.Error("addresses of one /56 count as several")
	}
}

func TestHandshakesInAll(t *testing.T) {
	c := newCrowd(32)
	for i := range 5 {
		c.begin(fmt.Sprint("few", i), "192.0.2.1")
	}
	for i := range 200 {
		c.begin(fmt.Sprint(i), fmt.Sprintf("198.51.100.%d", i%4))
	}
	if len(c.alive) != 32 || len(c.h.all) != 32 {
		t.Errorf("%d are alive, %d are known", len(c.alive), len(c.h.all))
	}
	for i := range 5 {
		if !c.alive[fmt.Sprint("few", i)] {
			t.Error("who has few has lost one")
		}
	}
	// What has ended by itself does not count.
	c.now = c.now.Add(handshakeTimeout + time.Second)
	c.begin("late", "203.0.113.1")
	if len(c.h.all) != 1 || len(c.h.byHolder) != 1 {
		t.Errorf("%d are known", len(c.h.all))
	}
	c.h.end("late")
	c.h.end("late")
	if len(c.h.all) != 0 || len(c.h.byHolder) != 0 {
		t.Errorf("%d are known when it is secured", len(c.h.all))
	}
}

// Whatever happens in which order: no bound is passed, and both indices agree.
func TestHandshakesModel(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	c := newCrowd(40)
	for range 20_000 {
		ip, port := rnd.IntN(10), rnd.IntN(30)
		remote := fmt.Sprint(ip, ":", port)
		if rnd.IntN(3) == 0 {
			c.h.end(remote)
		} else {
			c.begin(remote, fmt.Sprintf("192.0.2.%d", ip))
		}
		c.now = c.now.Add(time.Duration(rnd.IntN(300)) * time.Millisecond)
		sum := 0
		for _, list := range c.h.byHolder {
			sum += len(list)
			if len(list) == 0 || len(list) > handshakesPerAddress {
				t.Fatalf("%d of one address", len(list))
			}
		}
		if sum != len(c.h.all) || sum > 40 {
			t.Fatalf("%d by address, %d in all", sum, len(c.h.all))
		}
	}
}

// Who opens a connection over TCP and says nothing is cut off in time.
func TestStalledHandshakesEnd(t *testing.T) {
	key, _, err := crypto.GenerateEd25519Key(nil)
	if err != nil {
		t.Fatal(err)
	}
	cfg := Default()
	cfg.Listen = []string{"/ip4/127.0.0.1/tcp/0"}
	h, err := New(cfg, Options{Identity: key})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	if err := h.Listen(); err != nil {
		t.Fatal(err)
	}
	var at net.Addr
	for _, a := range h.Network().ListenAddresses() {
		if tcp, err := manet.ToNetAddr(a); err == nil {
			at = tcp
		}
	}
	begin := time.Now()
	var d net.Dialer
	c, err := d.DialContext(t.Context(), "tcp", at.String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for { // it may say first what it speaks
		if _, err := c.Read(make([]byte, 100)); err != nil {
			break
		}
	}
	if took := time.Since(begin); took < handshakeTimeout/2 || took > 2*handshakeTimeout {
		t.Errorf("cut off after %v", took)
	}
}

// Connections are bounded by address, and those of configured addresses less.
func TestConnectionsByAddress(t *testing.T) {
	b, err := limits.NewBudget(limits.Machine{Memory: 2 << 30, Files: 4096})
	if err != nil {
		t.Fatal(err)
	}
	h := &Host{}
	manager, err := h.limit(b, []netip.Addr{netip.MustParseAddr("192.0.2.7")})
	if err != nil {
		t.Fatal(err)
	}
	defer manager.Close()
	open := func(from string, n int) (opened int) {
		for i := range n {
			if _, err := manager.OpenConnection(0, false, addr(t, fmt.Sprintf("%s/tcp/%d", from, i+1))); err == nil {
				opened++
			}
		}
		return opened
	}
	r := b.ConnsPerAddress
	for _, c := range []struct {
		from string
		n    int
		want int
	}{
		{"/ip4/127.0.0.1", 3 * r, 3 * r},
		{"/ip4/198.51.100.1", 2 * r, r},
		{"/ip4/192.0.2.7", 2 * r, 2 * r},
		{"/ip6/2001:db8::1", 2 * r, r},
		{"/ip6/2001:db8:0:1::1", r, 0},
		{"/ip6/2001:db8:0:100::1", 2 * r, r},
		{"/ip6/2001:db8:0:200::1", r, 0},
	} {
		if got := open(c.from, c.n); got != c.want {
			t.Errorf("%s opened %d of %d, want %d", c.from, got, c.n, c.want)
		}
	}
}
