package swarm

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/peerstore"
	rcmgr "github.com/libp2p/go-libp2p/p2p/host/resource-manager"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/decube/decube/api"
	"github.com/decube/decube/dht"
	"github.com/decube/decube/internal/limits"
	"github.com/decube/decube/node/host"
)

// connections answers the API about connections.
type connections struct {
	host *host.Host
	dht  *dht.DHT
}

// Peers implements server.Swarm.
func (s connections) Peers(context.Context) ([]api.Peer, error) {
	peers := []api.Peer{}
	for _, id := range s.host.Network().Peers() {
		conns := s.host.Network().ConnsToPeer(id)
		if len(conns) > 0 { // else it went away since
			peers = append(peers, s.describe(id, conns))
		}
	}
	slices.SortFunc(peers, func(a, b api.Peer) int { return cmp.Compare(a.ID, b.ID) })
	return peers, nil
}

func (s connections) describe(id peer.ID, conns []network.Conn) api.Peer {
	p := api.Peer{
		ID:             id.String(),
		Direction:      strings.ToLower(conns[0].Stat().Direction.String()),
		LatencySeconds: s.host.Peerstore().LatencyEWMA(id).Seconds(),
		Limited:        true,
	}
	if agent, err := s.host.Peerstore().Get(id, "AgentVersion"); err == nil {
		p.Agent, _ = agent.(string)
	}
	state := conns[0].ConnState()
	p.Transport = joinNonEmpty(" ", state.Transport, string(state.Security), string(state.StreamMultiplexer))
	for _, c := range conns {
		p.Addresses = append(p.Addresses, c.RemoteMultiaddr().String())
		p.Streams += c.Stat().NumStreams
		p.Limited = p.Limited && c.Stat().Limited
	}
	return p
}

// Connect implements server.Swarm.
func (s connections) Connect(ctx context.Context, addr string) (api.Connected, error) {
	infos, err := host.ParsePeers([]string{addr})
	if err != nil {
		return api.Connected{}, fmt.Errorf("%w: %w", api.ErrInvalid, err)
	}
	info, start := infos[0], time.Now()
	if info.ID == s.host.ID() {
		return api.Connected{}, fmt.Errorf("%w: %s is this node", api.ErrInvalid, info.ID)
	}
	s.host.Told(info)
	if sw, ok := s.host.Network().(*swarm.Swarm); ok {
		sw.Backoff().Clear(info.ID) // somebody asks for it now
	}
	if err := s.host.Connect(ctx, info); err != nil {
		return api.Connected{}, dialError(err)
	}
	connected := api.Connected{ID: info.ID.String(), Seconds: time.Since(start).Seconds()}
	if conns := s.host.Network().ConnsToPeer(info.ID); len(conns) > 0 {
		connected.Address = conns[0].RemoteMultiaddr().String()
	}
	return connected, nil
}

// dialError gives a failed dial the sentinel of the API, and one line of text:
// libp2p tells every address on a line of its own.
func dialError(err error) error {
	sentinel := api.ErrUnavailable
	if errors.Is(err, context.DeadlineExceeded) {
		sentinel = api.ErrTimeout
	}
	var dial *swarm.DialError
	if !errors.As(err, &dial) {
		return fmt.Errorf("%w: %w", sentinel, err)
	}
	var reasons []string
	for _, d := range dial.DialErrors {
		reasons = append(reasons, fmt.Sprintf("%s: %v", d.Address, d.Cause))
	}
	if len(reasons) == 0 {
		reasons = append(reasons, fmt.Sprint(dial.Cause))
	}
	return fmt.Errorf("%w: no address answered: %s", sentinel, strings.Join(reasons, "; "))
}

// Disconnect implements server.Swarm.
func (s connections) Disconnect(_ context.Context, name string) error {
	id, err := peerID(name)
	if err != nil {
		return err
	}
	if s.host.Network().Connectedness(id) == network.NotConnected {
		return fmt.Errorf("%w: no connection to %s", api.ErrNotFound, id)
	}
	if err := s.host.Network().ClosePeer(id); err != nil {
		return fmt.Errorf("disconnecting from %s: %w", id, err)
	}
	return nil
}

// peerID reads a peer's ID from its text or from a multiaddr that ends in it.
func peerID(name string) (peer.ID, error) {
	if !strings.HasPrefix(name, "/") {
		id, err := peer.Decode(name)
		if err != nil {
			return "", fmt.Errorf("%w: %q is not a peer ID: %w", api.ErrInvalid, name, err)
		}
		return id, nil
	}
	a, err := ma.NewMultiaddr(name)
	if err != nil {
		return "", fmt.Errorf("%w: %q is not a multiaddr: %w", api.ErrInvalid, name, err)
	}
	info, err := peer.AddrInfoFromP2pAddr(a)
	if err != nil {
		return "", fmt.Errorf("%w: %q does not end in /p2p/ID: %w", api.ErrInvalid, name, err)
	}
	return info.ID, nil
}

