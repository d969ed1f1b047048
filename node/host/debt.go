package host

import (
	"errors"
	"net/netip"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/decube/decube/internal/admission"
)

const (
	// refusedPerSecond is how many refusals a second a peer may have come of its streams,
	// after twice as many at once, and four times as many all of one address. A refusal that
	// is told leaves the place to whoever asks again at once, which costs more than serving.
	refusedPerSecond = 16
	// debtTime is the most that a stream waits for those before it.
	debtTime = 5 * time.Second
)

// debts knows who has been refused so often that its next streams have to wait. It is pure,
// and not safe for concurrent use.
type debts struct {
	byPeer *rates[peer.ID]
	byAddr *rates[netip.Prefix]
}

func newDebts() *debts {
	d := &debts{newRates[peer.ID](refusedPerSecond, 2*refusedPerSecond), newRates[netip.Prefix](4*refusedPerSecond, 8*refusedPerSecond)}
	d.byPeer.debt = refusedPerSecond * debtTime.Seconds()
	d.byAddr.debt = 4 * refusedPerSecond * debtTime.Seconds()
	return d
}

// refused counts a refusal.
func (d *debts) refused(now time.Time, id peer.ID, ip netip.Addr) {
	d.byPeer.owe(now, id)
	if a := strange(ip); a.IsValid() {
		d.byAddr.owe(now, a)
	}
}

// wait returns how long the next stream has to wait.
func (d *debts) wait(now time.Time, id peer.ID, ip netip.Addr) time.Duration {
	wait := d.byPeer.wait(now, id)
	if a := strange(ip); a.IsValid() {
		wait = max(wait, d.byAddr.wait(now, a))
	}
	return wait
}

// strange returns what counts as one address, and the zero value for this machine's own and
// for none, behind which is nobody in particular.
func strange(ip netip.Addr) netip.Prefix {
	if !ip.IsValid() || ip.IsLoopback() {
		return netip.Prefix{}
	}
	return admission.AddressOf(ip)
}

// Refused is told of a stream that was not served. Who goes on opening such has to wait
// with each further one, whatever it is for, unless it has a role.
func (h *Host) Refused(c network.Conn) { h.negotiator.refused(c) }

func (n *negotiator) refused(c network.Conn) {
	if n.host.ConnManager().IsProtected(c.RemotePeer(), "") {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.debts.refused(time.Now(), c.RemotePeer(), ipOf(c.RemoteMultiaddr()))
}

// errEnding is why a stream ends that waited when the host closed.
var errEnding = errors.New("the host closes")

// pay waits for as long as a stream has to because of those before it, or until it is gone.
// It counts as one without a protocol meanwhile.
func (n *negotiator) pay(s network.Stream, gone <-chan struct{}) error {
	c := s.Conn()
	n.mu.Lock()
	wait := n.debts.wait(time.Now(), c.RemotePeer(), ipOf(c.RemoteMultiaddr()))
	n.mu.Unlock()
	if wait <= 0 || n.host.ConnManager().IsProtected(c.RemotePeer(), "") {
		return nil
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-gone:
		return errDisplaced
	case <-n.closed:
		return errEnding
	}
}
