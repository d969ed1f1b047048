package streams_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/decube/decube/internal/admission"
	"github.com/decube/decube/internal/streams"
)

// at returns an address of a prefix.
func at(prefix, host int) string { return fmt.Sprintf("/ip4/198.51.%d.%d/tcp/1", prefix, host) }

func TestRequestsAreAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := serve(t, someLimits(), streams.Options{})
		c := s.open(t, "a", at(1, 1))
		for _, units := range []byte{1, 0, 3, 4} {
			c.ask(units)
			synctest.Wait()
			if n := s.scope.inUse(); n != 0 {
				t.Errorf("after an answer %d bytes are reserved", n)
			}
		}
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		s.counts.want(t, map[string]int{"served": 1, "ended admitted": 1})
		s.shut(t)
	})
}

func TestRefusals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peers := &acquaintances{}
		s := serve(t, someLimits(), streams.Options{Peers: peers})
		s.open(t, "a", at(1, 1)).ask(0)
		s.open(t, "a", at(2, 1)).ask(0)
		if got := s.open(t, "a", at(3, 1)).ended(); got != "peer" {
			t.Errorf("a peer's third stream was told %q", got)
		}
		s.open(t, "b", at(1, 1)).ask(0)
		if got := s.open(t, "c", at(1, 1)).ended(); got != "address" {
			t.Errorf("an address's third stream was told %q", got)
		}
		for i := range 3 {
			s.open(t, fmt.Sprint(i), at(4+i, 1)).ask(0)
		}
		if got := s.open(t, "x", at(2, 1)).ended(); got != "stranger" {
			t.Errorf("one too many was told %q", got)
		}
		synctest.Wait()
		s.counts.want(t, map[string]int{"served": 6, "refused peer": 1, "refused address": 1, "refused stranger": 1})
		s.shut(t)
		if want := (map[peer.ID]int{"a": 1, "c": 1, "x": 1}); !maps.Equal(peers.refused, want) {
			t.Errorf("refused are %v, want %v", peers.refused, want)
		}
	})
}

func TestWhoLosesIsReset(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peers := &acquaintances{members: map[peer.ID]bool{"member": true}}
		s := serve(t, someLimits(), streams.Options{Peers: peers})
		first := s.open(t, "a", at(1, 1))
		first.ask(0)
		s.open(t, "a", at(1, 1)).ask(0)
		for i := range 4 {
			s.open(t, fmt.Sprint(i), at(2+i, 1)).ask(0)
		}
		s.open(t, "new", at(9, 1)).ask(1)
		if first.ended(); first.code() != network.StreamResourceLimitExceeded {
			t.Errorf("who loses its place is reset with %v", first.code())
		}
		s.open(t, "member", at(1, 1)).ask(1)
		synctest.Wait()
		s.counts.want(t, map[string]int{"served": 8, "ended busy": 1})
		if want := (streams.Lost{Reason: admission.Busy}); len(s.errs) != 1 || !errors.Is(s.errs[0], want) {
			t.Errorf("%v, want %v", s.errs, want)
		}
		s.shut(t)
		if peers.mistakes["a"] != 1 || len(peers.mistakes) != 1 || len(peers.refused) != 0 {
			t.Errorf("mistakes are %v, refused are %v; want one of who has lost a place, and nobody", peers.mistakes, peers.refused)
		}
	})
}

func TestClocks(t *testing.T) {
	for what, c := range map[string]struct {
		do   func(*client)
		then time.Duration // it is reset
	}{
		"says nothing":        {func(*client) {}, 3 * time.Second},
		"does not end to ask": {func(c *client) { c.write('+'); time.Sleep(9 * time.Second); c.write('+') }, 10 * time.Second},
		"takes nothing":       {func(c *client) { c.write(4) }, 30 * time.Second},
		"takes some and no more": {func(c *client) {
			c.write(4)
			time.Sleep(2 * time.Second)
			c.take(unit)
			time.Sleep(20 * time.Second)
			c.take(unit)
		}, 52 * time.Second},
		"asks nothing more":       {func(c *client) { c.ask(2) }, time.Minute},
		"asks, and nothing more":  {func(c *client) { c.ask(2); time.Sleep(50 * time.Second); c.ask(1) }, 110 * time.Second},
		"asks again, and not all": {func(c *client) { c.ask(1); time.Sleep(5 * time.Second); c.write('+') }, 15 * time.Second},
	} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := serve(t, someLimits(), streams.Options{})
				began := time.Now()
				cl := s.open(t, "a", at(1, 1))
				c.do(cl)
				synctest.Wait()
				time.Sleep(c.then - time.Since(began) - time.Nanosecond)
				synctest.Wait()
				s.counts.want(t, map[string]int{"served": 1})
				time.Sleep(time.Nanosecond)
				synctest.Wait()
				s.counts.want(t, map[string]int{"served": 1, "ended slow": 1})
				if cl.code() != network.StreamRateLimited {
					t.Errorf("it is reset with %v", cl.code())
				}
				s.shut(t)
			})
		})
	}
}

