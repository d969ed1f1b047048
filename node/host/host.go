// Package host builds a peer's libp2p host: identity, transports, limits, and
// the way through routers and relays; and keeps it in touch with its bootstrap
// peers.
package host

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"

	"github.com/ipfs/go-datastore"
	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/crypto"
	libp2phost "github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/metrics"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/host/autorelay"
	rcmgr "github.com/libp2p/go-libp2p/p2p/host/resource-manager"
	"github.com/libp2p/go-libp2p/p2p/muxer/yamux"
	"github.com/libp2p/go-libp2p/p2p/net/connmgr"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"
	"github.com/libp2p/go-libp2p/p2p/net/upgrader"
	"github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/proto"
	"github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/relay"
	"github.com/libp2p/go-libp2p/p2p/protocol/ping"
	"github.com/libp2p/go-libp2p/p2p/security/noise"
	libp2ptls "github.com/libp2p/go-libp2p/p2p/security/tls"
	"github.com/libp2p/go-libp2p/p2p/transport/quicreuse"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"
	ma "github.com/multiformats/go-multiaddr"
	madns "github.com/multiformats/go-multiaddr-dns"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/fx"

	"github.com/decube/decube/internal/admission"
	"github.com/decube/decube/internal/limits"
	"github.com/decube/decube/internal/limits/resources"
	"github.com/decube/decube/internal/streams"
)

// Options is what New needs beside the settings. All but Identity may be left out.
type Options struct {
	Identity  crypto.PrivKey
	UserAgent string
	// Datastore keeps the peerstore from one start to the next; without one it
	// lives in memory. It is not closed by the host.
	Datastore datastore.Batching
	// Budget is what connections and protocols may hold; nil is that of the machine, with
	// no protocol in it.
	Budget *limits.Budget
	// Registerer receives libp2p's own metrics.
	Registerer prometheus.Registerer
	Log        *slog.Logger
}

// Host is a libp2p host and what is known of its limits and traffic.
type Host struct {
	libp2phost.Host

	Limits    rcmgr.ConcreteLimitConfig // in force since the start
	Resources rcmgr.ResourceManagerState
	Bandwidth *metrics.BandwidthCounter

	relay *relay.Relay           // the unconditional relay service, nil unless it is on
	quic  *quicreuse.ConnManager // of QUIC's sockets, nil without QUIC

	// Watermarks are those in force.
	Watermarks ConnManager

	// Budget is what connections and protocols may hold.
	Budget *limits.Budget

	bounds     *bounds        // of what passes; nil without any
	brake      *streams.Brake // of what strangers send over TCP
	guard      *guard
	negotiator *negotiator
	door       *door
	addrs      []string // to listen on
	log        *slog.Logger

	closed sync.Once
}

// New makes a host, which does not listen yet: who registers handlers does so before any
// peer can reach it. The caller closes the host.
func New(cfg Config, o Options) (*Host, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Budget == nil {
		var err error
		if o.Budget, err = limits.NewBudget(limits.ThisMachine()); err != nil {
			return nil, err
		}
	}
	h := &Host{
		Bandwidth: metrics.NewBandwidthCounter(), Watermarks: cfg.ConnManager, Budget: o.Budget,
		guard: newGuard(cfg.DialScope(), o.Budget), addrs: cfg.Listen, log: o.Log,
	}
	for _, list := range [][]string{cfg.Bootstrap, cfg.Relay.Static} {
		peers, err := ParsePeers(list)
		if err != nil {
			return nil, err
		}
		h.guard.configured(peers...)
	}
	opts, err := h.options(cfg, o)
	if err != nil {
		return nil, err
	}
	h.Host, err = libp2p.New(opts...)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("starting the libp2p host: %w", err), h.closeQUIC())
	}
	h.SetStreamHandler(ping.ID, answerPings)
	h.negotiator = negotiate(h.Host, o.Budget, h.guard, o.Log)
	h.door = watchDoor(h.Host, o.Budget.System.ConnsInbound/8*7, &h.guard.full, o.Log)
	if cfg.Relay.Service == RelayOn {
		h.relay, err = relay.New(h.Host, relayOptions(cfg.Relay)...)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("starting the relay service: %w", err), h.Close())
		}
	}
	return h, nil
}

