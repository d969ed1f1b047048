package attack

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"sync/atomic"

	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
	"golang.org/x/sync/errgroup"

	"github.com/decube/decube/block"
	"github.com/decube/decube/internal/wire"
	"github.com/decube/decube/testnet/hostile/stranger"
)

// providers are attacks on who fetches, by peers that say they have what is wanted.
func providers() []Attack {
	return []Attack{
		{
			Name: "stallers-40", About: "40 providers of what is wanted that take requests and never answer",
			Identities: 40, Addresses: 8, Run: stallers,
		},
		{
			Name: "stallers-120", About: "120 providers of what is wanted that take requests and never answer",
			Identities: 120, Addresses: 16, Run: stallers,
		},
		{
			Name: "private-dials", About: "provider records that lead fetchers to loopback, link-local and private addresses of their own",
			Identities: 16, Addresses: 8, Run: privateDials,
		},
		{
			Name: "wrong-bytes", About: "providers that hold everything and send other bytes",
			Identities: 16, Addresses: 8, Run: wrongBytes,
		},
		{
			Name: "honest-first", About: "providers that give 4 MiB of what is wanted and then stop in the middle of a block",
			Identities: 16, Addresses: 8, Run: honestFirst,
		},
		{
			Name: "dnsaddr", About: "providers whose address is a name with 300 addresses, at each of which dialling takes for ever",
			Identities: 16, Addresses: 8, Needs: Needs{Names: true}, Run: dnsaddr,
		},
	}
}

// provide has every stranger announce to the victim and to all that it may ask that it
// has what is wanted, again and again. The addresses are a stranger's in the records.
func (a *Arena) provide(ctx context.Context, addrs func(i int, s *stranger.Stranger) []ma.Multiaddr) error {
	if err := need(a.Wanted, "snapshot that is wanted"); err != nil {
		return err
	}
	index := map[peer.ID]int{}
	for i, s := range a.Crowd {
		index[s.ID] = i
	}
	var roots []block.ID
	for _, text := range a.Wanted {
		root, err := block.Parse(text)
		if err != nil {
			return err
		}
		roots = append(roots, root)
	}
	var all errgroup.Group
	for _, to := range append([]peer.AddrInfo{a.Victim}, a.Honest...) {
		all.Go(func() error {
			return a.eachAt(ctx, to, func(ctx context.Context, s *stranger.Stranger, c *stranger.Conn) error {
				stream, err := c.Open(ctx, stranger.KadID(a.Network))
				if err != nil {
					return err
				}
				for _, root := range roots {
					if _, err := stream.Write(Record(root.CID().Hash(), s.ID, addrs(index[s.ID], s))); err != nil {
						return err
					}
					a.Count("records", 1)
				}
				return hold(ctx)
			})
		})
	}
	return all.Wait()
}

// serve has every stranger listen and answer streams of the exchange.
func (a *Arena) serve(ctx context.Context, h func(s *stranger.Stranger) stranger.Handler) (func(int, *stranger.Stranger) []ma.Multiaddr, error) {
	at := make([][]ma.Multiaddr, len(a.Crowd))
	for i, s := range a.Crowd {
		s.Handlers[exchangeID] = h(s)
		s.Face.Protocols = append(s.Face.Protocols, exchangeID)
		addr, err := s.Listen(ctx)
		if err != nil {
			return nil, err
		}
		at[i] = []ma.Multiaddr{addr}
		s.Face.Addrs = at[i]
	}
	return func(i int, _ *stranger.Stranger) []ma.Multiaddr { return at[i] }, nil
}

func stallers(ctx context.Context, a *Arena) error {
	addrs, err := a.serve(ctx, func(*stranger.Stranger) stranger.Handler {
		return func(_ context.Context, _ *stranger.Conn, s stranger.Stream) {
			a.Count("requests stalled", 1)
			_, _ = io.Copy(io.Discard, s) // until the victim gives up
		}
	})
	if err != nil {
		return err
	}
	return a.provide(ctx, addrs)
}

func privateDials(ctx context.Context, a *Arena) error {
	if err := need(a.Traps, "trap"); err != nil {
		return err
	}
	var traps []ma.Multiaddr
	for _, text := range a.Traps {
		addr, err := ma.NewMultiaddr(text)
		if err != nil {
			return err
		}
		traps = append(traps, addr)
	}
	for _, s := range a.Crowd {
		s.Face.Addrs = traps
	}
	// The connection on which the record was sent would be used: it is given up, so that
	// the victim has to dial.
	return a.announceAndLeave(ctx, func(int, *stranger.Stranger) []ma.Multiaddr { return traps })
}

