package consensus

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"time"

	"github.com/libp2p/go-libp2p/core/network"

	"github.com/decube/decube/internal/wire"
)

const (
	// writeBuffer is the size of the buffer that small frames are packed in.
	writeBuffer = 32 << 10
	// reportStep is the most frames that the observer is told of at a time.
	reportStep = 256
)

// outlet sends the frames of one class to one validator.
type outlet struct {
	to    *remote
	class Class
	queue *queue
	kick  chan struct{} // holds a token when the validator is known to be there
	told  string        // what the log was told last
	// strange is since when the validator has said that this one is none, zero if it does
	// not.
	strange time.Time
	// denied is how often in a row it was said that another process has the place.
	denied int
}

func newOutlet(to *remote, class Class) *outlet {
	return &outlet{to: to, class: class, queue: newQueue(to.c.o.Limits.queue(class)), kick: make(chan struct{}, 1)}
}

// run opens a stream as often as one breaks, until ctx ends.
func (o *outlet) run(ctx context.Context) {
	l := o.to.c.o.Limits
	pause := l.RetryMin
	for {
		began := time.Now()
		err := o.session(ctx)
		if ctx.Err() != nil {
			return
		}
		o.tell(err)
		if time.Since(began) > l.RetryMax {
			pause = l.RetryMin
		}
		if errors.Is(err, ErrKeyInUse) {
			pause = l.RetryMax
			o.refused()
		} else if o.class == Votes {
			o.to.hear(unheard)
		}
		timer := time.NewTimer(pause/2 + rand.N(pause))
		select {
		case <-timer.C:
			pause = min(2*pause, l.RetryMax)
		case <-o.kick:
			pause = l.RetryMin
		case <-ctx.Done():
		}
		timer.Stop()
	}
}

// tell logs why there is no stream, once for each reason and not for each class.
// What an operator must see is a warning, what time may mend is not.
func (o *outlet) tell(err error) {
	if _, refused := errors.AsType[refusal](err); !refused {
		o.to.c.quiet.Write(slog.LevelDebug, o.to.key.String(), "no stream to validator", "class", o.class.String(), "err", err)
		return
	}
	if errors.Is(err, ErrKeyInUse) || errors.Is(err, ErrSuperseded) {
		return // what comes of it is told once, and not of each validator: see place
	}
	if errors.Is(err, ErrStranger) {
		o.tellStrange(time.Now(), err)
		return
	}
	if text := err.Error(); text != o.told && o.class == Votes {
		o.told = text
		o.to.c.quiet.Write(slog.LevelWarn, o.to.key.String(), "validator refuses this one", "class", o.class.String(), "err", err)
	}
}

// strangerPatience is how long a validator may take one for a stranger before that is
// worth a warning: who has just been voted in, or starts, is often ahead of those whom it
// greets, and they know better with the next block.
const strangerPatience = time.Minute

// tellStrange logs that a validator takes this one for none: once when it begins, and as
// a warning when it goes on.
func (o *outlet) tellStrange(now time.Time, err error) {
	level, message := slog.LevelInfo, "validator does not know yet that this one is a validator"
	switch {
	case o.strange.IsZero():
		o.strange = now
	case now.Sub(o.strange) < strangerPatience || o.told == err.Error():
		return
	default:
		o.told = err.Error()
		level, message = slog.LevelWarn, "validator refuses this one"
	}
	if o.class == Votes {
		o.to.c.quiet.Write(level, o.to.key.String(), message, "class", o.class.String(), "err", err)
	}
}

// session opens a stream and writes frames to it until it breaks.
func (o *outlet) session(ctx context.Context) error {
	stream, err := o.to.open(ctx)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	// Whoever reads or writes is woken first: a reset waits for its turn like all else, which
	// a connection that takes nothing never gives. Nobody waits for that.
	context.AfterFunc(ctx, func() {
		_ = stream.SetDeadline(time.Now())
		_ = stream.Reset()
	})
	if err := stream.Scope().SetService(ServiceName); err != nil {
		return fmt.Errorf("open stream: %w", err)
	}
	if err := stream.Scope().ReserveMemory(writeBuffer, network.ReservationPriorityAlways); err != nil {
		return fmt.Errorf("open stream: %w", err)
	}
	defer stream.Scope().ReleaseMemory(writeBuffer)
	r := bufio.NewReaderSize(stream, maxHandshake)
	if err := o.greet(stream, r); err != nil {
		return err
	}
	o.told, o.strange = "", time.Time{}
	closed := o.opened(stream)
	watched := make(chan struct{})
	w := &stepWriter{stream: stream, timeout: o.to.c.o.Limits.StallTimeout, moved: make(chan struct{}, 1), asked: make(chan struct{}, 1), to: o.to}
	w.sent.Store(uint64(greeting))
	if o.class == Bulk {
		w.window = uint64(o.to.c.o.Limits.Window)
	}
	go func() {
		defer close(watched)
		cancel(w.watch(r))
	}()
	err = o.write(ctx, w)
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	cancel(err) // wakes the watcher
	<-watched
	closed(err)
	return err
}

