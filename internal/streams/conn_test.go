package streams_test

import (
	"errors"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/network"

	"github.com/decube/decube/internal/admission"
	"github.com/decube/decube/internal/streams"
)

// line is a connection that takes a millisecond for a frame.
type line struct {
	net.Conn

	writing *atomic.Int64 // frames that are under way on all lines
	most    *atomic.Int64
	frames  atomic.Int64
	stuck   chan struct{} // nothing is taken until it is closed, unless it is nil
	closed  atomic.Bool
}

func (l *line) Write(b []byte) (int, error) {
	now := l.writing.Add(1)
	defer l.writing.Add(-1)
	if now > l.most.Load() {
		l.most.Store(now)
	}
	if l.stuck != nil {
		<-l.stuck
	}
	time.Sleep(time.Millisecond)
	l.frames.Add(1)
	return len(b), nil
}

func (l *line) Close() error {
	l.closed.Store(true)
	return nil
}

// lines makes lines whose writes take turns.
type lines struct {
	turns         *streams.Turns
	writing, most atomic.Int64
}

func newLines(t *testing.T) *lines {
	t.Helper()
	return &lines{turns: turns(t, admission.Pace{Step: 4 * unit, Under: 1, Hold: time.Hour, Linger: 10 * time.Microsecond, Rate: admission.Unbounded})}
}

// open returns a line to a peer in a prefix of its own, and the connection over it.
func (s *lines) open(prefix byte, class func() admission.Class) (*line, net.Conn) {
	l := &line{writing: &s.writing, most: &s.most}
	origin := admission.From(netip.AddrFrom4([4]byte{203, 0, prefix, 1}))
	return l, s.turns.Conn(l, string(prefix), origin, class)
}

func is(c admission.Class) func() admission.Class { return func() admission.Class { return c } }

// send writes frames to a connection until it is closed or ends.
func send(c net.Conn, frames int, all *sync.WaitGroup) {
	all.Go(func() {
		for range frames {
			if _, err := c.Write(make([]byte, unit)); err != nil {
				return
			}
		}
	})
}

// One frame is written at a time, and who comes is not behind all that others have to send.
func TestConnectionsTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newLines(t)
		var all sync.WaitGroup
		greedy, a := s.open(1, is(admission.Stranger))
		send(a, 1000, &all)
		time.Sleep(500 * time.Millisecond)
		modest, b := s.open(2, is(admission.Stranger))
		send(b, 1000, &all)
		before := greedy.frames.Load()
		time.Sleep(300 * time.Millisecond)
		// It was sent nothing so far, and has twice the weight until that is made up for.
		if n, of := modest.frames.Load(), greedy.frames.Load()-before; n < 190 || of < 90 {
			t.Errorf("of 300 frames who comes has %d, and who was there %d", n, of)
		}
		if n := s.most.Load(); n != 1 {
			t.Errorf("%d frames were written at a time", n)
		}
		_, _ = a.Close(), b.Close()
		all.Wait()
		if !greedy.closed.Load() || !modest.closed.Load() {
			t.Error("a connection was not closed")
		}
	})
}

// A role counts from when it is given on.
func TestConnectionsHaveTheClassOfNow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newLines(t)
		var class atomic.Int64
		var all sync.WaitGroup
		a, over := s.open(1, func() admission.Class { return admission.Class(class.Load()) })
		b, other := s.open(2, is(admission.Stranger))
		send(over, 10_000, &all)
		send(other, 10_000, &all)
		time.Sleep(time.Second)
		if n, of := a.frames.Load(), b.frames.Load(); n > of+10 || of > n+10 {
			t.Errorf("of two strangers one has %d frames, the other %d", n, of)
		}
		class.Store(int64(admission.Protected))
		n, of := a.frames.Load(), b.frames.Load()
		time.Sleep(time.Second)
		if n, of = a.frames.Load()-n, b.frames.Load()-of; n < 2*of-20 {
			t.Errorf("who has a role has %d frames, and a stranger %d", n, of)
		}
		_, _ = over.Close(), other.Close()
		all.Wait()
	})
}

// What a connection says of itself waits for nobody; who waits when its connection is closed
// is woken, and holds up nobody.
func TestWhatNeedsNoTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newLines(t)
		var all sync.WaitGroup
		first, a := s.open(1, is(admission.Stranger))
		first.stuck = make(chan struct{})
		send(a, 1, &all)
		synctest.Wait()
		second, b := s.open(2, is(admission.Stranger))
		if n, err := b.Write(make([]byte, 1024)); n != 1024 || err != nil || second.frames.Load() != 1 {
			t.Errorf("a small frame beside one that is stuck: %d, %v", n, err)
		}
		ended := make(chan error, 1)
		all.Go(func() {
			_, err := b.Write(make([]byte, 1025))
			ended <- err
		})
		synctest.Wait()
		if second.frames.Load() != 1 {
			t.Error("a large frame does not wait for its turn")
		}
		_, _ = b.Close(), b.Close()
		if err := <-ended; !errors.Is(err, net.ErrClosed) {
			t.Errorf("writing to a connection that was closed: %v", err)
		}
		if _, err := b.Write(make([]byte, unit)); !errors.Is(err, net.ErrClosed) {
			t.Errorf("writing after that: %v", err)
		}
		third, c := s.open(3, is(admission.Stranger))
		send(c, 1, &all)
		synctest.Wait()
		close(first.stuck)
		all.Wait()
		if third.frames.Load() != 1 {
			t.Error("the next one has had no turn")
		}
		_, _ = a.Close(), c.Close()
	})
}

// turners are strangers over connections whose writes take turns.
type turners struct{ streams.Strangers }

func (turners) Turning(network.Conn) bool { return true }

// Who is light needs no turn of a stream where its connection takes turns, and one where it
// does not.
func TestWhoIsLightNeedsNoTurnOfAStream(t *testing.T) {
	for _, peers := range []streams.Peers{streams.Strangers{}, turners{}} {
		synctest.Test(t, func(t *testing.T) {
			s := serve(t, roomy(), streams.Options{
				Peers: peers,
				Turns: turns(t, admission.Pace{Step: unit, Under: 1, Hold: time.Hour, Rate: admission.Unbounded}),
			})
			heavy := s.open(t, "heavy", at(1, 1))
			heavy.ask(50)
			heavy.write(1) // and does not read what it gets, so that its turn goes on
			synctest.Wait()
			light := s.open(t, "light", at(2, 1))
			light.write(1)
			synctest.Wait()
			served := make(chan struct{})
			go func() {
				light.take(unit)
				close(served)
			}()
			synctest.Wait()
			_, turning := peers.(streams.Turner)
			select {
			case <-served:
				if !turning {
					t.Error("it was sent something while it was another's turn")
				}
			default:
				if turning {
					t.Error("it waits for another's turn")
				}
			}
			heavy.take(unit)
			<-served
			s.shut(t)
		})
	}
}