// announceAndLeave is provide without staying connected.
func (a *Arena) announceAndLeave(ctx context.Context, addrs func(int, *stranger.Stranger) []ma.Multiaddr) error {
	for ctx.Err() == nil {
		round, cancel := context.WithTimeout(ctx, stay)
		err := a.provide(round, addrs)
		cancel()
		if err != nil {
			return err
		}
		if !pause(ctx, leave) {
			break
		}
	}
	return nil
}

// liar answers the exchange with what no block is.
type liar struct{ total int }

// answer returns what is said to one request.
func (l liar) answer(body []byte) ([]byte, error) {
	kind, id, err := asked(body)
	if err != nil {
		return nil, err
	}
	const have, ranges, blocks = 0x01, 0x02, 0x03
	switch kind {
	case have:
		return HaveAll(id, l.total), nil
	case ranges, blocks:
		return Block(id, 0, make([]byte, 64<<10)), nil
	}
	return nil, nil
}

func wrongBytes(ctx context.Context, a *Arena) error {
	l, err := a.liar(ctx)
	if err != nil {
		return err
	}
	addrs, err := a.serve(ctx, func(*stranger.Stranger) stranger.Handler {
		return func(_ context.Context, _ *stranger.Conn, s stranger.Stream) {
			r := bufio.NewReader(s)
			for {
				body, err := wire.ReadFrame(r, most, nil)
				if err != nil {
					return
				}
				lie, err := l.answer(body)
				if err != nil {
					return
				}
				if _, err := s.Write(lie); err != nil {
					return
				}
				a.Count("lies", 1)
			}
		}
	})
	if err != nil {
		return err
	}
	return a.provide(ctx, addrs)
}

// liar learns from an honest peer what a lie must agree with.
func (a *Arena) liar(ctx context.Context) (liar, error) {
	if err := need(a.Wanted, "snapshot that is wanted"); err != nil {
		return liar{}, err
	}
	if len(a.Honest) == 0 {
		return liar{}, fmt.Errorf("%w: no honest peer", errNothing)
	}
	root, err := block.Parse(a.Wanted[0])
	if err != nil {
		return liar{}, err
	}
	total, err := askTotal(ctx, a.Crowd[0], a.Honest[0], root)
	return liar{total: total}, err
}

// given is how much an honest-first provider gives.
const given = 4 << 20

// honestFirst passes requests on to an honest peer, and its answers back, up to a
// number of bytes. After that the streams stand still.
func honestFirst(ctx context.Context, a *Arena) error {
	return passers(ctx, a, given, func(ctx context.Context, _ *bufio.Reader, _ stranger.Stream) error { return hold(ctx) })
}

// passers pass requests on to an honest peer, and the first bytes of its answers back. What
// becomes of the rest of a stream is up to a function.
func passers(ctx context.Context, a *Arena, given int64, rest func(ctx context.Context, rest *bufio.Reader, stream stranger.Stream) error) error {
	if len(a.Honest) == 0 {
		return fmt.Errorf("%w: no honest peer", errNothing)
	}
	addrs, err := a.serve(ctx, func(s *stranger.Stranger) stranger.Handler {
		var left atomic.Int64
		left.Store(given)
		return func(ctx context.Context, _ *stranger.Conn, stream stranger.Stream) {
			if source, end := a.passOn(ctx, s, stream, &left); source != nil {
				a.Count("streams stalled", 1)
				_ = rest(ctx, source, stream) // the stream has ended, which is no concern of the attack's
				end()
			}
		}
	})
	if err != nil {
		return err
	}
	return a.provide(ctx, addrs)
}

// passOn passes answers of an honest peer on until nothing is left to be given, and returns
// where the others come from, nil if the streams have ended before. The caller calls end.
func (a *Arena) passOn(ctx context.Context, s *stranger.Stranger, stream stranger.Stream, left *atomic.Int64) (rest *bufio.Reader, end func()) {
	c, err := s.Dial(ctx, a.Honest[0])
	if err != nil {
		return nil, nil
	}
	source, err := c.Open(ctx, exchangeID)
	if err != nil {
		c.End()
		return nil, nil
	}
	go func() { _, _ = io.Copy(source, stream) }() // ends with either stream
	b := make([]byte, 16<<10)
	for left.Load() > 0 {
		n, err := source.Read(b)
		if err == nil {
			_, err = stream.Write(b[:n])
		}
		if err != nil {
			c.End()
			return nil, nil
		}
		left.Add(-int64(n))
		a.Count("bytes given", int64(n))
	}
	return bufio.NewReader(source), c.End
}
