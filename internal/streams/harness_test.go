package streams_test

import (
	"context"
	"errors"
	"io"
	"maps"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/decube/decube/internal/admission"
	"github.com/decube/decube/internal/limits"
	"github.com/decube/decube/internal/streams"
)

const (
	echo protocol.ID = "/echo/1"
	unit             = 64 << 10 // what an answer is measured in
)

// fakeHost hands streams to handlers, as libp2p does.
type fakeHost struct {
	mu       sync.Mutex
	handlers map[protocol.ID]network.StreamHandler
	scope    *fakeScope
	running  atomic.Int64 // streams that are being handled
}

func newHost(memory int64) *fakeHost {
	return &fakeHost{handlers: map[protocol.ID]network.StreamHandler{}, scope: &fakeScope{limit: memory}}
}

func (h *fakeHost) SetStreamHandler(id protocol.ID, f network.StreamHandler) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.handlers[id] = f
}

func (h *fakeHost) RemoveStreamHandler(id protocol.ID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.handlers, id)
}

// open opens a stream of a peer at an address.
func (h *fakeHost) open(t *testing.T, from, at string) *client {
	t.Helper()
	h.mu.Lock()
	handle := h.handlers[echo]
	h.mu.Unlock()
	near, far := net.Pipe()
	s := &fakeStream{pipe: far, scope: h.scope, conn: &fakeConn{peer: peer.ID(from), addr: ma.StringCast(at)}}
	c := &client{Conn: near, t: t, stream: s}
	if handle == nil {
		_ = far.Close()
		return c
	}
	go func() {
		h.running.Add(1)
		defer h.running.Add(-1)
		handle(s)
	}()
	return c
}

type fakeConn struct {
	network.Conn

	peer peer.ID
	addr ma.Multiaddr
}

func (c *fakeConn) RemotePeer() peer.ID           { return c.peer }
func (c *fakeConn) RemoteMultiaddr() ma.Multiaddr { return c.addr }

// fakeStream is a stream over a pipe. What is written to it waits until it is read.
type fakeStream struct {
	pipe  net.Conn
	scope *fakeScope
	conn  *fakeConn

	mu   sync.Mutex
	code network.StreamErrorCode
}

func (s *fakeStream) Read(b []byte) (int, error)         { return s.pipe.Read(b) }
func (s *fakeStream) Write(b []byte) (int, error)        { return s.pipe.Write(b) }
func (s *fakeStream) Close() error                       { return s.pipe.Close() }
func (s *fakeStream) CloseWrite() error                  { return nil }
func (s *fakeStream) SetDeadline(t time.Time) error      { return s.pipe.SetDeadline(t) }
func (s *fakeStream) SetReadDeadline(t time.Time) error  { return s.pipe.SetReadDeadline(t) }
func (s *fakeStream) SetWriteDeadline(t time.Time) error { return s.pipe.SetWriteDeadline(t) }
func (s *fakeStream) ID() string                         { return "" }
func (s *fakeStream) Protocol() protocol.ID              { return echo }
func (s *fakeStream) SetProtocol(protocol.ID) error      { return nil }
func (s *fakeStream) Stat() network.Stats                { return network.Stats{} }
func (s *fakeStream) Conn() network.Conn                 { return s.conn }
func (s *fakeStream) CloseRead() error                   { return nil }
func (s *fakeStream) Scope() network.StreamScope         { return s.scope }
func (s *fakeStream) Reset() error                       { return s.pipe.Close() }

func (s *fakeStream) ResetWithError(code network.StreamErrorCode) error {
	s.mu.Lock()
	if s.code == network.StreamNoError {
		s.code = code
	}
	s.mu.Unlock()
	return s.pipe.Close()
}

// fakeScope has memory, shared by all streams.
type fakeScope struct {
	network.StreamScope

	mu          sync.Mutex
	used, limit int64
	service     string
}

// SetService refuses one service alone.
func (s *fakeScope) SetService(name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if name == "full" {
		return network.ErrResourceLimitExceeded
	}
	s.service = name
	return nil
}

func (s *fakeScope) ReserveMemory(n int, priority uint8) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.used+int64(n) > s.limit*(1+int64(priority))/256 {
		return network.ErrResourceLimitExceeded
	}
	s.used += int64(n)
	return nil
}

func (s *fakeScope) ReleaseMemory(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.used -= int64(n)
}

func (s *fakeScope) inUse() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.used
}

// client is the other side of a stream.
type client struct {
	net.Conn

	t      *testing.T
	stream *fakeStream
}

// ask asks for an answer of so many units, and reads it.
func (c *client) ask(units byte) {
	c.t.Helper()
	if _, err := c.Write([]byte{units}); err != nil {
		c.t.Fatalf("asking: %v", err)
	}
	c.take(int(units) * unit)
}

