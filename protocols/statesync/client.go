package statesync

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"golang.org/x/sync/semaphore"

	"github.com/decube/decube/internal/streams"
	"github.com/decube/decube/internal/wire"
)

// allocateAhead is the most memory in bytes that is taken for an item ahead of the
// bytes that fill it.
const allocateAhead = 256 << 10

// client is the asking side of one stream. It is used by one goroutine.
type client struct {
	s      *Sync
	stream network.Stream
	kind   ask
	most   int // bytes of an item
	r      *bufio.Reader
	armed  bool // the deadline is that of the message being read
	got    int  // bytes since it was set
	stop   func() bool
	done   func() // it is not asked any more
}

// slots counts the requests of a kind.
func (s *Sync) slots(kind ask) *semaphore.Weighted {
	if kind.waits() {
		return s.waiting
	}
	return s.requests
}

// open connects to a peer and sends a request. The stream ends with ctx.
func (s *Sync) open(ctx context.Context, p peer.ID, r request) (*client, error) {
	slots := s.slots(r.kind)
	if err := slots.Acquire(ctx, 1); err != nil {
		return nil, err
	}
	done := streams.Asking(s.o.Peers, p)
	c, err := s.openStream(ctx, p, r)
	if err != nil {
		done()
		slots.Release(1)
		return nil, err
	}
	c.done = done
	return c, nil
}

func (s *Sync) openStream(ctx context.Context, p peer.ID, r request) (*client, error) {
	dial, cancel := context.WithTimeout(network.WithAllowLimitedConn(ctx, ServiceName), s.o.Limits.DialTimeout)
	defer cancel()
	stream, err := s.host.NewStream(dial, p, ID)
	if err != nil {
		return nil, fmt.Errorf("open stream to %s: %w", p, err)
	}
	c := &client{s: s, stream: stream, kind: r.kind, most: r.maxItem()}
	c.r = bufio.NewReaderSize(c, readBuffer)
	if err := stream.Scope().SetService(ServiceName); err != nil {
		return nil, errors.Join(fmt.Errorf("open stream to %s: %w", p, err), stream.Reset())
	}
	if err := stream.Scope().ReserveMemory(perStream, network.ReservationPriorityAlways); err != nil {
		return nil, errors.Join(fmt.Errorf("open stream to %s: %w", p, err), stream.Reset())
	}
	c.stop = context.AfterFunc(ctx, func() { _ = stream.Reset() }) // wakes whoever reads or writes
	if err := c.ask(r); err != nil {
		c.release()
		return nil, fmt.Errorf("ask %s: %w", p, err)
	}
	return c, nil
}

func (c *client) ask(r request) error {
	if err := c.stream.SetWriteDeadline(time.Now().Add(c.s.o.Limits.StallTimeout)); err != nil {
		return err
	}
	_, err := c.stream.Write(encodeRequest(r))
	return err
}

// close ends the stream, read to its end or not.
func (c *client) close() {
	c.release()
	c.done()
	c.s.slots(c.kind).Release(1)
}

func (c *client) release() {
	c.stop()
	_ = c.stream.Reset() // a stream that is gone already is what is wanted
	c.stream.Scope().ReleaseMemory(perStream)
}

// next reads messages up to the next that is not an ALIVE, with the bytes that
// follow it. An ERROR is returned as its sentinel.
func (c *client) next(ctx context.Context) (answer, []byte, error) {
	for {
		a, data, err := c.message()
		switch {
		case err != nil && ctx.Err() != nil:
			return answer{}, nil, ctx.Err()
		case err != nil:
			return answer{}, nil, stalled(err)
		case a.kind == tellError:
			return answer{}, nil, sentinels[a.code]
		case a.kind == tellAlive && !c.kind.waits():
			return answer{}, nil, malformed("a sign of life instead of an answer")
		case a.kind != tellAlive:
			return a, data, nil
		}
	}
}

func (c *client) message() (answer, []byte, error) {
	c.armed = false // what the caller did since the last message was not the peer's delay
	a, err := readAnswer(c.r, c.most)
	if err != nil || a.length == 0 {
		return a, nil, err
	}
	if a.length > small {
		if err := c.stream.Scope().ReserveMemory(a.length, network.ReservationPriorityAlways); err != nil {
			return answer{}, nil, err
		}
		defer c.stream.Scope().ReleaseMemory(a.length)
	}
	data, err := wire.ReadBytes(c.r, a.length, make([]byte, 0, min(a.length, allocateAhead)))
	if err == nil && a.kind == tellItem {
		c.s.o.Observer.Fetched(c.stream.Conn().RemotePeer(), a.length)
	}
	return a, data, err
}

// Read reads from the stream, whose deadline moves on with each message and as
// bytes arrive.
func (c *client) Read(b []byte) (int, error) {
	if !c.armed || c.got >= c.s.o.Limits.MinProgress {
		if err := c.stream.SetReadDeadline(time.Now().Add(c.s.o.Limits.StallTimeout)); err != nil {
			return 0, err
		}
		c.armed, c.got = true, 0
	}
	n, err := c.stream.Read(b)
	c.got += n
	return n, err
}

// stalled makes a missed deadline an ErrStalled.
func stalled(err error) error {
	if n, ok := errors.AsType[net.Error](err); ok && n.Timeout() {
		return fmt.Errorf("%w: %w", ErrStalled, err)
	}
	return err
}
