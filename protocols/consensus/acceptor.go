package consensus

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"golang.org/x/sync/semaphore"

	"github.com/decube/decube/internal/wire"
)

// acceptor takes the streams that other peers open.
type acceptor struct {
	c         *Consensus
	strangers *semaphore.Weighted

	mu    sync.Mutex
	ended bool
	wg    sync.WaitGroup
}

func newAcceptor(c *Consensus) *acceptor {
	return &acceptor{c: c, strangers: semaphore.NewWeighted(int64(c.o.Limits.Strangers))}
}

// enter counts one more stream, unless Run has ended.
func (a *acceptor) enter() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.ended {
		a.wg.Add(1)
	}
	return !a.ended
}

// wait returns when every stream has ended. None begins any more.
func (a *acceptor) wait() {
	a.mu.Lock()
	a.ended = true
	a.mu.Unlock()
	a.wg.Wait()
}

// handler returns the stream handler; the streams end with ctx.
func (a *acceptor) handler(ctx context.Context) network.StreamHandler {
	return func(stream network.Stream) {
		if !a.enter() {
			_ = stream.Reset()
			return
		}
		defer a.wg.Done()
		stop := context.AfterFunc(ctx, func() { _ = stream.Reset() }) // wakes the reader
		defer stop()
		if err := a.accept(ctx, stream); err != nil && ctx.Err() == nil {
			a.tell(stream, err)
		}
	}
}

// tell says what a peer did wrong, if it did.
func (a *acceptor) tell(stream network.Stream, err error) {
	from := stream.Conn().RemotePeer()
	switch {
	case errors.Is(err, ErrMalformed), errors.Is(err, ErrNetwork), errors.Is(err, ErrVersion):
		a.c.quiet.Write(slog.LevelWarn, from.String(), "stream refused", "err", err)
		a.c.o.Observer.Refused(from, err)
	case errors.Is(err, ErrStranger), errors.Is(err, ErrBusy), errors.Is(err, ErrKeyInUse):
		a.c.quiet.Write(slog.LevelDebug, from.String(), "stream not taken", "err", err)
		a.c.o.Observer.Refused(from, err)
	default:
		a.c.quiet.Write(slog.LevelDebug, from.String(), "stream ended", "err", err)
	}
}

// accept serves one stream: attach to the service, be admitted, reserve memory,
// and only then read.
func (a *acceptor) accept(ctx context.Context, stream network.Stream) error {
	if err := stream.Scope().SetService(ServiceName); err != nil {
		return errors.Join(err, stream.Reset())
	}
	from := a.c.roster.Load().byPeer[stream.Conn().RemotePeer()]
	if from == nil {
		if !a.strangers.TryAcquire(1) {
			return errors.Join(fmt.Errorf("%w: and too many of them", ErrStranger), stream.Reset())
		}
		defer a.strangers.Release(1)
		_, err := a.greeted(stream, bufio.NewReaderSize(stream, maxHandshake))
		if err == nil {
			err = ErrStranger
		}
		return a.part(stream, err)
	}
	if err := from.begin(); err != nil {
		return a.part(stream, err)
	}
	begun := sync.OnceFunc(from.begun)
	defer begun()
	return a.serve(ctx, from, stream, begun)
}

// serve reads a validator's stream. It calls begun once frames are read.
func (a *acceptor) serve(ctx context.Context, from *remote, stream network.Stream, begun func()) error {
	if err := stream.Scope().ReserveMemory(reserved, network.ReservationPriorityAlways); err != nil {
		return a.part(stream, fmt.Errorf("%w: %w", ErrBusy, err))
	}
	defer stream.Scope().ReleaseMemory(reserved)
	in := &inlet{from: from, stream: stream, ending: make(chan struct{})}
	clock := &progressReader{in: in}
	r := bufio.NewReaderSize(clock, readBuffer)
	h, err := a.greeted(stream, r)
	if err != nil {
		return a.part(stream, err)
	}
	in.class, in.boot = h.class, h.boot
	if err := from.admit(ctx, in); err != nil {
		a.contested(in, err)
		return a.part(stream, err)
	}
	from.wake()
	err = a.admitted(ctx, in, r, clock, begun)
	if from.leave(in) && ctx.Err() == nil {
		a.c.o.Lost(from.key)
	}
	if why, ended := in.reason(); ended {
		err = reasons[why] // nil for a stream that was replaced
		if why == codeSuperseded {
			// The streams that go to the same process must go to the new one.
			defer func() { _ = stream.Conn().Close() }()
		}
	}
	return a.part(stream, err)
}

// admitted welcomes a validator's stream and reads it in its turn.
func (a *acceptor) admitted(ctx context.Context, in *inlet, r *bufio.Reader, clock *progressReader, begun func()) error {
	if _, err := in.stream.Write(wire.AppendFrame(nil, reply(refusal{code: codeWelcome}))); err != nil {
		return fmt.Errorf("welcome: %w", err)
	}
	if err := in.stream.SetWriteDeadline(time.Time{}); err != nil {
		return err
	}
	if err := clock.stop(); err != nil {
		return err
	}
	turn := in.from.turns[in.class.index()]
	select {
	case turn <- struct{}{}:
		defer func() { <-turn }()
	case <-in.ending:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
	begun()
	return in.read(r, clock)
}

// greeted reads the hello of a stream, in time, and says what is wrong with it.
func (a *acceptor) greeted(stream network.Stream, r *bufio.Reader) (hello, error) {
	if err := stream.SetDeadline(time.Now().Add(a.c.o.Limits.HandshakeTimeout)); err != nil {
		return hello{}, err
	}
	h, err := readHello(r)
	if err != nil {
		if errors.Is(err, wire.ErrTooLarge) || errors.Is(err, wire.ErrMalformed) {
			err = fmt.Errorf("%w: %w", ErrMalformed, err)
		}
		return hello{}, err
	}
	if h.network != a.c.o.Network {
		return hello{}, fmt.Errorf("%w: genesis of digest %x, want %x", ErrNetwork, h.network, a.c.o.Network)
	}
	return h, nil
}

// part ends a stream because of err, and tells the other side when that is one of
// the reasons that have a code.
func (a *acceptor) part(stream network.Stream, err error) error {
	c, ok := codeOf(err)
	if !ok {
		_ = stream.Reset() // it has ended already, most often
		return err
	}
	if err := stream.SetDeadline(time.Now().Add(partingTimeout)); err != nil {
		return errors.Join(err, stream.Reset())
	}
	farewell := reply(refusal{code: c, network: a.c.o.Network})
	if _, werr := stream.Write(wire.AppendFrame(nil, farewell)); werr != nil {
		return errors.Join(err, werr, stream.Reset())
	}
	_ = stream.CloseWrite()
	// A reset would overtake the reply: wait for the other side to end the stream.
	_, _ = io.Copy(io.Discard, stream)
	return errors.Join(err, stream.Reset())
}
