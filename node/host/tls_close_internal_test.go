package host

import (
	"context"
	"crypto/rand"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/sec"
	libp2ptls "github.com/libp2p/go-libp2p/p2p/security/tls"
)

// stuckConn is a connection that takes no bytes from when it is told to until it is closed.
type stuckConn struct {
	net.Conn

	stuck   atomic.Bool
	entered chan struct{} // gets one for each write that waits
	closed  chan struct{}
	once    sync.Once
}

func (c *stuckConn) Write(b []byte) (int, error) {
	if !c.stuck.Load() {
		return c.Conn.Write(b)
	}
	c.entered <- struct{}{}
	<-c.closed
	return 0, net.ErrClosed
}

func (c *stuckConn) Close() error {
	c.once.Do(func() { close(c.closed) })
	return c.Conn.Close()
}

// securedPair returns one end of a connection over TCP that is secured with TLS, and what
// is below it.
func securedPair(t *testing.T) (client sec.SecureConn, below *stuckConn) {
	t.Helper()
	var ends [2]*tlsTransport
	var ids [2]peer.ID
	for i := range ends {
		key, _, err := crypto.GenerateEd25519Key(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		if ids[i], err = peer.IDFromPrivateKey(key); err != nil {
			t.Fatal(err)
		}
		if ends[i], err = newTLS(libp2ptls.ID, key, nil); err != nil {
			t.Fatal(err)
		}
	}
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	accepted := make(chan sec.SecureConn, 1)
	go func() {
		defer close(accepted)
		raw, err := l.Accept()
		if err != nil {
			t.Error(err)
			return
		}
		c, err := ends[1].SecureInbound(context.Background(), raw, ids[0])
		if err != nil {
			t.Error(err)
			return
		}
		accepted <- c
	}()
	var d net.Dialer
	raw, err := d.DialContext(t.Context(), "tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	below = &stuckConn{Conn: raw, entered: make(chan struct{}, 2), closed: make(chan struct{})}
	if client, err = ends[0].SecureOutbound(t.Context(), below, ids[1]); err != nil {
		t.Fatal(err)
	}
	server, ok := <-accepted
	if !ok {
		t.FailNow()
	}
	t.Cleanup(func() {
		_ = below.Close() // where the test did not
		_ = server.Close()
	})
	return client, below
}

// TestCloseWhileWriting closes a connection whose other end does not read, while records
// wait to be written: that is at once, as with TLS by itself.
func TestCloseWhileWriting(t *testing.T) {
	client, raw := securedPair(t)
	raw.stuck.Store(true)
	ended := make(chan error, 1)
	go func() {
		_, err := client.Write([]byte("to nobody"))
		ended <- err
	}()
	<-raw.entered
	closed := make(chan error, 1)
	go func() { closed <- client.Close() }()
	select {
	case err := <-closed:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(20 * time.Second):
		t.Error("the connection cannot be closed")
		_ = raw.Close()
	}
	if err := <-ended; err == nil {
		t.Error("the write succeeded")
	}
}
