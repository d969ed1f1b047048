package streams

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/network"

	"github.com/decube/decube/internal/admission"
	"github.com/decube/decube/internal/wire"
)

const (
	// refuseTime bounds telling a client why it is not served.
	refuseTime = time.Second
	// stuckTime bounds ending a stream.
	stuckTime = 3 * time.Second
)

// service is one protocol that is served.
type service struct {
	Handler
	o Options

	mu       sync.Mutex
	tables   []*admission.Table // that of Limits, and that of Waiting if there is one
	live     map[ticket]*Stream // until they have ended
	refusing int
	draining bool
	closed   bool
	armed    time.Time // when watch looks next, zero if nothing is to be waited for

	stopping chan struct{} // closed when draining begins
	drained  chan struct{} // closed when, then, no stream is left
	wake     chan struct{} // has watch look earlier
	over     chan struct{} // ends watch
	serving  sync.WaitGroup
	watching sync.WaitGroup
}

// ticket is a place in a table.
type ticket struct {
	table *admission.Table
	place admission.Place
}

func newService(h Handler, o Options) (*service, error) {
	v := &service{
		Handler: h, o: o, live: map[ticket]*Stream{},
		stopping: make(chan struct{}), drained: make(chan struct{}), wake: make(chan struct{}, 1), over: make(chan struct{}),
	}
	all := []admission.Limits{h.Limits}
	if h.Waiting != nil {
		all = append(all, *h.Waiting)
	}
	for _, l := range all {
		table, err := admission.New(l)
		if err != nil {
			return nil, err
		}
		v.tables = append(v.tables, table)
	}
	return v, nil
}

// handle serves a stream, in the goroutine that libp2p has begun for it.
func (v *service) handle(raw network.Stream) {
	if !v.begin() {
		_ = raw.ResetWithError(network.StreamShutdown)
		return
	}
	defer v.serving.Done()
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	s := newStream(ctx, cancel, v, raw)
	if v.Service != "" && raw.Scope().SetService(v.Service) != nil {
		v.o.Observer.Refused(v.ID, s.Peer(), admission.Memory)
		v.o.Peers.Refused(raw.Conn())
		defer unstick(raw)()
		_ = raw.ResetWithError(network.StreamResourceLimitExceeded)
		return
	}
	if code := v.enter(s); !code.OK() {
		v.o.Observer.Refused(v.ID, s.Peer(), code.Reason)
		v.o.Peers.Refused(raw.Conn())
		defer unstick(raw)()
		v.refuse(raw, code)
		return
	}
	v.o.Observer.Served(v.ID, s.Peer())
	err := v.Serve(ctx, s)
	unstuck := unstick(raw)
	if err == nil {
		err = raw.Close()
	}
	if errors.Is(err, wire.ErrMalformed) || errors.Is(err, wire.ErrTooLarge) {
		v.o.Peers.Mistake(s.Peer())
	}
	if err != nil {
		s.abort()
		v.o.Log.Debug("stream ended", "protocol", string(v.ID), "peer", s.Peer().String(), "err", err)
	}
	unstuck()
	reason := v.leave(s)
	if reason != admission.Admitted {
		<-s.reset
	}
	if reason != admission.Admitted && reason != admission.Stopping {
		v.o.Peers.Mistake(s.Peer()) // it held a place that others needed
	}
	v.o.Observer.Ended(v.ID, s.Peer(), reason)
}

// begin counts a stream, unless the service is closed.
func (v *service) begin() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	if !v.closed {
		v.serving.Add(1)
	}
	return !v.closed
}

// enter asks for a place, and resets whoever loses it.
func (v *service) enter(s *Stream) admission.Code {
	v.mu.Lock()
	if v.draining {
		v.mu.Unlock()
		return admission.Code{Reason: admission.Stopping}
	}
	table := v.tables[0]
	p, lost, code := table.Enter(time.Now(), s.who)
	losers := v.lose(table, lost, admission.Busy)
	if code.OK() {
		s.ticket = ticket{table, p}
		v.live[s.ticket] = s
	}
	v.arm()
	v.mu.Unlock()
	reset(losers)
	return code
}

// refuse tells a client why it is not served. As many as there are places are told at a
// time; who comes in between learns that from the reset alone.
func (v *service) refuse(raw network.Stream, code admission.Code) {
	var text []byte
	if v.Refuse != nil {
		text = v.Refuse(code)
	}
	v.mu.Lock()
	tell := len(text) > 0 && v.refusing < v.Limits.Places
	if tell {
		v.refusing++
	}
	v.mu.Unlock()
	if !tell {
		_ = raw.ResetWithError(network.StreamResourceLimitExceeded)
		return
	}
	defer func() {
		v.mu.Lock()
		defer v.mu.Unlock()
		v.refusing--
	}()
	if raw.SetDeadline(time.Now().Add(refuseTime)) != nil {
		_ = raw.Reset()
		return
	}
	if _, err := raw.Write(text); err != nil {
		_ = raw.Reset()
		return
	}
	_ = raw.Close()
}

