package statesync

import (
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/protocol"
)

// rawProtocol carries bytes and nothing else: the limit to compare with.
const rawProtocol protocol.ID = "/decube/bench/raw"

// BenchmarkBlocks fetches blocks of a size, in turn with as many bytes over a raw
// stream.
func BenchmarkBlocks(b *testing.B) {
	for _, size := range []int{1 << 10, 64 << 10, 1 << 20} {
		b.Run(fmt.Sprintf("%dKiB", size>>10), func(b *testing.B) {
			count := min(20_000, 32<<20/size)
			c := newChain(0)
			for range count {
				c.grow(strings.Repeat("x", size))
			}
			v := serve(b, newHost(b), c)
			h := newHost(b)
			p := askOf(b, h, v.host)
			total := count * size
			v.host.SetStreamHandler(rawProtocol, func(s network.Stream) {
				buf := make([]byte, 256<<10)
				for left := total; left > 0; left -= len(buf) {
					if _, err := s.Write(buf[:min(left, len(buf))]); err != nil {
						return
					}
				}
				_ = s.Close()
			})
			var ours, raw time.Duration
			for b.Loop() {
				begin := time.Now()
				got := 0
				for blob, err := range p.Blocks(b.Context(), 0, 1<<20, MaxBlock) {
					if err != nil {
						b.Fatal(err)
					}
					got += len(blob)
				}
				if got != total {
					b.Fatalf("%d bytes, want %d", got, total)
				}
				ours += time.Since(begin)
				begin = time.Now()
				s, err := h.NewStream(b.Context(), v.host.ID(), rawProtocol)
				if err != nil {
					b.Fatal(err)
				}
				if n, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, s, make([]byte, 1<<20)); err != nil || n != int64(total) {
					b.Fatalf("%d bytes, %v", n, err)
				}
				raw += time.Since(begin)
			}
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(float64(count*b.N)/ours.Seconds(), "blocks/s")
			b.ReportMetric(float64(total*b.N)/ours.Seconds()/1e6, "MB/s")
			b.ReportMetric(raw.Seconds()/ours.Seconds(), "of-raw")
		})
	}
}
