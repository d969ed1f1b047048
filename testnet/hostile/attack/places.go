package attack

import (
	"context"
	"io"
	"time"

	"github.com/libp2p/go-libp2p/core/protocol"

	"github.com/decube/decube/block"
	"github.com/decube/decube/internal/wire"
	"github.com/decube/decube/testnet/hostile/stranger"
)

// places are attacks on the places of a server: who holds them all keeps everybody
// else out, at next to no cost.
func places() []Attack {
	ledger := Needs{Ledger: true}
	return []Attack{
		{
			Name: "exchange-tiny", About: "8 streams a peer of the exchange, each with a tiny request every 30 s",
			Identities: 8, Addresses: 8, Run: exchangeTiny,
		},
		{
			Name: "exchange-slow", About: "8 streams a peer of the exchange that ask for everything and read 4 KiB in 20 s",
			Identities: 8, Addresses: 8, Run: exchangeSlow,
		},
		{
			Name: "statesync-tiny", About: "requests of statesync that come byte by byte, and 16 followers of the ledger a peer",
			Identities: 16, Addresses: 8, Needs: ledger, Run: statesyncTiny,
		},
		{
			Name: "statesync-slow", About: "requests for the ledger's blocks, whose answers nobody reads",
			Identities: 16, Addresses: 8, Needs: ledger, Run: statesyncSlow,
		},
		{
			Name: "greedy-streams", About: "everything that is served, over as many streams as there are, again and again",
			Identities: 64, Addresses: 8, Run: greedyStreams,
		},
	}
}

// streamsEach is how many streams of one protocol a peer opens.
const streamsEach = 8

// root returns what the victim serves.
func (a *Arena) root() (block.ID, error) {
	if err := need(a.Served, "snapshot that the victim serves"); err != nil {
		return block.ID{}, err
	}
	return block.Parse(a.Served[0])
}

func exchangeTiny(ctx context.Context, a *Arena) error {
	root, err := a.root()
	if err != nil {
		return err
	}
	return a.occupyAll(ctx, exchangeID, streamsEach, func(ctx context.Context, s stranger.Stream) error {
		for id := uint64(1); ; id++ {
			if _, err := s.Write(Have(id, root)); err != nil {
				return err
			}
			a.Count("requests", 1)
			if !pause(ctx, 30*time.Second) {
				return nil
			}
		}
	})
}

// occupyAll has each stranger hold n streams of a protocol over one connection.
func (a *Arena) occupyAll(ctx context.Context, id protocol.ID, n int, do func(context.Context, stranger.Stream) error) error {
	return a.each(ctx, func(ctx context.Context, _ *stranger.Stranger, c *stranger.Conn) error {
		return a.streams(ctx, c, n, id, func(ctx context.Context, s stranger.Stream) error {
			own, cancel := context.WithCancel(ctx)
			defer cancel()
			go a.untilRefused(s, cancel)
			return do(own, s)
		})
	})
}

// untilRefused reads the few bytes that tell of a refusal and the end of the stream,
// so that a place that was lost is asked for anew. It leaves answers that fill the
// window alone, since it reads no more than one message's worth at a time.
func (a *Arena) untilRefused(s stranger.Stream, lost func()) {
	defer lost()
	var b [32]byte
	for {
		if _, err := s.Read(b[:]); err != nil {
			return
		}
	}
}

func exchangeSlow(ctx context.Context, a *Arena) error {
	root, err := a.root()
	if err != nil {
		return err
	}
	total, err := askTotal(ctx, a.Crowd[0], a.Victim, root)
	if err != nil {
		return err
	}
	return a.each(ctx, func(ctx context.Context, _ *stranger.Stranger, c *stranger.Conn) error {
		return a.streams(ctx, c, streamsEach, exchangeID, func(ctx context.Context, s stranger.Stream) error {
			for id := range uint64(streamsEach) { // as many as the server queues
				if _, err := s.Write(Ranges(id+1, root, total)); err != nil {
					return err
				}
			}
			return a.sip(ctx, s)
		})
	})
}

// sip reads so little that a server which counts progress alone is content.
func (a *Arena) sip(ctx context.Context, s stranger.Stream) error {
	for ctx.Err() == nil {
		n, err := io.CopyN(io.Discard, s, 4<<10)
		if err != nil {
			return err
		}
		a.Count("bytes sipped", n)
		pause(ctx, 20*time.Second)
	}
	return nil
}

// statesyncTiny drips requests over half of its streams, which are read for as long as
// they may take, and follows the ledger over the others.
func statesyncTiny(ctx context.Context, a *Arena) error {
	const followers, dripping = 16, 4
	return a.each(ctx, func(ctx context.Context, _ *stranger.Stranger, c *stranger.Conn) error {
		for range followers {
			s, err := c.Blurt(ctx, statesyncID, follow(1))
			if err != nil {
				return err
			}
			a.Count("followers", 1)
			go func() { _, _ = io.Copy(io.Discard, s) }() // ends with the connection
		}
		return a.streams(ctx, c, dripping, statesyncID, func(ctx context.Context, s stranger.Stream) error {
			if _, err := s.Write(wire.AppendUvarint(nil, 64<<10)); err != nil { // of a transaction, say
				return err
			}
			a.Count("requests", 1)
			return drip(ctx, s, time.Second)
		})
	})
}

func statesyncSlow(ctx context.Context, a *Arena) error {
	return a.each(ctx, func(ctx context.Context, _ *stranger.Stranger, c *stranger.Conn) error {
		return a.streams(ctx, c, streamsEach, statesyncID, func(ctx context.Context, s stranger.Stream) error {
			if _, err := s.Write(blocksFrom(1)); err != nil {
				return err
			}
			a.Count("requests", 1)
			var b [1]byte
			for ctx.Err() == nil {
				if _, err := s.Read(b[:]); err != nil {
					return err
				}
				pause(ctx, 20*time.Second)
			}
			return nil
		})
	})
}

func greedyStreams(ctx context.Context, a *Arena) error {
	root, err := a.root()
	if err != nil {
		return err
	}
	total, err := askTotal(ctx, a.Crowd[0], a.Victim, root)
	if err != nil {
		return err
	}
	return a.each(ctx, func(ctx context.Context, _ *stranger.Stranger, c *stranger.Conn) error {
		return a.streams(ctx, c, streamsEach, exchangeID, a.takes(Ranges(1, root, total)))
	})
}

// takes returns what asks for something and reads all of the answer.
func (a *Arena) takes(request []byte) func(context.Context, stranger.Stream) error {
	return func(ctx context.Context, s stranger.Stream) error {
		if _, err := s.Write(request); err != nil {
			return err
		}
		if err := s.CloseWrite(); err != nil {
			return err
		}
		n, err := io.Copy(io.Discard, s)
		a.Count("bytes taken", n)
		if n < 1<<10 {
			pause(ctx, breath) // the server was busy
		}
		return err
	}
}
