package dht

import (
	"fmt"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
)

// from is a connection with a peer at an address.
type from struct {
	network.Conn

	peer peer.ID
	addr ma.Multiaddr
}

func (c from) RemotePeer() peer.ID           { return c.peer }
func (c from) RemoteMultiaddr() ma.Multiaddr { return c.addr }

func at(t *testing.T, p peer.ID, addr string) from {
	t.Helper()
	a, err := ma.NewMultiaddr(addr)
	if err != nil {
		t.Fatal(err)
	}
	return from{peer: p, addr: a}
}

func TestPace(t *testing.T) {
	p, now := newPace(), time.Now()
	v := p.enter(at(t, "a", "/ip4/192.0.2.1/tcp/1"), false)
	for i := range askedAtOnce {
		if wait := v.turn(now); wait > 0 {
			t.Fatalf("the message %d waits %v", i, wait)
		}
	}
	second := p.enter(at(t, "a", "/ip4/192.0.2.1/tcp/2"), false) // another stream is no way around
	for i := range askedPerSecond {
		want := time.Duration(i+1) * time.Second / askedPerSecond
		if wait := second.turn(now); wait < want-time.Millisecond || wait > want+time.Millisecond {
			t.Fatalf("the message %d beyond waits %v, want %v", i, wait, want)
		}
	}
	// Nor are other peers of the address, but for as much again.
	b := p.enter(at(t, "b", "/ip4/192.0.2.1/tcp/3"), false)
	for i := range askedAtOnce - askedPerSecond {
		if wait := b.turn(now); wait > 0 {
			t.Fatalf("the message %d of another peer waits %v", i, wait)
		}
	}
	if wait := b.turn(now); wait <= 0 {
		t.Error("all of one address have more than twice as much")
	}
	if wait := p.enter(at(t, "c", "/ip4/192.0.2.2/tcp/3"), false).turn(now); wait > 0 {
		t.Errorf("somebody elsewhere waits %v", wait)
	}
}

// Those who come through a relay take none of its own turns, however many they are.
func TestPaceOfARelay(t *testing.T) {
	const relay, id = "/ip4/192.0.2.1/tcp/1", "/p2p/12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5SA"
	p, now := newPace(), time.Now()
	for i := range 5 {
		v := p.enter(at(t, peer.ID(fmt.Sprint(i)), relay+id+"/p2p-circuit"), true)
		for range askedAtOnce {
			v.turn(now)
		}
	}
	if wait := p.enter(at(t, "late", relay+id+"/p2p-circuit"), true).turn(now); wait <= 0 {
		t.Error("all who come through a relay have more than twice as much as one")
	}
	if wait := p.enter(at(t, "relay", relay), true).turn(now); wait > 0 {
		t.Errorf("the relay waits %v", wait)
	}
}

// Hundreds of peers, each slower than it may be, are together no faster than strangers may be, who
// has come last waits no longer than they do, and whoever has a role does not wait for them.
func TestPaceOfStrangers(t *testing.T) {
	const peers, each = 400, 15
	p, now := newPace(), time.Now()
	var longest time.Duration
	for i := range peers {
		v := p.enter(at(t, peer.ID(fmt.Sprint(i)), fmt.Sprintf("/ip4/192.0.%d.%d/tcp/1", i/200, i%200)), false)
		for range each {
			longest = max(longest, v.turn(now))
		}
	}
	beyond := time.Duration(peers*each-strangersPerSecond) * time.Second / strangersPerSecond
	if longest < beyond-time.Millisecond || longest > beyond+time.Millisecond {
		t.Errorf("the last of %d messages waits %v, want %v", peers*each, longest, beyond)
	}
	if wait := p.enter(at(t, "newcomer", "/ip4/198.51.100.1/tcp/1"), false).turn(now); wait <= 0 || wait > beyond+time.Millisecond {
		t.Errorf("a newcomer waits %v", wait)
	}
	if wait := p.enter(at(t, "validator", "/ip4/198.51.100.2/tcp/1"), true).turn(now); wait > 0 {
		t.Errorf("who has a role waits %v for strangers", wait)
	}
}

// Who has gone is forgotten, and not before it could ask all at once again.
func TestPaceForgets(t *testing.T) {
	p, now := newPace(), time.Now()
	for i := range 100 {
		v := p.enter(at(t, peer.ID(fmt.Sprint(i)), fmt.Sprintf("/ip6/2001:db8:%x::1/tcp/1", i)), false)
		v.turn(now)
		v.leave()
	}
	stays := p.enter(at(t, "stays", "/ip4/127.0.0.1/tcp/1"), false)
	if len(p.peers) != 101 || len(p.addrs) != 100 {
		t.Errorf("%d peers of %d addresses are known", len(p.peers), len(p.addrs))
	}
	p.swept = time.Time{}
	p.sweep(now)
	if len(p.peers) != 101 {
		t.Errorf("%d peers are known too soon", len(p.peers))
	}
	p.sweep(now.Add(sweptEvery))
	if len(p.peers) != 1 || len(p.addrs) != 0 {
		t.Errorf("%d peers of %d addresses are known later", len(p.peers), len(p.addrs))
	}
	stays.leave()
}
