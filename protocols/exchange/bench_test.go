package exchange

import (
	"context"
	"io"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/p2p/security/noise"
	tls "github.com/libp2p/go-libp2p/p2p/security/tls"

	"github.com/decube/decube/block"
)

// transports are the ways that two peers may talk.
var transports = map[string][]libp2p.Option{
	"tcp-noise": {libp2p.ListenAddrStrings("/ip4/127.0.0.1/tcp/0"), libp2p.Security(noise.ID, noise.New)},
	"tcp-tls":   {libp2p.ListenAddrStrings("/ip4/127.0.0.1/tcp/0"), libp2p.Security(tls.ID, tls.New)},
	"quic":      {libp2p.ListenAddrStrings("/ip4/127.0.0.1/udp/0/quic-v1")},
}

// rawProtocol carries bytes and nothing else: the limit to compare with.
const rawProtocol protocol.ID = "/decube/bench/raw"

// raw sends total bytes over one stream and returns how long it took.
func raw(tb testing.TB, from, to host.Host, total int64) time.Duration {
	tb.Helper()
	buf := make([]byte, writeStep)
	from.SetStreamHandler(rawProtocol, func(s network.Stream) {
		for left := total; left > 0; left -= int64(len(buf)) {
			if _, err := s.Write(buf[:min(left, int64(len(buf)))]); err != nil {
				return
			}
		}
		_ = s.Close()
	})
	defer from.RemoveStreamHandler(rawProtocol)
	begin := time.Now()
	s, err := to.NewStream(context.Background(), from.ID(), rawProtocol)
	if err != nil {
		tb.Fatal(err)
	}
	n, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, s, make([]byte, 1<<20))
	if err != nil || n != total {
		tb.Fatalf("%d bytes, %v", n, err)
	}
	return time.Since(begin)
}

// nullStore verifies and forgets what is written.
type nullStore struct{ *memStore }

func (s nullStore) NewWriter(context.Context) (Writer, error) { return nullWriter{s}, nil }

type nullWriter struct{ s nullStore }

func (w nullWriter) Touch(ctx context.Context, ids []block.ID) ([]bool, error) {
	return w.s.Has(ctx, ids)
}

func (w nullWriter) Add(_ context.Context, b block.Block, release func()) error {
	if b.ID().Codec() == block.DagCBOR {
		c, err := block.Check(b.ID(), append([]byte(nil), b.Data()...))
		w.s.put(c)
		return err
	}
	if release != nil {
		release()
	}
	return nil
}

func (w nullWriter) Flush(context.Context) error { return nil }
func (w nullWriter) Close() error                { return nil }

// BenchmarkFetch fetches 256 MiB of 1 MiB blocks between two peers on loopback,
// hashing every block where it arrives, and compares with a raw stream of the same
// bytes in the same run.
func BenchmarkFetch(b *testing.B) {
	s := build(1, uniform(256, 1<<20)...)
	for name, opts := range transports {
		b.Run(name, func(b *testing.B) {
			f := newFinder()
			provider := join(b, newHost(b, opts...), f).provide(s)
			h := newHost(b, opts...)
			cfg := Default()
			x, err := New(h, nullStore{newMemStore()}, f, testLoad, cfg, Options{})
			if err != nil {
				b.Fatal(err)
			}
			if err := h.Connect(context.Background(), provider.info()); err != nil {
				b.Fatal(err)
			}
			var rawTime, fetchTime time.Duration
			b.SetBytes(s.bytes)
			b.ResetTimer()
			for range b.N {
				b.StopTimer()
				rawTime += raw(b, provider.host, h, s.bytes)
				b.StartTimer()
				begin := time.Now()
				if _, err := x.Fetch(context.Background(), s.root, FetchOptions{}); err != nil {
					b.Fatal(err)
				}
				fetchTime += time.Since(begin)
			}
			b.ReportMetric(fetchTime.Seconds()/rawTime.Seconds(), "x-raw")
			b.ReportMetric(float64(s.bytes)*float64(b.N)/rawTime.Seconds()/1e6, "raw-MB/s")
		})
	}
}

// BenchmarkProviders compares four providers, each limited to 8 MiB/s, with one.
func BenchmarkProviders(b *testing.B) {
	s := build(2, uniform(128, 256<<10)...)
	var one, four float64
	for range b.N {
		one += limitedSwarm(b, s, 1, 8<<20).fetch(b, s).Seconds
		four += limitedSwarm(b, s, 4, 8<<20).fetch(b, s).Seconds
	}
	b.ReportMetric(one/four, "x-one")
}
