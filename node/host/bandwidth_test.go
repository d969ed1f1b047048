package host_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/client"
	"github.com/libp2p/go-libp2p/p2p/protocol/ping"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/decube/decube/internal/bandwidth"
	"github.com/decube/decube/internal/config"
	"github.com/decube/decube/node/host"
)

func TestBandwidthIsValidated(t *testing.T) {
	for _, tc := range []struct {
		set  host.Bandwidth
		want string // empty for what is valid
	}{
		{host.Bandwidth{}, ""},
		{host.Bandwidth{Upload: 16 << 10, UploadStrangers: 16 << 10}, ""},
		{host.Bandwidth{DownloadStrangers: 1 << 20}, ""},
		{host.Bandwidth{Upload: -1}, "bandwidth.upload = -1: must be 0 for no bound, or at least 16KiB a second"},
		{host.Bandwidth{Download: 16<<10 - 1}, "bandwidth.download = 16383: must be 0 for no bound"},
		{host.Bandwidth{UploadStrangers: 1}, "bandwidth.upload_strangers = 1: must be 0 for no bound"},
		{host.Bandwidth{Upload: 1 << 20, UploadStrangers: 2 << 20}, "bandwidth.upload_strangers = 2MiB: must be at most upload, which is 1MiB a second"},
		{host.Bandwidth{Download: 1 << 20, DownloadStrangers: 2 << 20}, "must be at most download"},
	} {
		cfg := host.Default()
		cfg.Bandwidth = tc.set
		err := config.Validate(&cfg)
		if tc.want == "" && err != nil || tc.want != "" && (!errors.Is(err, config.ErrInvalid) || !strings.Contains(err.Error(), tc.want)) {
			t.Errorf("%+v: got %v, want %q", tc.set, err, tc.want)
		}
	}
}

const floodProtocol = "/decube/test/flood/1"

// flooding is a host whose streams of floodProtocol send without end.
func flooding(t *testing.T, cfg host.Config) *host.Host {
	t.Helper()
	h := newHost(t, cfg, host.Options{})
	h.SetStreamHandler(floodProtocol, func(s network.Stream) {
		for b := make([]byte, 64<<10); ; {
			if _, err := s.Write(b); err != nil {
				_ = s.Reset()
				return
			}
		}
	})
	return h
}

// over returns settings for one transport.
func over(transport string) host.Config {
	cfg := loopback()
	cfg.Transports = host.Transports{TCP: transport == "tcp", QUIC: transport == "quic"}
	cfg.Listen = []string{map[string]string{"tcp": "/ip4/127.0.0.1/tcp/0", "quic": "/ip4/127.0.0.1/udp/0/quic-v1"}[transport]}
	return cfg
}

// flood opens a stream to a flooding host, and returns how many bytes come over it until the
// test ends.
func flood(ctx context.Context, t *testing.T, to, from *host.Host) io.Reader {
	t.Helper()
	if err := to.Connect(ctx, infoOf(from)); err != nil {
		t.Fatal(err)
	}
	s, err := to.NewStream(ctx, from.ID(), floodProtocol)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Reset() })
	if _, err := s.Write([]byte{0}); err != nil {
		t.Fatal(err)
	}
	return s
}

// measured reads so many bytes after the first ones, and returns how many came a second.
func measured(t *testing.T, r io.Reader, warm, n int64) float64 {
	t.Helper()
	if _, err := io.CopyN(io.Discard, r, warm); err != nil {
		t.Fatal(err)
	}
	since := time.Now()
	if _, err := io.CopyN(io.Discard, r, n); err != nil {
		t.Fatal(err)
	}
	return float64(n) / time.Since(since).Seconds()
}

// Bounds of either direction hold over either transport; what the protocols below need, and
// what is sent again over QUIC because it was dropped, is a part of it.
func TestBandwidthHolds(t *testing.T) {
	const rate = 4 << 20
	for _, transport := range []string{"tcp", "quic"} {
		for _, direction := range []string{"upload", "download"} {
			t.Run(fmt.Sprint(transport, " ", direction), func(t *testing.T) {
				t.Parallel()
				ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
				defer cancel()
				sends, takes := over(transport), over(transport)
				if direction == "upload" {
					sends.Bandwidth = host.Bandwidth{Upload: rate, UploadStrangers: rate}
				} else {
					takes.Bandwidth = host.Bandwidth{Download: rate}
				}
				from, to := flooding(t, sends), newHost(t, takes, host.Options{})
				got := measured(t, flood(ctx, t, to, from), 2*rate, 4*rate)
				t.Logf("%.2f MiB/s", got/(1<<20))
				if got > 1.1*rate || got < rate/4 { // how near it comes depends on the machine
					t.Errorf("%.2f MiB/s over %s, with %s bounded by 4 MiB/s", got/(1<<20), transport, direction)
				}
			})
		}
	}
}

