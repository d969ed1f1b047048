package host

import (
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/decube/decube/internal/admission"
	"github.com/decube/decube/internal/streams"
)

const (
	// refusedPerSecond is how many refusals a second a peer may have come of its streams,
	// after twice as many at once, and four times as many all of one address. A refusal that
	// is told leaves the place to whoever asks again at once, which costs more than serving.
	refusedPerSecond = 16
	// roleRefusedPerSecond is the same of a peer with a role, whoever shares its address.
	roleRefusedPerSecond = 16 * refusedPerSecond
	// debtTime is the most that a stream waits because of its peer, and sharedDebtTime because
	// of others at its address, who may be nothing to it.
	debtTime, sharedDebtTime = 5 * time.Second, time.Second
	// owingPerPeer and owingMost are how many streams wait: what has come over each is held
	// meanwhile, up to 256 KiB.
	owingPerPeer, owingMost = 8, 128
	// owingPerSecond is how many more a second a peer that owes may open, after ten times as
	// many at once, before they count as wasted.
	owingPerSecond = 100
)

// debts knows who has been refused so often that its next streams have to wait. It is pure,
// and not safe for concurrent use.
type debts struct {
	byPeer *rates[peer.ID]
	byAddr *rates[admission.Origin]
	byRole *rates[peer.ID] // of those who have one
}

func newDebts() *debts {
	d := &debts{
		byPeer: newRates[peer.ID](refusedPerSecond, 2*refusedPerSecond),
		byAddr: newRates[admission.Origin](4*refusedPerSecond, 8*refusedPerSecond),
		byRole: newRates[peer.ID](roleRefusedPerSecond, 2*roleRefusedPerSecond),
	}
	d.byPeer.debt = refusedPerSecond * debtTime.Seconds()
	d.byRole.debt = roleRefusedPerSecond * debtTime.Seconds()
	d.byAddr.debt = 4 * refusedPerSecond * sharedDebtTime.Seconds()
	return d
}

// refused counts a refusal of a peer at an address, or of one with a role.
func (d *debts) refused(now time.Time, id peer.ID, at admission.Origin, role bool) {
	if role {
		d.byRole.owe(now, id)
		return
	}
	d.byPeer.owe(now, id)
	if at != nobodys {
		d.byAddr.owe(now, at)
	}
}

// wait returns how long the next stream has to wait, and whether that is because of what its
// peer has done itself.
func (d *debts) wait(now time.Time, id peer.ID, at admission.Origin, role bool) (wait time.Duration, own bool) {
	if role {
		wait = d.byRole.wait(now, id)
		return wait, wait > 0
	}
	wait = d.byPeer.wait(now, id)
	own = wait > 0
	if at != nobodys {
		wait = max(wait, d.byAddr.wait(now, at))
	}
	return wait, own
}

// nobodys is the address of this machine's own peers, and of those that have none: nobody in
// particular is behind it.
var nobodys = admission.Origin{}

// addressed returns what counts as one address of a connection from a. Through a relay it is
// that of all who come through it, and not the relay's own.
func addressed(a ma.Multiaddr) admission.Origin {
	if isRelayed(a) {
		at, _ := streams.OriginOf(a)
		return at
	}
	if ip := ipOf(a); ip.IsValid() {
		return admission.From(ip)
	}
	return nobodys
}

// Refused is told of a stream that was not served. Who goes on opening such has to wait
// with each further one but those of libp2p's small protocols; with a role it may do so sixteen
// times as often.
func (h *Host) Refused(c network.Conn) { h.negotiator.refused(c) }

func (n *negotiator) refused(c network.Conn) {
	role := n.role(c.RemotePeer())
	n.mu.Lock()
	defer n.mu.Unlock()
	n.debts.refused(time.Now(), c.RemotePeer(), addressed(c.RemoteMultiaddr()), role)
}

// pay waits for as long as a stream has to because of those before it, which cut ends. It reports
// whether the stream is to go on: it is not when it has made room for another that waits, or the
// host closes. A peer that owes and opens far more than may wait wastes them.
func (n *negotiator) pay(s network.Stream, gone <-chan struct{}, cut func()) bool {
	c, now := s.Conn(), time.Now()
	role := n.role(c.RemotePeer())
	n.mu.Lock()
	wait, own := n.debts.wait(now, c.RemotePeer(), addressed(c.RemoteMultiaddr()), role)
	if wait <= 0 {
		n.mu.Unlock()
		return true
	}
	cuts := n.owing.begin(now, s, c.RemotePeer(), cut)
	n.mu.Unlock()
	for _, cut := range cuts {
		cut()
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	closing := false
	select {
	case <-timer.C:
	case <-gone:
	case <-n.closed:
		closing = true
	}
	n.mu.Lock()
	stays := n.owing.end(s)
	wasted := !stays && own && !n.floods.allow(time.Now(), c.RemotePeer())
	n.mu.Unlock()
	if wasted {
		n.wasted(c.RemotePeer())
	}
	return stays && !closing
}
