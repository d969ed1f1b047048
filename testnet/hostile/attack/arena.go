package attack

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"golang.org/x/sync/errgroup"

	"github.com/decube/decube/testnet/hostile/stranger"
)

// Arena is where an attack takes place. Its methods may be called concurrently.
type Arena struct {
	Target

	Crowd []*stranger.Stranger
	// Router is an address of the attackers' that servers of theirs listen on.
	Router netip.Addr

	mu     sync.Mutex
	counts map[string]int64
	once   sync.Once
	stands chan struct{}
}

// NewArena makes an arena for a crowd of strangers.
func NewArena(t Target, crowd []*stranger.Stranger, router netip.Addr) *Arena {
	return &Arena{Target: t, Crowd: crowd, Router: router, counts: map[string]int64{}, stands: make(chan struct{})}
}

// Count adds to a number that is reported.
func (a *Arena) Count(what string, n int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.counts[what] += n
}

// Counts returns the numbers so far.
func (a *Arena) Counts() map[string]int64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return maps.Clone(a.counts)
}

// Stand says that the attack is in place. Further calls do nothing.
func (a *Arena) Stand() { a.once.Do(func() { close(a.stands) }) }

// Stands is closed when the attack is in place.
func (a *Arena) Stands() <-chan struct{} { return a.stands }

// How long an attacker waits after a stream was refused, and after a connection was, or
// has ended: to dial without a pause would be another attack.
const (
	breath = 250 * time.Millisecond
	redial = 2 * time.Second
)

// pause waits, and reports whether ctx has not ended.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// each has every stranger of the crowd be connected to the victim and do something
// over the connection, again and again until ctx ends. The attack stands when each has
// tried once.
func (a *Arena) each(ctx context.Context, do func(context.Context, *stranger.Stranger, *stranger.Conn) error) error {
	return a.eachAt(ctx, a.Victim, do)
}

func (a *Arena) eachAt(ctx context.Context, to peer.AddrInfo, do func(context.Context, *stranger.Stranger, *stranger.Conn) error) error {
	var tried sync.WaitGroup
	var all errgroup.Group
	for _, s := range a.Crowd {
		tried.Add(1)
		all.Go(func() error {
			first := sync.OnceFunc(tried.Done)
			defer first()
			for ctx.Err() == nil {
				a.visit(ctx, to, s, first, do)
				if !pause(ctx, redial) {
					return nil
				}
			}
			return nil
		})
	}
	all.Go(func() error {
		tried.Wait()
		a.Stand()
		return nil
	})
	return all.Wait()
}

// visit connects once, and counts what became of it.
func (a *Arena) visit(ctx context.Context, to peer.AddrInfo, s *stranger.Stranger, tried func(),
	do func(context.Context, *stranger.Stranger, *stranger.Conn) error,
) {
	c, err := s.Dial(ctx, to)
	if err != nil {
		if ctx.Err() == nil {
			a.Count("connections refused", 1)
		}
		tried()
		return
	}
	defer c.End()
	tried()
	a.Count("connections", 1)
	own, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := make(chan struct{})
	defer close(stop)
	go func() { // a connection that the victim closes ends what is done over it
		select {
		case <-c.Gone():
			cancel()
		case <-stop:
		}
	}()
	if err := do(own, s, c); err != nil && ctx.Err() == nil {
		a.Count("cut short", 1)
	}
}

// hold waits until ctx ends, for attacks that have done what they do.
func hold(ctx context.Context) error {
	<-ctx.Done()
	return nil
}

// streams runs n loops over one connection, each of which opens a stream of a protocol
// and does something with it, again and again until ctx ends or the connection fails.
func (a *Arena) streams(ctx context.Context, c *stranger.Conn, n int, id protocol.ID, do func(context.Context, stranger.Stream) error) error {
	all, ctx := errgroup.WithContext(ctx)
	for range n {
		all.Go(func() error {
			for ctx.Err() == nil {
				if err := a.stream(ctx, c, id, do); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return all.Wait()
}

// stream runs one stream. The error is the connection's; how the stream ended is
// counted.
func (a *Arena) stream(ctx context.Context, c *stranger.Conn, id protocol.ID, do func(context.Context, stranger.Stream) error) error {
	s, err := c.Open(ctx, id)
	if err != nil {
		if c.IsClosed() || ctx.Err() != nil {
			return err
		}
		a.Count("streams refused", 1)
		pause(ctx, breath)
		return nil
	}
	a.Count("streams", 1)
	stop := context.AfterFunc(ctx, func() { _ = s.Reset() })
	err = do(ctx, s)
	stop()
	_ = s.Reset() // one that is gone already is as good
	if err != nil && ctx.Err() == nil {
		a.Count("streams cut short", 1)
		pause(ctx, breath)
	}
	return nil
}

// most is the largest message that is read from the victim in bytes.
const most = 4 << 20

// errNothing is returned by attacks that lack what to attack.
var errNothing = errors.New("nothing to attack")

// need returns an error unless there is at least one.
func need(list []string, what string) error {
	if len(list) == 0 {
		return fmt.Errorf("%w: no %s", errNothing, what)
	}
	return nil
}

// How long strangers that want to be dialled stay connected, and stay away.
const (
	stay  = 500 * time.Millisecond
	leave = 5 * time.Second
)

// dripEvery is the time between two bytes of those who drip.
const dripEvery = time.Second