// While strangers have all of their share, whom this peer protects has the rest, and is
// answered at once; somebody new can connect.
func TestStrangersLeaveRoom(t *testing.T) {
	const share, rate = 256 << 10, 4 << 20
	for _, transport := range []string{"tcp", "quic"} {
		t.Run(transport, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
			defer cancel()
			cfg := over(transport)
			cfg.Bandwidth = host.Bandwidth{Upload: rate, UploadStrangers: share, Download: rate, DownloadStrangers: share}
			busy := flooding(t, cfg)
			for range 3 {
				for _, r := range []io.Reader{
					flood(ctx, t, newHost(t, over(transport), host.Options{}), busy),
					flood(ctx, t, busy, flooding(t, over(transport))),
				} {
					go func() { _, _ = io.Copy(io.Discard, r) }() // until it is reset
				}
			}
			friend := flooding(t, over(transport))
			busy.ConnManager().Protect(friend.ID(), "test")
			for what, r := range map[string]io.Reader{"from": flood(ctx, t, friend, busy), "to": flood(ctx, t, busy, friend)} {
				got := measured(t, r, rate, 2*rate)
				t.Logf("%s the busy one: %.2f MiB/s", what, got/(1<<20))
				if got > 1.1*rate || got < 3*share { // likewise
					t.Errorf("%s the busy one a protected peer has %.2f MiB/s of %.2f", what, got/(1<<20), float64(rate-share)/(1<<20))
				}
			}
			pings(ctx, t, friend, busy.ID(), 500*time.Millisecond)
			newcomer := newHost(t, over(transport), host.Options{})
			since := time.Now()
			if err := newcomer.Connect(ctx, infoOf(busy)); err != nil {
				t.Fatal(err)
			}
			if took := time.Since(since); took > 3*time.Second {
				t.Errorf("a newcomer connects after %v", took)
			}
			for _, u := range busy.Passing() {
				want := float64(rate)
				if u.Party == bandwidth.Strangers {
					want = share
				}
				if u.Rate > 1.15*want || u.Bytes == 0 {
					t.Errorf("%s of %s: %.0f bytes a second, %d in all", u.Direction, u.Party, u.Rate, u.Bytes)
				}
			}
		})
	}
}

// pings checks how long a few pings take.
func pings(ctx context.Context, t *testing.T, from *host.Host, to peer.ID, most time.Duration) {
	t.Helper()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	answers := ping.Ping(ctx, from, to)
	for range 5 {
		if r := <-answers; r.Error != nil || r.RTT > most {
			t.Errorf("a ping took %v, %v", r.RTT, r.Error)
		}
	}
}

// A connection ends at once however much waits to be sent over it, and so does the host.
func TestBoundedConnectionsEnd(t *testing.T) {
	for _, transport := range []string{"tcp", "quic"} {
		t.Run(transport, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
			defer cancel()
			cfg := over(transport)
			cfg.Bandwidth = host.Bandwidth{Upload: 64 << 10, Download: 64 << 10}
			busy := flooding(t, cfg)
			for i := range 2 {
				peers := []*host.Host{flooding(t, over(transport)), flooding(t, over(transport))}
				for _, r := range []io.Reader{flood(ctx, t, peers[0], busy), flood(ctx, t, busy, peers[1])} {
					if _, err := io.CopyN(io.Discard, r, 40_000); err != nil {
						t.Fatal(err)
					}
				}
				since := time.Now()
				if i == 1 {
					_ = busy.Close() // its peers see the rest
				}
				for _, p := range peers {
					_ = busy.Network().ClosePeer(p.ID())
				}
				if took := time.Since(since); took > time.Second {
					t.Errorf("after %v", took)
				}
			}
		})
	}
}

// What comes through a relay counts once, as what the relay sends.
func TestRelayedBytesCountOnce(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	cfg := over("tcp")
	cfg.Relay.Service, cfg.Relay.Unlimited = host.RelayOn, true
	relay := newHost(t, cfg, host.Options{})
	far := flooding(t, over("tcp"))
	cfg = over("tcp")
	cfg.Bandwidth = host.Bandwidth{Download: 4 << 20}
	near := newHost(t, cfg, host.Options{})
	for _, h := range []*host.Host{far, near} {
		if err := h.Connect(ctx, infoOf(relay)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := client.Reserve(ctx, far.Host, infoOf(relay)); err != nil {
		t.Fatal(err)
	}
	through, err := ma.NewMultiaddr(fmt.Sprintf("%s/p2p/%s/p2p-circuit", relay.Addrs()[0], relay.ID()))
	if err != nil {
		t.Fatal(err)
	}
	if err := near.Connect(ctx, peer.AddrInfo{ID: far.ID(), Addrs: []ma.Multiaddr{through}}); err != nil {
		t.Fatal(err)
	}
	s, err := near.NewStream(network.WithAllowLimitedConn(ctx, "test"), far.ID(), floodProtocol)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Write([]byte{0}); err != nil {
		t.Fatal(err)
	}
	const n = 8 << 20
	got := measured(t, s, n/2, n/2)
	_ = s.Reset() // it has done its duty
	if got > 1.1*(4<<20) || got < 1<<20 {
		t.Errorf("%.2f MiB/s through a relay", got/(1<<20))
	}
	for _, u := range near.Passing() {
		if u.Direction == bandwidth.Download && u.Party == bandwidth.Strangers && u.Bytes > n*3/2 {
			t.Errorf("%d bytes count of %d", u.Bytes, n)
		}
	}
}
