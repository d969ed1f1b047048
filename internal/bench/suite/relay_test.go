package suite

import (
	"errors"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestRelayLimitsAndCounts(t *testing.T) {
	// A server that sends a fixed number of bytes and what it was sent.
	const size = 1 << 20
	listener, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // a test's own socket
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	go func() {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		word := make([]byte, 4)
		if _, err := io.ReadFull(conn, word); err == nil {
			_, _ = conn.Write(append(word, make([]byte, size)...))
		}
	}()
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	r, err := newRelay(t.Context(), "/ip4/127.0.0.1/tcp/"+port+"/p2p/peer", 4*size)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasSuffix(r.address, "/p2p/peer") || strings.Contains(r.address, port) {
		t.Errorf("address is %s", r.address)
	}
	started := time.Now()
	conn, err := net.Dial("tcp", "127.0.0.1:"+strings.Split(r.address, "/")[4]) //nolint:noctx // a test's own socket
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte("ping")); err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != size+4 || string(got[:4]) != "ping" || r.passed.Load() != size+4 {
		t.Errorf("%d bytes came, %d were counted, want %d", len(got), r.passed.Load(), size+4)
	}
	// One burst is free; the rest takes its time.
	if least := time.Duration(float64(size-relayBlock) / (4 * size) * float64(time.Second)); time.Since(started) < least {
		t.Errorf("1 MiB at 4 MiB/s took %v, want at least %v", time.Since(started), least)
	}
	if err := r.close(); err != nil {
		t.Error(err)
	}
}

func TestRelayCloseEndsConnections(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // a test's own socket
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	r, err := newRelay(t.Context(), "/ip4/127.0.0.1/tcp/"+port+"/p2p/peer", 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("tcp", "127.0.0.1:"+strings.Split(r.address, "/")[4]) //nolint:noctx // a test's own socket
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := listener.Accept(); err != nil {
		t.Fatal(err)
	}
	if err := r.close(); err != nil {
		t.Error(err)
	}
	if _, err := io.ReadAll(conn); err != nil && !errors.Is(err, syscall.ECONNRESET) {
		t.Error(err)
	}
}

func TestRelayRefusesOtherAddresses(t *testing.T) {
	for _, a := range []string{"", "/ip4/127.0.0.1/udp/1/quic-v1/p2p/x", "/ip4/127.0.0.1/tcp/1"} {
		if _, err := newRelay(t.Context(), a, 1<<20); err == nil {
			t.Errorf("%q was accepted", a)
		}
	}
}