// Listen opens the addresses of the settings. One that cannot be listened on is an error,
// ErrAddressInUse where another program has it, except IPv6 on a machine without it. What
// was opened until then stays open.
func (h *Host) Listen() error { return listen(h.Host, h.addrs, h.log) }

// Close stops the host and everything that came with it.
func (h *Host) Close() error {
	var err error
	h.negotiator.close()
	if h.bounds != nil {
		h.bounds.Newcomers().End() // or refusing those who are about to connect would wait
	}
	if h.door != nil {
		h.door.close()
		h.door = nil
	}
	if h.relay != nil {
		err = h.relay.Close()
	}
	return errors.Join(err, h.Host.Close(), h.closeQUIC())
}

func (h *Host) options(cfg Config, o Options) ([]libp2p.Option, error) {
	conns, err := connmgr.NewConnManager(cfg.ConnManager.Low, cfg.ConnManager.High,
		connmgr.WithGracePeriod(cfg.ConnManager.Grace))
	if err != nil {
		return nil, fmt.Errorf("making the connection manager: %w", err)
	}
	if l := cfg.Bandwidth.limits(); !l.None() {
		h.bounds = newBounds(l, conns)
	}
	manager, err := h.limit(o.Budget, cfg.configured())
	if err != nil {
		return nil, err
	}
	peers, err := newPeerstore(o.Datastore)
	if err != nil {
		return nil, err
	}
	announce, err := parseAll(cfg.Announce)
	if err != nil {
		return nil, err
	}
	opts := []libp2p.Option{
		libp2p.Identity(o.Identity),
		libp2p.Ping(false),   // answerPings does it
		libp2p.NoListenAddrs, // listen does it, address by address
		libp2p.UserAgent(o.UserAgent),
		libp2p.ProtocolVersion("decube/" + cfg.Network),
		libp2p.ConnectionManager(conns),
		libp2p.ResourceManager(manager),
		libp2p.ConnectionGater(h.guard),
		libp2p.MultiaddrResolver(resolver{swarm.ResolverFromMaDNS{Resolver: madns.DefaultResolver}, h.guard.dials}),
		libp2p.WithFxOption(fx.Supply([]upgrader.Option{upgrader.WithAcceptTimeout(handshakeTimeout)})),
		libp2p.Peerstore(peers),
		libp2p.BandwidthReporter(h.Bandwidth),
		libp2p.SwarmOpts(swarm.WithDialRanker(rankDials)),
		libp2p.AddrsFactory(func(found []ma.Multiaddr) []ma.Multiaddr {
			return append(found, announce...)
		}),
	}
	if o.Registerer != nil {
		opts = append(opts, libp2p.PrometheusRegisterer(o.Registerer))
	} else {
		opts = append(opts, libp2p.DisableMetrics())
	}
	muxer, err := newMuxer(conns)
	if err != nil {
		return nil, err
	}
	h.brake = muxer.brake
	opts = append(opts, transportOptions(cfg.Transports, h.bounds, muxer)...)
	if cfg.Transports.QUIC {
		opts = append(opts, libp2p.QUICReuse(h.quicManager(manager, o.Registerer)))
	}
	return append(opts, reachOptions(cfg, h.connectedRelays)...), nil
}

// Told notes addresses that the operator or a document of this peer's own names: they may be
// dialled whatever the scope is. Those of bootstrap peers and relays in the settings are.
func (h *Host) Told(peers ...peer.AddrInfo) { h.guard.told(peers...) }

// Mistake is told of a peer that has broken a protocol, or has lost the place of a stream to
// others. Whoever goes on doing so is not let in for a minute, unless it has a role.
func (h *Host) Mistake(p peer.ID) { h.negotiator.wasted(p) }

// Class says how a peer stands to this one: it is protected while it has a role, such as that
// of a validator or a bootstrap peer, for which its connections are.
func (h *Host) Class(p peer.ID) admission.Class { return classOf(h.ConnManager(), p) }

// Dialled reports whether an address that a stranger names may be dialled.
func (h *Host) Dialled(a ma.Multiaddr) bool { return h.guard.may(a) }

// limit makes a resource manager with the limits of a budget.
func (h *Host) limit(b *limits.Budget, configured []netip.Addr) (network.ResourceManager, error) {
	h.Limits = resources.Limits(b)
	m, err := rcmgr.NewResourceManager(rcmgr.NewFixedLimiter(h.Limits), connOptions(b, configured)...)
	if err != nil {
		return nil, fmt.Errorf("making the resource manager: %w", err)
	}
	if state, ok := m.(rcmgr.ResourceManagerState); ok {
		h.Resources = state
	}
	return m, nil
}

