package dht_test

import (
	"context"
	"encoding/binary"
	"errors"
	"iter"
	"slices"
	"testing"
	"time"

	"github.com/ipfs/go-datastore"
	dssync "github.com/ipfs/go-datastore/sync"
	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/event"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/decube/decube/block"
	"github.com/decube/decube/dht"
)

const patience = 20 * time.Second

// node is one peer of a test swarm.
type node struct {
	host host.Host
	dht  *dht.DHT
	ds   datastore.Batching
	stop func()
}

func (n *node) info() peer.AddrInfo {
	return peer.AddrInfo{ID: n.host.ID(), Addrs: n.host.Addrs()}
}

func newHost(t *testing.T, opts ...libp2p.Option) host.Host {
	t.Helper()
	h, err := libp2p.New(append([]libp2p.Option{
		libp2p.ListenAddrStrings("/ip4/127.0.0.1/tcp/0"), libp2p.DisableRelay(),
	}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Close() })
	return h
}

func memory() datastore.Batching { return dssync.MutexWrap(datastore.NewMapDatastore()) }

// start runs a DHT on h until the test ends or stop is called.
func start(t *testing.T, h host.Host, ds datastore.Batching, mod func(*dht.Config), opts dht.Options) *node {
	t.Helper()
	cfg := dht.Default()
	cfg.Network = "test"
	cfg.Mode, cfg.Strategy = dht.ModeServer, dht.All
	if mod != nil {
		mod(&cfg)
	}
	d, err := dht.New(h, ds, cfg, opts)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- d.Run(ctx) }()
	stopped := false
	stop := func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	}
	t.Cleanup(stop)
	return &node{host: h, dht: d, ds: ds, stop: stop}
}

// swarm starts n peers that all know the first one only.
func swarm(t *testing.T, n int, mod func(*dht.Config)) []*node {
	t.Helper()
	first := start(t, newHost(t), memory(), mod, dht.Options{})
	nodes := []*node{first}
	for range n - 1 {
		nodes = append(nodes, start(t, newHost(t), memory(), func(c *dht.Config) {
			c.Bootstrap = []peer.AddrInfo{first.info()}
			if mod != nil {
				mod(c)
			}
		}, dht.Options{}))
	}
	for _, n := range nodes {
		n.waitPeers(t, 1)
	}
	return nodes
}

// eventually asks until it gets true.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-deadline.C:
			t.Fatalf("not within %v: %s", patience, what)
		case <-tick.C:
		}
	}
}

func (n *node) waitPeers(t *testing.T, atLeast int) {
	t.Helper()
	eventually(t, "peers in the routing table", func() bool { return n.dht.Status(t.Context()).Peers >= atLeast })
}

func id(i int) block.ID {
	return block.New(block.Raw, binary.BigEndian.AppendUint64([]byte("block "), uint64(i))).ID()
}

// finds searches once.
func (n *node) finds(ctx context.Context, id block.ID, who peer.ID) bool {
	for info, err := range n.dht.FindProviders(ctx, id) {
		if err == nil && info.ID == who {
			return true
		}
	}
	return false
}

func (n *node) mustFind(t *testing.T, id block.ID, who *node) {
	t.Helper()
	eventually(t, "provider found", func() bool { return n.finds(t.Context(), id, who.host.ID()) })
}

func TestProtocolIsTheOneThatIsSpoken(t *testing.T) {
	n := start(t, newHost(t), memory(), nil, dht.Options{})
	if spoken := n.host.Mux().Protocols(); !slices.Contains(spoken, dht.Protocol("test")) {
		t.Errorf("%s is not among %q", dht.Protocol("test"), spoken)
	}
}

