package host

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	libp2phost "github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"
)

const (
	bootstrapTag     = "bootstrap"      // protects connections from trimming
	dialTimeout      = 15 * time.Second // of one attempt to reach a bootstrap peer
	firstRetry       = time.Second
	slowestRetry     = 5 * time.Minute
	dialsAtOnce      = 8
	attemptsToReport = 3 // failures in a row that are worth a warning
)

// Bootstrap keeps a host connected to its bootstrap peers: it dials them, tries
// again with growing pauses, and comes back when a connection is lost.
type Bootstrap struct {
	host libp2phost.Host
	log  *slog.Logger
	wake chan struct{}

	mu    sync.Mutex
	peers map[peer.ID]*contact
}

// contact is a bootstrap peer and when to dial it next.
type contact struct {
	info     peer.AddrInfo
	failures int
	next     time.Time
}

// NewBootstrap returns a Bootstrap for peers, which Run then looks after.
func NewBootstrap(h libp2phost.Host, peers []peer.AddrInfo, log *slog.Logger) *Bootstrap {
	b := &Bootstrap{host: h, log: log, wake: make(chan struct{}, 1), peers: make(map[peer.ID]*contact)}
	b.Set(peers)
	return b
}

// Set replaces the peers. New ones are dialled at once; connections to others
// stay, but are no longer protected.
func (b *Bootstrap) Set(peers []peer.AddrInfo) {
	b.mu.Lock()
	defer b.mu.Unlock()
	old := b.peers
	b.peers = make(map[peer.ID]*contact, len(peers))
	for _, info := range peers {
		if info.ID == b.host.ID() {
			continue // a list that all peers share names each of them
		}
		b.peers[info.ID] = &contact{info: info}
		b.host.ConnManager().Protect(info.ID, bootstrapTag)
		delete(old, info.ID)
	}
	for id := range old {
		b.host.ConnManager().Unprotect(id, bootstrapTag)
	}
	b.wakeUp()
}

// Run keeps the connections until ctx is done.
func (b *Bootstrap) Run(ctx context.Context) error {
	watch := &network.NotifyBundle{DisconnectedF: func(_ network.Network, c network.Conn) {
		b.lost(c.RemotePeer())
	}}
	b.host.Network().Notify(watch)
	defer b.host.Network().StopNotify(watch)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-b.wake:
		case <-timer.C:
		}
		b.dialDue(ctx)
		timer.Reset(b.untilNext())
	}
}

// lost notes that a connection was closed; a bootstrap peer is dialled again soon.
func (b *Bootstrap) lost(id peer.ID) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if c := b.peers[id]; c != nil {
		c.failures = 0
		c.next = time.Now().Add(pause(0))
		b.wakeUp()
	}
}

// wakeUp makes Run look at its peers again. It never blocks.
func (b *Bootstrap) wakeUp() {
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

// dialDue dials, a few at a time, the peers whose time has come.
func (b *Bootstrap) dialDue(ctx context.Context) {
	var wg sync.WaitGroup
	slots := make(chan struct{}, dialsAtOnce)
	for _, info := range b.due(time.Now()) {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			b.dial(ctx, info)
		})
	}
	wg.Wait()
}

func (b *Bootstrap) due(now time.Time) []peer.AddrInfo {
	b.mu.Lock()
	defer b.mu.Unlock()
	var infos []peer.AddrInfo
	for id, c := range b.peers {
		if !c.next.After(now) && b.host.Network().Connectedness(id) != network.Connected {
			infos = append(infos, c.info)
		}
	}
	return infos
}

func (b *Bootstrap) dial(ctx context.Context, info peer.AddrInfo) {
	if s, ok := b.host.Network().(*swarm.Swarm); ok {
		s.Backoff().Clear(info.ID) // the pauses are ours
	}
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	err := b.host.Connect(ctx, info)
	failures := b.settle(info.ID, err)
	switch {
	case err == nil:
		b.log.Info("connected to bootstrap peer", "peer", info.ID)
	case errors.Is(ctx.Err(), context.Canceled):
	case failures == attemptsToReport:
		b.log.Warn("bootstrap peer cannot be reached, still trying", "peer", info.ID, "addrs", info.Addrs, "err", err)
	default:
		b.log.Debug("bootstrap peer cannot be reached", "peer", info.ID, "err", err)
	}
}

// settle records how a dial went, and returns the number of failures in a row.
func (b *Bootstrap) settle(id peer.ID, err error) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	c := b.peers[id]
	if c == nil {
		return 0 // removed meanwhile
	}
	if err == nil {
		c.failures = 0 // next may be set already, by a loss that followed at once
		return 0
	}
	c.failures++
	c.next = time.Now().Add(pause(c.failures))
	return c.failures
}

// untilNext returns how long nothing is to be done.
func (b *Bootstrap) untilNext() time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	var times []time.Time
	for id, c := range b.peers {
		if b.host.Network().Connectedness(id) != network.Connected {
			times = append(times, c.next)
		}
	}
	if len(times) == 0 {
		return slowestRetry
	}
	return max(0, time.Until(slices.MinFunc(times, time.Time.Compare)))
}

// pause returns how long to wait after a number of failures in a row: doubling
// from firstRetry to slowestRetry, shortened by up to a half so that peers that
// lost a bootstrap peer together do not come back together.
func pause(failures int) time.Duration {
	d := slowestRetry
	if failures < 9 {
		d = min(slowestRetry, firstRetry<<failures)
	}
	return d - rand.N(d/2+1)
}