func (c *client) write(b byte) {
	c.t.Helper()
	if _, err := c.Write([]byte{b}); err != nil {
		c.t.Fatal(err)
	}
}

// While others wait, somebody who takes less than 64 KiB in 15 s goes, and so does somebody
// who asks nothing for 5 s.
func TestWhileOthersWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := serve(t, someLimits(), streams.Options{})
		var slow, idle *client
		for i := range 6 {
			c := s.open(t, fmt.Sprint(i), at(1+i, 1))
			switch i {
			case 0:
				slow = c
				slow.write(2)
				time.Sleep(time.Second)
				slow.take(unit - 1)
			case 1:
				idle = c
				idle.ask(1)
			default:
				c.write('+')
				time.Sleep(time.Second / 4)
				c.ask(1)
			}
		}
		time.Sleep(time.Second)
		if got := s.open(t, "another", at(6, 2)).ended(); got != "stranger" { // its prefix has one
			t.Errorf("one too many was told %q", got)
		}
		began := time.Now()
		time.Sleep(3 * time.Second)
		synctest.Wait()
		if idle.code() != network.StreamRateLimited || slow.code() != network.StreamNoError {
			t.Errorf("after %v who rests has %v, and who is slow %v", time.Since(began), idle.code(), slow.code())
		}
		s.open(t, "new", at(9, 1)).ask(1)
		time.Sleep(9 * time.Second)
		synctest.Wait()
		if slow.code() != network.StreamRateLimited {
			t.Errorf("after %v who is slow has %v", time.Since(began), slow.code())
		}
		s.shut(t)
	})
}

func TestMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := serve(t, someLimits(), streams.Options{}) // strangers have 4.8 units
		much := s.open(t, "a", at(1, 1))
		much.write(5)
		much.ended()
		large, small := s.open(t, "a", at(1, 1)), s.open(t, "b", at(2, 1))
		large.write(4)
		synctest.Wait()
		small.ask(1)
		if large.ended(); large.code() != network.StreamResourceLimitExceeded {
			t.Errorf("who holds most memory has %v", large.code())
		}
		small.ask(4)
		synctest.Wait()
		s.counts.want(t, map[string]int{"served": 3, "ended admitted": 1, "ended memory": 1})
		if len(s.errs) != 2 || !errors.Is(s.errs[0], streams.ErrMemory) || !errors.Is(s.errs[1], streams.Lost{Reason: admission.Memory}) {
			t.Errorf("%v", s.errs)
		}

		// What others reserve besides is not there for streams, whatever their table says.
		if err := s.scope.ReserveMemory(4*unit, 255); err != nil {
			t.Fatal(err)
		}
		small.write(2)
		small.ended()
		synctest.Wait()
		if len(s.errs) != 3 || !errors.Is(s.errs[2], streams.ErrMemory) || !errors.Is(s.errs[2], network.ErrResourceLimitExceeded) {
			t.Errorf("%v", s.errs)
		}
		s.scope.ReleaseMemory(4 * unit)
		s.open(t, "c", at(3, 1)).ask(4)
		s.shut(t)
	})
}

func TestDrain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := serve(t, someLimits(), streams.Options{})
		opening, resting, reading, busy := s.open(t, "a", at(1, 1)), s.open(t, "b", at(2, 1)), s.open(t, "c", at(3, 1)), s.open(t, "d", at(4, 1))
		resting.ask(1)
		reading.write('+')
		busy.write(3)
		synctest.Wait()

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := s.Drain(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("with an answer under way: %v", err)
		}
		for what, c := range map[string]*client{"opens": opening, "rests": resting, "is in the middle of a request": reading} {
			if c.ended(); c.code() != network.StreamNoError {
				t.Errorf("who %s has %v", what, c.code())
			}
		}
		if got := s.open(t, "e", at(5, 1)).ended(); got != "stopping" {
			t.Errorf("who comes is told %q", got)
		}
		drained := make(chan error)
		go func() { drained <- s.Drain(t.Context()) }()
		busy.take(3 * unit)
		busy.ended()
		if err := <-drained; err != nil {
			t.Errorf("with all answered: %v", err)
		}
		if busy.code() != network.StreamNoError {
			t.Errorf("who is answered has %v", busy.code())
		}
		s.shut(t)
		s.counts.want(t, map[string]int{"served": 4, "ended admitted": 4, "refused stopping": 1})
		if got := s.open(t, "f", at(6, 1)).ended(); got != "" {
			t.Errorf("after the end one is told %q", got)
		}
	})
}

func TestCloseResets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := serve(t, someLimits(), streams.Options{})
		resting, busy := s.open(t, "b", at(2, 1)), s.open(t, "d", at(4, 1))
		resting.ask(1)
		busy.write(3)
		synctest.Wait()
		s.shut(t)
		busy.ended()
		if busy.code() != network.StreamShutdown {
			t.Errorf("an answer under way ends with %v", busy.code())
		}
		s.shut(t) // and nothing more
	})
}
