package node

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/event"
	"github.com/libp2p/go-libp2p/core/network"

	"github.com/decube/decube/api"
	"github.com/decube/decube/block"
)

// nodeBackend answers the API about the node as a whole.
type nodeBackend struct {
	*Node

	started time.Time
	ready   atomic.Bool
}

var errStarting = errors.New("the node is starting")

// Identity implements server.Node.
func (b *nodeBackend) Identity(context.Context) (api.Identity, error) {
	key, err := crypto.MarshalPublicKey(b.host.Peerstore().PubKey(b.host.ID()))
	if err != nil {
		return api.Identity{}, fmt.Errorf("encoding the public key: %w", err)
	}
	id := api.Identity{
		ID:        b.host.ID().String(),
		PublicKey: base64.StdEncoding.EncodeToString(key),
		Agent:     b.version.UserAgent(userAgent),
		Network:   b.cfg.P2P.Network,
		Addresses: b.Addresses(),
	}
	for _, p := range b.host.Mux().Protocols() {
		id.Protocols = append(id.Protocols, string(p))
	}
	slices.Sort(id.Protocols)
	return id, nil
}

// Status implements server.Node.
func (b *nodeBackend) Status(ctx context.Context) (api.Status, error) {
	stat, err := b.store.Stat(ctx)
	if err != nil {
		return api.Status{}, err
	}
	st := api.Status{
		ID:            b.host.ID().String(),
		Network:       b.cfg.P2P.Network,
		Version:       b.version.Version,
		Started:       b.started,
		UptimeSeconds: time.Since(b.started).Seconds(),
		Ready:         b.ready.Load(),
		Peers:         len(b.host.Network().Peers()),
		Reachability:  b.reachability(),
		Snapshots:     stat.Pins,
		Blocks:        stat.Blocks,
		Bytes:         stat.Bytes,
		Provided:      b.dht.Status(ctx).Keys,
		Warnings:      b.warnings(ctx),
	}
	return st, nil
}

// Ready implements server.Node.
func (b *nodeBackend) Ready() error {
	if !b.ready.Load() {
		return errStarting
	}
	return nil
}

// Version implements server.Node.
func (b *nodeBackend) Version() api.Version {
	return api.Version{
		Version:  b.version.Version,
		Commit:   b.version.Commit,
		Go:       b.version.Go,
		Platform: b.version.Platform,
		API:      strings.TrimPrefix(api.Prefix, "/api/"),
	}
}

// routingBackend answers the API about the DHT.
type routingBackend struct{ *Node }

// FindProviders implements server.Routing.
func (b routingBackend) FindProviders(ctx context.Context, id block.ID) iter.Seq2[api.Provider, error] {
	return func(yield func(api.Provider, error) bool) {
		for info, err := range b.dht.FindProviders(ctx, id) {
			p := api.Provider{}
			if err == nil {
				p = api.Provider{ID: info.ID.String(), Addresses: knownAddrs(b.host.Peerstore(), info)}
			}
			if !yield(p, err) {
				return
			}
		}
	}
}

// reachabilityWatch remembers what AutoNAT found last.
type reachabilityWatch struct {
	last atomic.Int32
}

func (w *reachabilityWatch) String() string {
	return strings.ToLower(network.Reachability(w.last.Load()).String())
}

// run follows AutoNAT's events until ctx is done.
func (w *reachabilityWatch) run(ctx context.Context, bus event.Bus) error {
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
