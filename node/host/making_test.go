package host

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	rcmgr "github.com/libp2p/go-libp2p/p2p/host/resource-manager"
	ma "github.com/multiformats/go-multiaddr"
	"github.com/quic-go/quic-go"

	"github.com/decube/decube/internal/limits"
	"github.com/decube/decube/internal/limits/resources"
)

// quicDoor is what a connection over QUIC meets before its handshake.
type quicDoor struct {
	g         *guard
	resources network.ResourceManager
	now       time.Time
	ends      []context.CancelFunc
}

func newQUICDoor(t *testing.T) *quicDoor {
	t.Helper()
	b, err := limits.NewBudget(limits.Machine{Memory: 2 << 30, Files: 4096})
	if err != nil {
		t.Fatal(err)
	}
	d := &quicDoor{g: newGuard(ScopePublic, b), now: time.Unix(1000, 0)}
	d.g.now = func() time.Time { return d.now }
	if d.resources, err = rcmgr.NewResourceManager(rcmgr.NewFixedLimiter(resources.Limits(b)), connOptions(b, nil)...); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, end := range d.ends {
			end()
		}
		if err := d.resources.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

// comes begins a connection from an address, whose handshake goes no further.
func (d *quicDoor) comes(t *testing.T, from netip.AddrPort, proved bool) error {
	t.Helper()
	ctx, end := context.WithCancel(t.Context())
	d.ends = append(d.ends, end)
	_, err := d.g.admit(ctx, d.resources, &quic.ClientInfo{RemoteAddr: net.UDPAddrFromAddrPort(from), AddrVerified: proved})
	return err
}

// Handshakes over QUIC that go no further, of addresses that are made up or of a few networks,
// leave room for those of others, over QUIC and TCP.
func TestHandshakesThatStandStillOverQUIC(t *testing.T) {
	for name, proved := range map[string]bool{"of made-up addresses": false, "of three networks": true} {
		t.Run(name, func(t *testing.T) {
			d := newQUICDoor(t)
			begun := 0
			for i := range 4000 {
				d.now = d.now.Add(time.Millisecond)
				from := netip.AddrFrom4([4]byte{20, byte(i % 250), byte(i), 1})
				if proved {
					from = netip.AddrFrom4([4]byte{20, 0, byte(i % 3), byte(i % 200)})
				}
				if d.comes(t, netip.AddrPortFrom(from, uint16(i+1)), proved) == nil {
					begun++
				}
			}
			if err := d.comes(t, netip.MustParseAddrPort("192.0.2.1:4801"), true); err != nil {
				t.Errorf("beside %d that stand still, one over QUIC: %v", begun, err)
			}
			if !proved && !d.g.prove() {
				t.Error("addresses need not be proved")
			}
			scope, err := d.resources.OpenConnection(network.DirInbound, true, ma.StringCast("/ip4/192.0.2.2/tcp/4801"))
			if err != nil {
				t.Fatalf("beside %d that stand still, one over TCP: %v", begun, err)
			}
			scope.Done()
		})
	}
}

// A handshake counts until it has come to its end, or its connection has.
func TestHandshakesOverQUICEnd(t *testing.T) {
	synctest.Test(t, handshakesOverQUICEnd)
}

func handshakesOverQUICEnd(t *testing.T) {
	t.Helper()
	d := newQUICDoor(t)
	at := netip.MustParseAddr("192.0.2.1")
	for round := range 3 {
		for i := range handshakesPerAddress {
			from := netip.AddrPortFrom(at, uint16(1000*round+i+1))
			d.now = d.now.Add(time.Second)
			if err := d.comes(t, from, true); err != nil {
				t.Fatalf("round %d: %v", round, err)
			}
			if round == 0 {
				c := silentConn{peer: "somebody", addr: addr(t, fmt.Sprintf("/ip4/%v/udp/%d/quic-v1", from.Addr(), from.Port()))}
				d.g.InterceptSecured(network.DirInbound, "somebody", c)
			}
		}
		if err := d.comes(t, netip.AddrPortFrom(at, 9999), true); round > 0 && !errors.Is(err, errTooMany) {
			t.Errorf("round %d: one more: %v", round, err)
		}
		for _, end := range d.ends {
			end()
		}
		d.ends = nil
		synctest.Wait() // for context.AfterFunc
		if n := len(d.g.making.all) + len(d.g.making.holders) + d.g.making.unproved; n != 0 {
			t.Errorf("round %d: %d are left when all have ended", round, n)
		}
	}
}
