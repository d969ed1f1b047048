package host

import (
	"context"
	"net"
	"sync"

	pool "github.com/libp2p/go-buffer-pool"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/core/sec"
	tptu "github.com/libp2p/go-libp2p/p2p/net/upgrader"
	libp2ptls "github.com/libp2p/go-libp2p/p2p/security/tls"
)

// tlsTransport is libp2p's TLS over a connection that gathers records: crypto/tls
// makes a system call for each of 16 KiB and for what it reads of one, which costs
// more than the encryption. What peers see of each other is the same.
type tlsTransport struct{ *libp2ptls.Transport }

func newTLS(id protocol.ID, key crypto.PrivKey, muxers []tptu.StreamMuxer) (*tlsTransport, error) {
	t, err := libp2ptls.New(id, key, muxers)
	if err != nil {
		return nil, err
	}
	return &tlsTransport{t}, nil
}

// SecureInbound implements sec.SecureTransport.
func (t *tlsTransport) SecureInbound(ctx context.Context, insecure net.Conn, p peer.ID) (sec.SecureConn, error) {
	g := &gatheringConn{Conn: insecure}
	c, err := t.Transport.SecureInbound(ctx, g, p)
	return gathered(c, g, err)
}

// SecureOutbound implements sec.SecureTransport.
func (t *tlsTransport) SecureOutbound(ctx context.Context, insecure net.Conn, p peer.ID) (sec.SecureConn, error) {
	g := &gatheringConn{Conn: insecure}
	c, err := t.Transport.SecureOutbound(ctx, g, p)
	return gathered(c, g, err)
}

func gathered(c sec.SecureConn, g *gatheringConn, err error) (sec.SecureConn, error) {
	if err != nil {
		return nil, err
	}
	return &tlsConn{SecureConn: c, raw: g}, nil
}

// tlsConn is a connection whose Write sends all records that it makes at once.
type tlsConn struct {
	sec.SecureConn

	raw *gatheringConn
}

// Write implements net.Conn. After an error the connection is broken, as it is with
// TLS: a record may have been sent in part.
func (c *tlsConn) Write(b []byte) (int, error) {
	c.raw.hold()
	n, err := c.SecureConn.Write(b)
	if flushed := c.raw.flush(); err == nil && flushed != nil {
		return 0, flushed
	}
	return n, err
}

// Close implements net.Conn. TLS says goodbye before it closes a connection, but not
// where that would wait for a Write to end: what it sees of ours is over before the
// bytes are out. Nor does it wait where the connection's bytes are bounded.
func (c *tlsConn) Close() error {
	if c.raw.busy() {
		return c.raw.Close()
	}
	if w, ok := c.raw.Conn.(interface{ StopWaiting() }); ok {
		w.StopWaiting()
	}
	return c.SecureConn.Close()
}

const (
	// smallRead is what is read at a time of a connection that little comes over:
	// enough for a TLS record of a few messages.
	smallRead = 4 << 10
	// largeRead is the same of one that much comes over.
	largeRead = 128 << 10
	// mostHeld is how much is gathered before it is written: a frame of yamux in
	// records of TLS, with room to spare.
	mostHeld = 80 << 10
)

// gatheringConn reads ahead and, while it is held, writes behind. Reading and writing
// are independent of each other. It has no buffers while nothing is under way but a
// small one for reading, so that idle connections cost little.
type gatheringConn struct {
	net.Conn

	// Of the one goroutine that reads.
	in      []byte // from the pool, nil while there is none
	unread  []byte // of in
	readBig bool   // the last read filled its buffer

	writing sync.Mutex
	holders int
	held    []byte // from the pool, nil while there is none
	failed  error  // of a write
}

// Read implements net.Conn.
func (g *gatheringConn) Read(b []byte) (int, error) {
	if len(g.unread) == 0 {
		if err := g.fill(); err != nil {
			return 0, err
		}
	}
	n := copy(b, g.unread)
	g.unread = g.unread[n:]
	return n, nil
}

// fill reads what has come, into a large buffer when much does.
func (g *gatheringConn) fill() error {
	size := smallRead
	if g.readBig {
		size = largeRead
	}
	if len(g.in) != size {
		if g.in != nil {
			pool.Put(g.in)
		}
		g.in = pool.Get(size)
	}
	n, err := g.Conn.Read(g.in)
	g.unread = g.in[:n]
	g.readBig = n >= smallRead
	if n > 0 {
		return nil // an error comes again
	}
	return err
}

// hold begins to gather what is written.
func (g *gatheringConn) hold() {
	g.writing.Lock()
	defer g.writing.Unlock()
	g.holders++
}

// flush writes what was gathered, and ends gathering when nobody else holds.
func (g *gatheringConn) flush() error {
	g.writing.Lock()
	defer g.writing.Unlock()
	g.holders--
	g.writeHeld()
	return g.failed
}

// busy reports whether something is gathered or being written.
func (g *gatheringConn) busy() bool {
	if !g.writing.TryLock() {
		return true
	}
	defer g.writing.Unlock()
	return g.holders > 0
}

// Write implements net.Conn. While the connection is held, an error may come with a
// later call.
func (g *gatheringConn) Write(b []byte) (int, error) {
	g.writing.Lock()
	defer g.writing.Unlock()
	if g.holders == 0 || len(b) > mostHeld {
		g.writeHeld()
		if g.failed != nil {
			return 0, g.failed
		}
		n, err := g.Conn.Write(b)
		g.failed = err
		return n, err
	}
	if len(g.held)+len(b) > mostHeld {
		g.writeHeld()
	}
	if g.failed != nil {
		return 0, g.failed
	}
	if g.held == nil {
		g.held = pool.Get(mostHeld)[:0]
	}
	g.held = append(g.held, b...)
	return len(b), nil
}

// writeHeld writes what was gathered, and gives the buffer back.
func (g *gatheringConn) writeHeld() {
	if g.held == nil {
		return
	}
	if g.failed == nil && len(g.held) > 0 {
		_, g.failed = g.Conn.Write(g.held)
	}
	pool.Put(g.held)
	g.held = nil
}
