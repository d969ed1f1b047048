package host

import (
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/decube/decube/internal/admission"
)

const (
	// hopTime bounds what a relay waits for being told what is wanted of it. libp2p waits a
	// minute; who asks for something honestly says what at once.
	hopTime = 3 * time.Second
	// hopsUnread and hopsPerHolder are how many streams of a relay may be without a request.
	hopsUnread, hopsPerHolder = 64, 16
)

// hopper is who holds streams of a relay: an address, and on this machine a peer.
type hopper struct {
	at admission.Origin
	id peer.ID
}

func hopperOf(c network.Conn) hopper {
	if at := addressed(c.RemoteMultiaddr()); at != nobodys {
		return hopper{at: at}
	}
	return hopper{id: c.RemotePeer()}
}

// hop is a stream of the relay service until its request has come.
type hop struct {
	network.Stream

	asked func() // is called then
}

// SetReadDeadline implements network.MuxedStream. libp2p sets a deadline for the request, and takes
// it away when that has come.
func (h *hop) SetReadDeadline(t time.Time) error {
	if t.IsZero() {
		h.asked()
		return h.Stream.SetReadDeadline(t)
	}
	if soon := time.Now().Add(hopTime); soon.Before(t) {
		t = soon
	}
	return h.Stream.SetReadDeadline(t)
}

// serveHop has a stream of the relay service handled. As many as there may be that ask for nothing
// would keep everybody else from asking: they make room for each other, and end soon.
func (n *negotiator) serveHop(s network.Stream, handle func(network.Stream)) {
	asked := false // the handler's alone
	forget := func() (known bool) {
		n.mu.Lock()
		defer n.mu.Unlock()
		return n.hops.end(s)
	}
	n.mu.Lock()
	cuts := n.hops.begin(time.Now(), s, hopperOf(s.Conn()), func() { _ = s.ResetWithError(network.StreamRateLimited) })
	n.mu.Unlock()
	for _, cut := range cuts {
		cut()
	}
	handle(&hop{s, func() {
		asked = true
		forget()
	}})
	if forget() && !asked { // it has not made room for others, and came to nothing
		n.wasted(s.Conn().RemotePeer())
	}
}
