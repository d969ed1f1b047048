package exchange

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/decube/decube/block"
	"github.com/decube/decube/internal/streams"
	"github.com/decube/decube/internal/wire"
)

// headerBuffer is the size of the buffer that answers' headers are read
// through; blocks are read past it.
const headerBuffer = 4 << 10

// client is the asking side of one stream. It is used by one goroutine.
type client struct {
	stream  network.Stream
	r       *bufio.Reader
	clock   *progressReader
	timeout time.Duration
	memory  int // reserved, of which bitmap for what the peer holds
	bitmap  int
	stop    func() bool
	done    func() // it is not asked any more
}

// open connects to a peer and opens a stream, which ctx resets.
func (x *Exchange) open(ctx context.Context, info peer.AddrInfo, memory int) (*client, error) {
	done := streams.Asking(x.peers, info.ID)
	c, err := x.openStream(ctx, info, memory)
	if err != nil {
		done()
		return nil, err
	}
	c.done = done
	return c, nil
}

func (x *Exchange) openStream(ctx context.Context, info peer.AddrInfo, memory int) (*client, error) {
	dial, cancel := context.WithTimeout(ctx, x.cfg.Limits.DialTimeout)
	defer cancel()
	if err := x.host.Connect(dial, info); err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	stream, err := x.host.NewStream(dial, info.ID, ID)
	if err != nil {
		return nil, fmt.Errorf("open stream: %w", err)
	}
	if err := stream.Scope().SetService(ServiceName); err != nil {
		return nil, errors.Join(fmt.Errorf("open stream: %w", err), stream.Reset())
	}
	if err := stream.Scope().ReserveMemory(memory, network.ReservationPriorityAlways); err != nil {
		return nil, errors.Join(fmt.Errorf("open stream: %w", err), stream.Reset())
	}
	clock := &progressReader{stream: stream, timeout: x.cfg.Limits.StallTimeout, least: x.cfg.Limits.MinProgress}
	return &client{
		stream:  stream,
		r:       bufio.NewReaderSize(clock, headerBuffer),
		clock:   clock,
		timeout: x.cfg.Limits.StallTimeout,
		memory:  memory,
		stop:    context.AfterFunc(ctx, func() { _ = stream.Reset() }), // wakes whoever reads or writes
	}, nil
}

// reserve takes memory beside what the stream was opened with.
func (c *client) reserve(memory int) error {
	if err := c.stream.Scope().ReserveMemory(memory, network.ReservationPriorityAlways); err != nil {
		return fmt.Errorf("reserve memory: %w", err)
	}
	c.memory += memory
	return nil
}

// reserveBitmap takes memory for a bitmap of so many ordinals, of which there is one.
func (c *client) reserveBitmap(total int) error {
	more := bitmapSize(total) - c.bitmap
	if more <= 0 {
		return nil
	}
	c.bitmap += more
	return c.reserve(more)
}

// close ends the stream. Nothing more is read, so the server is told to stop.
func (c *client) close() {
	c.stop()
	c.done()
	_ = c.stream.Reset() // a stream that is gone already is what is wanted
	c.stream.Scope().ReleaseMemory(c.memory)
}

// ask sends a request.
func (c *client) ask(r request) error {
	if err := c.stream.SetWriteDeadline(time.Now().Add(c.timeout)); err != nil {
		return fmt.Errorf("ask: %w", err)
	}
	if _, err := c.stream.Write(encodeRequest(r)); err != nil {
		return fmt.Errorf("ask: %w", stalled(err))
	}
	return nil
}

// next reads the header of the next answer. An ERROR is returned as a code, and
// what no server sends as hostile.
func (c *client) next() (answer, error) {
	c.clock.rearm()
	a, err := readAnswer(c.r)
	switch {
	case errors.Is(err, wire.ErrMalformed), errors.Is(err, wire.ErrTooLarge):
		return answer{}, hostile("read answer: %w", err)
	case err != nil:
		return answer{}, fmt.Errorf("read answer: %w", stalled(err))
	case a.kind == tellError:
		return answer{}, a.code
	}
	return a, nil
}

