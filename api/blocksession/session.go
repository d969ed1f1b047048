package blocksession

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"

	"golang.org/x/sync/semaphore"

	"github.com/decube/decube/block"
)

// Options configure the client's end of a session.
type Options struct {
	// Network lets the node ask its peers for blocks that it does not hold.
	Network bool
	Limits  Limits
}

// Session is the client's end: it implements create.Sink with Touch, Add and
// Flush, and snapshot.Source with Get. Its methods may be called by many
// goroutines at once; their requests are pipelined.
type Session struct {
	conn    net.Conn
	network bool
	window  *semaphore.Weighted // bytes of blocks added and not released

	mu      sync.Mutex
	wake    sync.Cond // for the sender: control, asking or sending changed, or err
	err     error     // why the session is over
	putErr  error     // why nothing can be written any more
	sendErr error     // why the sender gave up
	nextID  uint64
	calls   map[uint64]*call
	control []byte // encoded small frames that wait for the sender
	id      []byte // the sender's own scratch space

	asking    []item                // added, not asked about yet
	sending   []item                // known to be missing, not sent yet
	questions int                   // TOUCHes of the sender that are not answered
	pending   map[block.ID]struct{} // the blocks of asking, of questions and of sending
	added     Stats                 // Blocks and Bytes only

	done sync.WaitGroup
}

// call is a request that waits for its answer. The reader owns data and err
// until done is closed.
type call struct {
	want  frameType
	batch []item // of the sender's TOUCH; done is nil then
	n     int    // IDs in a TOUCH
	buf   []byte // where BYTES go if they fit

	done  chan struct{}
	data  []byte
	held  []bool
	stats Stats
	err   error
}

// New makes conn, upgraded already, a session and owns it from then on. Close
// must be called.
func New(conn net.Conn, opts Options) *Session {
	tune(conn)
	limits := opts.Limits.withDefaults()
	s := &Session{
		conn:    conn,
		network: opts.Network,
		window:  semaphore.NewWeighted(limits.Window),
		calls:   make(map[uint64]*call),
		pending: make(map[block.ID]struct{}),
	}
	s.wake.L = &s.mu
	s.done.Go(s.receive)
	s.done.Go(s.send)
	return s
}

// Close ends the session, releases what was added and not sent, and waits for
// its goroutines. Blocks that were not flushed may be lost.
func (s *Session) Close() error {
	s.end(ErrClosed)
	s.done.Wait()
	return nil
}

// end makes err the session's outcome, unless it has one, and everybody return.
func (s *Session) end(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return
	}
	s.err = err
	_ = s.conn.Close()
	for id, c := range s.calls {
		delete(s.calls, id)
		s.drop(c.batch, err)
		c.fail(err)
	}
	s.drop(s.asking, err)
	s.drop(s.sending, err)
	s.asking, s.sending = nil, nil
	s.wake.Broadcast()
}

func (c *call) fail(err error) {
	if c.done != nil {
		c.err = err
		close(c.done)
	}
}

// request registers a call and queues its frame. s.mu is held.
func (s *Session) request(h header, c *call, payload []byte) uint64 {
	s.nextID++
	h.request, h.length = s.nextID, uint32(len(payload))
	s.calls[h.request] = c
	s.control = append(h.append(s.control), payload...)
	s.wake.Signal()
	return h.request
}

// do sends a request and waits for its answer or ctx. When ctx ends first, the
// node is told to give up, and c's buffers are free again.
func (s *Session) do(ctx context.Context, h header, c *call, payload []byte) error {
	c.done = make(chan struct{})
	s.mu.Lock()
	if s.err != nil {
		defer s.mu.Unlock()
		return s.err
	}
	id := s.request(h, c, payload)
	s.mu.Unlock()
	select {
	case <-c.done:
		return c.err
	case <-ctx.Done():
	}
	if s.abandon(id) {
		return ctx.Err()
	}
	<-c.done // the answer is being read right now
	return c.err
}

// abandon takes a call back, unless its answer is there already.
func (s *Session) abandon(id uint64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, waiting := s.calls[id]; !waiting {
		return false
	}
	delete(s.calls, id)
	s.control = header{kind: frameCancel, request: id}.append(s.control)
	s.wake.Signal()
	return true
}

// receive reads answers until the connection ends.
func (s *Session) receive() {
	in := newFrameReader(s.conn)
	for {
		h, err := in.next()
		if err == nil {
			err = s.answer(in, h)
		}
		if err == nil {
			continue
		}
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			err = errors.New("the node closed the connection")
		case errors.Is(err, os.ErrDeadlineExceeded): // set by a sender that gave up
			s.mu.Lock()
			err = s.sendErr
			s.mu.Unlock()
		}
		if !errors.Is(err, ErrClosed) {
			err = fmt.Errorf("%w: %w", ErrClosed, err)
		}
		s.end(err)
		return
	}
}

// answer reads one answer and gives it to the call that waits for it.
func (s *Session) answer(in *frameReader, h header) error {
	if h.kind == frameError && h.request == 0 {
		return s.farewell(in, h)
	}
	s.mu.Lock()
	c := s.calls[h.request]
	delete(s.calls, h.request)
	s.mu.Unlock()
	switch {
	case h.kind.fromClient():
		return fmt.Errorf("%w: type 0x%02x from the node", errProtocol, uint8(h.kind))
	case c == nil: // abandoned
		return in.skip(h.length)
	case h.kind != c.want && h.kind != frameError:
		err := fmt.Errorf("%w: type 0x%02x answers request %d, which wants 0x%02x", errProtocol, uint8(h.kind), h.request, uint8(c.want))
		s.refuse(c, err)
		return err
	}
	err := c.read(in, h)
	switch {
	case err != nil:
		s.refuse(c, err)
	case c.done == nil:
		s.answered(c)
	default:
		close(c.done)
	}
	return err
}

// refuse fails a call that was taken off the list.
func (s *Session) refuse(c *call, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drop(c.batch, err)
	c.fail(err)
}

// read takes an answer's payload. What the node refused is in c.err; the
// returned error is one of the connection.
func (c *call) read(in *frameReader, h header) (err error) {
	buf := c.buf
	if h.kind != frameBytes || cap(buf) < int(h.length) {
		buf = make([]byte, h.length)
	}
	buf = buf[:h.length]
	if err := in.payload(buf); err != nil {
		return err
	}
	switch h.kind {
	case frameBytes:
		c.data = buf
	case frameHeld:
		c.held, err = parseBitmap(buf, c.n)
	case frameFlushed:
		c.stats, err = parseStats(buf)
	case frameError:
		var remote *RemoteError
		if remote, err = parseError(buf); err == nil {
			c.err = remote
		}
	default: // frameHealed says all by its type
	}
	return err
}

// farewell reads an ERROR that concerns the session as a whole.
func (s *Session) farewell(in *frameReader, h header) error {
	raw := make([]byte, h.length)
	if err := in.payload(raw); err != nil {
		return err
	}
	remote, err := parseError(raw)
	if err != nil {
		return err
	}
	if remote.code == codeClosing {
		return remote
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.putErr == nil {
		s.putErr = remote
	}
	s.wake.Signal()
	return nil
}
