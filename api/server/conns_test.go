package server_test

import (
	"bufio"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/decube/decube/api/server/servertest"
)

// Who holds connections open without asking anything keeps nobody out, and takes no more
// descriptors than there are for it.
func TestIdleConnectionsMakeRoom(t *testing.T) {
	cfg := servertest.Config()
	cfg.MaxConns = 4
	dir, url, stop := servertest.Run(t, servertest.New(t, new(servertest.Node), cfg))
	dial := func() net.Conn {
		t.Helper()
		conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", strings.TrimPrefix(url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		return conn
	}
	ask := func(conn net.Conn) error {
		if _, err := conn.Write([]byte("GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")); err != nil {
			return err
		}
		res, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err == nil {
			_ = res.Body.Close()
		}
		return err
	}
	ended := make(chan struct{}, 5*cfg.MaxConns)
	for i := range 5 * cfg.MaxConns {
		conn := dial()
		if i%2 == 0 { // the others never say anything
			if err := ask(conn); err != nil {
				t.Fatalf("the newcomer %d: %v", i, err)
			}
		}
		go func() {
			_, _ = conn.Read(make([]byte, 1)) // nothing comes any more
			ended <- struct{}{}
		}()
	}
	for i := range 4 * cfg.MaxConns {
		select {
		case <-ended:
		case <-time.After(15 * time.Second):
			t.Fatalf("%d connections have ended", i)
		}
	}
	if _, err := servertest.Dial(t, dir, "").Identity(t.Context()); err != nil {
		t.Errorf("over the socket: %v", err)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}
