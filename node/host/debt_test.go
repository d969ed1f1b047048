package host

import (
	"context"
	"fmt"
	"io"
	"sync"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/protocol/ping"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/decube/decube/internal/admission"
)

func TestDebts(t *testing.T) {
	d, now := newDebts(), time.Unix(0, 0)
	home, here := addressed(ma.StringCast("/ip4/192.0.2.1/tcp/1")), addressed(ma.StringCast("/ip4/127.0.0.1/tcp/1"))
	wait := func(id peer.ID, at admission.Origin) time.Duration {
		wait, _ := d.wait(now, id, at, false)
		return wait
	}
	for range 2 * refusedPerSecond {
		d.refused(now, "a", home, false)
	}
	if wait := wait("a", home); wait != 0 {
		t.Errorf("a few refusals have a peer wait for %v", wait)
	}
	for range refusedPerSecond {
		d.refused(now, "a", home, false)
	}
	if wait := wait("a", home); wait != time.Second {
		t.Errorf("a second's refusals have a peer wait for %v", wait)
	}
	if wait := wait("b", home); wait != 0 {
		t.Errorf("one peer's refusals have another wait for %v", wait)
	}
	for i := range 100 * refusedPerSecond { // many names at one address are no better off
		d.refused(now, peer.ID(fmt.Sprint(i)), home, false)
	}
	if wait := wait("new", home); wait != sharedDebtTime {
		t.Errorf("the refusals of an address have a peer wait for %v", wait)
	}
	if wait := wait("new", addressed(ma.StringCast("/ip4/192.0.2.2/tcp/1"))); wait != 0 {
		t.Errorf("those of another one for %v", wait)
	}
	for i := range 100 * refusedPerSecond { // nor are those here any worse
		d.refused(now, peer.ID(fmt.Sprint("here", i)), here, false)
	}
	if wait := wait("new", here); wait != 0 {
		t.Errorf("those of others on this machine for %v", wait)
	}
	for range 3 * refusedPerSecond { // who has a role owes for itself alone, and later
		d.refused(now, "validator", home, true)
	}
	if wait, own := d.wait(now, "validator", home, true); wait != 0 || own {
		t.Errorf("a few refusals have a peer with a role wait for %v", wait)
	}
	for range 3*roleRefusedPerSecond - 3*refusedPerSecond {
		d.refused(now, "validator", home, true)
	}
	if wait, own := d.wait(now, "validator", home, true); wait != time.Second || !own {
		t.Errorf("a second's refusals have a peer with a role wait for %v", wait)
	}
	now = now.Add(debtTime)
	if wait := wait("a", home); wait != 0 {
		t.Errorf("what is owed is not forgotten: %v", wait)
	}
	d.refused(now.Add(time.Hour), "a", home, false)
	if n := len(d.byPeer.buckets); n != 1 {
		t.Errorf("%d peers are remembered who owe nothing", n)
	}
}

// Who is refused again and again is refused more slowly; others are not, those with a role later,
// and a host ends while somebody waits.
func TestWhoIsRefusedWaits(t *testing.T) {
	h, greedy, honest := listening(t), listening(t), listening(t)
	h.SetStreamHandler("/full", func(s network.Stream) {
		h.Refused(s.Conn())
		_ = s.Close()
	})
	info := peer.AddrInfo{ID: h.ID(), Addrs: h.Addrs()}
	ask := func(from *Host) error {
		ctx, cancel := context.WithTimeout(t.Context(), 2*debtTime)
		defer cancel()
		s, err := from.NewStream(ctx, h.ID(), "/full")
		if err != nil {
			return err
		}
		defer s.Close()
		_, err = io.ReadAll(s)
		return err
	}
	// count returns how often one is answered within a second.
	count := func(from *Host) (n int) {
		for begin := time.Now(); time.Since(begin) < time.Second; n++ {
			if err := ask(from); err != nil {
				t.Fatal(err)
			}
		}
		return n
	}
	for _, other := range []*Host{greedy, honest} {
		if err := other.Connect(t.Context(), info); err != nil {
			t.Fatal(err)
		}
	}
	if n := count(greedy); n > 3*refusedPerSecond+1 {
		t.Errorf("%d streams were refused within a second", n)
	}
	h.ConnManager().Protect(honest.ID(), "a role")
	if n := count(honest); n < 5*refusedPerSecond {
		t.Errorf("of a peer with a role %d streams were refused within a second", n)
	}
	for range 10 * refusedPerSecond {
		h.Refused(h.Network().ConnsToPeer(greedy.ID())[0])
	}
	asked := time.Now() // what libp2p needs to know each other does not wait
	if pong := <-ping.Ping(t.Context(), greedy, h.ID()); pong.Error != nil || time.Since(asked) > debtTime/2 {
		t.Errorf("a ping of who has to wait was answered after %v, %v", time.Since(asked), pong.Error)
	}
	ended := make(chan error, 1)
	go func() { ended <- ask(greedy) }()
	for range time.Tick(time.Millisecond) {
		if h.waits() > 0 {
			break
		}
		if h.Network().Connectedness(greedy.ID()) != network.Connected {
			t.Fatal("nobody waits")
		}
	}
	begin := time.Now()
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(begin); took > debtTime/2 {
		t.Errorf("a host ended after %v, when its last debtor did not wait any more", took)
	}
	if err := <-ended; err == nil {
		t.Error("who waited when the host ended was answered")
	}
}

