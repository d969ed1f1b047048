package attack

import (
	"bufio"
	"context"
	"crypto/rand"
	"fmt"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
	"github.com/multiformats/go-multihash"
	"golang.org/x/sync/errgroup"

	"github.com/decube/decube/internal/wire"
	"github.com/decube/decube/testnet/hostile/stranger"
)

// records are attacks with what a peer believes of others.
func records() []Attack {
	return []Attack{
		{
			Name: "provider-records", About: "provider records for keys that nobody has, as fast as they are taken: 1.6 million are the harm",
			Identities: 16, Addresses: 8, Common: true, Run: providerRecords,
		},
		{
			Name: "many-addresses", About: "500 addresses a peer by identify, other ones each second by push, and as many in provider records",
			Identities: 64, Addresses: 8, Common: true, Run: manyAddresses,
		},
		{
			Name: "table-poisoning", About: "64 peers of the DHT that know nobody but peers which never answer",
			Identities: 64, Addresses: 8, Run: tablePoisoning,
		},
	}
}

// Record returns the provider record of a peer for a key.
func Record(key []byte, id peer.ID, addrs []ma.Multiaddr) []byte {
	return stranger.Kad(stranger.AddProvider, key, nil, []stranger.KadPeer{{ID: id, Addrs: addrs}})
}

// anyKey returns the multihash of nothing in particular.
func anyKey() []byte {
	var digest [32]byte
	_, _ = rand.Read(digest[:])                               // never fails
	key, _ := multihash.Encode(digest[:], multihash.SHA2_256) // fails for no known hash
	return key
}

// invented returns n addresses of which no two are the same, at an address of the
// stranger's own.
func invented(s *stranger.Stranger, from, n int) []ma.Multiaddr {
	family := "ip4"
	if s.Source.Is6() {
		family = "ip6"
	}
	out := make([]ma.Multiaddr, 0, n)
	for i := range n {
		a, err := ma.NewMultiaddr(fmt.Sprintf("/%s/%s/tcp/%d", family, s.Source, 1024+(from+i)%60000))
		if err != nil {
			continue // none is left out: the parts are valid
		}
		out = append(out, a)
	}
	return out
}

func providerRecords(ctx context.Context, a *Arena) error {
	return a.each(ctx, a.recordsOf)
}

// recordsOf has a stranger say over a connection that it holds what nobody has.
func (a *Arena) recordsOf(ctx context.Context, s *stranger.Stranger, c *stranger.Conn) error {
	addrs := invented(s, 0, 1)
	return a.streams(ctx, c, 4, stranger.KadID(a.Network), func(ctx context.Context, stream stranger.Stream) error {
		const batch = 64
		for ctx.Err() == nil {
			var b []byte
			for range batch {
				b = append(b, Record(anyKey(), s.ID, addrs)...)
			}
			if _, err := stream.Write(b); err != nil {
				return err
			}
			a.Count("records", batch)
		}
		return nil
	})
}

// manyPer is how many addresses libp2p keeps of one peer at most.
const manyPer = 500

func manyAddresses(ctx context.Context, a *Arena) error {
	for _, s := range a.Crowd {
		s.Face.Addrs = invented(s, 0, manyPer)
		s.Face.Protocols = append(s.Face.Protocols, stranger.KadID(a.Network))
	}
	return a.each(ctx, func(ctx context.Context, s *stranger.Stranger, c *stranger.Conn) error {
		for round := 1; ctx.Err() == nil; round++ {
			own := *s
			own.Face.Addrs = invented(s, round*manyPer, manyPer)
			if push, err := c.Blurt(ctx, stranger.PushID, own.Identify(nil)); err == nil {
				a.Count("addresses pushed", manyPer)
				_ = push.CloseWrite() // one that was refused is another answer
			}
			record := Record(anyKey(), s.ID, own.Face.Addrs)
			if put, err := c.Blurt(ctx, stranger.KadID(a.Network), record); err == nil {
				a.Count("addresses in records", manyPer)
				_ = put.CloseWrite() // as above
			}
			if c.IsClosed() {
				return errClosed
			}
			if !pause(ctx, time.Second) {
				return nil
			}
		}
		return nil
	})
}

// tablePoisoning takes part in the DHT and answers each question with peers that do
// not exist, at an address where dialling takes as long as the victim has patience.
func tablePoisoning(ctx context.Context, a *Arena) error {
	pit, err := newPit(ctx, a)
	if err != nil {
		return err
	}
	var all errgroup.Group
	for _, s := range a.Crowd {
		s.Handlers[stranger.KadID(a.Network)] = func(ctx context.Context, _ *stranger.Conn, stream stranger.Stream) {
			a.mislead(ctx, pit, stream)
		}
		addr, err := s.Listen(ctx)
		if err != nil {
			return err
		}
		s.Face.Addrs = []ma.Multiaddr{addr}
		s.Face.Protocols = append(s.Face.Protocols, stranger.KadID(a.Network))
	}
	for _, to := range append([]peer.AddrInfo{a.Victim}, a.Honest...) {
		all.Go(func() error {
			return a.eachAt(ctx, to, func(ctx context.Context, _ *stranger.Stranger, _ *stranger.Conn) error { return hold(ctx) })
		})
	}
	return all.Wait()
}

// mislead answers questions of the DHT until the stream ends.
func (a *Arena) mislead(ctx context.Context, p *pit, stream network.MuxedStream) {
	r := bufio.NewReader(stream)
	for ctx.Err() == nil {
		msg, err := wire.ReadFrame(r, most, nil)
		if err != nil {
			return
		}
		kind, key, ok := stranger.KadAsked(msg)
		if !ok {
			return
		}
		if kind == stranger.AddProvider {
			continue
		}
		const closest = 20
		if _, err := stream.Write(stranger.Kad(kind, key, p.peers(closest), nil)); err != nil {
			return
		}
		a.Count("questions answered", 1)
	}
}
