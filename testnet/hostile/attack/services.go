package attack

import (
	"context"
	"crypto/rand"
	"io"
	"time"

	"github.com/libp2p/go-libp2p/core/protocol"
	ma "github.com/multiformats/go-multiaddr"
	"golang.org/x/sync/errgroup"

	"github.com/decube/decube/testnet/hostile/stranger"
)

// services are attacks on what a peer does for everybody.
func services() []Attack {
	return []Attack{
		{
			Name: "identify-flood", About: "who are you, over 16 streams a peer without a pause",
			Identities: 16, Addresses: 8, Common: true, Run: identifyFlood,
		},
		{
			Name: "push-flood", About: "identities that change, over 16 streams a peer without a pause",
			Identities: 16, Addresses: 8, Common: true, Run: pushFlood,
		},
		{
			Name: "ping-flood", About: "pings over 2 streams a peer without a pause",
			Identities: 16, Addresses: 8, Common: true, Run: pingFlood,
		},
		{
			Name: "relay-reservations", About: "reservations of a relay by everybody, and 16 connections through it each, filled with bytes",
			Identities: 64, Addresses: 8, Needs: Needs{Relay: true}, Run: relayReservations,
		},
		{
			Name: "autonat-dialbacks", About: "wishes to be dialled back at 64 addresses where dialling takes for ever",
			Identities: 64, Addresses: 8, Run: autonatDialbacks,
		},
	}
}

// floodStreams is how many streams of a flood a peer has at a time.
const floodStreams = 16

func identifyFlood(ctx context.Context, a *Arena) error {
	return a.each(ctx, func(ctx context.Context, _ *stranger.Stranger, c *stranger.Conn) error {
		return a.streams(ctx, c, floodStreams, stranger.IdentifyID, a.beTold)
	})
}

// beTold reads who the victim is.
func (a *Arena) beTold(_ context.Context, s stranger.Stream) error {
	n, err := io.Copy(io.Discard, s)
	a.Count("bytes told", n)
	return err
}

func pushFlood(ctx context.Context, a *Arena) error {
	return a.each(ctx, a.pushes)
}

// pushes says other things of oneself over a connection, again and again.
func (a *Arena) pushes(ctx context.Context, st *stranger.Stranger, c *stranger.Conn) error {
	const versions = 64
	var say [versions][]byte
	for i := range say {
		own := *st
		own.Face.Addrs = invented(st, i*manyPer, manyPer)
		say[i] = own.Identify(nil)
	}
	var all errgroup.Group
	for range floodStreams {
		all.Go(func() error {
			for i := 0; ctx.Err() == nil; i++ {
				s, err := c.Open(ctx, stranger.PushID)
				if err != nil {
					if c.IsClosed() {
						return errClosed
					}
					a.Count("streams refused", 1)
					pause(ctx, breath)
					continue
				}
				if _, err := s.Write(say[i%versions]); err == nil {
					a.Count("pushes", 1)
				}
				_ = s.Close() // the victim reads on; one that was refused is the next's matter
			}
			return nil
		})
	}
	return all.Wait()
}

func pingFlood(ctx context.Context, a *Arena) error {
	return a.each(ctx, func(ctx context.Context, _ *stranger.Stranger, c *stranger.Conn) error {
		return a.streams(ctx, c, 2, stranger.PingID, a.pings)
	})
}

// pings has a stream echo as much as it can.
func (a *Arena) pings(ctx context.Context, s stranger.Stream) error {
	const size, batch = 32, 256
	b := make([]byte, size*batch)
	_, _ = rand.Read(b) // never fails
	echo := make([]byte, len(b))
	for ctx.Err() == nil {
		if _, err := s.Write(b); err != nil {
			return err
		}
		if _, err := io.ReadFull(s, echo); err != nil {
			return err
		}
		a.Count("pings", batch)
	}
	return nil
}

func relayReservations(ctx context.Context, a *Arena) error {
	for _, s := range a.Crowd {
		s.Handlers[stopID] = func(_ context.Context, _ *stranger.Conn, stream stranger.Stream) {
			if _, err := readFrame(stream); err != nil {
				return
			}
			if _, err := stream.Write(Accept()); err != nil {
				return
			}
			n, _ := io.Copy(io.Discard, stream) // what the relay allows
			a.Count("bytes relayed", n)
		}
		s.Face.Protocols = append(s.Face.Protocols, stopID)
	}
	next := map[*stranger.Stranger]*stranger.Stranger{}
	for i, s := range a.Crowd {
		next[s] = a.Crowd[(i+1)%len(a.Crowd)]
	}
	return a.each(ctx, func(ctx context.Context, st *stranger.Stranger, c *stranger.Conn) error {
		var all errgroup.Group
		all.Go(func() error { return a.streams(ctx, c, 1, hopID, a.reserve) })
		all.Go(func() error {
			return a.streams(ctx, c, floodStreams, hopID, func(ctx context.Context, s stranger.Stream) error {
				if _, err := s.Write(ConnectThrough(next[st].ID)); err != nil {
					return err
				}
				msg, err := readFrame(s)
				if err != nil {
					return err
				}
				if statusOf(msg) != statusOK {
					a.Count("relayed connections refused", 1)
					pause(ctx, breath)
					return nil
				}
				a.Count("relayed connections", 1)
				filling := make([]byte, 16<<10)
				for {
					if _, err := s.Write(filling); err != nil {
						return err
					}
				}
			})
		})
		return all.Wait()
	})
}

func (a *Arena) reserve(ctx context.Context, s stranger.Stream) error {
	if _, err := s.Write(Reserve()); err != nil {
		return err
	}
	msg, err := readFrame(s)
	if err != nil {
		return err
	}
	if statusOf(msg) == statusOK {
		a.Count("reservations", 1)
	} else {
		a.Count("reservations refused", 1)
	}
	pause(ctx, time.Second)
	return nil
}

func autonatDialbacks(ctx context.Context, a *Arena) error {
	pit, err := newPit(ctx, a)
	if err != nil {
		return err
	}
	const wishes = 64
	return a.each(ctx, func(ctx context.Context, st *stranger.Stranger, c *stranger.Conn) error {
		addrs := append([]ma.Multiaddr{pit.of(st)}, invented(st, 0, wishes-1)...)
		var all errgroup.Group
		for _, v := range []struct {
			id  protocol.ID
			msg []byte
		}{{autonatID, DialMe(st.ID, addrs)}, {autonatV2ID, DialMeV2(addrs, 1)}} {
			all.Go(func() error {
				return a.streams(ctx, c, 1, v.id, func(_ context.Context, s stranger.Stream) error {
					if _, err := s.Write(v.msg); err != nil {
						return err
					}
					a.Count("wishes", 1)
					_, err := readFrame(s)
					return err
				})
			})
		}
		return all.Wait()
	})
}