// waits returns how many streams wait.
func (h *Host) waits() int {
	h.negotiator.mu.Lock()
	defer h.negotiator.mu.Unlock()
	return len(h.negotiator.byPeer.all)
}

// Who comes through a relay shares an address with others who do, and not with the relay.
func TestAddressed(t *testing.T) {
	const relay = "/p2p/12D3KooWJ9spLoUaF47oUq9EXQuyAqi4BawseUPJiyTRoYtozmY7"
	of := func(text string) admission.Origin { return addressed(ma.StringCast(text)) }
	direct, through := of("/ip4/192.0.2.1/tcp/1"), of("/ip4/192.0.2.1/tcp/1"+relay+"/p2p-circuit")
	if direct == through || direct == nobodys || through == nobodys {
		t.Errorf("the relay is at %v, who comes through it at %v", direct, through)
	}
	for a, same := range map[string]admission.Origin{
		"/ip4/192.0.2.1/udp/9/quic-v1":                    direct,
		"/ip6/64:ff9b::c000:201/tcp/1":                    direct,
		"/ip6/2001:db8::1/tcp/2" + relay + "/p2p-circuit": through, // by another of its addresses
		"/ip4/127.0.0.1/tcp/1":                            nobodys,
		"/dns4/example.org/tcp/1":                         nobodys,
	} {
		if got := of(a); got != same {
			t.Errorf("%s is at %v, want %v", a, got, same)
		}
	}
}

// A peer that owes and opens far more than may wait is shunned; one whose neighbours owe is not.
func TestWhoWaitsWithTooManyIsShunned(t *testing.T) {
	for name, owes := range map[string]bool{"its own debt": true, "its neighbours' debt": false} {
		t.Run(name, func(t *testing.T) {
			h, other := listening(t), listening(t)
			if err := other.Connect(t.Context(), peer.AddrInfo{ID: h.ID(), Addrs: h.Addrs()}); err != nil {
				t.Fatal(err)
			}
			n, conn := h.negotiator, h.Network().ConnsToPeer(other.ID())[0]
			n.mu.Lock()
			if owes {
				n.debts.byPeer.buckets[other.ID()] = bucket{-n.debts.byPeer.debt, time.Now()}
			} else {
				n.debts.byAddr.buckets[addressed(home)] = bucket{-n.debts.byAddr.debt, time.Now()}
			}
			n.mu.Unlock()
			var waits sync.WaitGroup
			for range 11*owingPerSecond + 2*refusalsMost {
				gone := make(chan struct{})
				waits.Go(func() { n.pay(&waiting{conn: from{conn}}, gone, sync.OnceFunc(func() { close(gone) })) })
			}
			waits.Wait()
			if shunned := h.guard.shuns(other.ID()); shunned != owes {
				t.Errorf("shunned: %v", shunned)
			}
			n.mu.Lock()
			defer n.mu.Unlock()
			if left := len(n.owing.all); left != 0 {
				t.Errorf("%d wait at the end", left)
			}
		})
	}
}

// shuns reports whether a peer is not let in.
func (g *guard) shuns(p peer.ID) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.shunned.shuns(time.Now(), p)
}

var home = ma.StringCast("/ip4/192.0.2.1/tcp/1")

// waiting is a stream that came over another connection.
type waiting struct {
	network.Stream

	conn network.Conn
}

func (w *waiting) Conn() network.Conn { return w.conn }

// from is a connection from home.
type from struct{ network.Conn }

func (from) RemoteMultiaddr() ma.Multiaddr { return home }
