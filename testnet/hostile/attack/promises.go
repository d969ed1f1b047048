package attack

import (
	"bufio"
	"context"
	"errors"
	"sync"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/decube/decube/block"
	"github.com/decube/decube/internal/wire"
	"github.com/decube/decube/testnet/hostile/stranger"
)

// promises are attacks on who fetches, by providers that begin as honest ones do and come
// from so many networks that no bound on one of them holds them back.
func promises() []Attack {
	return []Attack{
		{
			Name: "drippers", About: "providers that give 4 MiB of what is wanted and then a byte a second, each from a network of its own",
			Identities: 24, Addresses: 24, PerPrefix: 1, Run: func(ctx context.Context, a *Arena) error { return passers(ctx, a, given, dripOn) },
		},
		{
			Name: "first-block-drippers", About: "providers that give what is wanted a byte a second from the first block on, each from a network of its own",
			Identities: 24, Addresses: 24, PerPrefix: 1, Run: func(ctx context.Context, a *Arena) error { return passers(ctx, a, 16<<10, dripOn) },
		},
		{
			Name: "promisers", About: "providers that say they hold everything and then have none of it, each from a network of its own",
			Identities: 24, Addresses: 24, PerPrefix: 1, Run: promisers,
		},
	}
}

// dripOn sends the rest of a stream a byte a second.
func dripOn(ctx context.Context, rest *bufio.Reader, stream stranger.Stream) error {
	for pause(ctx, dripEvery) {
		b, err := rest.ReadByte()
		if err != nil {
			return err
		}
		if _, err := stream.Write([]byte{b}); err != nil {
			return err
		}
	}
	return nil
}

// promisers say that they hold all of what is asked for, and of each block that they
// lack it.
func promisers(ctx context.Context, a *Arena) error {
	p := promiser{a: a, totals: map[block.ID]int{}}
	addrs, err := a.serve(ctx, func(s *stranger.Stranger) stranger.Handler {
		return func(ctx context.Context, _ *stranger.Conn, stream stranger.Stream) {
			r := bufio.NewReader(stream)
			for {
				body, err := wire.ReadFrame(r, most, nil)
				if err != nil {
					return
				}
				answer, err := p.answer(ctx, s, body)
				if err != nil {
					return
				}
				if _, err := stream.Write(answer); err != nil {
					return
				}
				a.Count("promises", 1)
			}
		}
	})
	if err != nil {
		return err
	}
	return a.provide(ctx, addrs)
}

// promiser knows how many blocks roots have.
type promiser struct {
	a *Arena

	mu     sync.Mutex
	totals map[block.ID]int
}

func (p *promiser) answer(ctx context.Context, s *stranger.Stranger, body []byte) ([]byte, error) {
	kind, id, err := asked(body)
	if err != nil {
		return nil, err
	}
	if kind != 0x01 {
		return Lacking(body)
	}
	root, err := block.FromBytes(body[len(body)-block.IDSize:])
	if err != nil {
		return nil, err
	}
	total, err := p.total(ctx, s, root)
	return HaveAll(id, total), err
}

// total asks the honest how many blocks a root has, and remembers it.
func (p *promiser) total(ctx context.Context, s *stranger.Stranger, root block.ID) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n, known := p.totals[root]; known {
		return n, nil
	}
	var failed error
	for _, at := range append([]peer.AddrInfo{p.a.Victim}, p.a.Honest...) {
		n, err := askTotal(ctx, s, at, root)
		if err == nil {
			p.totals[root] = n
			return n, nil
		}
		failed = errors.Join(failed, err)
	}
	return 0, failed
}
