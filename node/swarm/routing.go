package swarm

import (
	"context"
	"fmt"
	"iter"
	"strings"
	"sync/atomic"

	"github.com/libp2p/go-libp2p/core/event"
	"github.com/libp2p/go-libp2p/core/network"

	"github.com/decube/decube/api"
	"github.com/decube/decube/block"
	"github.com/decube/decube/dht"
	"github.com/decube/decube/node/host"
)

// routing answers the API about the DHT.
type routing struct {
	dht  *dht.DHT
	host *host.Host
}

// FindProviders implements server.Routing.
func (r routing) FindProviders(ctx context.Context, id block.ID) iter.Seq2[api.Provider, error] {
	return func(yield func(api.Provider, error) bool) {
		for info, err := range r.dht.FindProviders(ctx, id) {
			p := api.Provider{}
			if err == nil {
				p = api.Provider{ID: info.ID.String(), Addresses: knownAddrs(r.host.Peerstore(), info)}
			}
			if !yield(p, err) {
				return
			}
		}
	}
}

// reachability remembers what AutoNAT found last.
type reachability struct {
	last atomic.Int32
}

func (w *reachability) String() string {
	return strings.ToLower(network.Reachability(w.last.Load()).String())
}

// run follows AutoNAT's events until ctx is done.
func (w *reachability) run(ctx context.Context, bus event.Bus) error {
	sub, err := bus.Subscribe(new(event.EvtLocalReachabilityChanged))
	if err != nil {
		return fmt.Errorf("watching reachability: %w", err)
	}
	defer sub.Close()
	for {
		select {
		case <-ctx.Done():
			return nil
		case e, ok := <-sub.Out():
			if change, is := e.(event.EvtLocalReachabilityChanged); ok && is {
				w.last.Store(int32(change.Reachability))
			}
		}
	}
}
