package host

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/p2p/host/autonat"
	"github.com/libp2p/go-libp2p/p2p/protocol/autonatv2"
	"github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/proto"
	"github.com/libp2p/go-libp2p/p2p/protocol/identify"
	"github.com/libp2p/go-libp2p/p2p/protocol/ping"

	"github.com/decube/decube/internal/admission"
	"github.com/decube/decube/internal/limits"
)

const (
	// negotiateTimeout bounds what a stream takes until it has a protocol. libp2p waits 10 s,
	// which no option of its constructor sets.
	negotiateTimeout = 3 * time.Second
	// unnegotiatedPerPeer and unnegotiatedPerAddress are how many streams may be without a
	// protocol. Honest ones are for as long as their first packet takes to be looked at.
	unnegotiatedPerPeer    = 48
	unnegotiatedPerAddress = 192
	// chatPerSecond is how many streams a second of libp2p's small protocols a peer may open,
	// after twenty times as many at once, and ten times as many all of one address. Who they
	// are peers say once for each connection, and when that changes; answering costs more
	// than asking.
	chatPerSecond = 1
	// hopsPerSecond is how many connections a second through this relay, and reservations, a
	// peer may ask for, after twenty times as many at once, and four times as many all of one
	// address. One costs a relay several streams and a message to somebody else.
	hopsPerSecond = 2
	// dialBacksPerSecond is how often a peer may ask to be dialled, to find out whether that
	// is possible, after twenty times as many at once, and ten times as many all of one
	// address. AutoNAT answers a few a minute, and says so to each of the others.
	dialBacksPerSecond = 1
)

// pace bounds how often something is asked for, of a peer and of an address.
type pace struct {
	peers *rates[peer.ID]
	addrs *rates[admission.Origin]
}

// newPace returns a pace of so many a second of a peer, and so many times as many of an
// address; of both twenty times as many at once.
func newPace(perSecond, ofAddress int) pace {
	return pace{newRates[peer.ID](perSecond, 20*perSecond), newRates[admission.Origin](ofAddress*perSecond, 20*ofAddress*perSecond)}
}

// negotiator finds out which protocol an inbound stream speaks, in place of libp2p's handler.
// Until that is known a stream takes room of all newcomers.
type negotiator struct {
	host  host.Host
	guard *guard
	log   *slog.Logger

	mu        sync.Mutex
	byPeer    *pending[network.Stream, peer.ID]
	byAddr    *pending[network.Stream, admission.Origin]
	chats     pace
	relayed   pace
	dialBacks pace
	hops      *pending[network.Stream, hopper] // whose request has not come
	debts     *debts
	owing     *pending[network.Stream, peer.ID] // those that wait because of debts
	floods    *rates[peer.ID]                   // that had no room among them

	closed chan struct{} // ends waiting
	close  func()        // closes it
}

// negotiate has h's inbound streams negotiated under a budget. Who is refused too often is
// shunned by a guard.
func negotiate(h host.Host, b *limits.Budget, g *guard, log *slog.Logger) *negotiator {
	// Room has to be left for the next one, or libp2p refuses it before anybody makes any.
	most := b.Transient.StreamsInbound / 8 * 7
	n := &negotiator{
		host: h, guard: g, log: log,
		byPeer:    newPending[network.Stream, peer.ID](most, unnegotiatedPerPeer, 0),
		byAddr:    newPending[network.Stream, admission.Origin](most, unnegotiatedPerAddress, 0),
		chats:     newPace(chatPerSecond, 10),
		relayed:   newPace(hopsPerSecond, 4),
		dialBacks: newPace(dialBacksPerSecond, 10),
		hops:      newPending[network.Stream, hopper](hopsUnread, hopsPerHolder, 0),
		debts:     newDebts(),
		owing:     newPending[network.Stream, peer.ID](owingMost, owingPerPeer, 0),
		floods:    newRates[peer.ID](owingPerSecond, 10*owingPerSecond),
		closed:    make(chan struct{}),
	}
	n.close = sync.OnceFunc(func() { close(n.closed) })
	// Of an address the peer that has most loses, or any could cut off those beside it.
	n.byAddr.weighs = func(s network.Stream) int { return len(n.byPeer.byHolder[s.Conn().RemotePeer()]) }
	h.Network().SetStreamHandler(n.handle)
	return n
}

