package catalog

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	pubsub "github.com/libp2p/go-libp2p-pubsub"
	pb "github.com/libp2p/go-libp2p-pubsub/pb"
	"github.com/libp2p/go-libp2p/core/connmgr"
	"github.com/libp2p/go-libp2p/core/event"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/p2p/host/eventbus"

	"github.com/decube/decube/crdtsync"
	"github.com/decube/decube/node/host"
	"github.com/decube/decube/protocols/catalogsync"
)

// gossipID is the protocol that bundles are gossiped over: GossipSub's, among peers of DeCube
// alone, so that nobody else's messages are carried.
const gossipID protocol.ID = "/decube/gossip/1.0.0"

const (
	// mostAsked is how many peers are asked in turn, and askedTurn how long it takes until one of
	// them makes room for another, where there are more.
	mostAsked = 16
	askedTurn = time.Minute
	// queued is how many messages wait for a peer, and to be judged.
	queued = 1024
	// eventsQueued is how many events of the host wait to be looked at.
	eventsQueued = 256
)

// errNotRunning is returned for what is published before the gossip has begun, or after it has
// ended.
var errNotRunning = errors.New("gossip is not running")

// running is the open part.
type running struct {
	catalog *crdtsync.Catalog
	sync    *catalogsync.Sync
	net     *gossip
	keeper  *keeper
	log     *slog.Logger
}

// gossip is how the catalog reaches others. It is a crdtsync.Network.
type gossip struct {
	host    *host.Host
	sync    *catalogsync.Sync
	topic   string
	log     *slog.Logger
	changed chan struct{}

	mu     sync.Mutex
	joined *pubsub.Topic // nil while it does not run
	asked  []peer.ID     // those that Peers has
	turned time.Time
}

var _ crdtsync.Network = (*gossip)(nil)

func newNetwork(h *host.Host, log *slog.Logger) *gossip {
	return &gossip{host: h, log: log, changed: make(chan struct{}, 1)}
}

// Publish implements crdtsync.Network.
func (g *gossip) Publish(data []byte) error {
	g.mu.Lock()
	topic := g.joined
	g.mu.Unlock()
	if topic == nil {
		return errNotRunning
	}
	return topic.Publish(context.Background(), data)
}

// Peers implements crdtsync.Network: some of those that are connected and have a catalog.
// Where there are more than are asked, one of these makes room for another now and then, so
// that nobody is asked for ever, and nobody never.
func (g *gossip) Peers() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	var all []peer.ID
	for _, p := range g.host.Network().Peers() {
		if speaks, err := g.host.Peerstore().SupportsProtocols(p, catalogsync.ID); err == nil && len(speaks) > 0 {
			all = append(all, p)
		}
	}
	g.asked = slices.DeleteFunc(g.asked, func(p peer.ID) bool { return !slices.Contains(all, p) })
	all = slices.DeleteFunc(all, func(p peer.ID) bool { return slices.Contains(g.asked, p) })
	if now := time.Now(); len(g.asked) == mostAsked && len(all) > 0 && now.Sub(g.turned) > askedTurn {
		g.turned = now
		g.asked = slices.Delete(g.asked, 0, 1)
	}
	rand.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	for _, p := range all {
		if len(g.asked) < mostAsked {
			g.asked = append(g.asked, p)
		}
	}
	names := make([]string, len(g.asked))
	for i, p := range g.asked {
		names[i] = p.String()
	}
	slices.Sort(names)
	return names
}

// Changed implements crdtsync.Network.
func (g *gossip) Changed() <-chan struct{} { return g.changed }

// Open implements crdtsync.Network.
func (g *gossip) Open(ctx context.Context, name string) (crdtsync.Conversation, error) {
	p, err := peer.Decode(name)
	if err != nil {
		return nil, err
	}
	c, err := g.sync.Open(ctx, p)
	if err != nil {
		return nil, err
	}
	return c, nil
}

