package ledger

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/client"

	"github.com/decube/decube/dht"
	"github.com/decube/decube/ledger/genesis"
	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/node/host"
	"github.com/decube/decube/node/kerneltest"
)

// voter is a validator as others see it: a host that serves a ledger.
type voter struct {
	*host.Host

	genesis *pbft.Digest // of that ledger: to be set before anybody asks
}

func newVoter(t *testing.T) *voter {
	t.Helper()
	v := &voter{genesis: new(pbft.Digest)}
	_, v.Host = newSync(t, headOnly{genesis: v.genesis})
	return v
}

// headOnly serves nothing but the head of a ledger.
type headOnly struct {
	servedLedger

	genesis *pbft.Digest
}

// Head implements statesync.Source.
func (h headOnly) Head(ctx context.Context) ([]byte, error) {
	return servedLedger{*h.genesis, func() (blobs, error) { return &shelf{}, nil }}.Head(ctx)
}

// document returns a genesis of validators, with the addresses of those that have
// any.
func document(t *testing.T, addressed bool, voters ...*voter) *genesis.Genesis {
	t.Helper()
	var validators []genesis.Validator
	for _, v := range voters {
		key, ok := keyOf(v.ID())
		if !ok {
			t.Fatalf("%s has no key", v.ID())
		}
		validator := genesis.Validator{Key: key}
		if addressed {
			for _, a := range v.Addrs() {
				validator.Addresses = append(validator.Addresses, a.String())
			}
		}
		validators = append(validators, validator)
	}
	g, err := genesis.New("test", time.Now(), validators, genesis.DefaultParams())
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// look runs a peer's ledgerPeers until the test ends.
func look(t *testing.T, g *genesis.Genesis, want int, find finder) *ledgerPeers {
	t.Helper()
	s, h := newSync(t, nil)
	p := newLedgerPeers(h, s, g, want, find, slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- p.run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return p
}

func nowhere(context.Context, peer.ID) (peer.AddrInfo, error) {
	return peer.AddrInfo{}, dht.ErrNotConnected
}

func TestValidatorsAreFoundByTheAddressesOfTheGenesis(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), kerneltest.Patience)
	defer cancel()
	a, b := newVoter(t), newVoter(t)
	g := document(t, true, a, b)
	*a.genesis, *b.genesis = g.ID(), g.ID()
	p := look(t, g, 2, nowhere)
	kerneltest.Eventually(ctx, t, "two sources", func() bool { return len(p.Sources(10)) == 2 })
	select {
	case <-p.Changed():
	case <-ctx.Done():
		t.Error("nobody is told of the sources")
	}
	if len(p.Sources(1)) != 1 {
		t.Error("more sources than asked for")
	}
	if !p.host.ConnManager().IsProtected(a.ID(), ledgerTag) {
		t.Error("a validator's connection may be trimmed")
	}
	p.setValidators(g.Set()[1:])
	if p.host.ConnManager().IsProtected(a.ID(), ledgerTag) || !p.host.ConnManager().IsProtected(b.ID(), ledgerTag) {
		t.Error("the wrong connection is protected")
	}
}

// Where there are more peers than are listed, those that are stay: what one of them is
// sending would be lost.
func TestSourcesStayListed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &ledgerPeers{met: map[peer.ID]acquaintance{}}
		for i := range 40 {
			id := peer.ID([]byte{byte(i)})
			p.met[id] = familiar
			if i < 20 {
				p.validators = append(p.validators, id)
			}
		}
		list := func(n int) []string {
			var names []string
			for _, s := range p.Sources(n) {
				names = append(names, s.Name())
			}
			slices.Sort(names)
			return names
		}
		for _, n := range []int{16, 30} {
			p.turned = time.Now()
			first := list(n)
			for range 10 {
				if again := list(n); len(again) != n || !slices.Equal(first, again) {
					t.Fatalf("%d are listed, and then others: %v, %v", n, first, again)
				}
			}
		}
		seen := map[string]bool{}
		for range 1000 { // nobody has a place for ever
			for _, name := range list(30) {
				seen[name] = true
			}
			time.Sleep(sourcesTurn)
		}
		if len(seen) != 40 {
			t.Errorf("%d of 40 were listed", len(seen))
		}
	})
}

func TestValidatorsAreSearchedFor(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), kerneltest.Patience)
	defer cancel()
	v := newVoter(t)
	g := document(t, false, v)
	*v.genesis = g.ID()
	p := look(t, g, 3, func(_ context.Context, id peer.ID) (peer.AddrInfo, error) {
		if id != v.ID() {
			return peer.AddrInfo{}, dht.ErrNotFound
		}
		return peer.AddrInfo{ID: id, Addrs: v.Addrs()}, nil
	})
	kerneltest.Eventually(ctx, t, "a source", func() bool { return len(p.Sources(10)) == 1 })
}

