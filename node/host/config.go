package host

import (
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/decube/decube/internal/config"
	"github.com/decube/decube/internal/limits"
)

// Config is the p2p section of the settings: how a peer listens, whom it knows
// and how it deals with routers in between. The zero value listens nowhere and
// uses no transport; start from Default.
type Config struct {
	// Network is the swarm's name; peers of different names do not find each other.
	Network string
	// Listen holds the multiaddrs to listen on. A port of 0 picks a free one.
	Listen []string
	// Announce holds multiaddrs to announce beside those that are found out, such
	// as that of a port forwarded by hand.
	Announce []string
	// Bootstrap holds the multiaddrs of the peers to join the swarm through.
	Bootstrap []string
	// Scope says which addresses of other peers may be dialled.
	Scope Scope
	// Transports to dial and listen with.
	Transports Transports
	// ConnManager keeps the number of connections in bounds.
	ConnManager ConnManager
	// Bandwidth bounds what passes over them.
	Bandwidth Bandwidth
	// NAT is about routers between this peer and the others.
	NAT NAT
	// Relay is about peers that pass connections on.
	Relay Relay
}

// Transports chooses among the transports; at least one must be on.
type Transports struct {
	TCP  bool // TCP with TLS 1.3, or Noise where a peer has no TLS
	QUIC bool // QUIC v1
}

// ConnManager holds the connection manager's bounds.
type ConnManager struct {
	Low   int           // connections left after trimming
	High  int           // connections at which trimming begins
	Grace time.Duration // a younger connection is not trimmed
}

// NAT says how to deal with routers.
type NAT struct {
	PortMap      bool         // ask the router for a port (UPnP, NAT-PMP)
	Service      bool         // tell others whether they can be reached (AutoNAT v1 and v2)
	Reachability Reachability // auto, public or private
	HolePunching bool         // connect directly to peers behind routers
}

// Relay says which relays to use and whether to be one.
type Relay struct {
	Client    bool         // be reachable through relays when not reachable directly
	Static    []string     // multiaddrs of the relays to use; empty: find some in the DHT
	Service   RelayService // off, auto (once publicly reachable) or on
	Unlimited bool         // relay without limits of time and bytes, for a private swarm
}

// Reachability is what a peer assumes about itself.
type Reachability string

// The reachabilities. With ReachabilityAuto other peers are asked.
const (
	ReachabilityAuto    Reachability = "auto"
	ReachabilityPublic  Reachability = "public"
	ReachabilityPrivate Reachability = "private"
)

// RelayService says when to relay for others.
type RelayService string

// The conditions under which a peer relays for others.
const (
	RelayOff  RelayService = "off"
	RelayAuto RelayService = "auto"
	RelayOn   RelayService = "on"
)

// DefaultPort is the port of the default listen addresses.
const DefaultPort = 4801

// Default returns the settings of a peer of the public swarm.
func Default() Config {
	return Config{
		Network: "main",
		Listen: []string{
			fmt.Sprintf("/ip4/0.0.0.0/udp/%d/quic-v1", DefaultPort),
			fmt.Sprintf("/ip4/0.0.0.0/tcp/%d", DefaultPort),
			fmt.Sprintf("/ip6/::/udp/%d/quic-v1", DefaultPort),
			fmt.Sprintf("/ip6/::/tcp/%d", DefaultPort),
		},
		Announce:    []string{},
		Bootstrap:   []string{},
		Scope:       ScopeAuto,
		Transports:  Transports{TCP: true, QUIC: true},
		ConnManager: ConnManager{Low: 100, High: 400, Grace: time.Minute},
		NAT:         NAT{PortMap: true, Service: true, Reachability: ReachabilityAuto, HolePunching: true},
		Relay:       Relay{Client: true, Static: []string{}, Service: RelayOff},
	}
}

// networkName is what may stand in a protocol prefix and a topic.
var networkName = regexp.MustCompile(`^[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?$`)

// Validate checks names and addresses; it does not look whether they can be used.
func (c Config) Validate() error {
	var problems []error
	if !networkName.MatchString(c.Network) {
		problems = append(problems, config.Invalid("network", c.Network,
			"must be 1 to 63 of a-z, 0-9, dot, dash and underscore, with a letter or digit first and last"))
	}
	for _, addr := range c.Listen {
		if err := checkListen(addr, c.Transports); err != nil {
			problems = append(problems, config.Invalid("listen", addr, "%v", err))
		}
	}
	for _, addr := range c.Announce {
		if _, err := ma.NewMultiaddr(addr); err != nil {
			problems = append(problems, config.Invalid("announce", addr, "is not a multiaddr: %v", err))
		}
	}
	if _, err := ParsePeers(c.Bootstrap); err != nil {
		problems = append(problems, config.Invalid("bootstrap", c.Bootstrap, "%v", err))
	}
	return errors.Join(problems...)
}

// Validate reports a choice of no transport.
func (t Transports) Validate() error {
	if !t.TCP && !t.QUIC {
		return config.Invalid("tcp", t.TCP, "tcp and quic cannot both be off")
	}
	return nil
}

