package dht

import (
	"context"
	"fmt"
	"iter"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/decube/decube/block"
)

// findAddrsTimeout bounds the search for a provider whose record came without
// addresses.
const findAddrsTimeout = 10 * time.Second

// FindProviders searches for peers that announced id and yields each of them
// once, while the search goes on; this peer itself is left out. The sequence
// ends when the closest peers have been asked, when MaxProviders were found, or
// with ctx. A provider without known addresses is looked up before it is
// yielded. The only errors are ctx's and ErrNotConnected, each yielded last.
func (d *DHT) FindProviders(ctx context.Context, id block.ID) iter.Seq2[peer.AddrInfo, error] {
	return func(yield func(peer.AddrInfo, error) bool) {
		d.records.Know(id.Digest().Multihash())
		search, cancel := context.WithCancel(ctx)
		found := d.kad.FindProvidersAsync(search, id.CID(), d.cfg.MaxProviders)
		defer func() {
			cancel()
			for range found { // drained so that the search can end
			}
		}()
		seen := make(map[peer.ID]struct{})
		for info := range found {
			if _, dup := seen[info.ID]; dup || info.ID == d.host.ID() {
				continue
			}
			seen[info.ID] = struct{}{}
			if !yield(d.withAddrs(search, info), nil) {
				return
			}
		}
		switch {
		case ctx.Err() != nil:
			yield(peer.AddrInfo{}, fmt.Errorf("dht: find providers of %s: %w", id, ctx.Err()))
		case !d.connected():
			yield(peer.AddrInfo{}, fmt.Errorf("dht: find providers of %s: %w", id, ErrNotConnected))
		}
	}
}

// withAddrs completes info with what the peerstore knows or the swarm tells.
// Without either it is returned as it is: the peer may be connected already.
func (d *DHT) withAddrs(ctx context.Context, info peer.AddrInfo) peer.AddrInfo {
	if len(info.Addrs) > 0 {
		return info
	}
	if known := d.host.Peerstore().PeerInfo(info.ID); len(known.Addrs) > 0 {
		return known
	}
	ctx, cancel := context.WithTimeout(ctx, findAddrsTimeout)
	defer cancel()
	if found, err := d.kad.FindPeer(ctx, info.ID); err == nil {
		return found
	}
	return info
}
