package dht

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
)

const (
	// probePatience is how long a probe of a peer that is offline waits for the
	// first connection.
	probePatience = 10 * time.Minute
	// lookupPatience is how long a look-up waits for a routing table that has
	// just become empty.
	lookupPatience = time.Second
	// patienceStep is how often the routing table is looked at meanwhile.
	patienceStep = 50 * time.Millisecond
)

// patientRouter answers the sweep's look-ups. It differs from the DHT's own
// only while the routing table is empty:
//
//   - The sweep finds out that it is online by looking up its own ID, again and
//     again with a growing delay of up to a minute. Such a probe waits here for
//     the first peer instead, so that the sweep begins when a peer connects.
//   - A failed provide goes straight back into the queue and is tried at once,
//     until the next probe notices that the peer is offline. The wait keeps that
//     from turning into a busy loop.
type patientRouter struct {
	dht    *DHT
	online atomic.Bool // as the sweep sees it
}

func (r *patientRouter) GetClosestPeers(ctx context.Context, key string) ([]peer.ID, error) {
	if !r.dht.connected() {
		patience := lookupPatience
		probe := key == string(r.dht.host.ID())
		switch {
		case probe && r.online.Load():
			patience = 0 // say so, and be asked again as one that is offline
		case probe:
			patience = probePatience
		}
		r.wait(ctx, patience)
	}
	return r.dht.kad.GetClosestPeers(ctx, key)
}

// wait returns when the routing table has a peer, or after patience.
func (r *patientRouter) wait(ctx context.Context, patience time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	step := time.NewTicker(patienceStep)
	defer step.Stop()
	for !r.dht.connected() {
		select {
		case <-ctx.Done():
			return
		case <-step.C:
		}
	}
}