// A validator behind a router is known by the address of a relay. Such a connection
// is limited, and streams are opened over it only where that is asked for.
func TestValidatorsAreReachedThroughRelays(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), kerneltest.Patience)
	defer cancel()
	relay, v := newHost(t, host.RelayOn), newVoter(t)
	if _, err := client.Reserve(ctx, v.Host, peer.AddrInfo{ID: relay.ID(), Addrs: relay.Addrs()}); err != nil {
		t.Fatal(err)
	}
	g := document(t, false, v)
	g.Validators[0].Addresses = []string{relay.Addrs()[0].String() + "/p2p/" + relay.ID().String() + "/p2p-circuit"}
	*v.genesis = g.ID()
	p := look(t, g, 1, nowhere)
	kerneltest.Eventually(ctx, t, "a source", func() bool { return len(p.Sources(1)) == 1 })
	if c := p.host.Network().Connectedness(v.ID()); c != network.Limited {
		t.Errorf("the connection is %v: this test shows nothing", c)
	}
}

func TestValidatorsComeFirst(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), kerneltest.Patience)
	defer cancel()
	v, follower := newVoter(t), newVoter(t)
	g := document(t, true, v)
	*v.genesis, *follower.genesis = g.ID(), g.ID()
	p := look(t, g, 2, nowhere)
	if err := p.host.Connect(ctx, peer.AddrInfo{ID: follower.ID(), Addrs: follower.Addrs()}); err != nil {
		t.Fatal(err)
	}
	kerneltest.Eventually(ctx, t, "two sources", func() bool { return len(p.Sources(2)) == 2 })
	for range 20 {
		if first := p.Sources(2)[0]; first.Name() != v.ID().String() {
			t.Fatalf("%s comes first, want the validator %s", first.Name(), v.ID())
		}
	}
	before := p.host.Network().ConnsToPeer(v.ID())[0].ID()
	if err := v.Network().ClosePeer(p.host.ID()); err != nil {
		t.Fatal(err)
	}
	kerneltest.Eventually(ctx, t, "the validator is back", func() bool {
		conns := p.host.Network().ConnsToPeer(v.ID())
		return len(conns) > 0 && conns[0].ID() != before && len(p.Sources(2)) == 2
	})
}

// Followers that know each other are not enough: somebody must know a validator.
func TestAValidatorIsLookedForThoughOthersWouldDo(t *testing.T) {
	v, follower := newVoter(t), newVoter(t)
	g := document(t, true, v)
	s, h := newSync(t, nil)
	p := newLedgerPeers(h, s, g, 1, nowhere, slog.New(slog.DiscardHandler))
	p.met[follower.ID()] = familiar
	if got := p.missing(); !slices.Equal(got, []peer.ID{v.ID()}) {
		t.Errorf("missing %v, want the validator", got)
	}
	if got := p.missing(); len(got) > 0 {
		t.Errorf("missing %v again, at once", got)
	}
	p.sought = p.sought.Add(-rootInterval)
	p.met[v.ID()] = familiar
	if got := p.missing(); len(got) > 0 {
		t.Errorf("missing %v, with a validator at hand", got)
	}
}

func TestPeerOfAnotherLedgerIsNoSource(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), kerneltest.Patience)
	defer cancel()
	v := newVoter(t)
	g := document(t, true, v)
	*v.genesis = pbft.Digest{1}
	p := look(t, g, 1, nowhere)
	kerneltest.Eventually(ctx, t, "a warning", func() bool { return p.warning() != "" })
	if n := len(p.Sources(1)); n > 0 {
		t.Errorf("%d sources", n)
	}
	if err := v.Network().ClosePeer(p.host.ID()); err != nil {
		t.Fatal(err)
	}
	p.stranger("somebody", errors.New("not connected any more"))
	p.note("somebody")
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, remembered := p.strangers["somebody"]; remembered {
		t.Error("a peer that is gone is still warned of")
	}
}

func TestAddressesOfAGenesisNameTheirPeer(t *testing.T) {
	v, other := newVoter(t), newVoter(t)
	g := document(t, false, v)
	at := v.Addrs()[0].String()
	g.Validators[0].Addresses = []string{
		"nonsense", at, at + "/p2p/" + v.ID().String(), "/ip4/192.0.2.1/tcp/1/p2p/" + other.ID().String(),
		"/ip4/192.0.2.1/tcp/1/p2p/" + other.ID().String() + "/p2p-circuit",
	}
	s, h := newSync(t, nil)
	newLedgerPeers(h, s, g, 1, nowhere, slog.New(slog.DiscardHandler))
	want := []string{at, "/ip4/192.0.2.1/tcp/1/p2p/" + other.ID().String() + "/p2p-circuit"}
	var got []string
	for _, a := range h.Peerstore().Addrs(v.ID()) {
		got = append(got, a.String())
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) || len(h.Peerstore().Addrs(other.ID())) > 0 {
		t.Errorf("got %q and for another %q, want %q", got, h.Peerstore().Addrs(other.ID()), want)
	}
}
