package streams

import (
	"net"
	"sync"

	"github.com/decube/decube/internal/admission"
)

// smallWrite is the most that is written of a connection without a turn: what it says of
// itself, such as how much more it takes, and messages of a few words, which cost little and
// are waited for by somebody.
const smallWrite = 1 << 10

// conn is a connection whose writes take turns.
type conn struct {
	net.Conn

	turns *Turns
	who   admission.Holder
	class func() admission.Class

	writing sync.Mutex // held by who writes
	told    chan struct{}
	gone    chan struct{}

	mu     sync.Mutex
	seat   admission.Seat // 0 while there is none
	closed bool
}

// Conn returns a connection whose writes take turns with those of the others: it is put
// above what encrypts and below what multiplexes, for that and the system's part is what it
// costs to send. Class is asked again and again, since who has a role has it from some time
// on. Deadlines are for what the other side takes, and not for waiting; the caller closes
// what is returned in place of the connection.
func (t *Turns) Conn(over net.Conn, peer string, origin admission.Origin, class func() admission.Class) net.Conn {
	return &conn{
		Conn: over, turns: t, who: admission.Holder{Peer: peer, Origin: origin}, class: class,
		told: make(chan struct{}, 1), gone: make(chan struct{}),
	}
}

// Write implements net.Conn.
func (c *conn) Write(b []byte) (int, error) {
	if len(b) <= smallWrite {
		return c.Conn.Write(b)
	}
	c.writing.Lock()
	defer c.writing.Unlock()
	seat := c.sit()
	taken, err := c.turns.wait(ask{seat: seat, bytes: int64(len(b)), told: c.told, gone: c.gone})
	if err != nil {
		c.turns.leave(seat) // Close may have left it before it was asked for
		return 0, net.ErrClosed
	}
	if taken {
		defer c.turns.done(seat)
	}
	return c.Conn.Write(b)
}

// sit returns the seat of the class that the peer has now.
func (c *conn) sit() admission.Seat {
	class := c.class()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || (c.seat != 0 && class == c.who.Class) {
		return c.seat
	}
	c.turns.leave(c.seat)
	c.who.Class = class
	c.seat = c.turns.join(c.who)
	return c.seat
}

// Close implements net.Conn. Who waits for a turn is woken.
func (c *conn) Close() error {
	c.mu.Lock()
	if !c.closed {
		c.closed = true
		close(c.gone)
		c.turns.leave(c.seat)
	}
	c.mu.Unlock()
	return c.Conn.Close()
}