// Validate checks that the bounds are in order.
func (m ConnManager) Validate() error {
	switch {
	case m.Low < 1:
		return config.Invalid("low", m.Low, "must be at least 1")
	case m.High < m.Low:
		return config.Invalid("high", m.High, "must be at least low, which is %d", m.Low)
	case m.Grace < 0:
		return config.Invalid("grace", m.Grace, "must not be negative")
	}
	return nil
}

// Within returns the watermarks under a budget: those of Default are lower where it is
// small. A budget in which trimming would never begin is a config.ErrInvalid.
func (m ConnManager) Within(b *limits.Budget) (ConnManager, error) {
	if standard := Default().ConnManager; m.Low == standard.Low && m.High == standard.High {
		m.Low, m.High = b.Watermarks()
		return m, nil
	}
	if most := b.System.ConnsInbound; m.High > most {
		return m, config.Invalid("p2p.conn_manager.high", m.High, "must be at most %d: this machine has room for %d connections, %d of them inbound", most, b.Conns, most)
	}
	return m, nil
}

// Validate checks the reachability's name.
func (n NAT) Validate() error {
	switch n.Reachability {
	case ReachabilityAuto, ReachabilityPublic, ReachabilityPrivate:
		return nil
	default:
		return config.Invalid("reachability", string(n.Reachability), "must be auto, public or private")
	}
}

// Validate checks the relays' addresses and the name of the condition.
func (r Relay) Validate() error {
	var problems []error
	if _, err := ParsePeers(r.Static); err != nil {
		problems = append(problems, config.Invalid("static", r.Static, "%v", err))
	}
	switch r.Service {
	case RelayOff, RelayAuto, RelayOn:
	default:
		problems = append(problems, config.Invalid("service", string(r.Service), "must be off, auto or on"))
	}
	return errors.Join(problems...)
}

func checkListen(addr string, on Transports) error {
	a, err := ma.NewMultiaddr(addr)
	if err != nil {
		return fmt.Errorf("is not a multiaddr (%w); want one such as /ip4/0.0.0.0/tcp/%d", err, DefaultPort)
	}
	switch transportOf(a) {
	case "tcp":
		if !on.TCP {
			return errors.New("needs TCP, which p2p.transports.tcp switches off")
		}
	case "quic":
		if !on.QUIC {
			return errors.New("needs QUIC, which p2p.transports.quic switches off")
		}
	default:
		return fmt.Errorf("cannot be listened on; want /ip4/ADDRESS/tcp/PORT or /ip4/ADDRESS/udp/PORT/quic-v1, or the same with ip6")
	}
	return nil
}

// transportOf returns "tcp" or "quic" for exactly the addresses that this peer
// can listen on, and "" for others.
func transportOf(a ma.Multiaddr) string {
	codes := make([]int, 0, 3)
	for _, c := range a {
		codes = append(codes, c.Protocol().Code)
	}
	if len(codes) < 2 || (codes[0] != ma.P_IP4 && codes[0] != ma.P_IP6) {
		return ""
	}
	switch {
	case len(codes) == 2 && codes[1] == ma.P_TCP:
		return "tcp"
	case len(codes) == 3 && codes[1] == ma.P_UDP && codes[2] == ma.P_QUIC_V1:
		return "quic"
	default:
		return ""
	}
}

// LoopbackOnly reports whether the peer listens on addresses of this machine
// alone, so that routers, relays and public addresses do not concern it.
func (c Config) LoopbackOnly() bool {
	for _, addr := range c.Listen {
		a, err := ma.NewMultiaddr(addr)
		if err != nil || len(a) == 0 {
			return false
		}
		ip, err := netip.ParseAddr(a[0].Value())
		if err != nil || !ip.IsLoopback() {
			return false
		}
	}
	return len(c.Listen) > 0
}

// ParsePeers reads multiaddrs that name a peer, which all end in /p2p/ID; the
// addresses of one peer are put together. A /dnsaddr without an ID is refused:
// whoever answers for the name could put in anybody.
func ParsePeers(addrs []string) ([]peer.AddrInfo, error) {
	parsed := make([]ma.Multiaddr, 0, len(addrs))
	for _, text := range addrs {
		a, err := ma.NewMultiaddr(text)
		if err != nil {
			return nil, fmt.Errorf("%q is not a multiaddr: %w", text, err)
		}
		info, err := peer.AddrInfoFromP2pAddr(a)
		if err != nil {
			return nil, fmt.Errorf("%q does not say which peer it is: want a multiaddr that ends in /p2p/ID", text)
		}
		if len(info.Addrs) == 0 {
			return nil, fmt.Errorf("%q does not say where the peer is: want a multiaddr such as /ip4/192.0.2.1/tcp/%d/p2p/ID", text, DefaultPort)
		}
		parsed = append(parsed, a)
	}
	return peer.AddrInfosFromP2pAddrs(parsed...)
}
