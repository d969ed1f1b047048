package consensus

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"

	"github.com/decube/decube/internal/admission"
	"github.com/decube/decube/internal/streams"
	"github.com/decube/decube/internal/wire"
)

// Handler returns what serves the streams that other peers open.
func (c *Consensus) Handler() streams.Handler {
	return streams.Handler{
		ID: ID, Service: ServiceName, Limits: c.o.Limits.admission(c.o.Memory),
		Refuse: func(admission.Code) []byte { return wire.AppendFrame(nil, reply(refusal{code: codeBusy})) },
		Serve:  c.serve,
	}
}

// accept serves other peers until what it returns is closed. What is said to validators is a
// few bytes at a time, which votes depend on: they have turns of their own, and do not wait
// for those of blocks.
func (c *Consensus) accept() (*streams.Streams, error) {
	return streams.Open(c.host, streams.Options{Peers: others{c.o.Peers, c}, Observer: refusals{c}}, c.Handler())
}

// others are the peers as a validator sees them.
type others struct {
	streams.Peers

	c *Consensus
}

// Class says how a peer stands to this one: places are kept for validators, which their keys
// prove that they are, and for nobody else.
func (o others) Class(p peer.ID) admission.Class {
	if o.c.roster.Load().byPeer[p] != nil {
		return admission.Protected
	}
	return admission.Stranger
}

// refusals are told of streams that have got no place.
type refusals struct{ c *Consensus }

func (r refusals) Refused(_ protocol.ID, p peer.ID, why admission.Reason) {
	r.c.tell(p, fmt.Errorf("%w: %v", ErrBusy, why))
}

func (refusals) Served(protocol.ID, peer.ID)                  {}
func (refusals) Ended(protocol.ID, peer.ID, admission.Reason) {}

// tell says why a peer's stream has ended, if it did something wrong.
func (c *Consensus) tell(from peer.ID, err error) {
	switch {
	case errors.Is(err, ErrMalformed), errors.Is(err, ErrNetwork), errors.Is(err, ErrVersion):
		c.quiet.Write(slog.LevelWarn, from.String(), "stream refused", "err", err)
		c.o.Observer.Refused(from, err)
	case errors.Is(err, ErrStranger), errors.Is(err, ErrBusy), errors.Is(err, ErrKeyInUse):
		c.quiet.Write(slog.LevelDebug, from.String(), "stream not taken", "err", err)
		c.o.Observer.Refused(from, err)
	default:
		c.quiet.Write(slog.LevelDebug, from.String(), "stream ended", "err", err)
	}
}

// serve serves one stream until something ends it.
func (c *Consensus) serve(ctx context.Context, stream *streams.Stream) error {
	err := c.converse(ctx, stream)
	if stopping(stream) {
		return err
	}
	c.tell(stream.Peer(), err)
	if errors.Is(err, ErrSuperseded) {
		// The streams that go to the same process must go to the new one.
		defer func() { _ = stream.Conn().Close() }()
	}
	return c.part(stream, err)
}

// stopping reports whether it is this process that is about to end.
func stopping(stream *streams.Stream) bool {
	select {
	case <-stream.Stopping():
		return true
	default:
		return false
	}
}

// converse reads a stream and returns why it ends, which is never nil.
func (c *Consensus) converse(ctx context.Context, stream *streams.Stream) error {
	from := c.roster.Load().byPeer[stream.Peer()]
	if from == nil || stream.Class() != admission.Protected { // who has just been voted in comes again
		if _, err := c.greeted(bufio.NewReaderSize(stream, maxHandshake)); err != nil {
			return err
		}
		return ErrStranger
	}
	if err := stream.Reserve(ctx, reserved); err != nil {
		return busy(err)
	}
	in := &inlet{from: from, stream: stream, ending: make(chan struct{}), saying: make(chan struct{}, 1)}
	in.clock.in = in
	r := bufio.NewReaderSize(&in.clock, readBuffer)
	h, err := c.greeted(r)
	if err != nil {
		return err
	}
	// A validator has nothing to send for as long as nothing is to be voted on. What it asks
	// for with its hello is answered when the stream ends: no clock runs until then but those
	// of a reply, and of a frame that has begun.
	stream.Asked()
	defer stream.Answered()
	in.class, in.boot = h.class, h.boot
	return in.serve(ctx, r)
}

// busy is what a peer is told for which there is no memory.
func busy(err error) error {
	if errors.Is(err, streams.ErrMemory) {
		return fmt.Errorf("%w: %w", ErrBusy, err)
	}
	return err
}

// greeted reads the hello of a stream and says what is wrong with it.
func (c *Consensus) greeted(r *bufio.Reader) (hello, error) {
	h, err := readHello(r)
	if err != nil {
		if errors.Is(err, wire.ErrTooLarge) || errors.Is(err, wire.ErrMalformed) {
			err = fmt.Errorf("%w: %w", ErrMalformed, err)
		}
		return hello{}, err
	}
	if h.network != c.o.Network {
		return hello{}, fmt.Errorf("%w: genesis of digest %x, want %x", ErrNetwork, h.network, c.o.Network)
	}
	return h, nil
}

// part ends a stream because of err. When that is one of the reasons that have a code, the
// other side is told and nil returned: the stream is closed then, and not reset.
func (c *Consensus) part(stream *streams.Stream, err error) error {
	code, ok := codeOf(err)
	if !ok {
		return err // it has ended already, most often
	}
	switch {
	case code == codeMalformed:
		c.o.Peers.Mistake(stream.Peer())
	case stream.Class() != admission.Protected:
		c.o.Peers.Refused(stream.Conn())
	}
	farewell := reply(refusal{code: code, network: c.o.Network})
	if _, err := stream.Write(wire.AppendFrame(nil, farewell)); err != nil {
		return err
	}
	if err := stream.CloseWrite(); err != nil {
		return err
	}
	// Whoever is not read from any more may see that before it sees the reply: wait for the
	// other side to end the stream.
	if err := stream.SetReadDeadline(time.Now().Add(partingTimeout)); err != nil {
		return err
	}
	_, _ = io.Copy(io.Discard, stream)
	return nil
}
