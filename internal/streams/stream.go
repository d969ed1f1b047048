package streams

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"

	"github.com/decube/decube/internal/admission"
)

const (
	// leastStep is the most bytes written at a time to who takes longer than slowStep over
	// them, so that it is seen early that some are taken. Others have a step of the turns.
	leastStep = 64 << 10
	slowStep  = time.Second
	// loserTime bounds waiting for the memory of those who have lost their place.
	loserTime = time.Second
)

// Lost is the error of a stream that has lost its place.
type Lost struct{ Reason admission.Reason }

// Error says why.
func (l Lost) Error() string { return "the stream has lost its place: " + l.Reason.String() }

// Refused is the error of a stream that has got no place among those that wait.
type Refused struct{ Code admission.Code }

// Error says why.
func (r Refused) Error() string { return "no place to wait: " + r.Code.String() }

// ErrMemory is returned when there is no memory for an answer. The place is kept, so that
// the client can be told.
var ErrMemory = errors.New("no memory for an answer")

// Stream is a stream that has a place. A protocol calls Asked when a request has come whole
// and Answered when it has written the answer; several requests may be open at a time. In
// between, it is this peer's to act, and no clock runs but while an answer is written.
//
// One goroutine may read and one may write at a time; the other methods are safe for
// concurrent use. Streams are not used after Serve has returned.
type Stream struct {
	v       *service
	raw     network.Stream
	who     admission.Holder
	address netip.Addr
	gone    <-chan struct{} // closed when it has lost its place
	cancel  context.CancelCauseFunc
	reset   chan struct{} // closed when, then, it was reset
	left    chan struct{} // closed when it has ended

	// The writer's.
	seat  admission.Seat
	turn  chan struct{}
	pass  bool // its connection's writes take turns
	quick bool // the last step was not slow

	asked atomic.Bool // whether requests is more than 0, for who only reads

	// Guarded by the service.
	ticket
	requests int
	reserved int64
	lost     admission.Reason
}

func newStream(ctx context.Context, cancel context.CancelCauseFunc, v *service, raw network.Stream) *Stream {
	conn := raw.Conn()
	origin, address := OriginOf(conn.RemoteMultiaddr())
	return &Stream{
		v: v, raw: raw, address: address, gone: ctx.Done(), cancel: cancel, turn: make(chan struct{}, 1), pass: v.o.turning(conn),
		reset: make(chan struct{}), left: make(chan struct{}),
		who: admission.Holder{Peer: string(conn.RemotePeer()), Origin: origin, Class: v.o.Peers.Class(conn.RemotePeer())},
	}
}

// OriginOf returns where a connection comes from, and the address if that is known: a
// relay hides it.
func OriginOf(a ma.Multiaddr) (admission.Origin, netip.Addr) {
	relay := ""
	for _, c := range a {
		switch c.Protocol().Code {
		case ma.P_P2P:
			relay = c.Value()
		case ma.P_CIRCUIT:
			return admission.Via(relay), netip.Addr{}
		}
	}
	ip, err := manet.ToIP(a)
	if err != nil {
		return admission.From(netip.Addr{}), netip.Addr{}
	}
	address, _ := netip.AddrFromSlice(ip)
	return admission.From(address), address.Unmap()
}

// Peer returns who has opened the stream.
func (s *Stream) Peer() peer.ID { return peer.ID(s.who.Peer) }

// Address returns the address that the peer comes from, zero where a relay hides it.
func (s *Stream) Address() netip.Addr { return s.address }

// Class says how the peer stood to this one when the stream came.
func (s *Stream) Class() admission.Class { return s.who.Class }

// Conn returns the connection that the stream came over. It is the peer's: with it all its
// streams end.
func (s *Stream) Conn() network.Conn { return s.raw.Conn() }

// Stopping returns a channel that is closed when no more is to be asked. An answer that
// goes on for as long as there is something new ends then.
func (s *Stream) Stopping() <-chan struct{} { return s.v.stopping }

// Asked is called when a request has come whole.
func (s *Stream) Asked() {
	s.v.mu.Lock()
	defer s.v.mu.Unlock()
	if s.requests++; s.requests == 1 {
		s.asked.Store(true)
		s.stage(admission.Working)
	}
}

// Answered is called when a request, for which Asked was called, needs nothing more. The
// stream rests when it was the last one.
func (s *Stream) Answered() {
	s.v.mu.Lock()
	defer s.v.mu.Unlock()
	if s.requests = max(0, s.requests-1); s.requests == 0 {
		s.asked.Store(false)
		s.stage(admission.Resting)
		if s.v.draining {
			_ = s.raw.SetReadDeadline(time.Unix(1, 0)) // see Read
		}
	}
}

