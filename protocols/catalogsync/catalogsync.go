package catalogsync

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"

	"github.com/decube/decube/crdtsync/driver"
	"github.com/decube/decube/internal/admission"
	"github.com/decube/decube/internal/capability"
	"github.com/decube/decube/internal/limits"
	"github.com/decube/decube/internal/streams"
	"github.com/decube/decube/internal/wire"
)

const (
	// ID is the protocol's name.
	ID protocol.ID = "/decube/catalog/1.0.0"
	// ServiceName is what the resource manager knows the protocol's streams by.
	ServiceName = "decube.catalog"
)

const (
	// buffer is the size of a stream's buffers in bytes, one for each direction.
	buffer = 16 << 10
	// perStream is what a stream reserves: its buffers, a question, and what is encoded of an
	// answer at a time, which is a branch or a bundle.
	perStream = 2*buffer + maxQuestion + 64<<10
	// LeastMemory is what there must be to answer a stranger, who may have three fifths of it,
	// and to send it a fault of the largest size.
	LeastMemory = (perStream + driver.MaxItem) / 5 * 9

	// openTimeout bounds opening a stream, askTimeout the time until a question has come, and
	// stallTimeout for how long a stream may stand still.
	openTimeout  = 15 * time.Second
	askTimeout   = 10 * time.Second
	stallTimeout = 30 * time.Second
)

// Options is what a Sync is given.
type Options struct {
	// Swarm is what the questions are about.
	Swarm capability.ID
	// Answer answers a question. What it returns is only read.
	Answer func(driver.Ask) driver.Answer
	// Row bounds what others are answered with.
	Row limits.Row
	// Peers knows how others stand to this one. Without it all are strangers.
	Peers streams.Peers
	// Turns is shared by everything that sends to others.
	Turns *streams.Turns
	// Log is told what went wrong. Without it nothing is logged.
	Log *slog.Logger
}

// Sync asks peers, and answers them. Its methods are safe for concurrent use.
type Sync struct {
	host   host.Host
	o      Options
	served streams.Server
}

// New returns a Sync that asks at once, and answers while Run runs.
func New(h host.Host, o Options) *Sync {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Sync{host: h, o: o}
}

// Run answers other peers until ctx ends, then ends every stream and returns nil.
func (s *Sync) Run(ctx context.Context) error {
	return s.served.Run(ctx, s.host, streams.Options{Peers: s.o.Peers, Turns: s.o.Turns, Log: s.o.Log}, s.handler())
}

// Drain is called while Run runs and the process is about to end: no more is answered than what
// was asked. It returns then, or with an error when ctx is done before.
func (s *Sync) Drain(ctx context.Context) error { return s.served.Drain(ctx) }

func (s *Sync) handler() streams.Handler {
	l := admission.For(s.o.Row)
	l.Request, l.Standstill = askTimeout+time.Second, stallTimeout
	return streams.Handler{
		ID: ID, Service: ServiceName, Limits: l, Serve: s.serve,
		Refuse: func(admission.Code) []byte { return []byte{byte(tellError), byte(codeBusy)} },
	}
}

// serve answers the questions of one stream, one after the other.
func (s *Sync) serve(ctx context.Context, stream *streams.Stream) error {
	if err := stream.Reserve(ctx, perStream); err != nil {
		return s.refuse(stream, fmt.Errorf("%w: %w", ErrBusy, err))
	}
	in, out := bufio.NewReaderSize(stream, buffer), bufio.NewWriterSize(stream, buffer)
	for {
		if err := stream.SetReadDeadline(time.Now().Add(askTimeout)); err != nil {
			return err
		}
		if _, err := in.Peek(1); errors.Is(err, io.EOF) {
			return nil // it asks no more
		}
		body, err := wire.ReadFrame(in, maxQuestion, nil)
		if errors.Is(err, wire.ErrTooLarge) || errors.Is(err, wire.ErrMalformed) {
			return s.refuse(stream, fmt.Errorf("%w: %w", ErrRefused, err))
		}
		if err != nil {
			return fmt.Errorf("read question: %w", err)
		}
		a, err := parseQuestion(body, s.o.Swarm)
		if err != nil {
			return s.refuse(stream, err)
		}
		stream.Asked()
		err = s.answer(ctx, stream, out, s.o.Answer(a))
		stream.Answered()
		if err != nil {
			return err
		}
	}
}

func (s *Sync) answer(ctx context.Context, stream *streams.Stream, out *bufio.Writer, told driver.Answer) error {
	for _, b := range told.Branches {
		if _, err := out.Write(encodeBranch(b)); err != nil {
			return fmt.Errorf("write answer: %w", err)
		}
	}
	for _, i := range told.Items {
		if err := s.item(ctx, stream, out, i.Encode()); err != nil {
			return err
		}
	}
	if err := out.WriteByte(byte(tellEnd)); err != nil {
		return fmt.Errorf("write answer: %w", err)
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("write answer: %w", err)
	}
	return nil
}

