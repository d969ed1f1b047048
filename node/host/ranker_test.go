package host

import (
	"testing"
	"time"

	ma "github.com/multiformats/go-multiaddr"
)

func TestRankDials(t *testing.T) {
	const (
		nearQUIC = "/ip4/192.168.1.5/udp/4801/quic-v1"
		nearTCP  = "/ip4/192.168.1.5/tcp/4801"
		loopQUIC = "/ip4/127.0.0.1/udp/4801/quic-v1"
		loopTCP  = "/ip4/127.0.0.1/tcp/4801"
		farQUIC  = "/ip4/8.8.8.8/udp/4801/quic-v1"
		farTCP   = "/ip4/8.8.8.8/tcp/4801"
		relayed  = "/ip4/127.0.0.1/tcp/1/p2p/12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5SA/p2p-circuit"
	)
	for _, tc := range []struct {
		name   string
		addrs  []string
		before [][2]string // the first is dialled strictly earlier
	}{
		{"loopback prefers TCP", []string{loopQUIC, loopTCP}, [][2]string{{loopTCP, loopQUIC}}},
		{"private network prefers TCP", []string{nearQUIC, nearTCP}, [][2]string{{nearTCP, nearQUIC}}},
		{"internet prefers TCP", []string{farTCP, farQUIC}, [][2]string{{farTCP, farQUIC}}},
		{"each in its own order", []string{farTCP, farQUIC, nearQUIC, nearTCP}, [][2]string{{nearTCP, nearQUIC}, {nearQUIC, farQUIC}, {farTCP, farQUIC}}},
		{"relay after direct", []string{relayed, farTCP, farQUIC}, [][2]string{{farQUIC, relayed}, {farTCP, relayed}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var addrs []ma.Multiaddr
			for _, a := range tc.addrs {
				addrs = append(addrs, ma.StringCast(a))
			}
			delays := make(map[string]time.Duration)
			for _, d := range rankDials(addrs) {
				delays[d.Addr.String()] = d.Delay
			}
			if len(delays) != len(tc.addrs) {
				t.Fatalf("%d of %d addresses are dialled", len(delays), len(tc.addrs))
			}
			for _, pair := range tc.before {
				if delays[pair[0]] >= delays[pair[1]] {
					t.Errorf("%s after %v, %s after %v", pair[0], delays[pair[0]], pair[1], delays[pair[1]])
				}
			}
		})
	}
}

func TestLoneQUICAddressIsDialledAtOnce(t *testing.T) {
	ranked := rankDials([]ma.Multiaddr{ma.StringCast("/ip4/127.0.0.1/udp/4801/quic-v1")})
	if len(ranked) != 1 || ranked[0].Delay != 0 {
		t.Errorf("got %v", ranked)
	}
}

func TestPauseGrowsToItsBound(t *testing.T) {
	for failures, most := range map[int]time.Duration{0: time.Second, 3: 8 * time.Second, 8: 256 * time.Second, 9: slowestRetry, 10_000: slowestRetry} {
		for range 100 {
			if d := pause(failures); d < most/2 || d > most {
				t.Fatalf("after %d failures: %v", failures, d)
			}
		}
	}
}