// run gossips until ctx is done, and notes peers that come and go.
func (g *gossip) run(ctx context.Context, c *crdtsync.Catalog) error {
	sub, err := g.host.EventBus().Subscribe([]any{
		new(event.EvtPeerIdentificationCompleted), new(event.EvtPeerProtocolsUpdated), new(event.EvtPeerConnectednessChanged),
	}, eventbus.BufSize(eventsQueued))
	if err != nil {
		return fmt.Errorf("watching peers: %w", err)
	}
	defer sub.Close()
	leave, err := g.join(ctx, c)
	if err != nil && ctx.Err() != nil {
		return nil // that is why
	}
	if err != nil {
		return err
	}
	defer leave()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-sub.Out():
			select {
			case g.changed <- struct{}{}:
			default:
			}
		}
	}
}

// join begins to gossip.
func (g *gossip) join(ctx context.Context, c *crdtsync.Catalog) (leave func(), err error) {
	// Its goroutines end with ctx, and with the streams of the host.
	ps, err := pubsub.NewGossipSub(ctx, unprotecting{g.host},
		pubsub.WithGossipSubProtocols([]protocol.ID{gossipID}, features),
		pubsub.WithMessageSignaturePolicy(pubsub.StrictNoSign), // who has written it has signed it
		pubsub.WithNoAuthor(),
		pubsub.WithMessageIdFn(digest),
		pubsub.WithMaxMessageSize(crdtsync.MaxMessage+1<<10),
		pubsub.WithPeerOutboundQueueSize(queued),
		pubsub.WithValidateQueueSize(queued),
		pubsub.WithSubscriptionFilter(pubsub.NewAllowlistSubscriptionFilter(g.topic)),
		pubsub.WithLogger(slog.New(slog.DiscardHandler)),
	)
	if err != nil {
		return nil, fmt.Errorf("gossip: %w", err)
	}
	if err := ps.RegisterTopicValidator(g.topic, g.judge(c)); err != nil {
		return nil, fmt.Errorf("gossip: %w", err)
	}
	topic, err := ps.Join(g.topic)
	if err != nil {
		return nil, fmt.Errorf("gossip: %w", err)
	}
	// What comes is taken in where it is judged; somebody has to listen for it to come.
	relayed, err := topic.Relay()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("gossip: %w", err), topic.Close())
	}
	g.mu.Lock()
	g.joined = topic
	g.mu.Unlock()
	return func() {
		g.mu.Lock()
		g.joined = nil
		g.mu.Unlock()
		relayed()
		_ = topic.Close() // it ends with ctx in any case
	}, nil
}

// unprotecting is the host without its connection manager. GossipSub protects the peers of its
// mesh there, which anybody may be: protected peers are those that this node has a reason to
// trust, and are not bounded as strangers are.
type unprotecting struct{ *host.Host }

// ConnManager implements libp2p's host.
func (unprotecting) ConnManager() connmgr.ConnManager { return connmgr.NullConnMgr{} }

// features says what the protocol can do: all that version 1.2 can, but exchanging peers, which
// the DHT is for.
func features(f pubsub.GossipSubFeature, _ protocol.ID) bool {
	return f == pubsub.GossipSubFeatureMesh || f == pubsub.GossipSubFeatureIdontwant
}

// digest names a message by what it says.
func digest(m *pb.Message) string {
	d := sha256.Sum256(m.GetData())
	return string(d[:])
}

// judge returns what takes messages in.
func (g *gossip) judge(c *crdtsync.Catalog) pubsub.ValidatorEx {
	return func(_ context.Context, from peer.ID, m *pubsub.Message) pubsub.ValidationResult {
		if from == g.host.ID() {
			return pubsub.ValidationAccept
		}
		switch c.Receive(from.String(), m.GetData()) {
		case crdtsync.Accept:
			return pubsub.ValidationAccept
		case crdtsync.Ignore:
			return pubsub.ValidationIgnore
		default:
			g.host.Mistake(from)
			return pubsub.ValidationReject
		}
	}
}