// item writes an item. That of a bundle is within what the stream has reserved.
func (s *Sync) item(ctx context.Context, stream *streams.Stream, out *bufio.Writer, raw []byte) error {
	if len(raw) > perStream {
		if err := stream.Reserve(ctx, len(raw)); err != nil {
			return err
		}
		defer stream.Release(len(raw))
	}
	if _, err := out.Write(wire.AppendFrame([]byte{byte(tellItem)}, raw)); err != nil {
		return fmt.Errorf("write answer: %w", err)
	}
	return nil
}

// refuse tells the client why it is not answered. It is an answer: the stream is closed then,
// and not reset.
func (s *Sync) refuse(stream *streams.Stream, why error) error {
	if lost, ok := errors.AsType[streams.Lost](why); ok {
		return lost
	}
	s.o.Log.Debug("question not answered", "peer", stream.Peer().String(), "err", why)
	if s.o.Peers != nil && errors.Is(why, ErrRefused) {
		s.o.Peers.Mistake(stream.Peer())
	}
	_, err := stream.Write([]byte{byte(tellError), byte(codeOf(why))})
	return err
}

// Conversation is questions to a peer. It is used by one goroutine.
type Conversation struct {
	swarm  capability.ID
	stream network.Stream
	in     *bufio.Reader
	failed bool
	stop   func() bool
	done   func() // it is not asked any more
}

// Open opens a stream to a peer that is connected, which ends with ctx. Others are not dialled:
// that two peers were parted, by people too, is nothing to be undone by asking.
func (s *Sync) Open(ctx context.Context, p peer.ID) (*Conversation, error) {
	done := streams.Asking(s.o.Peers, p)
	c, err := s.open(ctx, p)
	if err != nil {
		done()
		return nil, fmt.Errorf("open stream to %s: %w", p, err)
	}
	c.done = done
	return c, nil
}

func (s *Sync) open(ctx context.Context, p peer.ID) (*Conversation, error) {
	opening, cancel := context.WithTimeout(network.WithAllowLimitedConn(ctx, ServiceName), openTimeout)
	defer cancel()
	stream, err := s.host.NewStream(network.WithNoDial(opening, ServiceName), p, ID)
	if err != nil {
		return nil, err
	}
	if err := stream.Scope().SetService(ServiceName); err != nil {
		return nil, errors.Join(err, stream.Reset())
	}
	if err := stream.Scope().ReserveMemory(perStream+driver.MostBytes, network.ReservationPriorityAlways); err != nil {
		return nil, errors.Join(err, stream.Reset())
	}
	c := &Conversation{swarm: s.o.Swarm, stream: stream}
	c.in = bufio.NewReaderSize(c, buffer)
	c.stop = context.AfterFunc(ctx, func() { _ = stream.Reset() }) // wakes whoever reads or writes
	return c, nil
}

// Read reads from the stream, which must not stand still.
func (c *Conversation) Read(b []byte) (int, error) {
	if err := c.stream.SetReadDeadline(time.Now().Add(stallTimeout)); err != nil {
		return 0, err
	}
	return c.stream.Read(b)
}

// Ask asks, and returns the answer. After an error nothing more can be asked.
func (c *Conversation) Ask(ctx context.Context, a driver.Ask) (driver.Answer, error) {
	out, err := c.ask(a)
	c.failed = c.failed || err != nil
	if err != nil && ctx.Err() != nil {
		return driver.Answer{}, ctx.Err()
	}
	return out, err
}

func (c *Conversation) ask(a driver.Ask) (out driver.Answer, err error) {
	if err := c.stream.SetWriteDeadline(time.Now().Add(stallTimeout)); err != nil {
		return out, err
	}
	if _, err := c.stream.Write(encodeQuestion(c.swarm, a)); err != nil {
		return out, err
	}
	bytes := 0
	for {
		kind, err := c.in.ReadByte()
		if err != nil {
			return out, err
		}
		switch tell(kind) {
		case tellEnd:
			return out, nil
		case tellError:
			why, err := c.in.ReadByte()
			if err != nil {
				return out, err
			}
			if known := sentinels[code(why)]; known != nil {
				return out, known
			}
			return out, fmt.Errorf("%w: code %d", ErrMalformed, why)
		case tellBranch:
			if len(out.Branches) == len(a.Prefixes) {
				return out, fmt.Errorf("%w: more branches than were asked for", ErrMalformed)
			}
			b, err := readBranch(c.in)
			if err != nil {
				return out, err
			}
			out.Branches = append(out.Branches, b)
		case tellItem:
			if bytes >= driver.MostBytes || a.Prefixes != nil {
				return out, fmt.Errorf("%w: more items than were asked for", ErrMalformed)
			}
			raw, err := wire.ReadFrame(c.in, driver.MaxItem, nil)
			if err != nil {
				return out, err
			}
			bytes += len(raw)
			i, err := driver.DecodeItem(raw)
			if err != nil {
				return out, fmt.Errorf("%w: %w", ErrMalformed, err)
			}
			out.Items = append(out.Items, i)
		default:
			return out, fmt.Errorf("%w: message 0x%02x", ErrMalformed, kind)
		}
	}
}

// Close ends the stream.
func (c *Conversation) Close() {
	c.stop()
	// A stream that is gone already is what is wanted.
	if c.failed {
		_ = c.stream.Reset()
	} else {
		_ = c.stream.Close()
	}
	c.stream.Scope().ReleaseMemory(perStream + driver.MostBytes)
	c.done()
}
