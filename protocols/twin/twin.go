// Package twin finds out that a second process runs with a peer's identity: a copy of its
// repository, or a backup that was started elsewhere. Neither of the two can tell by itself,
// for libp2p does not dial its own peer ID; whoever both are connected to can.
//
// A process draws a number when it starts, and greets some peers with it every now and then:
//
//	request  run number (16 bytes)
//	answer   0, or 1: another process greets me with your identity
//
// A peer answers 1 once another run has greeted it after this one first did, over a connection
// that is still open. What a process that was killed has left behind is therefore no twin: it
// greets nobody any more.
//
// A peer may lie. All that comes of it is a warning that says who it is from.
package twin

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"log/slog"
	mathrand "math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"

	"github.com/decube/decube/internal/admission"
	"github.com/decube/decube/internal/limits"
	"github.com/decube/decube/internal/streams"
)

// ID is the protocol's.
const ID protocol.ID = "/decube/twin/1.0.0"

// ServiceName is what the resource manager knows the protocol by.
const ServiceName = "decube.twin"

const (
	runSize = 16
	// Interval is the time between greetings of one peer.
	Interval = 30 * time.Second
	// greeted is how many peers are greeted at a time, those whose connections are protected
	// first: the two processes have their bootstrap peers in common.
	greeted = 8
	// greetTimeout bounds a greeting, on either side.
	greetTimeout = 5 * time.Second
	// mostRuns is how many processes of one identity are told apart, and mostPeers of how
	// many peers any are remembered.
	mostRuns, mostPeers = 4, 4096
	// mostAnswers is how many greetings are answered at a time; a peer may have one for each
	// of its processes.
	mostAnswers = 32
	// memory is how long one that was noticed is warned of.
	memory = 10 * time.Minute
)

// run is a process as others are greeted with it.
type run [runSize]byte

// sighting is a process that has greeted this peer.
type sighting struct {
	run         run
	first, last time.Time
	conn        network.Conn
}

// Watch greets peers and answers their greetings. Its methods are safe for concurrent use.
type Watch struct {
	host host.Host
	o    Options
	run  run

	mu      sync.Mutex
	seen    map[peer.ID][]sighting
	noticed time.Time // when a twin was noticed last
	from    peer.ID   // who said so
}

// Options is what a Watch may be given but does not need.
type Options struct {
	// Peers knows how others stand to this one. Without it all are strangers.
	Peers streams.Peers
	// Log is told of a twin. Without it nothing is logged.
	Log *slog.Logger
}

// New returns a watch of h's identity. Run starts it.
func New(h host.Host, o Options) *Watch {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	w := &Watch{host: h, o: o, seen: map[peer.ID][]sighting{}}
	_, _ = rand.Read(w.run[:]) // it never fails
	return w
}

// Handler returns what answers greetings. Who finds no place is told nothing: it greets
// again.
func (w *Watch) Handler() streams.Handler {
	// Nothing is reserved: a greeting is smaller than what libp2p reserves for any stream.
	l := admission.For(limits.Row{Streams: mostAnswers, PerPeer: mostRuns, Memory: 1})
	l.Request, l.Standstill = greetTimeout, greetTimeout
	return streams.Handler{ID: ID, Service: ServiceName, Limits: l, Serve: w.answer}
}

// Run greets and answers until ctx is done. It waits for no peer then.
func (w *Watch) Run(ctx context.Context) error {
	served, err := streams.Open(w.host, streams.Options{Peers: w.o.Peers, Log: w.o.Log}, w.Handler())
	if err != nil {
		return err
	}
	w.greetAll(ctx)
	return served.Close()
}

// greetAll greets peers every now and then until ctx is done.
func (w *Watch) greetAll(ctx context.Context) {
	tick := time.NewTicker(Interval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			w.greetSome(ctx)
		}
	}
}

// Warning says that a second process has been noticed lately, and is empty if none was.
func (w *Watch) Warning() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.noticed.IsZero() || time.Since(w.noticed) > memory {
		return ""
	}
	return fmt.Sprintf("identity in use: the peer %s says that a second process runs with this peer's identity, %s: stop one of the two, or give it a repository of its own", w.from, w.host.ID())
}

