package blocksession

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/decube/decube/block"
)

// farewellTimeout bounds how long a closing session waits to say why.
const farewellTimeout = time.Second

// Serve answers a session on conn until the client closes it, a frame breaks the
// rules, or ctx is done, which is told to the client. It closes conn, waits for
// everything it started and closes the session's writer before it returns. A
// session that the client ended between two frames is no error.
func Serve(ctx context.Context, conn net.Conn, store Store, limits Limits) error {
	defer conn.Close()
	tune(conn)
	limits = limits.withDefaults()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s := &serving{
		store:   store,
		conn:    conn,
		in:      newFrameReader(conn),
		out:     frameWriter{conn: conn},
		budget:  semaphore.NewWeighted(limits.PutBytes),
		readers: make(chan struct{}, limits.Readers),
		queued:  make(chan struct{}, limits.Queued),
		puts:    make(chan put, limits.Verifiers),
		running: make(map[uint64]context.CancelFunc),
	}
	writer, err := store.NewWriter(ctx)
	if err != nil {
		err = fmt.Errorf("opening the store for a block session: %w", err)
		s.farewell(err)
		return err
	}
	s.writer = writer
	// A deadline in the past wakes the reader without closing the connection,
	// over which the reason still has to go. The reader may be writing an answer
	// to a client that does not read.
	stop := context.AfterFunc(ctx, func() {
		_ = conn.SetReadDeadline(time.Unix(1, 0))
		_ = conn.SetWriteDeadline(time.Now().Add(farewellTimeout))
	})
	defer stop()

	var verifiers sync.WaitGroup
	for range limits.Verifiers {
		verifiers.Go(func() { s.verify(ctx) })
	}
	err = s.read(ctx)
	if ctx.Err() != nil {
		err = fmt.Errorf("%w: the node is stopping", ErrClosed)
	}
	if err != nil {
		s.farewell(err)
	}
	cancel()
	_ = conn.Close() // ends answers that the client does not take
	close(s.puts)
	verifiers.Wait()
	s.gets.Wait()
	return errors.Join(err, writer.Close())
}

// put is a PUT whose bytes were read.
type put struct {
	id      block.ID
	data    []byte
	release func()
}

// serving is the node's end of a session.
type serving struct {
	store  Store
	writer Writer
	conn   net.Conn
	in     *frameReader

	outMu sync.Mutex
	out   frameWriter

	budget *semaphore.Weighted // bytes of PUTs read and not taken by the store
	puts   chan put
	adding sync.WaitGroup // PUTs that were read and not taken

	putMu  sync.Mutex
	putErr error // of the first PUT that failed; later ones are dropped

	queued  chan struct{} // a slot for each GET and HEAL that was read
	readers chan struct{} // a slot for each that is being answered
	gets    sync.WaitGroup

	runMu   sync.Mutex
	running map[uint64]context.CancelFunc
}

// read takes frames off the connection until it ends.
func (s *serving) read(ctx context.Context) error {
	for {
		h, err := s.in.next()
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET): // the latter when answers were left unread
			return nil
		case err != nil:
			return fmt.Errorf("reading a frame: %w", err)
		case !h.kind.fromClient():
			return fmt.Errorf("%w: type 0x%02x from the client", errProtocol, uint8(h.kind))
		}
		if err := s.handle(ctx, h); err != nil {
			return err
		}
	}
}

func (s *serving) handle(ctx context.Context, h header) error {
	switch h.kind {
	case frameTouch:
		return s.touch(ctx, h)
	case framePut:
		return s.put(ctx, h)
	case frameFlush:
		return s.flush(ctx, h)
	case frameGet, frameHeal:
		return s.get(ctx, h)
	default: // frameCancel, the only other that fromClient and parseHeader let through
		s.runMu.Lock()
		defer s.runMu.Unlock()
		if cancel := s.running[h.request]; cancel != nil {
			cancel()
		}
		return nil
	}
}

func (s *serving) touch(ctx context.Context, h header) error {
	raw := make([]byte, h.length)
	if err := s.in.payload(raw); err != nil {
		return err
	}
	ids, err := parseIDs(raw)
	if err != nil {
		return err
	}
	held, err := s.writer.Touch(ctx, ids)
	if err != nil {
		return s.fail(h.request, fmt.Errorf("looking up %d blocks: %w", len(ids), err))
	}
	return s.answer(header{kind: frameHeld, request: h.request}, appendBitmap(raw[:0], held))
}

// put reads a block and hands it to a verifier. It waits while the budget is
// used up, and with it the client.
func (s *serving) put(ctx context.Context, h header) error {
	var raw [block.IDSize]byte
	if err := s.in.payload(raw[:]); err != nil {
		return err
	}
	id, err := block.FromBytes(raw[:])
	if err != nil {
		return fmt.Errorf("%w: PUT: %w", errProtocol, err)
	}
	size := h.length - block.IDSize
	if s.failedPut() != nil {
		return s.in.skip(size)
	}
	if err := s.budget.Acquire(ctx, int64(size)); err != nil {
		return err
	}
	data, release := getBuffer(int(size))
	if err := s.in.payload(data); err != nil {
		return err
	}
	s.adding.Add(1)
	select {
	case s.puts <- put{id, data, release}:
		return nil
	case <-ctx.Done():
		s.adding.Done()
		return ctx.Err()
	}
}

