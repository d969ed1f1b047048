package streams_test

import (
	"context"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/network"

	"github.com/decube/decube/internal/admission"
	"github.com/decube/decube/internal/streams"
)

// once reads a byte, and answers with what a function writes.
func once(write func(context.Context, *streams.Stream) error) func(context.Context, *streams.Stream) error {
	return func(ctx context.Context, s *streams.Stream) error {
		if _, err := io.ReadFull(s, make([]byte, 1)); err != nil {
			return err
		}
		s.Asked()
		defer s.Answered()
		return write(ctx, s)
	}
}

// What a client sends while it is to read does not count as reading.
func TestWhoSendsAndDoesNotRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := serveWith(t, someLimits(), streams.Options{}, once(func(_ context.Context, s *streams.Stream) error {
			read := make(chan error)
			go func() {
				_, err := io.Copy(io.Discard, s)
				read <- err
			}()
			_, err := s.Write(make([]byte, unit))
			return errors.Join(err, <-read)
		}))
		c := s.open(t, "a", at(1, 1))
		c.write(1)
		for range 29 {
			time.Sleep(time.Second)
			if _, err := c.Write(make([]byte, unit)); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if c.code() != network.StreamRateLimited {
			t.Errorf("after 30 s it has %v", c.code())
		}
		s.shut(t)
	})
}

// What this peer takes its time for is not its client's fault.
func TestWhatIsOurs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := serveWith(t, someLimits(), streams.Options{}, once(func(_ context.Context, s *streams.Stream) error {
			for range 3 {
				if _, err := s.Write(make([]byte, 1)); err != nil {
					return err
				}
				time.Sleep(time.Hour)
			}
			return nil
		}))
		c := s.open(t, "a", at(1, 1))
		c.write(1)
		c.take(3)
		if c.ended(); c.code() != network.StreamNoError {
			t.Errorf("it has %v", c.code())
		}
		s.shut(t)
	})
}

// Who reads slowly, and not too slowly, stays while others wait.
func TestWhoReadsInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := someLimits()
		l.Places, l.Reserved = 2, 1
		l.PerAddr, l.PerPrefix = 1, 1
		s := serve(t, l, streams.Options{})
		c := s.open(t, "a", at(1, 1))
		c.write(4)
		for range 4 {
			time.Sleep(10 * time.Second)
			if got := s.open(t, "b", at(2, 1)).ended(); got != "stranger" {
				t.Errorf("one too many was told %q", got)
			}
			c.take(unit)
		}
		synctest.Wait()
		if c.code() != network.StreamNoError {
			t.Errorf("it has %v", c.code())
		}
		s.shut(t)
	})
}

// Memory that libp2p does not grant is not counted as granted.
func TestMemoryThatIsNotThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s *server
		s = serveWith(t, someLimits(), streams.Options{}, once(func(ctx context.Context, stream *streams.Stream) error {
			for range 3 {
				if err := stream.Reserve(ctx, 4*unit); !errors.Is(err, streams.ErrMemory) {
					t.Errorf("libp2p has none, and there is %v", err)
				}
			}
			s.scope.ReleaseMemory(6 * unit)
			if err := stream.Reserve(ctx, 4*unit); err != nil {
				t.Error(err)
			}
			stream.Release(unit)
			stream.Release(100 * unit)
			stream.Release(1)
			if n := s.scope.inUse(); n != 0 {
				t.Errorf("%d bytes are reserved after all was released", n)
			}
			return nil
		}))
		if err := s.scope.ReserveMemory(6*unit, network.ReservationPriorityAlways); err != nil {
			t.Fatal(err)
		}
		c := s.open(t, "a", at(1, 1))
		c.write(1)
		c.ended()
		s.shut(t)
	})
}

// A stream that loses its place while it waits for its turn leaves it to others.
func TestATurnThatIsNotTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := turns(t, admission.Pace{Step: unit, Under: 1, Hold: time.Hour, Rate: admission.Unbounded})
		s, other := serve(t, roomy(), streams.Options{Turns: shared}), serve(t, roomy(), streams.Options{Turns: shared})
		holds, waits, next := s.open(t, "a", at(1, 1)), other.open(t, "b", at(2, 1)), s.open(t, "c", at(3, 1))
		holds.write(1)
		synctest.Wait()
		waits.write(1)
		synctest.Wait()
		next.write(1)
		synctest.Wait()
		began := time.Now()
		other.shut(t)
		holds.take(unit)
		next.take(unit)
		if took := time.Since(began); took > 0 {
			t.Errorf("the next one has its turn after %v", took)
		}
		s.shut(t)
	})
}

func TestStopping(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := serveWith(t, someLimits(), streams.Options{}, once(func(ctx context.Context, s *streams.Stream) error {
			if s.Peer() != "a" || s.Conn().RemotePeer() != "a" || s.Address().String() != "198.51.1.2" || s.Class() != admission.Stranger {
				t.Errorf("%q at %v is a %v", s.Peer(), s.Address(), s.Class())
			}
			select {
			case <-s.Stopping():
				_, err := s.Write([]byte("bye"))
				return err
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}))
		c := s.open(t, "a", at(1, 2))
		c.write(1)
		synctest.Wait()
		drained := make(chan error)
		go func() { drained <- s.Drain(t.Context()) }()
		if got := c.ended(); got != "bye" {
			t.Errorf("an answer that goes on ends with %q", got)
		}
		if err := <-drained; err != nil {
			t.Error(err)
		}
		s.shut(t)
	})
}

// A message that asks for nothing does not have the next one wait for its time.
func TestMessagesThatAskForNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := serveWith(t, someLimits(), streams.Options{}, func(_ context.Context, s *streams.Stream) error {
			for {
				if _, err := io.ReadFull(s, make([]byte, 1)); err != nil {
					return err
				}
				s.Heard()
			}
		})
		c := s.open(t, "a", at(1, 1))
		for range 3 {
			c.write(1)
			time.Sleep(59 * time.Second)
		}
		if c.code() != network.StreamNoError {
			t.Errorf("who says something each minute has %v", c.code())
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if c.code() != network.StreamRateLimited {
			t.Errorf("who says nothing for a minute has %v", c.code())
		}
		s.shut(t)
	})
}

// A protocol with several goroutines wakes them.
func TestResetWakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		failed := errors.New("failed")
		s := serveWith(t, someLimits(), streams.Options{}, once(func(_ context.Context, s *streams.Stream) error {
			read := make(chan error)
			go func() {
				_, err := s.Read(make([]byte, 1))
				read <- err
			}()
			synctest.Wait()
			s.Reset()
			if err := <-read; err == nil {
				t.Error("what is read after a reset is no error")
			}
			return failed
		}))
		c := s.open(t, "a", at(1, 1))
		c.write(1)
		c.ended()
		synctest.Wait()
		if len(s.errs) != 1 || !errors.Is(s.errs[0], failed) {
			t.Errorf("%v", s.errs)
		}
		s.shut(t)
	})
}

func TestServices(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, want := range map[string]map[string]int{"room": {"served": 1}, "full": {"refused memory": 1}} {
			h, counts := newHost(1), &counts{}
			x, err := streams.Open(h, streams.Options{Observer: counts}, streams.Handler{
				ID: echo, Service: name, Limits: someLimits(), Serve: once(func(context.Context, *streams.Stream) error { return nil }),
			})
			if err != nil {
				t.Fatal(err)
			}
			h.open(t, "a", at(1, 1))
			synctest.Wait()
			counts.want(t, want)
			if err := x.Close(); err != nil {
				t.Error(err)
			}
		}
	})
}
