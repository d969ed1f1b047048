package exchange

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"golang.org/x/sync/errgroup"

	"github.com/decube/decube/internal/wire"
)

// server serves the streams that other peers open.
type server struct {
	x         *Exchange
	manifests *manifests

	mu      sync.Mutex
	ended   bool
	streams map[peer.ID]int
	total   int
	wg      sync.WaitGroup
}

func newServer(x *Exchange) *server {
	return &server{
		x:         x,
		manifests: newManifests(x.store, x.load, x.cfg.Limits),
		streams:   make(map[peer.ID]int),
	}
}

// enter admits one more stream of p, unless there are too many.
func (s *server) enter(p peer.ID) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch l := s.x.cfg.Limits; {
	case s.ended, s.total >= l.Streams, s.streams[p] >= l.StreamsPerPeer:
		return codeBusy
	}
	s.total++
	s.streams[p]++
	s.wg.Add(1)
	return nil
}

func (s *server) leave(p peer.ID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.total--
	if s.streams[p]--; s.streams[p] == 0 {
		delete(s.streams, p)
	}
	s.wg.Done()
}

// wait returns when every stream has ended. None begins any more.
func (s *server) wait() {
	s.mu.Lock()
	s.ended = true
	s.mu.Unlock()
	s.wg.Wait()
}

// handler returns the stream handler; the streams end with ctx.
func (s *server) handler(ctx context.Context) network.StreamHandler {
	return func(stream network.Stream) {
		if err := s.handle(ctx, stream); err != nil {
			s.x.log.Debug("stream ended", "peer", stream.Conn().RemotePeer().String(), "err", err)
		}
	}
}

// handle serves one stream: attach to the service, be admitted, reserve memory,
// and only then read.
func (s *server) handle(ctx context.Context, stream network.Stream) error {
	if err := stream.Scope().SetService(ServiceName); err != nil {
		return errors.Join(err, stream.Reset())
	}
	from := stream.Conn().RemotePeer()
	if err := s.enter(from); err != nil {
		return errors.Join(err, s.refuse(stream))
	}
	defer s.leave(from)
	if err := stream.Scope().ReserveMemory(MaxRequest, network.ReservationPriorityAlways); err != nil {
		return errors.Join(err, s.refuse(stream))
	}
	defer stream.Scope().ReleaseMemory(MaxRequest)

	err := s.serve(ctx, stream)
	if err != nil {
		return errors.Join(err, stream.Reset())
	}
	return stream.Close()
}

// refuse tells the client to come back later, without reading what it asks.
func (s *server) refuse(stream network.Stream) error {
	if err := stream.SetDeadline(time.Now().Add(s.x.cfg.Limits.RequestTimeout)); err != nil {
		return errors.Join(err, stream.Reset())
	}
	if _, err := stream.Write(appendAnswer(nil, answer{kind: tellError, code: codeBusy})); err != nil {
		return errors.Join(err, stream.Reset())
	}
	return stream.Close()
}

// serving is one stream: requests are read, blocks are read from the store, and
// answers are written by a goroutine each.
type serving struct {
	*server
	stream   network.Stream
	requests chan request
	answers  chan *outgoing
	waiting  atomic.Int64 // requests that are not fully answered

	mu   sync.Mutex
	keep map[uint64]int // blocks to answer, of requests that wait
}

func (s *server) serve(ctx context.Context, stream network.Stream) error {
	v := &serving{
		server:   s,
		stream:   stream,
		requests: make(chan request, s.x.cfg.Limits.Requests),
		answers:  make(chan *outgoing, s.x.cfg.Limits.ReadAhead-1),
		keep:     make(map[uint64]int),
	}
	g, ctx := errgroup.WithContext(ctx)
	stop := context.AfterFunc(ctx, func() { _ = stream.Reset() }) // wakes the reader and the writer
	defer stop()
	g.Go(func() error { return v.readRequests(ctx) })
	g.Go(func() error { return v.produce(ctx) })
	g.Go(func() error { return v.write(ctx) })
	return g.Wait()
}

// readRequests queues requests until the client has no more.
func (v *serving) readRequests(ctx context.Context) error {
	defer close(v.requests)
	r := bufio.NewReaderSize(v.stream, 4<<10)
	var buf []byte
	last := uint64(0)
	for {
		if err := v.awaitRequest(r); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
		if err := v.stream.SetReadDeadline(time.Now().Add(v.x.cfg.Limits.RequestTimeout)); err != nil {
			return err
		}
		body, err := wire.ReadFrame(r, MaxRequest, buf)
		if err != nil {
			return fmt.Errorf("read request: %w", err)
		}
		buf = body[:0]
		req, err := parseRequest(body)
		if err != nil {
			return fmt.Errorf("read request: %w", err)
		}
		if req.kind == askKeep {
			v.trim(req.id, req.keep)
			continue
		}
		if req.id <= last {
			return fmt.Errorf("read request: %w: id %d after %d", wire.ErrMalformed, req.id, last)
		}
		last = req.id
		v.accept(req)
		select {
		case v.requests <- req:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// awaitRequest returns when a request begins. The client may be silent for as
// long as it is being answered, and for IdleTimeout after that.
func (v *serving) awaitRequest(r *bufio.Reader) error {
	for {
		if err := v.stream.SetReadDeadline(time.Now().Add(v.x.cfg.Limits.IdleTimeout)); err != nil {
			return err
		}
		_, err := r.Peek(1)
		if err == nil || !isTimeout(err) || v.waiting.Load() == 0 {
			return err
		}
	}
}

func isTimeout(err error) bool {
	var n net.Error
	return errors.As(err, &n) && n.Timeout()
}

func (v *serving) accept(req request) {
	v.waiting.Add(1)
	v.mu.Lock()
	defer v.mu.Unlock()
	v.keep[req.id] = MaxOrdinals
}

func (v *serving) trim(id uint64, keep int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if now, waits := v.keep[id]; waits {
		v.keep[id] = min(now, keep)
	}
}

func (v *serving) kept(id uint64) int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.keep[id]
}

func (v *serving) answered(id uint64) {
	v.mu.Lock()
	defer v.mu.Unlock()
	delete(v.keep, id)
}