// Heard is called when a message has come whole that asks for nothing. The stream rests
// then, unless it is answered.
func (s *Stream) Heard() {
	s.v.mu.Lock()
	defer s.v.mu.Unlock()
	if s.requests == 0 {
		s.stage(admission.Resting)
	}
}

// Wait is called, between Asked and Answered, when an answer has to wait for something to
// happen. The stream then gives back its place, and has one of those of the handler's
// Waiting; the others of this peer, and of others, are not held up by it. Without one it
// keeps its place, and returns Refused or ErrMemory.
func (s *Stream) Wait() error {
	if len(s.v.tables) < 2 {
		return fmt.Errorf("%w: %s has no places for who waits", ErrInvalid, s.v.ID)
	}
	losers, err := s.move(s.v.tables[1])
	reset(losers)
	return err
}

// move has a stream take its place in another table, with its memory.
func (s *Stream) move(to *admission.Table) ([]*Stream, error) {
	s.v.mu.Lock()
	defer s.v.mu.Unlock()
	if s.lost != admission.Admitted {
		return nil, Lost{s.lost}
	}
	if s.table == to {
		return nil, nil
	}
	now := time.Now()
	defer s.v.arm()
	if s.reserved > 0 && !to.Spares(now, s.who, s.reserved) {
		return nil, fmt.Errorf("%w: %d bytes", ErrMemory, s.reserved)
	}
	p, lost, code := to.Enter(now, s.who)
	if !code.OK() {
		return nil, Refused{code}
	}
	losers := s.v.lose(to, lost, admission.Busy)
	if s.reserved > 0 { // it spares that, unless the place alone was the last that may end
		more, code := to.Reserve(now, p, s.reserved)
		if losers = append(losers, s.v.lose(to, more, admission.Memory)...); !code.OK() {
			to.Leave(p)
			return losers, fmt.Errorf("%w: %d bytes", ErrMemory, s.reserved)
		}
	}
	s.table.Leave(s.place)
	delete(s.v.live, s.ticket)
	s.ticket = ticket{to, p}
	s.v.live[s.ticket] = s
	to.Turn(now, p, admission.Working)
	return losers, nil
}

// stage is called with the service locked.
func (s *Stream) stage(to admission.Stage) {
	s.table.Turn(time.Now(), s.place, to)
	s.v.arm()
}

// Read reads what the client sends. While nothing is asked it returns io.EOF once this peer
// is about to stop, and with a request in the middle that is what a client that leaves
// makes of it.
func (s *Stream) Read(b []byte) (int, error) {
	n, err := s.raw.Read(b)
	if err == nil && s.asked.Load() {
		return n, nil // no clock runs: the lock, which all streams share, is not needed
	}
	s.v.mu.Lock()
	defer s.v.mu.Unlock()
	if n > 0 && s.requests == 0 {
		s.table.Moved(time.Now(), s.place, int64(n))
		s.v.arm()
	}
	switch {
	case err == nil, errors.Is(err, io.EOF):
		return n, err
	case s.lost != admission.Admitted:
		return n, Lost{s.lost}
	case s.v.draining && s.requests == 0 && isTimeout(err):
		return n, io.EOF
	}
	return n, err
}

func isTimeout(err error) bool {
	n, ok := errors.AsType[net.Error](err)
	return ok && n.Timeout()
}

// SetReadDeadline bounds reading for who reads while it answers, so as to notice that the
// client leaves, and is to be woken. It is not needed for bounding a request.
func (s *Stream) SetReadDeadline(t time.Time) error { return s.raw.SetReadDeadline(t) }

