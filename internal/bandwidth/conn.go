package bandwidth

import (
	"net"
	"sync"
	"time"
)

// Conn is a connection whose bytes are those of a valve. What is read is read first and waits
// then, so that the other side's system notices that nobody reads on. While a write waits its
// deadline does too: it is for what the other side takes, which has not been asked yet.
type Conn struct {
	net.Conn

	valve *Valve

	mu      sync.Mutex
	writeBy time.Time // as it was set last, and moved
}

// NewConn returns a connection with a valve of its own, which Close ends.
func NewConn(c net.Conn, f *Valve) *Conn { return &Conn{Conn: c, valve: f} }

// Valve returns the connection's valve.
func (c *Conn) Valve() *Valve { return c.valve }

// Read implements net.Conn.
func (c *Conn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b[:min(len(b), c.valve.Step(Download))])
	if n > 0 && !c.valve.Pass(Download, n, nil) {
		c.valve.Owe(Download, n)
	}
	return n, err
}

// Write implements net.Conn. It writes in steps.
func (c *Conn) Write(b []byte) (n int, err error) {
	for {
		step := b[n:min(len(b), n+c.valve.Step(Upload))]
		if !c.wait(len(step)) {
			c.valve.Owe(Upload, len(step)) // it may be the goodbye
		}
		wrote, err := c.Conn.Write(step)
		n += wrote
		if err != nil || n == len(b) {
			return n, err
		}
	}
}

// wait waits for n bytes to be written, and moves the deadline by as long as that took.
func (c *Conn) wait(n int) bool {
	if c.valve.Try(Upload, n) {
		return true
	}
	c.mu.Lock()
	by := c.writeBy
	c.mu.Unlock()
	since := time.Now()
	if !c.valve.Pass(Upload, n, nil) {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if by.After(since) && by.Equal(c.writeBy) { // nobody has set another one, such as to end the write
		c.writeBy = by.Add(time.Since(since))
		_ = c.Conn.SetWriteDeadline(c.writeBy) // the write tells whether the connection is gone
	}
	return true
}

// SetDeadline implements net.Conn.
func (c *Conn) SetDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.writeBy = t
	return c.Conn.SetDeadline(t)
}

// SetWriteDeadline implements net.Conn.
func (c *Conn) SetWriteDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.writeBy = t
	return c.Conn.SetWriteDeadline(t)
}

// StopWaiting ends all waiting, before the connection says goodbye.
func (c *Conn) StopWaiting() { c.valve.End() }

// Close implements net.Conn. It ends all waiting.
func (c *Conn) Close() error {
	c.valve.End()
	return c.Conn.Close()
}