// transportOptions offers TLS before Noise: AES is done by the processor, and what made
// TLS slower was a system call for each of its records. BenchmarkStream compares.
// crypto/tls takes ChaCha20, as Noise does, where the processor has no AES. Without bounds
// nothing is put below TLS and Noise; above them connections take turns: see turning.
func transportOptions(t Transports, b *bounds, m turning) []libp2p.Option {
	var opts []libp2p.Option
	overTCP, overQUIC := libp2p.Transport(tcp.NewTCPTransport), libp2p.Transport(quicConns(m.brakeQUIC))
	if b != nil {
		overTCP, overQUIC = libp2p.Transport(boundedTCP(*b)), libp2p.Transport(quicConns(b.note, m.brakeQUIC))
	}
	if t.TCP {
		opts = append(opts,
			overTCP,
			libp2p.Security(libp2ptls.ID, newTLS),
			libp2p.Security(noise.ID, noise.New),
			libp2p.Muxer(yamux.ID, m))
	}
	if t.QUIC {
		opts = append(opts, overQUIC)
	}
	return opts
}

// reachOptions chooses how the peer is reached from outside. A peer that listens
// on loopback alone is reached by whoever may reach it: it asks nobody.
func reachOptions(cfg Config, relays autorelay.PeerSource) []libp2p.Option {
	opts := []libp2p.Option{libp2p.EnableRelay()}
	local := cfg.LoopbackOnly()
	switch {
	case cfg.NAT.Reachability == ReachabilityPublic, local && cfg.NAT.Reachability == ReachabilityAuto:
		opts = append(opts, libp2p.ForceReachabilityPublic())
	case cfg.NAT.Reachability == ReachabilityPrivate:
		opts = append(opts, libp2p.ForceReachabilityPrivate())
	}
	if cfg.Relay.Service == RelayAuto {
		opts = append(opts, libp2p.EnableRelayService(relayOptions(cfg.Relay)...))
	}
	if local {
		return append(opts, libp2p.DisableIdentifyAddressDiscovery())
	}
	if cfg.NAT.PortMap {
		opts = append(opts, libp2p.NATPortMap())
	}
	if cfg.NAT.Service {
		opts = append(opts, libp2p.EnableNATService(), libp2p.EnableAutoNATv2())
	}
	if cfg.NAT.HolePunching {
		opts = append(opts, libp2p.EnableHolePunching())
	}
	return append(opts, autoRelay(cfg.Relay, relays)...)
}

func autoRelay(r Relay, source autorelay.PeerSource) []libp2p.Option {
	static, _ := ParsePeers(r.Static) // Validate has read them
	switch {
	case !r.Client:
		return nil
	case len(static) > 0:
		return []libp2p.Option{libp2p.EnableAutoRelayWithStaticRelays(static)}
	default:
		return []libp2p.Option{libp2p.EnableAutoRelayWithPeerSource(source)}
	}
}

// connectedRelays finds relays among the connected peers, which are those that
// the DHT led to. It is an autorelay.PeerSource, called from time to time.
func (h *Host) connectedRelays(ctx context.Context, most int) <-chan peer.AddrInfo {
	found := make(chan peer.AddrInfo)
	go func() {
		defer close(found)
		for _, id := range h.Network().Peers() {
			if spoken, err := h.Peerstore().SupportsProtocols(id, proto.ProtoIDv2Hop); err != nil || len(spoken) == 0 {
				continue
			}
			if most--; most < 0 {
				return
			}
			select {
			case found <- h.Peerstore().PeerInfo(id):
			case <-ctx.Done():
				return
			}
		}
	}()
	return found
}

func relayOptions(r Relay) []relay.Option {
	if r.Unlimited {
		return []relay.Option{relay.WithInfiniteLimits()}
	}
	return nil
}

func parseAll(addrs []string) ([]ma.Multiaddr, error) {
	parsed := make([]ma.Multiaddr, 0, len(addrs))
	for _, text := range addrs {
		a, err := ma.NewMultiaddr(text)
		if err != nil {
			return nil, fmt.Errorf("%q is not a multiaddr: %w", text, err)
		}
		parsed = append(parsed, a)
	}
	return parsed, nil
}