// What announces a message that nobody sends is answered with the end of its stream.
func TestLongMessagesAreNotWaitedFor(t *testing.T) {
	n := start(t, newHost(t), memory(), nil, dht.Options{})
	attacker := newHost(t)
	if err := attacker.Connect(t.Context(), n.info()); err != nil {
		t.Fatal(err)
	}
	s, err := attacker.NewStream(t.Context(), n.host.ID(), dht.Protocol("test"))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Write(binary.AppendUvarint(nil, 4<<20)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Read(make([]byte, 1)); !errors.Is(err, network.ErrReset) {
		t.Errorf("the answer is %v", err)
	}
}

func TestProviderIsFoundThroughThirdPeer(t *testing.T) {
	nodes := swarm(t, 4, nil)
	provider, seeker := nodes[1], nodes[3]
	if err := provider.dht.Provide(t.Context(), id(1)); err != nil {
		t.Fatal(err)
	}
	var got []peer.AddrInfo
	for info, err := range seeker.dht.FindProviders(t.Context(), id(1)) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, info)
	}
	if len(got) != 1 || got[0].ID != provider.host.ID() || len(got[0].Addrs) == 0 {
		t.Fatalf("found %v, want %v with addresses", got, provider.host.ID())
	}
	for info, err := range seeker.dht.FindProviders(t.Context(), id(2)) {
		t.Errorf("a block nobody has is provided by %v, %v", info, err)
	}
}

func TestSearchWithoutPeersSaysSo(t *testing.T) {
	n := start(t, newHost(t), memory(), nil, dht.Options{})
	var got error
	for _, err := range n.dht.FindProviders(t.Context(), id(1)) {
		got = err
	}
	if !errors.Is(got, dht.ErrNotConnected) {
		t.Errorf("FindProviders: %v, want ErrNotConnected", got)
	}
	other := newHost(t)
	if _, err := n.dht.FindPeer(t.Context(), other.ID()); !errors.Is(err, dht.ErrNotConnected) {
		t.Errorf("FindPeer: %v, want ErrNotConnected", err)
	}
}

func TestFindPeer(t *testing.T) {
	nodes := swarm(t, 3, nil)
	eventually(t, "a peer and its addresses found", func() bool { // connected peers tell them soon
		got, err := nodes[2].dht.FindPeer(t.Context(), nodes[1].host.ID())
		return err == nil && len(got.Addrs) > 0
	})
	if _, err := nodes[2].dht.FindPeer(t.Context(), newHost(t).ID()); !errors.Is(err, dht.ErrNotFound) {
		t.Errorf("FindPeer of a stranger: %v, want ErrNotFound", err)
	}
}

func TestProvideOfflineHappensUponConnection(t *testing.T) {
	lonely := start(t, newHost(t), memory(), nil, dht.Options{})
	for range 2 { // the second time adds nothing
		if err := lonely.dht.Provide(t.Context(), id(1), id(2)); err != nil {
			t.Fatal(err)
		}
	}
	if err := lonely.dht.Announce(t.Context(), dht.Stored, id(3)); err != nil {
		t.Fatal(err)
	}
	if st := lonely.dht.Status(t.Context()); st.Pending != 2 {
		t.Fatalf("pending %d, want 2", st.Pending)
	}
	other := start(t, newHost(t), memory(), nil, dht.Options{})
	third := start(t, newHost(t), memory(), func(c *dht.Config) { c.Bootstrap = []peer.AddrInfo{other.info()} }, dht.Options{})
	third.waitPeers(t, 1)
	if err := lonely.host.Connect(t.Context(), other.info()); err != nil {
		t.Fatal(err)
	}
	for i := 1; i <= 3; i++ {
		third.mustFind(t, id(i), lonely)
	}
	eventually(t, "nothing pending", func() bool { return lonely.dht.Status(t.Context()).Pending == 0 })
}

// watchedHost tells when somebody subscribes to the events of who is there to be told.
type watchedHost struct {
	host.Host

	subscribed chan struct{}
}

func (h *watchedHost) EventBus() event.Bus { return &watchedBus{h.Host.EventBus(), h.subscribed} }

type watchedBus struct {
	event.Bus

	subscribed chan struct{}
}

func (b *watchedBus) Subscribe(types any, opts ...event.SubscriptionOpt) (event.Subscription, error) {
	sub, err := b.Bus.Subscribe(types, opts...)
	if list, ok := types.([]any); ok && len(list) == 2 {
		close(b.subscribed)
	}
	return sub, err
}

