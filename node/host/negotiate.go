package host

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"

	"github.com/decube/decube/internal/limits"
)

const (
	// negotiateTimeout bounds what a stream takes until it has a protocol. libp2p waits 10 s,
	// which no option of its constructor sets.
	negotiateTimeout = 3 * time.Second
	// unnegotiatedPerPeer and unnegotiatedPerAddress are how many streams may be without a
	// protocol. Honest ones are for as long as their first packet takes to be looked at.
	unnegotiatedPerPeer    = 16
	unnegotiatedPerAddress = 64
)

// negotiator finds out which protocol an inbound stream speaks, in place of libp2p's handler.
// Until that is known a stream takes room of all newcomers.
type negotiator struct {
	host host.Host
	log  *slog.Logger

	mu     sync.Mutex
	byPeer *pending[network.Stream, peer.ID]
	byAddr *pending[network.Stream, netip.Prefix]
}

// negotiate has h's inbound streams negotiated under a budget.
func negotiate(h host.Host, b *limits.Budget, log *slog.Logger) {
	most := b.Transient.StreamsInbound
	n := &negotiator{
		host: h, log: log,
		byPeer: newPending[network.Stream, peer.ID](most, unnegotiatedPerPeer, 0),
		byAddr: newPending[network.Stream, netip.Prefix](most, unnegotiatedPerAddress, 0),
	}
	h.Network().SetStreamHandler(n.handle)
}

// handle is a network.StreamHandler.
func (n *negotiator) handle(s network.Stream) {
	n.begin(s)
	id, handle, err := n.protocol(s)
	if !n.end(s) && err == nil {
		err = errDisplaced
	}
	if err != nil {
		if !errors.Is(err, io.EOF) {
			n.log.Debug("a stream has no protocol", "peer", s.Conn().RemotePeer().String(), "err", err)
		}
		_ = s.ResetWithError(network.StreamProtocolNegotiationFailed) // it is gone in any case
		return
	}
	if err := s.SetProtocol(id); err != nil {
		n.log.Debug("a stream finds no room", "peer", s.Conn().RemotePeer().String(), "protocol", string(id), "err", err)
		_ = s.ResetWithError(network.StreamResourceLimitExceeded) // likewise
		return
	}
	_ = handle(id, s) // it says nothing of use: libp2p drops it too
}

// errDisplaced is why a stream ends that has made room for others of its peer or address.
var errDisplaced = errors.New("it has made room for another")

// protocol asks for a stream's protocol.
func (n *negotiator) protocol(s network.Stream) (id protocol.ID, handle protocol.HandlerFunc, err error) {
	if err := s.SetDeadline(time.Now().Add(negotiateTimeout)); err != nil {
		return "", nil, fmt.Errorf("setting its deadline: %w", err)
	}
	id, handle, err = n.host.Mux().Negotiate(s)
	if err != nil {
		return "", nil, err
	}
	if err := s.SetDeadline(time.Time{}); err != nil {
		return "", nil, fmt.Errorf("taking its deadline away: %w", err)
	}
	return id, handle, nil
}

// begin notes a stream and ends those that make room for it.
func (n *negotiator) begin(s network.Stream) {
	cut := func() { _ = s.ResetWithError(network.StreamProtocolNegotiationFailed) }
	now := time.Now()
	n.mu.Lock()
	cuts := n.byPeer.begin(now, s, s.Conn().RemotePeer(), cut)
	if ip := ipOf(s.Conn().RemoteMultiaddr()); ip.IsValid() && !ip.IsLoopback() {
		cuts = append(cuts, n.byAddr.begin(now, s, addressPrefix(ip), cut)...)
	}
	n.mu.Unlock()
	for _, cut := range cuts {
		cut()
	}
}

// end forgets a stream, and reports whether its peer was allowed to have it.
func (n *negotiator) end(s network.Stream) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.byAddr.end(s)
	return n.byPeer.end(s)
}