// greet says hello and awaits the welcome.
func (o *outlet) greet(stream network.Stream, r *bufio.Reader) error {
	c := o.to.c
	if err := stream.SetDeadline(time.Now().Add(c.o.Limits.HandshakeTimeout)); err != nil {
		return fmt.Errorf("greet: %w", err)
	}
	h := appendHello(make([]byte, 0, helloSize), hello{class: o.class, boot: c.boot, network: c.o.Network})
	_, err := stream.Write(wire.AppendFrame(nil, h))
	if err == nil {
		err = readReply(r)
	}
	switch {
	case isTimeout(err):
		// The connection may be dead, which its keep-alive finds out later than the
		// next try would.
		return errors.Join(fmt.Errorf("greet: %w", err), stream.Conn().Close())
	case err != nil:
		return fmt.Errorf("greet: %w", err)
	}
	return stream.SetDeadline(time.Time{})
}

// write writes what is queued until ctx or the stream ends.
func (o *outlet) write(ctx context.Context, to *stepWriter) error {
	w := bufio.NewWriterSize(to, writeBuffer)
	var head [10]byte
	frames, bytes := 0, 0
	report := func() {
		if frames > 0 {
			o.to.c.o.Observer.Sent(o.to.key, o.class, frames, bytes)
		}
		frames, bytes = 0, 0
	}
	for {
		if err := respond(w, to.asked); err != nil {
			return err
		}
		has := o.to.c.place.has.Load()
		frame := o.next(has)
		if frame == nil {
			if err := w.Flush(); err != nil {
				return fmt.Errorf("write frames: %w", err)
			}
			report()
			if err := o.idle(ctx, to.asked, has); err != nil {
				return err
			}
			continue
		}
		if _, err := w.Write(wire.AppendUvarint(head[:0], uint64(len(frame)))); err != nil {
			return fmt.Errorf("write frame: %w", err)
		}
		if _, err := w.Write(frame); err != nil {
			return fmt.Errorf("write frame: %w", err)
		}
		bytes += len(frame)
		if frames++; frames == reportStep {
			report()
		}
	}
}

// respond says that this process is here, ahead of all that is queued, if it is asked.
func respond(w *bufio.Writer, asked <-chan struct{}) error {
	select {
	case <-asked:
	default:
		return nil
	}
	if err := w.WriteByte(0); err != nil { // an empty frame
		return fmt.Errorf("answer: %w", err)
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("answer: %w", err)
	}
	return nil
}

// next returns the next frame, or nil when there is none or this process has not the
// place of its key: then what is newest is kept, as while there is no stream.
func (o *outlet) next(has bool) []byte {
	o.queue.setOpen(has)
	if !has {
		return nil
	}
	return o.queue.pop()
}

// idle waits until there may be something to write, given whether this process had the
// place of its key.
func (o *outlet) idle(ctx context.Context, asked chan struct{}, had bool) error {
	changed := o.to.c.place.wait()
	if o.to.c.place.has.Load() != had {
		return nil
	}
	select {
	case <-o.queue.ready:
	case <-asked:
		select {
		case asked <- struct{}{}: // for who answers
		default:
		}
	case <-changed:
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}

// opened notes that the stream is welcome, and returns what to do when it has ended.
func (o *outlet) opened(stream network.Stream) (closed func(err error)) {
	c := o.to.c
	o.denied = 0
	o.to.setOutgoing(o.class, stream)
	if o.class == Votes {
		o.to.hear(welcomed)
	}
	c.o.Observer.Opened(o.to.key, o.class)
	return func(err error) {
		o.queue.setOpen(false)
		o.to.setOutgoing(o.class, nil)
		if o.class == Votes {
			o.to.hear(unheard)
		}
		c.o.Observer.Closed(o.to.key, o.class, err)
	}
}

// refused notes that the validator says that another process has the place. Whoever
// says it alone, time and again, is told of: the process waits and does not know for what.
func (o *outlet) refused() {
	if o.class != Votes {
		return
	}
	o.to.hear(inUse)
	if o.denied++; o.denied > 1 && !o.to.c.place.lost.Load() {
		o.to.c.quiet.Write(slog.LevelWarn, o.to.key.String(), "a validator says that another process signs with this key; too few say so to believe it")
	}
}

func isTimeout(err error) bool {
	var n net.Error
	return errors.As(err, &n) && n.Timeout()
}
