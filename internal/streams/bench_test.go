package streams_test

import (
	"context"
	"fmt"
	"testing"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/decube/decube/internal/streams"
)

// endless is a stream that takes everything at once.
type endless struct{ fakeStream }

func (*endless) Write(b []byte) (int, error) { return len(b), nil }
func (*endless) Close() error                { return nil }

// BenchmarkWrite is what counting, clocks and turns add to writing.
func BenchmarkWrite(b *testing.B) {
	for _, size := range []int{32, 16 << 10, 256 << 10} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			h := newHost(1 << 30)
			done := make(chan struct{})
			x, err := streams.Open(h, streams.Options{}, streams.Handler{
				ID: echo, Limits: someLimits(),
				Serve: func(_ context.Context, s *streams.Stream) error {
					defer close(done)
					s.Asked()
					defer s.Answered()
					data := make([]byte, size)
					b.ReportAllocs()
					b.SetBytes(int64(size))
					for b.Loop() {
						if _, err := s.Write(data); err != nil {
							return err
						}
					}
					return nil
				},
			})
			if err != nil {
				b.Fatal(err)
			}
			defer x.Close()
			go h.handlers[echo](&endless{fakeStream{scope: h.scope, conn: &fakeConn{peer: "a", addr: ma.StringCast("/ip4/198.51.1.1/tcp/1")}}})
			<-done
		})
	}
}