// Addrs implements server.Swarm.
func (s connections) Addrs(context.Context) ([]api.PeerAddresses, error) {
	all := []api.PeerAddresses{}
	for _, id := range s.host.Peerstore().PeersWithAddrs() {
		if id == s.host.ID() {
			continue
		}
		all = append(all, api.PeerAddresses{
			ID:        id.String(),
			Addresses: texts(s.host.Peerstore().Addrs(id)),
			Connected: s.host.Network().Connectedness(id) == network.Connected,
		})
	}
	slices.SortFunc(all, func(a, b api.PeerAddresses) int { return cmp.Compare(a.ID, b.ID) })
	return all, nil
}

// Resources implements server.Swarm.
func (s connections) Resources(context.Context) (api.Resources, error) {
	totals := s.host.Bandwidth.GetBandwidthTotals()
	budget := s.host.Budget
	r := api.Resources{
		Memory: budget.Memory, Conns: budget.Conns, PerAddr: budget.ConnsPerAddress,
		ConnsLow:  s.host.Watermarks.Low,
		ConnsHigh: s.host.Watermarks.High,
		Bandwidth: api.Bandwidth{
			InBytes: totals.TotalIn, OutBytes: totals.TotalOut, InRate: totals.RateIn, OutRate: totals.RateOut,
			Bounded: s.host.Bounded(), Classes: classes(s.host),
		},
	}
	held := s.dht.Records()
	r.Records = api.Records{Held: held.Records, Own: held.Own, Limit: held.Limit, Bytes: held.Bytes, BytesLimit: held.MostBytes, Displaced: held.Displaced}
	for row := range budget.Rows() {
		r.Shares = append(r.Shares, shareOf(row))
	}
	r.Shares = append(r.Shares, shareOf(budget.Other))
	for _, h := range s.host.Holders(holdersShown) {
		holder := api.Holder{Peers: h.Peers, Conns: h.Conns, Streams: h.Streams}
		if h.Network.IsValid() {
			holder.Network = h.Network.String()
		}
		r.Holders = append(r.Holders, holder)
	}
	if s.host.Resources == nil {
		return r, nil
	}
	stat, force := s.host.Resources.Stat(), s.host.Limits.ToPartialLimitConfig()
	r.Scopes = append(r.Scopes,
		use("system", stat.System, force.System),
		use("transient", stat.Transient, force.Transient))
	for name, st := range stat.Services {
		r.Scopes = append(r.Scopes, use("service "+name, st, cmp.Or(force.Service[name], force.ServiceDefault)))
	}
	for name, st := range stat.Protocols {
		r.Scopes = append(r.Scopes, use("protocol "+string(name), st, cmp.Or(force.Protocol[name], force.ProtocolDefault)))
	}
	slices.SortFunc(r.Scopes[2:], func(a, b api.ResourceUse) int { return cmp.Compare(a.Scope, b.Scope) })
	return r, nil
}

// classes returns what passes, for each direction all of it first.
func classes(h *host.Host) (all []api.ClassBandwidth) {
	whole := -1 // index of the direction's
	for _, u := range h.Passing() {
		direction := u.Direction.String()
		if whole < 0 || all[whole].Direction != direction {
			whole = len(all)
			all = append(all, api.ClassBandwidth{Direction: direction, Class: "all", Limit: h.Bound(u.Direction)})
		}
		all[whole].Rate += u.Rate
		all[whole].Bytes += u.Bytes
		all = append(all, api.ClassBandwidth{Direction: direction, Class: u.Party.String(), Limit: u.Limit, Rate: u.Rate, Bytes: u.Bytes})
	}
	return all
}

// holdersShown is how many networks are shown of those that peers are in.
const holdersShown = 10

func shareOf(r limits.Row) api.Share {
	return api.Share{Name: r.Name, Memory: r.Memory, Streams: r.Streams, PerPeer: r.PerPeer}
}

func use(scope string, st network.ScopeStat, limit rcmgr.ResourceLimits) api.ResourceUse {
	l := limit.Build(rcmgr.BaseLimit{}) // the limits are concrete: nothing is left to a base
	return api.ResourceUse{
		Scope:  scope,
		Memory: st.Memory, MemoryLimit: l.Memory,
		Streams: st.NumStreamsInbound + st.NumStreamsOutbound, StreamsLimit: l.Streams,
		Conns: st.NumConnsInbound + st.NumConnsOutbound, ConnsLimit: l.Conns,
		FDs: st.NumFD, FDsLimit: l.FD,
	}
}

// knownAddrs returns the addresses of a peer as text, those given first.
func knownAddrs(book peerstore.AddrBook, info peer.AddrInfo) []string {
	if len(info.Addrs) > 0 {
		return texts(info.Addrs)
	}
	return texts(book.Addrs(info.ID))
}

func texts(addrs []ma.Multiaddr) []string {
	list := make([]string, 0, len(addrs))
	for _, a := range addrs {
		list = append(list, a.String())
	}
	return list
}

func joinNonEmpty(sep string, parts ...string) string {
	return strings.Join(slices.DeleteFunc(parts, func(p string) bool { return p == "" }), sep)
}
