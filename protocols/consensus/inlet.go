package consensus

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/decube/decube/internal/streams"
	"github.com/decube/decube/internal/wire"
)

const (
	// readBuffer is the size of the buffer that small frames are read through.
	readBuffer = 32 << 10
	// reserved is the memory that a validator's stream takes from the beginning:
	// the buffer and a frame of the size of a vote.
	reserved = readBuffer + MaxVoteSize
	// allocateAhead is the most memory that is taken for a frame ahead of the bytes
	// that fill it.
	allocateAhead = 1 << 20
	// takenStep is after how many bytes of class Bulk the sender is told that they
	// were taken.
	takenStep = 128 << 10
	// partingTimeout bounds the time in which a peer reads why its stream ends.
	partingTimeout = time.Second
)

// inlet is a stream that a validator sends frames of one class over.
type inlet struct {
	from   *remote
	stream *streams.Stream
	class  Class
	boot   uint64
	clock  progressReader
	ending chan struct{} // closed by end
	owed   int           // answers to probes that are to come; guarded by from.mu
	// handing is set while the receiver takes a frame: what is behind it is not read.
	handing atomic.Bool

	saying chan struct{}  // held while a reply is written
	hushed bool           // nothing is said any more but a farewell; guarded by saying
	asking sync.WaitGroup // questions to another process, for this one's sake

	mu    sync.Mutex
	ended bool
	why   code
}

// errReplaced ends a stream without a word: the same process has opened another one.
var errReplaced = errors.New("a later stream has its place")

// serve has the stream admitted, welcomes it and reads it in its turn. It returns why it
// ends.
func (in *inlet) serve(ctx context.Context, r *bufio.Reader) error {
	defer in.asking.Wait()
	in.saying <- struct{}{} // whoever asks it waits until it is welcome
	err := in.enter(ctx)
	if err != nil {
		<-in.saying
		return err
	}
	defer in.hush()
	err = in.write(refusal{code: codeWelcome})
	<-in.saying
	in.from.wake()
	if err == nil {
		err = in.await(ctx, r)
	}
	if in.from.leave(in) && !stopping(in.stream) {
		in.from.c.o.Lost(in.from.key)
	}
	switch why, ended := in.reason(); {
	case ended && why == codeWelcome:
		return errReplaced
	case ended:
		return reasons[why]
	}
	return err
}

// await reads the stream when the one that it replaces has ended.
func (in *inlet) await(ctx context.Context, r *bufio.Reader) error {
	turn := in.from.turns[in.class.index()]
	select {
	case turn <- struct{}{}:
		defer func() { <-turn }()
	case <-in.ending:
		return errReplaced // or what reason says
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	return in.read(ctx, r)
}

// end ends the stream with a farewell, or without one when c is codeWelcome.
func (in *inlet) end(c code) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.ended {
		return
	}
	in.ended, in.why = true, c
	close(in.ending)
	_ = in.stream.SetReadDeadline(time.Now()) // wakes the reader; a stream that is gone has no reader
}

// setDeadline sets the reader's deadline, unless the stream is to end.
func (in *inlet) setDeadline(t time.Time) error {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.ended {
		return context.Canceled
	}
	return in.stream.SetReadDeadline(t)
}

// say writes a reply that does not end the stream.
func (in *inlet) say(what refusal) error {
	in.saying <- struct{}{}
	defer func() { <-in.saying }()
	if in.hushed {
		return errReplaced
	}
	return in.write(what)
}

func (in *inlet) write(what refusal) error {
	if _, err := in.stream.Write(wire.AppendFrame(nil, reply(what))); err != nil {
		return fmt.Errorf("write reply: %w", err)
	}
	return nil
}

// hush has nothing said any more but a farewell. What is just being said to somebody who
// does not read is given up, and with it the stream.
func (in *inlet) hush() {
	select {
	case in.saying <- struct{}{}:
	default:
		in.stream.Reset()
		in.saying <- struct{}{}
	}
	in.hushed = true
	<-in.saying
}

// reason returns what end was called with.
func (in *inlet) reason() (c code, ended bool) {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.why, in.ended
}

// read hands frames over until the stream ends or something is wrong with it.
func (in *inlet) read(ctx context.Context, r *bufio.Reader) error {
	o := &in.from.c.o
	for {
		n, err := wire.ReadUvarint(r, uint64(in.class.maxFrame()))
		switch {
		case errors.Is(err, wire.ErrTooLarge), errors.Is(err, wire.ErrMalformed):
			return fmt.Errorf("%w: %w", ErrMalformed, err)
		case err != nil:
			return err
		case n == 0 && in.from.present(in):
			continue
		case n == 0:
			return fmt.Errorf("%w: an empty frame", ErrMalformed)
		}
		size := int(n)
		if size <= r.Buffered() {
			data := make([]byte, size)
			if _, err := io.ReadFull(r, data); err != nil {
				return err
			}
			if err := in.hand(ctx, data); err != nil {
				return err
			}
		} else if err := in.readLarge(ctx, r, size); err != nil {
			return err
		}
		o.Observer.Received(in.from.key, in.class, size)
	}
}

// readLarge hands over a frame that has not come yet. Its memory is accounted for
// until then, and it must come in time.
func (in *inlet) readLarge(ctx context.Context, r *bufio.Reader, size int) error {
	if size > MaxVoteSize { // up to that much was reserved at the beginning
		if err := in.stream.Reserve(ctx, size); err != nil {
			return busy(err)
		}
		defer in.stream.Release(size)
	}
	if err := in.clock.start(); err != nil {
		return err
	}
	data, err := wire.ReadBytes(r, size, make([]byte, 0, min(size, allocateAhead)))
	if err != nil {
		return fmt.Errorf("read frame: %w", err)
	}
	if err := in.clock.stop(); err != nil {
		return err
	}
	return in.hand(ctx, data)
}

// hand gives a frame to the receiver, once it is the validator's turn for one more.
func (in *inlet) hand(ctx context.Context, data []byte) error {
	in.handing.Store(true)
	defer in.handing.Store(false)
	if wait := in.from.paces[in.class.index()].Reserve().Delay(); wait > 0 {
		timer := time.NewTimer(wait)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-in.ending:
			return errReplaced // or what reason says
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	in.from.c.o.Receive(in.from.key, in.class, data)
	return nil
}

// progressReader reads a stream whose deadline, once started, moves on as bytes arrive. It
// bounds the time of one frame that may be large, within a request that goes on for as long
// as the validator does: admission has no clock for that.
type progressReader struct {
	in      *inlet
	started bool
	got     int
	taken   uint64 // bytes read
	told    uint64 // of them, known to the sender
}

func (p *progressReader) start() error {
	p.started, p.got = true, 0
	return p.in.setDeadline(time.Now().Add(p.in.from.c.o.Limits.StallTimeout))
}

func (p *progressReader) stop() error {
	p.started = false
	return p.in.setDeadline(time.Time{})
}

func (p *progressReader) Read(b []byte) (int, error) {
	if p.started && p.got >= p.in.from.c.o.Limits.MinProgress {
		if err := p.start(); err != nil {
			return 0, err
		}
	}
	if p.in.class == Bulk && p.taken-p.told >= takenStep {
		if err := p.tell(); err != nil {
			return 0, err
		}
	}
	n, err := p.in.stream.Read(b)
	p.got += n
	p.taken += uint64(n)
	return n, err
}

// tell makes room in the sender's window.
func (p *progressReader) tell() error {
	p.told = p.taken
	return p.in.say(refusal{code: codeTaken, taken: p.taken})
}