// greetSome greets some connected peers, one after the other.
func (w *Watch) greetSome(ctx context.Context) {
	peers := w.host.Network().Peers()
	mathrand.Shuffle(len(peers), func(i, j int) { peers[i], peers[j] = peers[j], peers[i] })
	slices.SortStableFunc(peers, func(a, b peer.ID) int {
		return w.rank(a) - w.rank(b)
	})
	for _, p := range peers[:min(len(peers), greeted)] {
		if err := w.Greet(ctx, p); err != nil && ctx.Err() == nil {
			w.o.Log.Debug("a peer was not greeted", "peer", p.String(), "err", err)
		}
	}
}

// rank is lower for peers that are greeted first.
func (w *Watch) rank(p peer.ID) int {
	if w.host.ConnManager().IsProtected(p, "") {
		return 0
	}
	return 1
}

// Greet greets a connected peer, and notes what it says.
func (w *Watch) Greet(ctx context.Context, p peer.ID) error {
	ctx, cancel := context.WithTimeout(network.WithNoDial(ctx, ServiceName), greetTimeout)
	defer cancel()
	s, err := w.host.NewStream(ctx, p, ID)
	if err != nil {
		return fmt.Errorf("greeting %s: %w", p, err)
	}
	stay := cutOff(ctx, s)
	told, err := w.ask(s)
	stay()
	if err != nil {
		_ = s.Reset() // it is of no use any more
		return fmt.Errorf("greeting %s: %w", p, err)
	}
	if told {
		w.notice(p)
	}
	return s.Close()
}

// cutOff resets a stream once ctx is done, unless stay is called before: who is behind it
// may keep silent until the last moment.
func cutOff(ctx context.Context, s network.Stream) (stay func()) {
	stop := context.AfterFunc(ctx, func() { _ = s.Reset() })
	return func() { stop() }
}

// ask says which run this is, and returns whether there is another one.
func (w *Watch) ask(s network.Stream) (told bool, err error) {
	if err := s.SetDeadline(time.Now().Add(greetTimeout)); err != nil {
		return false, err
	}
	if _, err := s.Write(w.run[:]); err != nil {
		return false, err
	}
	if err := s.CloseWrite(); err != nil {
		return false, err
	}
	var answer [1]byte
	if _, err := io.ReadFull(s, answer[:]); err != nil {
		return false, err
	}
	return answer[0] == 1, nil
}

func (w *Watch) notice(from peer.ID) {
	w.mu.Lock()
	first := w.noticed.IsZero() || time.Since(w.noticed) > memory
	w.noticed, w.from = time.Now(), from
	w.mu.Unlock()
	if first {
		w.o.Log.Error("a second process runs with this peer's identity: stop one of the two", "says", from.String())
	}
}

// answer answers a greeting.
func (w *Watch) answer(_ context.Context, s *streams.Stream) error {
	var theirs run
	if _, err := io.ReadFull(s, theirs[:]); err != nil {
		return err
	}
	s.Asked()
	defer s.Answered()
	answer := []byte{0}
	if w.saw(time.Now(), s.Conn(), theirs) {
		answer[0] = 1
	}
	_, err := s.Write(answer)
	return err
}

// saw notes that a process has greeted this peer, and reports whether another one with its
// identity has since this one first did.
func (w *Watch) saw(now time.Time, conn network.Conn, theirs run) (twin bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	id := conn.RemotePeer()
	known := slices.DeleteFunc(w.seen[id], func(s sighting) bool { return s.conn.IsClosed() })
	at := slices.IndexFunc(known, func(s sighting) bool { return s.run == theirs })
	if at < 0 {
		if len(known) == mostRuns {
			known = slices.Delete(known, 0, 1)
		}
		at = len(known)
		known = append(known, sighting{run: theirs, first: now})
	}
	known[at].last, known[at].conn = now, conn
	if len(w.seen) >= mostPeers && w.seen[id] == nil {
		w.forgetGone()
	}
	if len(w.seen) < mostPeers || w.seen[id] != nil {
		w.seen[id] = known
	}
	return slices.ContainsFunc(known, func(s sighting) bool { return s.run != theirs && s.last.After(known[at].first) })
}

// forgetGone forgets peers that are not connected any more.
func (w *Watch) forgetGone() {
	for id, known := range w.seen {
		if !slices.ContainsFunc(known, func(s sighting) bool { return !s.conn.IsClosed() }) {
			delete(w.seen, id)
		}
	}
}
