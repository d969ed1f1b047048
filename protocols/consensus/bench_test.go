package consensus

import (
	"context"
	"io"
	"slices"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/protocol"

	"github.com/decube/decube/internal/sig"
)

// rawProtocol carries bytes and nothing else: the limit to compare with.
const rawProtocol protocol.ID = "/decube/bench/raw"

// voteSize is what a COMMIT takes with its length.
const voteSize = 137

// benchPair starts two validators over a transport. What the second receives is
// given to receive, which may answer the first; what the first receives is
// signalled.
func benchPair(b *testing.B, listen string, receive func(c *Consensus, from sig.PublicKey, class Class, data []byte)) (x, y *party, answers chan struct{}) {
	b.Helper()
	hx, hy := newHost(b, newKey(b), libp2p.ListenAddrStrings(listen)), newHost(b, newKey(b), libp2p.ListenAddrStrings(listen))
	meet(hx, hy)
	answers = make(chan struct{}, 1<<16)
	x = join(b, hx, func(o *Options) {
		o.Receive = func(sig.PublicKey, Class, []byte) { answers <- struct{}{} }
	})
	ready := make(chan struct{})
	y = join(b, hy, func(o *Options) {
		o.Receive = func(from sig.PublicKey, class Class, data []byte) {
			<-ready
			receive(y.c, from, class, data)
		}
	})
	close(ready)
	committee(x, y)
	x.opened(b, y)
	y.opened(b, x)
	return x, y, answers
}

// rawStream opens a raw stream from x to y, where serve runs.
func rawStream(b *testing.B, x, y host.Host, serve func(network.Stream)) network.Stream {
	b.Helper()
	y.SetStreamHandler(rawProtocol, serve)
	s, err := x.NewStream(context.Background(), y.ID(), rawProtocol)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = s.Reset() })
	return s
}

// BenchmarkVote sends a vote and awaits one in return, in turn with the same over
// a raw stream.
func BenchmarkVote(b *testing.B) {
	for name, listen := range transports {
		b.Run(name, func(b *testing.B) {
			x, y, answers := benchPair(b, listen, func(c *Consensus, from sig.PublicKey, class Class, data []byte) {
				c.Send(from, class, data)
			})
			s := rawStream(b, x.host, y.host, func(s network.Stream) { _, _ = io.CopyBuffer(s, struct{ io.Reader }{s}, make([]byte, voteSize)) })
			vote, back := make([]byte, voteSize), make([]byte, voteSize)
			var ours, raw []time.Duration
			for b.Loop() {
				begin := time.Now()
				x.c.Send(y.key, Votes, vote)
				<-answers
				ours = append(ours, time.Since(begin))
				begin = time.Now()
				if _, err := s.Write(vote); err != nil {
					b.Fatal(err)
				}
				if _, err := io.ReadFull(s, back); err != nil {
					b.Fatal(err)
				}
				raw = append(raw, time.Since(begin))
			}
			reportLatency(b, ours, raw)
		})
	}
}

func reportLatency(b *testing.B, ours, raw []time.Duration) {
	b.Helper()
	slices.Sort(ours)
	slices.Sort(raw)
	median := func(d []time.Duration) float64 { return float64(d[len(d)/2].Nanoseconds()) / 1e3 }
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(median(ours), "us-p50")
	b.ReportMetric(float64(ours[len(ours)*99/100].Nanoseconds())/1e3, "us-p99")
	b.ReportMetric(median(raw), "raw-us-p50")
	b.ReportMetric(median(ours)/median(raw), "x-raw")
}

// BenchmarkVoteBesideBulk is BenchmarkVote while the other classes are busy.
func BenchmarkVoteBesideBulk(b *testing.B) {
	for name, listen := range transports {
		b.Run(name, func(b *testing.B) {
			x, y, answers := benchPair(b, listen, func(c *Consensus, from sig.PublicKey, class Class, data []byte) {
				if class == Votes {
					c.Send(from, class, data)
				}
			})
			stop, stopped := make(chan struct{}), make(chan struct{})
			go func() {
				defer close(stopped)
				body := make([]byte, 1<<20)
				for {
					select {
					case <-stop:
						return
					default:
					}
					if !x.c.Send(y.key, Bulk, body) {
						time.Sleep(time.Millisecond) // the queue is full: 64 frames go in about a tenth of a second
					}
				}
			}()
			vote := make([]byte, voteSize)
			var ours []time.Duration
			for b.Loop() {
				begin := time.Now()
				x.c.Send(y.key, Votes, vote)
				<-answers
				ours = append(ours, time.Since(begin))
			}
			close(stop)
			<-stopped
			slices.Sort(ours)
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(float64(ours[len(ours)/2].Nanoseconds())/1e3, "us-p50")
			b.ReportMetric(float64(ours[len(ours)*99/100].Nanoseconds())/1e3, "us-p99")
		})
	}
}

// BenchmarkBulk sends 60 frames of 1 MiB, in turn with as many bytes over a raw
// stream.
func BenchmarkBulk(b *testing.B) {
	const frames, size = 60, 1 << 20
	for name, listen := range transports {
		b.Run(name, func(b *testing.B) {
			came := 0
			x, y, answers := benchPair(b, listen, func(c *Consensus, from sig.PublicKey, _ Class, _ []byte) {
				if came++; came%frames == 0 {
					c.Send(from, Votes, []byte("all"))
				}
			})
			got := make(chan struct{})
			s := rawStream(b, x.host, y.host, func(s network.Stream) {
				buf := make([]byte, size)
				for i := 1; ; i++ {
					if _, err := io.ReadFull(s, buf); err != nil {
						return
					}
					if i%frames == 0 {
						got <- struct{}{}
					}
				}
			})
			body := make([]byte, size)
			var ours, raw time.Duration
			for b.Loop() {
				begin := time.Now()
				for range frames {
					if !x.c.Send(y.key, Bulk, body) {
						b.Fatal("the queue is full")
					}
				}
				<-answers
				ours += time.Since(begin)
				begin = time.Now()
				for range frames {
					if _, err := s.Write(body); err != nil {
						b.Fatal(err)
					}
				}
				<-got
				raw += time.Since(begin)
			}
			total := float64(b.N) * frames * size
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(total/ours.Seconds()/1e6, "MB/s")
			b.ReportMetric(total/raw.Seconds()/1e6, "raw-MB/s")
			b.ReportMetric(raw.Seconds()/ours.Seconds(), "of-raw")
		})
	}
}
