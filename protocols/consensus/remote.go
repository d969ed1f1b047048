package consensus

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"
	ma "github.com/multiformats/go-multiaddr"
	"github.com/multiformats/go-multistream"
	"golang.org/x/time/rate"

	"github.com/decube/decube/internal/sig"
)

// remote is another validator: the queues and streams to it, and the streams from
// it.
type remote struct {
	c       *Consensus
	key     sig.PublicKey
	id      peer.ID
	outlets [len(classes)]*outlet
	turns   [len(classes)]chan struct{} // held while frames of a class are read
	paces   [len(classes)]*rate.Limiter // of these frames, over all streams
	dialing chan struct{}               // held while a connection is made

	// Held under dialing.

	known   []ma.Multiaddr // where it was last connected to
	found   time.Time      // when it was last searched for
	failed  time.Time      // when the last try ended, with
	failure error

	said atomic.Uint32 // the answer that this process has had last

	mu       sync.Mutex
	abort    context.CancelFunc           // ends a try to connect, or nil
	inlets   [len(classes)]*inlet         // all of one process
	outgoing [len(classes)]network.Stream // nil while there is none
	contest  *contest                     // nil unless another process wants the place
	evicted  bool                         // no validator any more
}

func newRemote(c *Consensus, key sig.PublicKey, id peer.ID) *remote {
	r := &remote{c: c, key: key, id: id, dialing: make(chan struct{}, 1)}
	for _, class := range classes {
		r.outlets[class.index()] = newOutlet(r, class)
		r.turns[class.index()] = make(chan struct{}, 1)
		r.paces[class.index()] = rate.NewLimiter(rate.Limit(c.o.Limits.FrameRate), c.o.Limits.queue(class).Frames)
	}
	return r
}

// run keeps the streams to the validator open until ctx ends.
func (r *remote) run(ctx context.Context) {
	var all sync.WaitGroup
	for _, o := range r.outlets {
		all.Go(func() { o.run(ctx) })
	}
	all.Wait()
}

func (r *remote) send(class Class, data []byte) bool {
	if !class.known() || len(data) == 0 || len(data) > class.maxFrame() {
		r.c.o.Observer.Dropped(r.key, class, 1)
		return false
	}
	queued, dropped := r.outlets[class.index()].queue.push(data)
	if dropped > 0 {
		r.c.o.Observer.Dropped(r.key, class, dropped)
	}
	return queued
}

// wake ends all pauses: the validator is there.
func (r *remote) wake() {
	r.mu.Lock()
	if r.abort != nil {
		r.abort()
	}
	r.mu.Unlock()
	for _, o := range r.outlets {
		select {
		case o.kick <- struct{}{}:
		default:
		}
	}
}

// open connects to the validator and opens a stream.
func (r *remote) open(ctx context.Context) (network.Stream, error) {
	ctx = network.WithAllowLimitedConn(ctx, ServiceName)
	if err := r.connect(ctx); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, r.c.o.Limits.HandshakeTimeout)
	defer cancel()
	stream, err := r.openStream(ctx)
	if err != nil {
		return nil, fmt.Errorf("open stream: %w", err)
	}
	return stream, nil
}

// openStream opens a stream to the process that has the place, if several have
// connections here: libp2p takes them for one peer.
func (r *remote) openStream(ctx context.Context) (network.Stream, error) {
	r.mu.Lock()
	holder := r.holder()
	r.mu.Unlock()
	if holder == nil || len(r.c.host.Network().ConnsToPeer(r.id)) < 2 {
		return r.c.host.NewStream(ctx, r.id, ID)
	}
	stream, err := holder.stream.Conn().NewStream(ctx)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = stream.Reset() }) // wakes who negotiates
	defer stop()
	if err := multistream.SelectProtoOrFail(ID, stream); err != nil {
		return nil, errors.Join(err, stream.Reset())
	}
	if err := stream.SetProtocol(ID); err != nil {
		return nil, errors.Join(err, stream.Reset())
	}
	return stream, nil
}

// setOutgoing notes the stream of a class to the validator, nil when it has ended.
func (r *remote) setOutgoing(class Class, stream network.Stream) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.outgoing[class.index()] = stream
}

// avoid ends what goes over a connection, on which a process was refused, to have it
// go to the process that has the place.
func (r *remote) avoid(conn network.Conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if holder := r.holder(); holder == nil || holder.stream.Conn() == conn {
		return
	}
	for _, stream := range r.outgoing {
		if stream != nil && stream.Conn() == conn {
			_ = stream.Reset()
		}
	}
}

// connect makes a connection unless there is one. Of several that call it at a
// time one tries, and the others share its failure.
func (r *remote) connect(ctx context.Context) error {
	began := time.Now()
	select {
	case r.dialing <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-r.dialing }()
	switch r.c.host.Network().Connectedness(r.id) { //nolint:exhaustive // the others are not connected
	case network.Connected, network.Limited:
		return nil
	}
	if r.failed.After(began) {
		return r.failure
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	r.setAbort(cancel)
	defer r.setAbort(nil)
	err := r.dial(ctx)
	if err == nil {
		r.known = r.c.host.Peerstore().Addrs(r.id)
		return nil
	}
	r.failed, r.failure = time.Now(), err
	return err
}

func (r *remote) setAbort(abort context.CancelFunc) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.abort = abort
}

// dial connects to the addresses that are known, and then to those that a search
// brings.
func (r *remote) dial(ctx context.Context) error {
	err := r.dialAt(ctx, r.known)
	if err == nil || r.c.o.Find == nil || ctx.Err() != nil || time.Since(r.found) < r.c.o.Limits.FindInterval {
		return err
	}
	r.found = time.Now()
	search, cancel := context.WithTimeout(ctx, r.c.o.Limits.DialTimeout)
	defer cancel()
	info, searchErr := r.c.o.Find(search, r.id)
	if searchErr != nil {
		return errors.Join(err, fmt.Errorf("find %s: %w", r.id, searchErr))
	}
	return r.dialAt(ctx, info.Addrs)
}

// dialAt connects to the addresses given and to those in the peerstore.
func (r *remote) dialAt(ctx context.Context, addrs []ma.Multiaddr) error {
	if len(addrs) == 0 && len(r.c.host.Peerstore().Addrs(r.id)) == 0 {
		return ErrUnreachable
	}
	// The pause after a failure is ours; libp2p's own begins at five seconds.
	if s, ok := r.c.host.Network().(interface{ Backoff() *swarm.DialBackoff }); ok {
		s.Backoff().Clear(r.id)
	}
	ctx, cancel := context.WithTimeout(ctx, r.c.o.Limits.DialTimeout)
	defer cancel()
	if err := r.c.host.Connect(ctx, peer.AddrInfo{ID: r.id, Addrs: addrs}); err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	return nil
}

// leave takes in out, and reports whether it was the validator's last stream.
func (r *remote) leave(in *inlet) (last bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	i := in.class.index()
	if r.inlets[i] != in {
		return false
	}
	r.inlets[i] = nil
	last = r.holder() == nil
	if c := r.contest; last && c != nil {
		r.contest = nil // it is gone: there is nothing to wait for
		c.timer.Stop()
		close(c.over)
	}
	return last && !r.evicted
}

// evict ends all streams of the validator and takes no more.
func (r *remote) evict(c code) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.evicted = true
	for _, in := range r.inlets {
		if in != nil {
			in.end(c)
		}
	}
}
