package streams_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/network"

	"github.com/decube/decube/internal/admission"
	"github.com/decube/decube/internal/streams"
)

// waits answers what it is asked when something happens, with memory for a unit or so.
func waits(happens <-chan struct{}, units int) func(context.Context, *streams.Stream) error {
	return once(func(ctx context.Context, s *streams.Stream) error {
		if err := s.Reserve(ctx, units*unit); err != nil {
			return err
		}
		if err := errors.Join(s.Wait(), s.Wait()); err != nil { // the second time it waits already
			return err
		}
		select {
		case <-happens:
			_, err := s.Write([]byte("now"))
			return err
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	})
}

func TestWhoWaitsHoldsNobodyUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		happens := make(chan struct{})
		s := serveWith(t, someLimits(), streams.Options{}, waits(happens, 1))
		var all []*client
		wait := func(peer string, prefix int) {
			c := s.open(t, peer, at(prefix, 1))
			c.write(1)
			synctest.Wait()
			all = append(all, c)
		}
		wait("a", 1)
		wait("a", 1)
		wait("a", 1) // has two of its places, and comes in for them with a third
		if all[2].ended(); !errors.Is(s.errs[0], streams.Refused{Code: admission.Code{Reason: admission.Peer}}) {
			t.Errorf("a peer's third that waits ends with %v", s.errs)
		}
		wait("b", 2)
		wait("c", 3) // for whom one of two goes
		if all[0].ended(); all[0].code() != network.StreamResourceLimitExceeded || len(s.errs) != 2 || !errors.Is(s.errs[1], streams.Lost{Reason: admission.Busy}) {
			t.Errorf("whose place is another's has %v, of %v", all[0].code(), s.errs)
		}
		wait("d", 4)
		if all[5].ended(); len(s.errs) != 3 || !errors.As(s.errs[2], new(streams.Refused)) {
			t.Errorf("one too many ends with %v", s.errs)
		}
		time.Sleep(time.Hour)
		close(happens)
		for _, c := range []*client{all[1], all[3], all[4]} {
			if got := c.ended(); got != "now" {
				t.Errorf("who waited is told %q", got)
			}
		}
		synctest.Wait() // their places are given back
		s.shut(t)
		s.counts.want(t, map[string]int{"served": 6, "ended admitted": 5, "ended busy": 1})
	})
}

// Clocks run for those that wait as for others, and their memory is counted with them.
func TestWhoWaitsIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		happens := make(chan struct{})
		s := serveWith(t, someLimits(), streams.Options{}, waits(happens, 2))
		first, second, third := s.open(t, "a", at(1, 1)), s.open(t, "b", at(2, 1)), s.open(t, "c", at(3, 1))
		for _, c := range []*client{first, second, third} {
			c.write(1)
			synctest.Wait()
		}
		// Each has 2 units, and strangers have 4 of the 8 that are there for who waits.
		if third.ended(); len(s.errs) != 1 || !errors.Is(s.errs[0], streams.ErrMemory) {
			t.Errorf("%v", s.errs)
		}
		close(happens)
		if got := first.ended(); got != "now" {
			t.Errorf("who waited is told %q", got)
		}
		synctest.Wait()
		time.Sleep(30 * time.Second) // of not reading
		synctest.Wait()
		if second.code() != network.StreamRateLimited {
			t.Errorf("who waited and does not read has %v", second.code())
		}
		s.shut(t)
	})
}

// Those that wait have no more of the memory than those that do not: who holds most of it gives
// way, wherever it is held.
func TestWhoWaitsGivesMemoryBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		happens := make(chan struct{})
		l := someLimits()
		l.Bytes = 4 * unit // of which strangers have more than 2 units
		s := serveWith(t, l, streams.Options{}, waits(happens, 1))
		var all []*client
		for _, peer := range []string{"a", "a", "b"} {
			c := s.open(t, peer, at(int(peer[0]), 1))
			c.write(1)
			synctest.Wait()
			all = append(all, c)
		}
		if all[0].ended(); all[0].code() != network.StreamResourceLimitExceeded || len(s.errs) != 1 || !errors.Is(s.errs[0], streams.Lost{Reason: admission.Memory}) {
			t.Errorf("who holds most has %v, of %v", all[0].code(), s.errs)
		}
		c := s.open(t, "c", at(9, 1)) // nobody holds more than it would
		c.write(1)
		synctest.Wait()
		if len(s.errs) != 2 || !errors.Is(s.errs[1], streams.ErrMemory) {
			t.Errorf("one too many ends with %v", s.errs)
		}
		close(happens)
		for _, c := range all[1:] {
			if got := c.ended(); got != "now" {
				t.Errorf("who waited is told %q", got)
			}
		}
		synctest.Wait()
		if n := s.scope.inUse(); n != 0 {
			t.Errorf("%d bytes are reserved at the end", n)
		}
		s.shut(t)
	})
}

// What it lacks that is not this protocol's costs nobody a place.
func TestMemoryThatOthersDoNotHave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		happens := make(chan struct{})
		s := serveWith(t, someLimits(), streams.Options{}, waits(happens, 1))
		s.scope.limit = 4 * unit // as if the peer, or all of libp2p, had no more
		var all []*client
		for _, peer := range []string{"a", "a", "b"} {
			c := s.open(t, peer, at(int(peer[0]), 1))
			c.write(1)
			synctest.Wait()
			all = append(all, c)
		}
		if len(s.errs) != 1 || !errors.Is(s.errs[0], streams.ErrMemory) {
			t.Errorf("%v", s.errs)
		}
		close(happens)
		for _, c := range all[:2] {
			if got := c.ended(); got != "now" {
				t.Errorf("who waited is told %q", got)
			}
		}
		s.shut(t)
	})
}

func TestNobodyWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost(1)
		result := make(chan error, 1)
		x, err := streams.Open(h, streams.Options{}, streams.Handler{ID: echo, Limits: someLimits(), Serve: once(func(_ context.Context, s *streams.Stream) error {
			err := s.Wait()
			result <- err
			return err
		})})
		if err != nil {
			t.Fatal(err)
		}
		c := h.open(t, "a", at(1, 1))
		c.write(1)
		if err := <-result; !errors.Is(err, streams.ErrInvalid) {
			t.Errorf("without places for it: %v", err)
		}
		if err := x.Close(); err != nil {
			t.Error(err)
		}
		bad := &admission.Limits{}
		if _, err := streams.Open(h, streams.Options{}, streams.Handler{ID: echo, Limits: someLimits(), Waiting: bad, Serve: func(context.Context, *streams.Stream) error { return nil }}); !errors.Is(err, admission.ErrInvalid) {
			t.Errorf("places that are none: %v", err)
		}
	})
}
