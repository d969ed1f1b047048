package exchange

import (
	"testing"

	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
)

// Whoever names wrong addresses of a peer has it shunned in no other fetch, and in this one only
// until somebody names another address.
func TestWrongAddressesOfAnother(t *testing.T) {
	s := newScene(t, probes(1))
	said := func(addr string) peer.AddrInfo {
		return peer.AddrInfo{ID: "honest", Addrs: []ma.Multiaddr{ma.StringCast(addr)}}
	}
	offer := func(info peer.AddrInfo) {
		s.table.offer(info, originSaid(info.ID, info.Addrs), found, s.now)
	}
	for range maxAddrs {
		offer(said("/ip4/198.51.100.7/tcp/1"))
	}
	s.offer("b1", found)
	s.decide("honest", "")
	s.pass(s.table.limits.DialPatience, nil)
	s.decide("", "honest")
	s.end("honest")
	if r := s.table.conduct.of("honest", s.now); !r.until.IsZero() {
		t.Errorf("another fetch shuns it for %v", r.until.Sub(s.now))
	}
	s.decide("b1", "")
	s.hold("b1")
	sends := map[string]int64{"b1": 1 << 20}
	s.pass(2*s.table.limits.DialPatience, sends)
	s.decide("", "") // it is asked after all others
	offer(said("/ip4/192.0.2.7/tcp/1"))
	s.decide("honest", "")
	offer(said("/ip4/192.0.2.8/tcp/1")) // while it is dialled
	s.offer("c1", found)
	s.pass(2*s.table.limits.DialPatience, sends)
	s.decide("", "honest")
	s.end("honest")
	if m := s.of("honest"); s.now.Before(m.shunned) {
		t.Errorf("it is shunned for %v although it may be elsewhere", m.shunned.Sub(s.now))
	}
}

// A new address has room although others were named before, all in vain.
func TestWrongAddressesMakeRoom(t *testing.T) {
	s := newScene(t)
	info := peer.AddrInfo{ID: "honest"}
	for port := range maxAddrs {
		info.Addrs = append(info.Addrs, ma.StringCast("/ip4/198.51.100.7/tcp/"+string(rune('1'+port%9))+string(rune('0'+port/9))))
	}
	m := s.table.offer(info, originSaid(info.ID, info.Addrs), found, s.now)
	s.decide("honest", "")
	s.leave("honest", stuck, errLate)
	right := ma.StringCast("/ip4/192.0.2.7/tcp/1")
	s.table.offer(peer.AddrInfo{ID: "honest", Addrs: []ma.Multiaddr{right}}, m.at, found, s.now)
	if n := len(m.info.Addrs); n != maxAddrs || !m.info.Addrs[n-1].Equal(right) {
		t.Errorf("the last of %d addresses is %v", n, m.info.Addrs[n-1])
	}
}