// leave gives back what a stream has, and returns why it has lost its place, if it has.
func (v *service) leave(s *Stream) admission.Reason {
	v.o.Turns.leave(s.seat)
	v.mu.Lock()
	defer v.mu.Unlock()
	if s.reserved > 0 {
		s.raw.Scope().ReleaseMemory(int(s.reserved))
	}
	s.table.Leave(s.place)
	delete(v.live, s.ticket)
	close(s.left)
	if v.draining {
		v.emptied()
	}
	return s.lost
}

// emptied notes that nothing is left to drain, if that is so.
func (v *service) emptied() {
	if len(v.live) > 0 {
		return
	}
	select {
	case <-v.drained:
	default:
		close(v.drained)
	}
}

// lose notes that streams have lost their place. They are to be reset when v.mu is free.
func (v *service) lose(table *admission.Table, places []admission.Place, why admission.Reason) []*Stream {
	var losers []*Stream
	for _, p := range places {
		if s := v.live[ticket{table, p}]; s != nil && s.lost == admission.Admitted {
			s.lost = why
			losers = append(losers, s)
		}
	}
	return losers
}

// reset ends streams that have lost their place. It does not wait until they are told: a
// connection that takes nothing has room for that no more than for anything else.
func reset(losers []*Stream) {
	for _, s := range losers {
		s.cancel(Lost{s.lost})
		go s.tell() // handle waits for it
	}
}

// tell resets the stream, with the reason.
func (s *Stream) tell() {
	defer close(s.reset)
	defer unstick(s.raw)()
	_ = s.raw.ResetWithError(errorCode(s.lost))
}

// unstick closes the connection of a stream unless what it returns is called within
// stuckTime. Before that a connection is slow; after it, it does not even take the end of a
// stream, and who reads or writes on it would wait for as long as it lasts.
func unstick(raw network.Stream) (done func()) {
	timer := time.AfterFunc(stuckTime, func() { _ = raw.Conn().Close() })
	return func() { timer.Stop() }
}

func errorCode(why admission.Reason) network.StreamErrorCode {
	switch why {
	case admission.Slow:
		return network.StreamRateLimited
	case admission.Stopping:
		return network.StreamShutdown
	default:
		return network.StreamResourceLimitExceeded
	}
}

// next returns when a clock runs out, zero if none does.
func (v *service) next(now time.Time) (next time.Time) {
	for _, table := range v.tables {
		if at := table.Next(now); next.IsZero() || !at.IsZero() && at.Before(next) {
			next = at
		}
	}
	return next
}

// arm has watch look earlier, if a clock runs out before it would.
func (v *service) arm() {
	next := v.next(time.Now())
	if next.IsZero() || !v.armed.IsZero() && !next.Before(v.armed) {
		return
	}
	v.armed = next
	select {
	case v.wake <- struct{}{}:
	default: // it is about to look
	}
}

// watch resets streams whose clock has run out.
func (v *service) watch() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		v.mu.Lock()
		var losers []*Stream
		now := time.Now()
		for _, table := range v.tables {
			late, _ := table.Due(now)
			losers = append(losers, v.lose(table, late, admission.Slow)...)
		}
		next := v.next(now)
		v.armed = next
		v.mu.Unlock()
		reset(losers)
		var due <-chan time.Time
		if timer.Stop(); !next.IsZero() {
			timer.Reset(time.Until(next))
			due = timer.C
		}
		select {
		case <-due:
		case <-v.wake:
		case <-v.over:
			return
		}
	}
}

// drain refuses whoever comes, and ends streams of which nothing is asked.
func (v *service) drain() {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.draining {
		return
	}
	v.draining = true
	close(v.stopping)
	for _, s := range v.live {
		if s.requests == 0 {
			_ = s.raw.SetReadDeadline(time.Unix(1, 0)) // wakes the reader; see Stream.Read
		}
	}
	v.emptied()
}

// close resets every stream. None begins any more.
func (v *service) close() {
	v.drain()
	v.mu.Lock()
	v.closed = true
	var losers []*Stream
	for t := range v.live {
		losers = append(losers, v.lose(t.table, []admission.Place{t.place}, admission.Stopping)...)
	}
	v.mu.Unlock()
	reset(losers)
}
