package attack

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"time"

	manet "github.com/multiformats/go-multiaddr/net"
	"golang.org/x/sync/errgroup"

	"github.com/decube/decube/testnet/hostile/stranger"
)

// errClosed is returned for a connection that the victim has closed.
var errClosed = errors.New("the connection was closed")

// connections are attacks with connections that are of no use.
func connections() []Attack {
	return []Attack{
		{
			Name: "idle-connections", About: "252 connections that ask for nothing",
			Identities: 252, Addresses: 32, Common: true, Run: idleConnections,
		},
		{
			Name: "stalled-handshakes", About: "600 TCP connections whose handshake stops after its first line",
			Identities: 600, Addresses: 80, Common: true, TCP: true, Run: stalledHandshakes,
		},
		{
			Name: "finished-handshakes", About: "4 connections a peer that end when they are made, again and again, each second one of a new identity",
			Identities: 64, Addresses: 8, Common: true, Run: finishedHandshakes,
		},
	}
}

func idleConnections(ctx context.Context, a *Arena) error {
	return a.each(ctx, func(ctx context.Context, _ *stranger.Stranger, _ *stranger.Conn) error { return hold(ctx) })
}

// shaking is how many handshakes a stranger has under way at a time.
const shaking = 4

// finishedHandshakes has every stranger connect and go, again and again. The attack stands
// when each has tried once.
func finishedHandshakes(ctx context.Context, a *Arena) error {
	var tried sync.WaitGroup
	var all errgroup.Group
	for _, s := range a.Crowd {
		tried.Add(1)
		first := sync.OnceFunc(tried.Done)
		for range shaking {
			all.Go(func() error {
				defer first()
				return a.shakeHands(ctx, s, first)
			})
		}
	}
	all.Go(func() error {
		tried.Wait()
		a.Stand()
		return nil
	})
	return all.Wait()
}

// shakeHands makes one connection after the other and closes each at once. Another identity
// makes every second one, so that nothing can be held against a peer's ID. Who is refused
// waits a breath: to be refused without a pause would be another attack.
func (a *Arena) shakeHands(ctx context.Context, s *stranger.Stranger, tried func()) error {
	for n := 1; ctx.Err() == nil; n++ {
		c, err := s.Dial(ctx, a.Victim)
		tried()
		switch {
		case err == nil:
			a.Count("connections", 1)
			c.End()
		case ctx.Err() == nil:
			a.Count("connections refused", 1)
			pause(ctx, breath)
		}
		if n%2 == 0 {
			if s, err = s.Again(); err != nil {
				return err
			}
		}
	}
	return nil
}

// StalledHandshake is what a dialler sends before it falls silent: that it speaks
// multistream-select.
func StalledHandshake() []byte { return []byte("\x13/multistream/1.0.0\n") }

// stalledHandshakes holds a TCP connection for each stranger and dials again when the
// victim has closed it.
func stalledHandshakes(ctx context.Context, a *Arena) error {
	var all errgroup.Group
	for _, s := range a.Crowd {
		all.Go(func() error {
			for ctx.Err() == nil {
				if !a.stall(ctx, s) && !pause(ctx, redial) {
					return nil
				}
			}
			return nil
		})
	}
	all.Go(func() error {
		if pause(ctx, 5*time.Second) { // by then all have dialled
			a.Stand()
		}
		return nil
	})
	return all.Wait()
}

// stall holds one connection until it is closed, and reports whether there was one.
func (a *Arena) stall(ctx context.Context, s *stranger.Stranger) bool {
	addr := stranger.Pick(a.Victim.Addrs, s.Source, stranger.Noise)
	if addr == nil {
		return false
	}
	network, at, err := manet.DialArgs(addr)
	if err != nil {
		return false
	}
	c, err := stranger.Dialer(s.Source).DialContext(ctx, network, at)
	if err != nil {
		a.Count("connections refused", 1)
		return false
	}
	return a.occupy(ctx, c)
}

func (a *Arena) occupy(ctx context.Context, c net.Conn) bool {
	stop := context.AfterFunc(ctx, func() { _ = c.Close() })
	defer func() {
		stop()
		_ = c.Close() // nothing of worth was sent
	}()
	if _, err := c.Write(StalledHandshake()); err != nil {
		return false
	}
	a.Count("connections", 1)
	began := time.Now()
	_, _ = io.Copy(io.Discard, c) // until the victim has had enough
	if time.Since(began) < time.Second {
		a.Count("connections cut at once", 1)
		return false
	}
	a.Count("handshakes stalled", 1)
	return true
}
