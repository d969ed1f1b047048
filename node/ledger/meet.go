package ledger

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/event"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/host/eventbus"

	"github.com/decube/decube/protocols/statesync"
)

const (
	meetInterval = 10 * time.Second // between looks for further peers
	rootInterval = time.Minute      // between looks for a validator, where others would do
	meetTimeout  = 15 * time.Second // of finding and dialling one validator
	askTimeout   = 10 * time.Second // of asking a peer which ledger it has
	asksAtOnce   = 8
	eventsQueued = 256 // events of the host that wait to be looked at
)

// run gets to know peers as they come, and looks for validators while there are too
// few peers, until ctx is done.
func (p *ledgerPeers) run(ctx context.Context) error {
	sub, err := p.host.EventBus().Subscribe([]any{
		new(event.EvtPeerIdentificationCompleted), new(event.EvtPeerProtocolsUpdated), new(event.EvtPeerConnectednessChanged),
	}, eventbus.BufSize(eventsQueued))
	if err != nil {
		return fmt.Errorf("watching peers: %w", err)
	}
	var working sync.WaitGroup
	defer working.Wait()
	defer sub.Close()
	// Events are noted however long all else takes: whoever publishes one waits for every
	// subscriber, and all other subscribers wait for that.
	noted, lost := make(chan struct{}, 1), make(chan struct{}, 1)
	working.Go(func() {
		for e := range sub.Out() { // until it is closed
			signal := noted
			if p.saw(e) {
				signal = lost
			}
			select {
			case signal <- struct{}{}:
			default:
			}
		}
	})
	answers, met := make(chan struct{}, asksAtOnce), make(chan struct{}, 1)
	look := time.NewTicker(meetInterval)
	defer look.Stop()
	p.lookAround(ctx)
	for asking, meeting, due := 0, false, true; ; {
		if due && !meeting {
			meeting = true
			working.Go(func() {
				p.meet(ctx)
				met <- struct{}{}
			})
		}
		for _, id := range p.toAsk(asksAtOnce - asking) {
			asking++
			working.Go(func() {
				p.ask(ctx, id)
				answers <- struct{}{}
			})
		}
		due = false
		select {
		case <-ctx.Done():
			return nil
		case <-answers:
			asking--
		case <-met:
			meeting = false
		case <-look.C:
			p.lookAround(ctx)
			due = true
		case <-noted:
		case <-lost:
			due = true
		}
	}
}

// lookAround notes who the validators are by now, and every connected peer.
func (p *ledgerPeers) lookAround(ctx context.Context) {
	if p.committee != nil {
		if keys := p.committee(ctx); keys != nil {
			p.setValidators(keys)
		}
	}
	for _, id := range p.host.Network().Peers() {
		p.note(id)
	}
}

// saw notes the peer of an event, and reports whether one was lost.
func (p *ledgerPeers) saw(e any) (lost bool) {
	switch e := e.(type) {
	case event.EvtPeerIdentificationCompleted:
		return p.note(e.Peer)
	case event.EvtPeerProtocolsUpdated:
		return p.note(e.Peer)
	case event.EvtPeerConnectednessChanged:
		return p.note(e.Peer)
	}
	return false
}

// note looks at what a peer is by now, and reports whether one of the same ledger
// was lost.
func (p *ledgerPeers) note(id peer.ID) (lost bool) {
	here := connected(p.host.Network().Connectedness(id))
	spoken, err := p.host.Peerstore().SupportsProtocols(id, statesync.ID)
	p.mu.Lock()
	defer p.mu.Unlock()
	if !here {
		delete(p.strangers, id)
	}
	if !here || err != nil || len(spoken) == 0 {
		if lost = p.met[id] == familiar; lost {
			p.change()
		}
		delete(p.met, id)
		return lost
	}
	if a, known := p.met[id]; !known || a == silent {
		p.met[id] = unasked
	}
	return false
}

func connected(c network.Connectedness) bool {
	return c == network.Connected || c == network.Limited
}

// toAsk returns at most n peers to ask, which then count as asked.
func (p *ledgerPeers) toAsk(n int) []peer.ID {
	p.mu.Lock()
	defer p.mu.Unlock()
	var ids []peer.ID
	for id, a := range p.met {
		if a == unasked && len(ids) < n {
			ids = append(ids, id)
			p.met[id] = asked
		}
	}
	return ids
}

// ask finds out which ledger a peer has.
func (p *ledgerPeers) ask(ctx context.Context, id peer.ID) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	_, err := syncSource{p.sync.Peer(id), p.genesis}.Head(ctx)
	learned := familiar
	switch {
	case errors.Is(err, errOtherLedger):
		learned = foreign
		p.stranger(id, err)
	case err != nil:
		learned = silent
		p.log.Debug("a peer does not say which ledger it has", "peer", id, "err", err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, here := p.met[id]; here {
		p.met[id] = learned
	}
	if learned == familiar {
		delete(p.strangers, id)
		p.change()
	}
}

// meet connects to as many validators as peers are missing.
func (p *ledgerPeers) meet(ctx context.Context) {
	var dials sync.WaitGroup
	for _, id := range p.missing() {
		dials.Go(func() {
			if err := p.connect(ctx, id); err != nil && ctx.Err() == nil {
				p.log.Debug("a validator cannot be reached", "validator", id, "err", err)
			}
		})
	}
	dials.Wait()
}

// missing returns validators to connect to, at random, as many as would do. Where
// there are other peers enough, one validator is looked for now and then: peers that
// know only each other would follow nobody.
func (p *ledgerPeers) missing() []peer.ID {
	p.mu.Lock()
	defer p.mu.Unlock()
	few, rooted := p.want, false
	for id, a := range p.met {
		if a != foreign {
			few--
			rooted = rooted || slices.Contains(p.validators, id)
		}
	}
	if few <= 0 && !rooted && time.Since(p.sought) >= rootInterval {
		p.sought, few = time.Now(), 1
	}
	away := slices.DeleteFunc(slices.Clone(p.validators), func(id peer.ID) bool {
		return connected(p.host.Network().Connectedness(id))
	})
	shuffle(away)
	return away[:max(0, min(few, len(away)))]
}

// connect dials a validator at the addresses that are known, and else at those that
// a search brings.
func (p *ledgerPeers) connect(ctx context.Context, id peer.ID) error {
	ctx, cancel := context.WithTimeout(network.WithAllowLimitedConn(ctx, ledgerTag), meetTimeout)
	defer cancel()
	err := p.host.Connect(ctx, p.host.Peerstore().PeerInfo(id))
	if err == nil {
		return nil
	}
	info, searchErr := p.find(ctx, id)
	if searchErr != nil {
		return errors.Join(err, searchErr)
	}
	return p.host.Connect(ctx, info)
}