// read reads a block's bytes.
func (c *client) read(b []byte) error {
	defer c.clock.part(true)()
	if _, err := io.ReadFull(c.r, b); err != nil {
		return fmt.Errorf("read block: %w", stalled(err))
	}
	return nil
}

// discard reads past a block that is not needed any more.
func (c *client) discard(n int) error {
	defer c.clock.part(false)()
	if _, err := c.r.Discard(n); err != nil {
		return fmt.Errorf("read block: %w", stalled(err))
	}
	return nil
}

// have asks which ordinals of root the peer holds.
func (c *client) have(root block.ID, id uint64) (bitmap, int, error) {
	if err := c.ask(request{kind: askHave, id: id, root: root}); err != nil {
		return nil, 0, err
	}
	a, err := c.next()
	if err != nil {
		return nil, 0, err
	}
	if a.kind != tellHave || a.id != id {
		return nil, 0, hostile("an answer of kind 0x%02x to HAVE", byte(a.kind))
	}
	if err := c.reserveBitmap(a.total); err != nil {
		return nil, 0, err
	}
	if a.form != formSome {
		b := newBitmap(a.total)
		if a.form == formAll {
			b.fill(a.total)
		}
		return b, a.total, nil
	}
	defer c.clock.part(false)()
	raw, err := wire.ReadBytes(c.r, bitmapSize(a.total), nil)
	if err != nil {
		return nil, 0, fmt.Errorf("read bitmap: %w", stalled(err))
	}
	b, err := parseBitmap(raw, a.total)
	if err != nil {
		return nil, 0, hostile("read bitmap: %w", err)
	}
	return b, a.total, nil
}

// blocks asks for ids and calls got for each that came and matched, in order.
func (c *client) blocks(id uint64, ids []block.ID, got func(i int, b block.Block) error) error {
	if err := c.ask(request{kind: askBlocks, id: id, ids: ids}); err != nil {
		return err
	}
	for next := 0; ; {
		a, err := c.next()
		switch {
		case err != nil:
			return err
		case a.id != id:
			return hostile("an answer to request %d, which is not outstanding", a.id)
		case a.kind == tellEnd && next == len(ids):
			return nil
		case a.kind == tellMissing && a.position == next && a.count <= len(ids)-next:
			next += a.count
			continue
		case a.kind != tellBlock || a.position != next || next == len(ids):
			return hostile("an answer of kind 0x%02x at %d, want block %d of %d", byte(a.kind), a.position, next, len(ids))
		}
		data := make([]byte, a.length)
		if err := c.read(data); err != nil {
			return err
		}
		b, err := block.Check(ids[next], data)
		if err != nil {
			return hostile("%w", err)
		}
		if err := got(next, b); err != nil {
			return err
		}
		next++
	}
}

// stalled makes a missed deadline an errStalled.
func stalled(err error) error {
	if isTimeout(err) {
		return fmt.Errorf("%w: %w", errStalled, err)
	}
	return err
}

// progressReader moves the read deadline on as bytes arrive.
type progressReader struct {
	stream  network.Stream
	timeout time.Duration
	least   int // bytes that count as progress
	got     int
	armed   bool

	inside bool                     // what is read is of a block, or says what is held
	needed bool                     // of a block that is needed
	came   func(n int, needed bool) // is called for each piece of those; nil for nobody
}

// part says that what is read until the function is called is of a block, which may be
// needed, or of a bitmap.
func (p *progressReader) part(needed bool) func() {
	p.inside, p.needed = true, needed
	return func() { p.inside, p.needed = false, false }
}

// rearm begins a new time-out with the next read.
func (p *progressReader) rearm() { p.armed = false }

func (p *progressReader) Read(b []byte) (int, error) {
	if !p.armed {
		if err := p.stream.SetReadDeadline(time.Now().Add(p.timeout)); err != nil {
			return 0, err
		}
		p.armed, p.got = true, 0
	}
	n, err := p.stream.Read(b)
	if n > 0 && p.inside && p.came != nil {
		p.came(n, p.needed)
	}
	if p.got += n; p.got >= p.least {
		p.armed = false
	}
	return n, err
}
