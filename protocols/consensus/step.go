package consensus

import (
	"bufio"
	"fmt"
	"os"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
)

// writeStep is the most bytes written at a time: each step has a deadline.
const writeStep = 256 << 10

// stepWriter writes in steps that must each be taken in time, and keeps what is on
// its way within a window.
//
// Without a window a connection buffers megabytes, in libp2p's multiplexer and in
// the system, which whatever is sent next over any stream has to wait for.
type stepWriter struct {
	to      *remote
	stream  network.Stream
	timeout time.Duration
	window  uint64    // bytes, 0 for none
	set     time.Time // when the deadline was set

	sent  atomic.Uint64 // bytes of the stream
	taken atomic.Uint64 // of them, read by the other side
	moved chan struct{} // holds a token when taken has changed
	asked chan struct{} // holds a token when the other side asks whether this one is here
}

func (s *stepWriter) Write(b []byte) (n int, err error) {
	for n < len(b) {
		step, err := s.room(min(len(b)-n, writeStep))
		if err != nil {
			return n, err
		}
		// Setting a deadline costs as much as writing a vote.
		if now := time.Now(); now.Sub(s.set) > s.timeout/4 {
			if err := s.stream.SetWriteDeadline(now.Add(s.timeout)); err != nil {
				return n, err
			}
			s.set = now
		}
		s.sent.Add(uint64(step))
		m, err := s.stream.Write(b[n : n+step])
		n += m
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

// room waits until the window has room and returns for how many bytes, at most
// want.
func (s *stepWriter) room(want int) (int, error) {
	if s.window == 0 {
		return want, nil
	}
	var timer *time.Timer
	for {
		if left := s.sent.Load() - s.taken.Load(); left < s.window {
			return min(want, int(s.window-left)), nil
		}
		if timer == nil {
			timer = time.NewTimer(s.timeout)
			defer timer.Stop()
		}
		select {
		case _, open := <-s.moved:
			if !open {
				return 0, os.ErrClosed
			}
		case <-timer.C:
			return 0, fmt.Errorf("nothing was taken: %w", os.ErrDeadlineExceeded)
		}
	}
}

// watch follows what the other side has taken and asks, and returns when it says why it ends
// the stream, or the stream ends. It wakes the writer then.
func (s *stepWriter) watch(r *bufio.Reader) error {
	defer close(s.moved)
	for {
		said, err := readLater(r)
		if err != nil {
			return err
		}
		if said.code == codeProbe {
			s.to.probed()
			select {
			case s.asked <- struct{}{}:
			default:
			}
			continue
		}
		taken := said.taken
		if s.window == 0 || taken <= s.taken.Load() || taken > s.sent.Load() {
			return fmt.Errorf("%w: %d bytes taken of %d", ErrMalformed, taken, s.sent.Load())
		}
		s.taken.Store(taken)
		select {
		case s.moved <- struct{}{}:
		default:
		}
	}
}
