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

	"github.com/libp2p/go-libp2p/core/network"

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
	stream network.Stream
	class  Class
	boot   uint64
	ending chan struct{} // closed by end
	saying sync.Mutex    // held while a reply is written
	owed   int           // answers to probes that are to come; guarded by from.mu
	// handing is set while the receiver takes a frame: what is behind it is not read.
	handing atomic.Bool

	mu    sync.Mutex
	ended bool
	why   code
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

// reason returns what end was called with.
func (in *inlet) reason() (c code, ended bool) {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.why, in.ended
}

// read hands frames over until the stream ends or something is wrong with it.
func (in *inlet) read(r *bufio.Reader, clock *progressReader) error {
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
			in.hand(data)
		} else if err := in.readLarge(r, clock, size); err != nil {
			return err
		}
		o.Observer.Received(in.from.key, in.class, size)
	}
}

// readLarge hands over a frame that has not come yet. Its memory is accounted for
// until then, and it must come in time.
func (in *inlet) readLarge(r *bufio.Reader, clock *progressReader, size int) error {
	if size > MaxVoteSize { // up to that much was reserved at the beginning
		if err := in.stream.Scope().ReserveMemory(size, network.ReservationPriorityAlways); err != nil {
			return fmt.Errorf("%w: %w", ErrBusy, err)
		}
		defer in.stream.Scope().ReleaseMemory(size)
	}
	if err := clock.start(); err != nil {
		return err
	}
	data, err := wire.ReadBytes(r, size, make([]byte, 0, min(size, allocateAhead)))
	if err != nil {
		return fmt.Errorf("read frame: %w", err)
	}
	if err := clock.stop(); err != nil {
		return err
	}
	in.hand(data)
	return nil
}

// hand gives a frame to the receiver.
func (in *inlet) hand(data []byte) {
	in.handing.Store(true)
	in.from.c.o.Receive(in.from.key, in.class, data)
	in.handing.Store(false)
}

// progressReader reads a stream whose deadline, once started, moves on as bytes
// arrive.
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
	return p.in.say(refusal{code: codeTaken, taken: p.taken}, p.in.from.c.o.Limits.StallTimeout)
}