// handle is a network.StreamHandler.
func (n *negotiator) handle(s network.Stream) {
	gone, cut := n.begin(s)
	id, handle, err := n.protocol(s)
	if err == nil && !isChat(id) && !n.pay(s, gone, cut) {
		n.end(s)
		_ = s.ResetWithError(network.StreamRateLimited) // it is gone in any case
		return
	}
	if !n.end(s) && err == nil {
		err = errDisplaced
	}
	if err != nil {
		if !errors.Is(err, io.EOF) {
			n.log.Debug("a stream has no protocol", "peer", s.Conn().RemotePeer().String(), "err", err)
		}
		_ = s.ResetWithError(network.StreamProtocolNegotiationFailed) // it is gone in any case
		n.wasted(s.Conn().RemotePeer())
		return
	}
	if isChat(id) && !n.admit(s, &n.chats) {
		_ = s.ResetWithError(network.StreamRateLimited) // likewise
		n.wasted(s.Conn().RemotePeer())
		return
	}
	// Whoever dials many peers at once that a relay leads to means no harm, nor does who asks
	// again and again to be dialled.
	if id == proto.ProtoIDv2Hop && !n.admit(s, &n.relayed) || isDialBack(id) && !n.admit(s, &n.dialBacks) {
		_ = s.ResetWithError(network.StreamRateLimited) // likewise
		n.refused(s.Conn())
		return
	}
	if err := s.SetProtocol(id); err != nil {
		n.log.Debug("a stream finds no room", "peer", s.Conn().RemotePeer().String(), "protocol", string(id), "err", err)
		_ = s.ResetWithError(network.StreamResourceLimitExceeded) // likewise
		n.refused(s.Conn())
		return
	}
	if id == proto.ProtoIDv2Hop {
		n.serveHop(s, func(s network.Stream) { _ = handle(id, s) }) // likewise
		return
	}
	_ = handle(id, s) // it says nothing of use: libp2p drops it too
}

// isChat reports whether a protocol is one of libp2p's small ones, which nobody needs often.
func isChat(id protocol.ID) bool { return id == identify.ID || id == identify.IDPush || id == ping.ID }

// isDialBack reports whether a protocol is one of those by which peers ask to be dialled.
func isDialBack(id protocol.ID) bool {
	return id == autonat.AutoNATProto || id == autonatv2.DialProtocol
}

// admit reports whether a peer, and its address, may have one more stream.
func (n *negotiator) admit(s network.Stream, p *pace) bool {
	now, at := time.Now(), addressed(s.Conn().RemoteMultiaddr())
	n.mu.Lock()
	defer n.mu.Unlock()
	return p.peers.allow(now, s.Conn().RemotePeer()) && (at == nobodys || p.addrs.allow(now, at))
}

// wasted counts a stream that came to nothing, and closes the connections with who goes on
// opening such.
func (n *negotiator) wasted(id peer.ID) {
	role := n.role(id)
	if !n.guard.refused(time.Now(), id, role) {
		return
	}
	if role {
		n.log.Warn("a peer with a role is shut out for a while: the streams that it opens come to nothing", "peer", id.String(), "lasts", shunRoleFor)
	} else {
		n.log.Debug("a peer is shunned: the streams that it opens come to nothing", "peer", id.String())
	}
	_ = n.host.Network().ClosePeer(id) // it is gone in any case
}

// role reports whether a peer has a role, such as that of a validator or a bootstrap peer.
func (n *negotiator) role(id peer.ID) bool { return n.host.ConnManager().IsProtected(id, "") }

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

// begin notes a stream and ends those that make room for it. Gone is closed when the stream itself
// has to, which cut has it do.
func (n *negotiator) begin(s network.Stream) (gone <-chan struct{}, cut func()) {
	cutOff := make(chan struct{})
	cut = sync.OnceFunc(func() {
		close(cutOff)
		_ = s.ResetWithError(network.StreamProtocolNegotiationFailed)
	})
	now := time.Now()
	n.mu.Lock()
	cuts := n.byPeer.begin(now, s, s.Conn().RemotePeer(), cut)
	if at := addressed(s.Conn().RemoteMultiaddr()); at != nobodys {
		cuts = append(cuts, n.byAddr.begin(now, s, at, cut)...)
	}
	n.mu.Unlock()
	for _, cut := range cuts {
		cut()
	}
	return cutOff, cut
}

// end forgets a stream, and reports whether its peer was allowed to have it.
func (n *negotiator) end(s network.Stream) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.byAddr.end(s)
	return n.byPeer.end(s)
}
