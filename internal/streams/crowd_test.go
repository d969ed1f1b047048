package streams_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/protocol"

	"github.com/decube/decube/internal/admission"
	"github.com/decube/decube/internal/streams"
)

// Who is refused and does not read that holds little, and not for long.
func TestRefusalsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := serve(t, someLimits(), streams.Options{})
		for i := range 6 {
			s.open(t, fmt.Sprint(i), at(1+i, 1)).ask(0)
		}
		synctest.Wait()
		var crowd []*client
		for i := range 1000 {
			crowd = append(crowd, s.open(t, fmt.Sprint("crowd ", i), at(100+i%100, 1)))
		}
		synctest.Wait()
		if n := s.running.Load(); n != 6+8 {
			t.Errorf("with a crowd that is refused %d streams are handled, want 6 and as many as there are places", n)
		}
		told := 0
		for _, c := range crowd {
			if c.code() == network.StreamNoError {
				told++
			}
		}
		if told != 8 {
			t.Errorf("%d are told why, want as many as there are places", told)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if n := s.running.Load(); n != 6 {
			t.Errorf("after a second %d streams are handled", n)
		}
		s.shut(t)
	})
}

// Whatever many clients do, everything is given back in the end.
func TestCrowd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := serve(t, someLimits(), streams.Options{})
		var all sync.WaitGroup
		for i := range 200 {
			random := rand.New(rand.NewPCG(1, uint64(i)))
			c := s.open(t, fmt.Sprint(i%50), at(i%7, i%20))
			pause := time.Duration(random.IntN(1000)) * time.Millisecond
			all.Go(func() {
				for range random.IntN(5) {
					time.Sleep(time.Duration(random.IntN(4000)) * time.Millisecond)
					if _, err := c.Write([]byte{byte(random.IntN(5))}); err != nil {
						break
					}
					for range random.IntN(5) {
						if _, err := io.ReadFull(c, make([]byte, unit/2)); err != nil {
							break
						}
						time.Sleep(time.Duration(random.IntN(8000)) * time.Millisecond)
					}
				}
				_ = c.Close()
			})
			time.Sleep(pause)
		}
		time.Sleep(time.Second)
		s.shut(t)
		all.Wait()
		s.counts.mu.Lock()
		defer s.counts.mu.Unlock()
		ended := 0
		for what, n := range s.counts.n {
			if what != "served" && what[:5] == "ended" {
				ended += n
			}
		}
		if ended != s.counts.n["served"] || ended < 20 {
			t.Errorf("%v: want as many ended as served", s.counts.n)
		}
	})
}

func TestHandlersThatAreNone(t *testing.T) {
	serve := func(context.Context, *streams.Stream) error { return nil }
	good := streams.Handler{ID: echo, Limits: someLimits(), Serve: serve}
	for what, c := range map[string]struct {
		handlers []streams.Handler
		want     error
	}{
		"no protocol":      {[]streams.Handler{{Limits: someLimits(), Serve: serve}}, streams.ErrInvalid},
		"nothing to serve": {[]streams.Handler{{ID: echo, Limits: someLimits()}}, streams.ErrInvalid},
		"no limits":        {[]streams.Handler{{ID: echo, Serve: serve}}, admission.ErrInvalid},
		"a protocol twice": {[]streams.Handler{good, good}, streams.ErrInvalid},
	} {
		h := newHost(1)
		if _, err := streams.Open(h, streams.Options{}, c.handlers...); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", what, err)
		}
		if len(h.handlers) != 0 {
			t.Errorf("%s: handlers are set", what)
		}
	}
	h := newHost(1)
	x, err := streams.Open(h, streams.Options{}, good, streams.Handler{ID: "/other", Limits: someLimits(), Serve: serve})
	if err != nil {
		t.Fatal(err)
	}
	if h.handlers[echo] == nil || h.handlers[protocol.ID("/other")] == nil {
		t.Error("not all handlers are set")
	}
	if err := x.Close(); err != nil || len(h.handlers) != 0 {
		t.Errorf("%d handlers at the end: %v", len(h.handlers), err)
	}
}

func TestOriginsAreOfConnections(t *testing.T) {
	const relay, other = "12D3KooWPFH2Bx2tPfw6RLxN8k2wh47GRXgkt9yrAHU37zFwHWzS", "12D3KooWEyoppNCUx8Yx66oV9fJnriXwCcXwDDUA2kj6vnc6iDEp"
	through := "/ip4/192.0.2.%d/tcp/1/p2p/%s/p2p-circuit"
	for what, c := range map[string]struct {
		at   func(i int) string
		most int // streams, of limits with 2 an address and 4 a prefix, 6 in all
	}{
		"an address":                {func(int) string { return "/ip4/192.0.2.1/tcp/1" }, 2},
		"its QUIC":                  {func(int) string { return "/ip4/192.0.2.1/udp/1/quic-v1" }, 2},
		"a prefix":                  {func(i int) string { return fmt.Sprintf("/ip4/192.0.2.%d/tcp/1", i) }, 4},
		"a relay at many addresses": {func(i int) string { return fmt.Sprintf(through, i, relay) }, 2},
		"two relays at one address": {func(i int) string { return fmt.Sprintf(through, 1, []string{relay, other}[i%2]) }, 4},
		"this machine":              {func(int) string { return "/ip4/127.0.0.1/tcp/1" }, 6},
		"no address":                {func(int) string { return "/dns4/localhost/tcp/1" }, 2},
	} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := serve(t, someLimits(), streams.Options{})
				for i := range 10 {
					s.open(t, fmt.Sprint(i), c.at(i))
				}
				synctest.Wait()
				s.counts.mu.Lock()
				if n := s.counts.n["served"]; n != c.most {
					t.Errorf("%d streams are served, want %d", n, c.most)
				}
				s.counts.mu.Unlock()
				s.shut(t)
			})
		})
	}
}
