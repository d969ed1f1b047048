package statesync

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"

	"github.com/decube/decube/internal/admission"
	"github.com/decube/decube/internal/streams"
	"github.com/decube/decube/internal/wire"
)

// Handler returns what answers the streams that other peers open.
func (s *Sync) Handler() streams.Handler {
	short, waiting := s.o.Limits.admission(s.o.Memory)
	return streams.Handler{
		ID: ID, Service: ServiceName, Limits: short, Waiting: &waiting,
		Refuse: func(admission.Code) []byte { return appendAnswer(nil, answer{kind: tellError, code: byte(codeBusy)}) },
		Serve:  s.handle,
	}
}

// serving is what streams are served with.
func (s *Sync) serving() streams.Options {
	return streams.Options{Peers: s.o.Peers, Turns: s.o.Turns, Observer: refusals{s.o.Observer}, Log: s.o.Log}
}

// refusals tells an observer of streams that have got no place.
type refusals struct{ o Observer }

func (r refusals) Refused(_ protocol.ID, p peer.ID, why admission.Reason) {
	r.o.Refused(p, fmt.Errorf("%w: %v", ErrBusy, why))
}

func (refusals) Served(protocol.ID, peer.ID)                  {}
func (refusals) Ended(protocol.ID, peer.ID, admission.Reason) {}

// handle serves one stream: reserve memory, and only then read.
func (s *Sync) handle(ctx context.Context, stream *streams.Stream) error {
	if err := stream.Reserve(ctx, perStream); err != nil {
		return s.refuse(stream, busy(err))
	}
	r, err := s.readRequest(stream)
	if err != nil {
		return s.refuse(stream, err)
	}
	stream.Asked()
	defer stream.Answered()
	if r.kind.waits() {
		if err := stream.Wait(); err != nil {
			return s.refuse(stream, busy(err))
		}
	}
	return s.respond(ctx, stream, r)
}

// busy is what a client is told that finds no room, whatever there is none of.
func busy(err error) error { return fmt.Errorf("%w: %w", ErrBusy, err) }

// readRequest reads the request, in time.
func (s *Sync) readRequest(stream *streams.Stream) (request, error) {
	if err := stream.SetReadDeadline(time.Now().Add(s.o.Limits.RequestTimeout)); err != nil {
		return request{}, err
	}
	body, err := wire.ReadFrame(bufio.NewReaderSize(stream, readBuffer), maxRequest, nil)
	if errors.Is(err, wire.ErrTooLarge) || errors.Is(err, wire.ErrMalformed) {
		return request{}, fmt.Errorf("%w: %w", ErrRefused, err)
	}
	if err != nil {
		select {
		case <-stream.Stopping():
			return request{}, busy(err)
		default:
			return request{}, fmt.Errorf("read request: %w", err)
		}
	}
	return parseRequest(body)
}

// refuse tells the client why it is not answered. It is an answer: the stream is closed
// then, and not reset.
func (s *Sync) refuse(stream *streams.Stream, err error) error {
	if lost, ok := errors.AsType[streams.Lost](err); ok {
		return lost
	}
	s.o.Log.Debug("request not answered", "peer", stream.Peer().String(), "err", err)
	s.o.Observer.Refused(stream.Peer(), err)
	if s.o.Peers != nil && (errors.Is(err, wire.ErrTooLarge) || errors.Is(err, wire.ErrMalformed)) {
		s.o.Peers.Mistake(stream.Peer())
	}
	_, werr := stream.Write(appendAnswer(nil, answer{kind: tellError, code: byte(codeOf(err))}))
	return werr
}

// respond answers a request: a goroutine asks the source, another notices when the client
// leaves, and this one writes.
func (s *Sync) respond(ctx context.Context, stream *streams.Stream, r request) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if err := stream.SetReadDeadline(time.Time{}); err != nil {
		return err
	}
	var helpers sync.WaitGroup
	helpers.Go(func() {
		_, _ = io.ReadFull(stream, make([]byte, 1)) // a client sends nothing more
		cancel()
	})
	p := &producer{s: s, stream: stream, out: make(chan piece), written: make(chan struct{})}
	helpers.Go(func() {
		defer close(p.out)
		p.answer(ctx, r)
	})
	w := &writer{s: s, stream: stream, alive: r.kind.waits()}
	err := w.write(ctx, p)
	cancel()
	_ = stream.SetReadDeadline(time.Now()) // wakes the helper that reads
	helpers.Wait()
	return err
}
