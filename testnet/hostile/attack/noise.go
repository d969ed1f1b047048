package attack

import (
	"context"
	"crypto/rand"
	"io"
	mathrand "math/rand/v2"

	"github.com/libp2p/go-libp2p/core/protocol"
	"golang.org/x/sync/errgroup"

	"github.com/decube/decube/internal/wire"
	"github.com/decube/decube/testnet/hostile/stranger"
)

// noise are attacks with what means nothing.
func noise() []Attack {
	return []Attack{
		{
			Name: "garbage", About: "random bytes, bare and in frames, on every protocol there is",
			Identities: 16, Addresses: 8, Run: garbage,
		},
		{
			Name: "log-flood", About: "the shortest mistakes of every protocol, each of which somebody may want to log",
			Identities: 32, Addresses: 8, Run: logFlood,
		},
	}
}

// spoken are the protocols that a daemon speaks, or may.
func (a *Arena) spoken() []protocol.ID {
	return []protocol.ID{
		exchangeID, statesyncID, consensusID, stranger.KadID(a.Network), stranger.IdentifyID, stranger.PushID,
		stranger.PingID, hopID, stopID, autonatID, autonatV2ID, "/libp2p/dcutr", "/meshsub/1.2.0", "/ipfs/bitswap/1.2.0",
	}
}

// Garbage returns random bytes of a random length, half of the time in a frame.
func Garbage() []byte {
	b := make([]byte, 1+mathrand.IntN(16<<10))
	_, _ = rand.Read(b) // never fails
	if mathrand.IntN(2) == 0 {
		return wire.AppendFrame(nil, b)
	}
	return b
}

func garbage(ctx context.Context, a *Arena) error {
	return a.each(ctx, func(ctx context.Context, _ *stranger.Stranger, c *stranger.Conn) error {
		var all errgroup.Group
		for _, id := range a.spoken() {
			all.Go(func() error {
				return a.streams(ctx, c, 1, id, func(_ context.Context, s stranger.Stream) error {
					n, err := s.Write(Garbage())
					a.Count("bytes of garbage", int64(n))
					if err != nil {
						return err
					}
					if err := s.CloseWrite(); err != nil {
						return err
					}
					_, _ = io.Copy(io.Discard, s) // until it ends, as it should
					return nil
				})
			})
		}
		return all.Wait()
	})
}

// Mistake returns the shortest message that is wrong in a protocol: a frame that ends
// before its first field, or a kind that there is not.
func Mistake(id protocol.ID) []byte {
	if id == consensusID { // a hello of another version, which is answered
		return wire.AppendFrame(nil, make([]byte, 42))
	}
	return wire.AppendFrame(nil, []byte{0x7f})
}

// logFlood does not wait to be answered: a mistake costs it one packet.
func logFlood(ctx context.Context, a *Arena) error {
	return a.each(ctx, a.mistakes)
}

// mistakes makes the mistakes of all protocols over a connection, in turn.
func (a *Arena) mistakes(ctx context.Context, _ *stranger.Stranger, c *stranger.Conn) error {
	for ctx.Err() == nil {
		for _, id := range a.spoken() {
			s, err := c.Blurt(ctx, id, Mistake(id))
			if err != nil {
				if c.IsClosed() {
					return errClosed
				}
				a.Count("streams refused", 1)
				pause(ctx, breath)
				continue
			}
			a.Count("mistakes", 1)
			_ = s.Close() // the next one is another stream
		}
	}
	return nil
}