// Whoever publishes what happens to peers is not held up by blocks that wait for one.
func TestEventsAreReadWhileProvidingWaits(t *testing.T) {
	h := &watchedHost{newHost(t), make(chan struct{})}
	n := start(t, h, memory(), nil, dht.Options{})
	<-h.subscribed
	if err := n.dht.Provide(t.Context(), id(1)); err != nil {
		t.Fatal(err)
	}
	events, err := n.host.EventBus().Emitter(new(event.EvtPeerProtocolsUpdated))
	if err != nil {
		t.Fatal(err)
	}
	defer events.Close()
	told := make(chan error, 1)
	go func() {
		for range 100 { // each has the routing table waited for, for seconds
			if err := events.Emit(event.EvtPeerProtocolsUpdated{Peer: "somebody"}); err != nil {
				told <- err
				return
			}
		}
		told <- nil
	}()
	select {
	case err := <-told:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(patience):
		t.Fatal("events were not read in time")
	}
}

func TestPendingIsBounded(t *testing.T) {
	n := start(t, newHost(t), memory(), func(c *dht.Config) { c.MaxPending = 2; c.Strategy = dht.None }, dht.Options{})
	if err := n.dht.Provide(t.Context(), id(1), id(2)); err != nil {
		t.Fatal(err)
	}
	if err := n.dht.Provide(t.Context(), id(2)); err != nil {
		t.Errorf("a block that waits already: %v", err)
	}
	if err := n.dht.Provide(t.Context(), id(3)); !errors.Is(err, dht.ErrPendingFull) {
		t.Errorf("Provide: %v, want ErrPendingFull", err)
	}
}

func TestRecordsSurviveRestart(t *testing.T) {
	nodes := swarm(t, 3, nil)
	if err := nodes[1].dht.Provide(t.Context(), id(1)); err != nil {
		t.Fatal(err)
	}
	keeper := nodes[2]
	// What it finds may be another's; what it has been told is its own.
	eventually(t, "a record held", func() bool { return keeper.dht.Records().Records > 0 })
	keeper.stop()
	_ = nodes[0].host.Close() // nobody else is left to ask
	again := start(t, keeper.host, keeper.ds, nil, dht.Options{})
	again.mustFind(t, id(1), nodes[1])
}

func TestStrategies(t *testing.T) {
	kinds := map[dht.Kind]block.ID{dht.Stored: id(1), dht.PinnedBlock: id(2), dht.Root: id(3)}
	for strategy, want := range map[dht.Strategy]int{dht.All: 3, dht.Pinned: 2, dht.Roots: 1, dht.None: 0} {
		t.Run(string(strategy), func(t *testing.T) {
			t.Parallel()
			nodes := swarm(t, 3, func(c *dht.Config) { c.Strategy = strategy })
			covered := 0
			for kind, id := range kinds {
				if err := nodes[1].dht.Announce(t.Context(), kind, id); err != nil {
					t.Fatal(err)
				}
				if strategy.Covers(kind) {
					covered++
					nodes[2].mustFind(t, id, nodes[1])
				}
			}
			if covered != want {
				t.Errorf("%d kinds announced, want %d", covered, want)
			}
			for kind, id := range kinds {
				if !strategy.Covers(kind) && nodes[2].finds(t.Context(), id, nodes[1].host.ID()) {
					t.Errorf("kind %d is announced", kind)
				}
			}
		})
	}
}

// held lists n blocks, and fails the first fail times.
func held(n int, fail *int) dht.Keys {
	return func(context.Context, dht.Strategy) iter.Seq2[block.ID, error] {
		return func(yield func(block.ID, error) bool) {
			for i := range n {
				if !yield(id(i), nil) {
					return
				}
				if fail != nil && *fail > 0 {
					*fail--
					yield(block.ID{}, errors.New("disk gone"))
					return
				}
			}
		}
	}
}