// Write writes a part of an answer, in steps, each when it is the stream's turn.
func (s *Stream) Write(b []byte) (n int, err error) {
	if s.seat == 0 {
		s.seat = s.v.o.Turns.join(s.who)
	}
	for n < len(b) {
		size := min(len(b)-n, int(s.v.o.Turns.step))
		if !s.quick {
			size = min(size, leastStep)
		}
		m, err := s.write(b[n : n+size])
		n += m
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

// write writes one step.
func (s *Stream) write(b []byte) (int, error) {
	taken, err := s.v.o.Turns.wait(ask{
		seat: s.seat, bytes: int64(len(b)), pass: s.pass, told: s.turn, gone: s.gone,
	})
	if err != nil {
		return 0, s.why(err)
	}
	began := time.Now()
	s.v.mu.Lock()
	s.stage(admission.Writing)
	s.v.mu.Unlock()
	n, err := s.raw.Write(b)
	if taken {
		s.v.o.Turns.done(s.seat)
	}
	now := time.Now()
	s.quick = now.Sub(began) < slowStep

	s.v.mu.Lock()
	s.table.Moved(now, s.place, int64(n))
	if s.requests > 0 {
		s.stage(admission.Working)
	} else {
		s.stage(admission.Resting)
	}
	s.v.mu.Unlock()
	if err != nil {
		return n, s.why(err)
	}
	return n, nil
}

// why returns the reason for an error.
func (s *Stream) why(err error) error {
	s.v.mu.Lock()
	defer s.v.mu.Unlock()
	if s.lost != admission.Admitted {
		return Lost{s.lost}
	}
	return err
}

// Reset ends the stream at once, which wakes whoever reads or writes. Serve returns an error
// then.
func (s *Stream) Reset() { s.abort() }

// abort resets a stream whose protocol has failed. One that has lost its place has been
// told so, or is just being told: another reset would overtake that.
func (s *Stream) abort() {
	if s.why(nil) != nil {
		<-s.reset
		return
	}
	_ = s.raw.Reset()
}

// CloseWrite tells the client that nothing more is sent.
func (s *Stream) CloseWrite() error { return s.raw.CloseWrite() }

// priorities are those of libp2p's scopes, which have the shares of admission's limits.
func priority(c admission.Class) uint8 {
	switch c {
	case admission.Stranger, admission.Known:
		return network.ReservationPriorityMedium
	case admission.Member:
		return network.ReservationPriorityHigh
	default:
		return network.ReservationPriorityAlways
	}
}

// Reserve reserves n bytes, at least 1, before they are allocated; others may lose their
// place for it. It returns ErrMemory when there are none. What is not released is when the
// stream ends.
func (s *Stream) Reserve(ctx context.Context, n int) error {
	s.v.mu.Lock()
	lost, code := s.table.Reserve(time.Now(), s.place, int64(n))
	if s.lost != admission.Admitted {
		defer s.v.mu.Unlock()
		return Lost{s.lost}
	}
	losers := s.v.lose(s.table, lost, admission.Memory)
	s.v.arm()
	s.v.mu.Unlock()
	reset(losers)
	if !code.OK() {
		return fmt.Errorf("%w: %d bytes", ErrMemory, n)
	}
	err := await(ctx, losers)
	if err == nil {
		err = s.take(ctx, n)
	}
	s.v.mu.Lock()
	defer s.v.mu.Unlock()
	if err != nil {
		s.table.Release(s.place, int64(n))
		return err
	}
	s.reserved += int64(n)
	return nil
}

// take reserves memory that the table has granted with libp2p. It may be held by streams of
// another table, which has the same: whoever holds more loses its place for it there.
func (s *Stream) take(ctx context.Context, n int) error {
	err := s.raw.Scope().ReserveMemory(n, priority(s.who.Class))
	if err == nil {
		return nil
	}
	var losers []*Stream
	s.v.mu.Lock()
	var held int64 // with what is asked for
	for _, table := range s.v.tables {
		held += table.Bytes()
	}
	for _, other := range s.v.tables {
		// If there is enough for this protocol, it is something else that it lacks.
		if other != s.table && held > s.table.Limits().Most(s.who.Class) {
			losers = append(losers, s.v.lose(other, other.Yield(s.who, int64(n)), admission.Memory)...)
		}
	}
	s.v.arm()
	s.v.mu.Unlock()
	reset(losers)
	if len(losers) > 0 {
		if err := await(ctx, losers); err != nil {
			return err
		}
		err = s.raw.Scope().ReserveMemory(n, priority(s.who.Class))
	}
	if err != nil {
		return fmt.Errorf("%w: %d bytes: %w", ErrMemory, n, err)
	}
	return nil
}

// await returns when streams have ended, and with that given back their memory. It waits
// for a bounded time: what is not free then is not granted by libp2p either.
func await(ctx context.Context, losers []*Stream) error {
	if len(losers) == 0 {
		return nil
	}
	timer := time.NewTimer(loserTime)
	defer timer.Stop()
	for _, s := range losers {
		select {
		case <-s.left:
		case <-timer.C:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// Release gives back n bytes of what is reserved.
func (s *Stream) Release(n int) {
	s.v.mu.Lock()
	defer s.v.mu.Unlock()
	if n = int(min(int64(n), s.reserved)); n <= 0 {
		return
	}
	s.reserved -= int64(n)
	s.table.Release(s.place, int64(n))
	s.raw.Scope().ReleaseMemory(n)
}
