package server_test

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
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

// Who has no token and sends half a request, or reads no answers, does not hold a connection for
// long: as many as there may be would else keep out whoever has one.
func TestSlowStrangersAreCutOff(t *testing.T) {
	cfg := servertest.Config()
	cfg.HeaderTimeout = 100 * time.Millisecond
	_, url, stop := servertest.Run(t, servertest.New(t, new(servertest.Node), cfg))
	for name, request := range map[string]string{
		"half a body, no token":     "POST /v1/repo/gc HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n",
		"half a body, open path":    "GET /livez HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n",
		"half a body, wrong host":   "POST /v1/repo/gc HTTP/1.1\r\nHost: elsewhere\r\nContent-Length: 100\r\n\r\n",
		"half a chunk, no token":    "POST /v1/repo/gc HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n40\r\n",
		"answers that nobody reads": strings.Repeat("GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n", 1<<10),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", strings.TrimPrefix(url, "http://"))
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = conn.Close() }()
			if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
				t.Fatal(err)
			}
			for _, err = conn.Write([]byte(request)); err == nil && strings.HasPrefix(name, "answers"); {
				_, err = conn.Write([]byte(request))
			}
			if err == nil {
				_, err = io.Copy(io.Discard, conn)
			}
			if errors.Is(err, os.ErrDeadlineExceeded) {
				t.Error("the connection is held for as long as its client likes")
			}
		})
	}
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

// What a connection is used for without the token bounds nothing that is asked over it with the
// token later, such as a stream of events that goes on for hours.
func TestTheTokenEndsTheHurry(t *testing.T) {
	cfg := servertest.Config()
	cfg.HeaderTimeout = 50 * time.Millisecond
	_, url, stop := servertest.Run(t, servertest.New(t, new(servertest.Node), cfg))
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	answers := bufio.NewReader(conn)
	for _, request := range []string{
		"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n",
		"GET /v1/node HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer " + cfg.Token + "\r\n\r\n",
	} {
		if _, err := conn.Write([]byte(request)); err != nil {
			t.Fatal(err)
		}
		res, err := http.ReadResponse(answers, nil)
		if err != nil {
			t.Fatalf("%.20s: %v", request, err)
		}
		if _, err := io.Copy(io.Discard, res.Body); err != nil || res.StatusCode == http.StatusUnauthorized {
			t.Errorf("%.20s: status %d, %v", request, res.StatusCode, err)
		}
		_ = res.Body.Close()
		<-time.After(2 * cfg.HeaderTimeout) // until what was set for the first request has passed
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}