// verify hashes PUTs and gives them to the store.
func (s *serving) verify(ctx context.Context) {
	for p := range s.puts {
		size := int64(len(p.data))
		if s.failedPut() != nil {
			p.release()
		} else if err := s.add(ctx, p); err != nil {
			s.failPut(err)
		}
		s.budget.Release(size)
		s.adding.Done()
	}
}

func (s *serving) add(ctx context.Context, p put) error {
	b, err := block.Check(p.id, p.data)
	if err != nil {
		p.release()
		return fmt.Errorf("block from the client: %w", err)
	}
	if err := s.writer.Add(ctx, b, p.release); err != nil {
		return fmt.Errorf("storing block %s: %w", p.id, err)
	}
	return nil
}

// flush answers when everything before it is durable. The connection is not read
// meanwhile, so nothing that follows can come before it.
func (s *serving) flush(ctx context.Context, h header) error {
	s.adding.Wait()
	if err := s.failedPut(); err != nil {
		return s.fail(h.request, err)
	}
	stats, err := s.writer.Flush(ctx)
	if err != nil {
		err = fmt.Errorf("making blocks durable: %w", err)
		s.failPut(err)
		return s.fail(h.request, err)
	}
	return s.answer(header{kind: frameFlushed, request: h.request}, appendStats(nil, stats))
}

func (s *serving) failedPut() error {
	s.putMu.Lock()
	defer s.putMu.Unlock()
	return s.putErr
}

// failPut remembers the first failure and tells the client at once, so that it
// need not send the rest in vain.
func (s *serving) failPut(err error) {
	s.putMu.Lock()
	first := s.putErr == nil
	if first {
		s.putErr = err
	}
	s.putMu.Unlock()
	if first {
		_ = s.fail(0, err) // a connection that is gone is noticed by the reader
	}
}

// get starts a GET or HEAL.
func (s *serving) get(ctx context.Context, h header) error {
	var raw [block.IDSize]byte
	if err := s.in.payload(raw[:]); err != nil {
		return err
	}
	id, err := block.FromBytes(raw[:])
	if err != nil {
		return fmt.Errorf("%w: %w", errProtocol, err)
	}
	select {
	case s.queued <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	reqCtx, cancel := context.WithCancel(ctx)
	s.runMu.Lock()
	_, twice := s.running[h.request]
	s.running[h.request] = cancel
	s.runMu.Unlock()
	if twice {
		cancel()
		return fmt.Errorf("%w: request %d is used twice", errProtocol, h.request)
	}
	s.gets.Go(func() {
		defer func() {
			cancel()
			<-s.queued
		}()
		s.serveGet(reqCtx, h, id)
	})
	return nil
}

func (s *serving) serveGet(ctx context.Context, h header, id block.ID) {
	select {
	case s.readers <- struct{}{}:
		defer func() { <-s.readers }()
	case <-ctx.Done():
		s.finish(h.request)
		_ = s.fail(h.request, ctx.Err()) // a connection that is gone is noticed by the reader
		return
	}
	if h.kind == frameHeal {
		err := s.store.Heal(ctx, id)
		s.finish(h.request)
		if err != nil {
			_ = s.fail(h.request, err)
			return
		}
		_ = s.answer(header{kind: frameHealed, request: h.request})
		return
	}
	buf, release := getBuffer(block.MaxSize)
	defer release()
	data, err := s.store.GetUnverified(ctx, id, h.flags&flagNetwork != 0, buf[:0])
	s.finish(h.request)
	switch {
	case err != nil:
		_ = s.fail(h.request, err)
	case len(data) > block.MaxSize:
		_ = s.fail(h.request, fmt.Errorf("block %s has %d bytes in the store: %w", id, len(data), block.ErrMismatch))
	default:
		_ = s.answer(header{kind: frameBytes, request: h.request}, data)
	}
}

// finish forgets a request just before it is answered: from then on the client
// may use its number again.
func (s *serving) finish(request uint64) {
	s.runMu.Lock()
	defer s.runMu.Unlock()
	delete(s.running, request)
}

func (s *serving) answer(h header, payload ...[]byte) error {
	s.outMu.Lock()
	defer s.outMu.Unlock()
	if err := s.out.write(h, payload...); err != nil {
		return fmt.Errorf("answering: %w", err)
	}
	return nil
}

func (s *serving) fail(request uint64, err error) error {
	return s.answer(header{kind: frameError, request: request}, appendError(nil, err))
}

// farewell tells the client why the session ends, if it still listens.
func (s *serving) farewell(err error) {
	if !errors.Is(err, ErrClosed) {
		err = fmt.Errorf("%w: %w", ErrClosed, err)
	}
	_ = s.conn.SetWriteDeadline(time.Now().Add(farewellTimeout))
	e := &RemoteError{code: codeClosing, text: err.Error()}
	_ = s.fail(0, e)
}
