package host

import (
	"context"
	"fmt"
	"io"
	"net/netip"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
)

func TestDebts(t *testing.T) {
	d, now := newDebts(), time.Unix(0, 0)
	home, here := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("127.0.0.1")
	for range 2 * refusedPerSecond {
		d.refused(now, "a", home)
	}
	if wait := d.wait(now, "a", home); wait != 0 {
		t.Errorf("a few refusals have a peer wait for %v", wait)
	}
	for range refusedPerSecond {
		d.refused(now, "a", home)
	}
	if wait := d.wait(now, "a", home); wait != time.Second {
		t.Errorf("a second's refusals have a peer wait for %v", wait)
	}
	if wait := d.wait(now, "b", home); wait != 0 {
		t.Errorf("one peer's refusals have another wait for %v", wait)
	}
	for i := range 100 * refusedPerSecond { // many names at one address are no better off
		d.refused(now, peer.ID(fmt.Sprint(i)), home)
	}
	if wait := d.wait(now, "new", home); wait != debtTime {
		t.Errorf("the refusals of an address have a peer wait for %v", wait)
	}
	if wait := d.wait(now, "new", netip.MustParseAddr("192.0.2.2")); wait != 0 {
		t.Errorf("those of another one for %v", wait)
	}
	for i := range 100 * refusedPerSecond { // nor are those here any worse
		d.refused(now, peer.ID(fmt.Sprint("here", i)), here)
	}
	if wait := d.wait(now, "new", here); wait != 0 {
		t.Errorf("those of others on this machine for %v", wait)
	}
	now = now.Add(debtTime)
	if wait := d.wait(now, "a", home); wait != 0 {
		t.Errorf("what is owed is not forgotten: %v", wait)
	}
	d.refused(now.Add(time.Hour), "a", home)
	if n := len(d.byPeer.buckets); n != 1 {
		t.Errorf("%d peers are remembered who owe nothing", n)
	}
}

// Who is refused again and again is refused more slowly; others, and those with a role, are
// not, and a host ends while somebody waits.
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
