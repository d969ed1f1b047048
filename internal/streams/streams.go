// Package streams serves the streams that other peers open. It is the shell of package
// admission, which decides: it has the clocks, the locks and the goroutines, and resets
// those that lose their place. A protocol says in a [Handler] what it serves, and does so
// with a [Stream], which counts what is read and written.
//
//	libp2p ── Handler ── Table: a place? ── no: Refuse, and the stream ends
//	                        │ yes
//	                      Serve(Stream) ── Read, Asked, Reserve, Write, Answered ── and again
//	                        │
//	                      Turns: the next step of an answer, of all protocols together
//
// A stream has no deadlines of its own: when a clock of its table runs out it is reset,
// which wakes whoever reads or writes.
package streams

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"sync"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"

	"github.com/decube/decube/internal/admission"
)

// ErrInvalid is returned for a handler that cannot work.
var ErrInvalid = errors.New("invalid stream handler")

// Handler is a protocol, as others see it.
type Handler struct {
	ID protocol.ID
	// Service is what the resource manager knows the streams by, if it is to know them by
	// more than the protocol.
	Service string
	Limits  admission.Limits
	// Waiting has the places of those whose answer waits for something to happen, if there
	// are such: see Stream.Wait.
	Waiting *admission.Limits
	// Refuse returns what a client is told when it is not served, as the protocol's codec
	// has it. Without it, or with nothing in it, the stream is reset.
	Refuse func(admission.Code) []byte
	// Serve serves one stream, and may begin to read at once. When it returns nil the
	// stream is closed, else it is reset. It must return soon after reading, writing or
	// its context has ended, with all goroutines that it has started.
	Serve func(context.Context, *Stream) error
}

// Host is what streams come from.
type Host interface {
	SetStreamHandler(protocol.ID, network.StreamHandler)
	RemoveStreamHandler(protocol.ID)
}

// Observer is told what happens. Its methods are called from many goroutines and must
// return at once.
type Observer interface {
	// Served is called when a stream has got a place.
	Served(protocol.ID, peer.ID)
	// Ended is called when such a stream has ended, by itself if the reason is Admitted,
	// and else because it has lost its place.
	Ended(protocol.ID, peer.ID, admission.Reason)
	// Refused is called when a stream has got none.
	Refused(protocol.ID, peer.ID, admission.Reason)
}

type silent struct{}

func (silent) Served(protocol.ID, peer.ID)                    {}
func (silent) Ended(protocol.ID, peer.ID, admission.Reason)   {}
func (silent) Refused(protocol.ID, peer.ID, admission.Reason) {}

// Peers knows how others stand to this peer, and is told how they behave; what to think of
// one that goes on is up to it. Its methods are called from many goroutines and must return
// at once.
type Peers interface {
	// Class says how a peer stands to this one.
	Class(peer.ID) admission.Class
	// Mistake is told of a peer that has broken a protocol, so that Serve has returned a
	// wire.ErrMalformed or wire.ErrTooLarge, and of one whose stream has lost its place. An
	// honest peer is told of rarely.
	Mistake(peer.ID)
	// Refused is told of a stream that has got no place, of an honest peer too if it is
	// quick to ask.
	Refused(network.Conn)
}

// Turner is implemented by Peers who know of connections whose writes take turns of their
// own: see [Turns.Conn]. Over these who is light needs none before.
type Turner interface {
	// Turning reports whether the writes of a connection take turns.
	Turning(network.Conn) bool
}

// Asker is implemented by Peers who brake what comes from strangers: see [Brake].
type Asker interface {
	// Asking is told that a peer is asked for something until done is called, once.
	Asking(peer.ID) (done func())
}

// Asking tells peers, who may be nil, that one of them is asked for something until done is
// called, once.
func Asking(p Peers, id peer.ID) (done func()) {
	if a, ok := p.(Asker); ok {
		return a.Asking(id)
	}
	return func() {}
}

// turning reports whether the writes of a connection take turns of their own.
func (o *Options) turning(c network.Conn) bool {
	t, ok := o.Peers.(Turner)
	return ok && t.Turning(c)
}

// Strangers are peers of whom nothing is known, and nothing is noted.
type Strangers struct{}

// Class implements Peers.
func (Strangers) Class(peer.ID) admission.Class { return admission.Stranger }

// Mistake implements Peers.
func (Strangers) Mistake(peer.ID) {}

// Refused implements Peers.
func (Strangers) Refused(network.Conn) {}

// Options is what streams may be served with. The zero value will do.
type Options struct {
	Peers Peers // nil for Strangers
	// Turns is shared by everything that sends to others. Without it there are turns of
	// these streams, as fast as can be.
	Turns    *Turns
	Observer Observer
	Log      *slog.Logger
}

// Streams are the handlers of a host. Its methods are safe for concurrent use.
type Streams struct {
	host     Host
	services []*service
	closed   sync.Once
}

// Open has handlers serve what comes, from now on. The caller closes what it returns.
func Open(h Host, o Options, handlers ...Handler) (*Streams, error) {
	if o.Peers == nil {
		o.Peers = Strangers{}
	}
	if o.Observer == nil {
		o.Observer = silent{}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Turns == nil {
		turns, err := NewTurns(admission.PaceFor(runtime.GOMAXPROCS(0), admission.Unbounded))
		if err != nil {
			return nil, err
		}
		o.Turns = turns
	}
	x := &Streams{host: h}
	seen := map[protocol.ID]bool{}
	for _, handler := range handlers {
		if handler.ID == "" || handler.Serve == nil || seen[handler.ID] {
			return nil, fmt.Errorf("%w: %q: want one handler for each protocol, with Serve", ErrInvalid, handler.ID)
		}
		seen[handler.ID] = true
		v, err := newService(handler, o)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", handler.ID, err)
		}
		x.services = append(x.services, v)
	}
	for _, v := range x.services {
		v.watching.Go(v.watch)
		h.SetStreamHandler(v.ID, v.handle)
	}
	return x, nil
}

// Drain refuses whoever comes from now on, ends streams of which nothing is asked, and
// returns when the last one has been answered what it has asked. When ctx ends before, it
// returns its error. What goes on then ends with Close.
func (x *Streams) Drain(ctx context.Context) error {
	for _, v := range x.services {
		v.drain()
	}
	for _, v := range x.services {
		select {
		case <-v.drained:
		case <-ctx.Done():
			return fmt.Errorf("streams of %s are still answered: %w", v.ID, ctx.Err())
		}
	}
	return nil
}

// Close takes the handlers away, resets every stream, and returns when all have ended. A
// further call does nothing.
func (x *Streams) Close() error {
	x.closed.Do(x.close)
	return nil
}

func (x *Streams) close() {
	for _, v := range x.services {
		x.host.RemoveStreamHandler(v.ID)
		v.close()
	}
	for _, v := range x.services {
		v.serving.Wait()
		close(v.over)
		v.watching.Wait()
	}
}
