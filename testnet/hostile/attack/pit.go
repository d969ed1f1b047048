package attack

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/decube/decube/testnet/hostile/stranger"
)

// pit is a port at which connections are accepted and nothing is ever said, on every
// address of the attackers'.
type pit struct {
	port  int
	crowd []*stranger.Stranger
}

// newPit opens a pit until ctx ends, and counts who falls into it.
func newPit(ctx context.Context, a *Arena) (*pit, error) {
	var cfg net.ListenConfig
	l, err := cfg.Listen(ctx, "tcp", ":0")
	if err != nil {
		return nil, err
	}
	addr, ok := l.Addr().(*net.TCPAddr)
	if !ok {
		return nil, errors.Join(fmt.Errorf("listening at %s, which is no TCP address", l.Addr()), l.Close())
	}
	context.AfterFunc(ctx, func() { _ = l.Close() }) // it ends Accept
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			a.Count("dialled", 1)
			context.AfterFunc(ctx, func() { _ = c.Close() })
		}
	}()
	return &pit{port: addr.Port, crowd: a.Crowd}, nil
}

// at returns the pit as an address that is at the attackers' address i.
func (p *pit) at(i int) ma.Multiaddr {
	return p.of(p.crowd[i%len(p.crowd)])
}

// of returns the pit as an address of a stranger's.
func (p *pit) of(s *stranger.Stranger) ma.Multiaddr {
	return multiaddrOf(netip.AddrPortFrom(s.Source, uint16(p.port)))
}

// spread returns the pit as address i of many, of which no two are of one machine: every
// address near the attackers' is their own.
func (p *pit) spread(i int) ma.Multiaddr {
	near := p.crowd[0].Source.AsSlice()
	near[len(near)-2], near[len(near)-1] = byte(200+i/250), byte(1+i%250)
	at, _ := netip.AddrFromSlice(near) // as long as the one that it was
	return multiaddrOf(netip.AddrPortFrom(at, uint16(p.port)))
}

// peers returns peers that do not exist, in the pit.
func (p *pit) peers(n int) []stranger.KadPeer {
	out := make([]stranger.KadPeer, 0, n)
	for i := range n {
		if id, err := anybody(); err == nil {
			out = append(out, stranger.KadPeer{ID: id, Addrs: []ma.Multiaddr{p.at(i)}})
		}
	}
	return out
}

// anybody returns the ID of a new key.
func anybody() (peer.ID, error) {
	_, public, err := crypto.GenerateEd25519Key(rand.Reader)
	if err != nil {
		return "", err
	}
	return peer.IDFromPublicKey(public)
}

func multiaddrOf(at netip.AddrPort) ma.Multiaddr {
	family := "ip4"
	if at.Addr().Is6() {
		family = "ip6"
	}
	return ma.StringCast(fmt.Sprintf("/%s/%s/tcp/%d", family, at.Addr(), at.Port()))
}