func TestWhatIsHeldIsAnnouncedAfterStart(t *testing.T) {
	first := start(t, newHost(t), memory(), nil, dht.Options{})
	boot := func(c *dht.Config) { c.Bootstrap = []peer.AddrInfo{first.info()} }
	seeker := start(t, newHost(t), memory(), boot, dht.Options{})
	provider := start(t, newHost(t), memory(), boot, dht.Options{Keys: held(50, nil)})
	for _, i := range []int{0, 17, 49} {
		seeker.mustFind(t, id(i), provider)
	}
}

func TestCleanRestartDoesNotListAgain(t *testing.T) {
	h, ds := newHost(t), memory()
	n := start(t, h, ds, nil, dht.Options{Keys: held(50, nil)})
	eventually(t, "ready", func() bool { return n.dht.Status(t.Context()).Ready })
	n.stop()
	listed := false
	n = start(t, h, ds, nil, dht.Options{Keys: func(context.Context, dht.Strategy) iter.Seq2[block.ID, error] {
		listed = true
		return func(func(block.ID, error) bool) {}
	}})
	eventually(t, "ready", func() bool { return n.dht.Status(t.Context()).Ready })
	n.stop()
	if listed {
		t.Error("the keys were listed after a clean stop")
	}
	n = start(t, h, ds, func(c *dht.Config) { c.Strategy = dht.Roots }, dht.Options{Keys: func(context.Context, dht.Strategy) iter.Seq2[block.ID, error] {
		listed = true
		return func(func(block.ID, error) bool) {}
	}})
	eventually(t, "ready", func() bool { return n.dht.Status(t.Context()).Ready })
	n.stop()
	if !listed {
		t.Error("the keys were not listed after a change of strategy")
	}
}

func TestForgottenKeysAreNotAnnouncedAgain(t *testing.T) {
	h, ds := newHost(t), memory()
	n := start(t, h, ds, nil, dht.Options{Keys: held(2, nil)})
	eventually(t, "ready", func() bool { return n.dht.Status(t.Context()).Ready })
	if st := n.dht.Status(t.Context()); st.Keys != 2 {
		t.Errorf("%d keys, want 2", st.Keys)
	}
	if err := n.dht.Forget(t.Context(), id(1)); err != nil {
		t.Fatal(err)
	}
	if st := n.dht.Status(t.Context()); st.Keys != 1 {
		t.Errorf("%d keys, want 1", st.Keys)
	}
	other := start(t, newHost(t), memory(), func(c *dht.Config) { c.Bootstrap = []peer.AddrInfo{n.info()} }, dht.Options{})
	other.mustFind(t, id(0), n)
	if other.finds(t.Context(), id(1), n.host.ID()) {
		t.Error("a forgotten block is announced")
	}
}

func TestConfigIsValidated(t *testing.T) {
	if err := dht.Default().Validate(); err != nil {
		t.Fatal(err)
	}
	for name, mod := range map[string]func(*dht.Config){
		"network":   func(c *dht.Config) { c.Network = "A/b" },
		"mode":      func(c *dht.Config) { c.Mode = "" },
		"strategy":  func(c *dht.Config) { c.Strategy = "some" },
		"reprovide": func(c *dht.Config) { c.ReprovideInterval = 72 * time.Hour },
		"refresh":   func(c *dht.Config) { c.RefreshInterval = 0 },
		"timeout":   func(c *dht.Config) { c.ProvideTimeout = -1 },
		"pending":   func(c *dht.Config) { c.MaxPending = 0 },
	} {
		cfg := dht.Default()
		mod(&cfg)
		if err := cfg.Validate(); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// Who is in the routing table, which anybody can be, has no role.
func TestRoutedPeersHaveNoRole(t *testing.T) {
	const strangers = 9
	nodes := swarm(t, 1+strangers, nil)
	first := nodes[0]
	first.waitPeers(t, strangers)
	for _, n := range nodes[1:] {
		if first.host.ConnManager().IsProtected(n.host.ID(), "") {
			t.Errorf("%s is protected", n.host.ID())
		}
		if info := first.host.ConnManager().GetTagInfo(n.host.ID()); info == nil || info.Value == 0 {
			t.Errorf("%s is worth nothing: %+v", n.host.ID(), info)
		}
	}
}