// take reads so many bytes.
func (c *client) take(n int) {
	c.t.Helper()
	if _, err := io.ReadFull(c, make([]byte, n)); err != nil {
		c.t.Fatalf("reading %d bytes: %v", n, err)
	}
}

// ended returns all that comes until the stream ends.
func (c *client) ended() string {
	c.t.Helper()
	b, err := io.ReadAll(c)
	if err != nil {
		c.t.Errorf("reading to the end: %v", err)
	}
	return string(b)
}

// code returns what the stream was reset with.
func (c *client) code() network.StreamErrorCode {
	c.stream.mu.Lock()
	defer c.stream.mu.Unlock()
	return c.stream.code
}

// counts counts what happens.
type counts struct {
	mu sync.Mutex
	n  map[string]int
}

func (c *counts) add(what string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.n == nil {
		c.n = map[string]int{}
	}
	c.n[what]++
}

func (c *counts) Served(protocol.ID, peer.ID) { c.add("served") }

func (c *counts) Ended(_ protocol.ID, _ peer.ID, r admission.Reason) { c.add("ended " + r.String()) }

func (c *counts) Refused(_ protocol.ID, _ peer.ID, r admission.Reason) {
	c.add("refused " + r.String())
}

// want fails unless exactly this has happened.
func (c *counts) want(t *testing.T, want map[string]int) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	if !maps.Equal(c.n, want) {
		t.Errorf("%v, want %v", c.n, want)
	}
}

// server is a host that serves echo: for each byte that comes, so many units.
type server struct {
	*fakeHost
	*streams.Streams

	counts counts
	serve  func(context.Context, *streams.Stream) error
	mu     sync.Mutex
	errs   []error // of streams that have ended
}

// someLimits has 8 places, 4 of a prefix and 2 of an address; 2 are reserved.
func someLimits() admission.Limits {
	return admission.For(limits.Row{Streams: 8, PerPeer: 2, Memory: 8 * unit})
}

func serve(t *testing.T, l admission.Limits, o streams.Options) *server {
	t.Helper()
	return serveWith(t, l, o, func(ctx context.Context, s *streams.Stream) error { return answers(ctx, s, func() {}) })
}

// serveWith has something else serve.
func serveWith(t *testing.T, l admission.Limits, o streams.Options, f func(context.Context, *streams.Stream) error) *server {
	t.Helper()
	s := &server{fakeHost: newHost(l.Bytes), serve: f}
	if o.Observer == nil {
		o.Observer = &s.counts
	}
	var err error
	s.Streams, err = streams.Open(s.fakeHost, o, streams.Handler{
		ID: echo, Limits: l, Waiting: waiting(), Refuse: func(c admission.Code) []byte { return []byte(c.Reason.String()) }, Serve: s.answer,
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// waiting has 4 places, of which 1 is reserved, and 2 of a peer.
func waiting() *admission.Limits {
	l := admission.For(limits.Row{Streams: 4, PerPeer: 2, Memory: 8 * unit})
	l.PerAddr, l.PerPrefix = 4, 4
	return &l
}

// answer serves a stream.
func (s *server) answer(ctx context.Context, stream *streams.Stream) error {
	err := s.serve(ctx, stream)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.errs = append(s.errs, err)
	return err
}

// answers sends for each byte that comes so many units, and calls something while memory
// is reserved for them.
func answers(ctx context.Context, stream *streams.Stream, reserved func()) error {
	for {
		b := make([]byte, 1)
		if _, err := io.ReadFull(stream, b); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if b[0] == '+' { // more of the request is to come
			continue
		}
		stream.Asked()
		n := int(b[0]) * unit
		if n > 0 {
			if err := stream.Reserve(ctx, n); err != nil {
				return err
			}
			reserved()
		}
		if _, err := stream.Write(make([]byte, n)); err != nil {
			return err
		}
		stream.Release(n)
		stream.Answered()
	}
}

// shut closes the server, and looks whether anything is left.
func (s *server) shut(t *testing.T) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if n := s.scope.inUse(); n != 0 {
		t.Errorf("%d bytes are reserved at the end", n)
	}
}

// acquaintances are peers of whom something is known, and noted. It is safe for concurrent use.
type acquaintances struct {
	members map[peer.ID]bool

	mu                sync.Mutex
	mistakes, refused map[peer.ID]int
}

func (a *acquaintances) Class(p peer.ID) admission.Class {
	if a.members[p] {
		return admission.Member
	}
	return admission.Stranger
}

func (a *acquaintances) Mistake(p peer.ID)      { a.note(&a.mistakes, p) }
func (a *acquaintances) Refused(c network.Conn) { a.note(&a.refused, c.RemotePeer()) }

func (a *acquaintances) note(all *map[peer.ID]int, p peer.ID) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if *all == nil {
		*all = map[peer.ID]int{}
	}
	(*all)[p]++
}
