package exchange

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/decube/decube/internal/admission"
	"github.com/decube/decube/internal/streams"
	"github.com/decube/decube/internal/wire"
)

// server serves the streams that other peers open.
type server struct {
	x         *Exchange
	manifests *manifests
}

func newServer(x *Exchange) *server {
	return &server{x: x, manifests: newManifests(x.store, x.load, x.cfg.Limits)}
}

// Handler returns what serves the streams that other peers open.
func (x *Exchange) Handler() streams.Handler {
	return streams.Handler{
		ID: ID, Service: ServiceName, Limits: x.cfg.Limits.admission(x.memory),
		Refuse: func(admission.Code) []byte { return appendAnswer(nil, answer{kind: tellError, code: codeBusy}) },
		Serve:  newServer(x).serve,
	}
}

// refuse tells a client to come back later, for whom there is no memory.
func (s *server) refuse(stream *streams.Stream, err error) error {
	if !errors.Is(err, streams.ErrMemory) {
		return err
	}
	s.x.log.Debug("stream refused", "peer", stream.Peer().String(), "err", err)
	_, err = stream.Write(appendAnswer(nil, answer{kind: tellError, code: codeBusy}))
	return err
}

// serving is one stream: requests are read, blocks are read from the store, and
// answers are written by a goroutine each.
type serving struct {
	*server
	stream   *streams.Stream
	requests chan request
	answers  chan *outgoing

	mu   sync.Mutex
	keep map[uint64]int // blocks to answer, of requests that wait
}

// serve serves one stream: reserve memory, and only then read.
func (s *server) serve(ctx context.Context, stream *streams.Stream) error {
	if err := stream.Reserve(ctx, MaxRequest); err != nil {
		return s.refuse(stream, err)
	}
	v := &serving{
		server:   s,
		stream:   stream,
		requests: make(chan request, s.x.cfg.Limits.Requests),
		answers:  make(chan *outgoing, s.x.cfg.Limits.ReadAhead-1),
		keep:     make(map[uint64]int),
	}
	g, ctx := errgroup.WithContext(ctx)
	for _, f := range []func(context.Context) error{v.readRequests, v.produce, v.write} {
		g.Go(func() error {
			err := f(ctx)
			if err != nil {
				stream.Reset() // wakes the others
			}
			return err
		})
	}
	return g.Wait()
}

// readRequests queues requests until the client has no more, or this peer is about to stop:
// a client that always asks for the next blocks before it has the last would have no end.
func (v *serving) readRequests(ctx context.Context) error {
	defer close(v.requests)
	r := bufio.NewReaderSize(v.stream, 4<<10)
	var buf []byte
	last := uint64(0)
	for {
		if _, err := r.Peek(1); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
		select {
		case <-v.stream.Stopping():
			return nil
		default:
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
			v.stream.Heard()
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

func isTimeout(err error) bool {
	var n net.Error
	return errors.As(err, &n) && n.Timeout()
}

func (v *serving) accept(req request) {
	v.stream.Asked()
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
