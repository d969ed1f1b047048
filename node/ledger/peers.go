package ledger

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/peerstore"

	"github.com/decube/decube/internal/sig"
	"github.com/decube/decube/ledger"
	"github.com/decube/decube/ledger/genesis"
	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/node/host"
	"github.com/decube/decube/protocols/statesync"
)

// ledgerTag protects connections to validators from trimming.
const ledgerTag = "ledger"

// maxStrangers bounds the peers that are remembered to be of another ledger.
const maxStrangers = 256

// ledgerPeers knows which connected peers have the same ledger, and sees to it that
// there are some: it connects to validators while there are too few. It is a
// ledger.Peers.
type ledgerPeers struct {
	host    *host.Host
	sync    *statesync.Sync
	find    finder
	genesis pbft.Digest
	want    int // peers to be connected to
	log     *slog.Logger
	changed chan struct{} // has an element when Sources may be others

	// committee returns the present validators, nil when it does not know: then
	// those of before stay. It may be left out, and is set before run.
	committee func(context.Context) []sig.PublicKey

	mu         sync.Mutex
	validators []peer.ID
	met        map[peer.ID]acquaintance // connected peers that speak statesync
	strangers  map[peer.ID]error        // connected peers of another ledger, and what shows it
	listed     []peer.ID                // the last Sources
	turned     time.Time                // when one of them last gave way
	sought     time.Time                // when a validator was looked for though others would do
}

// acquaintance is what is known of a connected peer.
type acquaintance int

const (
	unasked  acquaintance = iota // which ledger it has
	asked                        // and about to answer
	silent                       // it did not answer: to be asked again
	familiar                     // of the same ledger
	foreign                      // of another one
)

// finder searches the swarm for a peer's addresses.
type finder func(context.Context, peer.ID) (peer.AddrInfo, error)

func newLedgerPeers(h *host.Host, s *statesync.Sync, g *genesis.Genesis, want int, find finder, log *slog.Logger) *ledgerPeers {
	p := &ledgerPeers{
		host: h, sync: s, find: find, genesis: g.ID(), want: want, log: log,
		changed: make(chan struct{}, 1),
		met:     map[peer.ID]acquaintance{}, strangers: map[peer.ID]error{},
	}
	p.remember(g)
	p.setValidators(g.Set())
	return p
}

// withID returns a multiaddr that names its peer.
func withID(addr string, id peer.ID) string {
	if i := strings.LastIndex(addr, "/p2p/"); i >= 0 && !strings.Contains(addr[i+len("/p2p/"):], "/") {
		return addr // it does already
	}
	return addr + "/p2p/" + id.String()
}

// remember puts the addresses of the document into the peerstore.
func (p *ledgerPeers) remember(g *genesis.Genesis) {
	for _, v := range g.Validators {
		id, err := peerOf(v.Key)
		if err != nil || id == p.host.ID() {
			continue
		}
		for _, addr := range v.Addresses {
			infos, err := host.ParsePeers([]string{withID(addr, id)})
			if err != nil || infos[0].ID != id {
				p.log.Warn("the genesis gives a validator an address that cannot be used", "validator", id, "addr", addr, "err", err)
				continue
			}
			p.host.Told(infos...)
			p.host.Peerstore().AddAddrs(id, infos[0].Addrs, peerstore.PermanentAddrTTL)
		}
	}
}

// setValidators says whom to connect to. Their connections are protected.
func (p *ledgerPeers) setValidators(keys []sig.PublicKey) {
	var now []peer.ID
	for _, key := range keys {
		if id, err := peerOf(key); err == nil && id != p.host.ID() {
			now = append(now, id)
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, id := range now {
		p.host.ConnManager().Protect(id, ledgerTag)
	}
	for _, id := range p.validators {
		if !slices.Contains(now, id) {
			p.host.ConnManager().Unprotect(id, ledgerTag)
		}
	}
	p.validators = now
}

// sourcesTurn is how often one source makes room for another where there are more than
// are listed.
const sourcesTurn = time.Minute

// Sources implements ledger.Peers: validators first, each kind in random order. Where
// there are more than n, those that were listed before are again: who is not listed is
// asked no more, and what it was sending is lost. From time to time one gives way, for
// nobody is to have all places for ever.
func (p *ledgerPeers) Sources(n int) []ledger.Source {
	p.mu.Lock()
	defer p.mu.Unlock()
	var voters, others []peer.ID
	for id, a := range p.met {
		switch {
		case a != familiar:
		case slices.Contains(p.validators, id):
			voters = append(voters, id)
		default:
			others = append(others, id)
		}
	}
	if len(voters)+len(others) > n && len(p.listed) > 0 && time.Since(p.turned) >= sourcesTurn {
		p.turned = time.Now()
		at := rand.IntN(len(p.listed))
		p.listed = slices.Delete(p.listed, at, at+1)
	}
	voters = p.choose(voters, n)
	others = p.choose(others, n-len(voters))
	p.listed = slices.Concat(voters, others)
	sources := make([]ledger.Source, 0, len(p.listed))
	for _, id := range p.listed {
		sources = append(sources, syncSource{p.sync.Peer(id), p.genesis})
	}
	return sources
}

// Changed implements ledger.Peers.
func (p *ledgerPeers) Changed() <-chan struct{} { return p.changed }

// change tells that Sources may be others.
func (p *ledgerPeers) change() {
	select {
	case p.changed <- struct{}{}:
	default: // it is told
	}
}

// choose returns n of some peers in random order, those that were listed before all others.
func (p *ledgerPeers) choose(from []peer.ID, n int) []peer.ID {
	shuffle(from)
	slices.SortStableFunc(from, func(a, b peer.ID) int {
		switch was, too := slices.Contains(p.listed, a), slices.Contains(p.listed, b); {
		case was == too:
			return 0
		case was:
			return -1
		default:
			return 1
		}
	})
	chosen := from[:min(n, len(from))]
	shuffle(chosen)
	return chosen
}

// stranger notes that a peer turned out to be of another ledger.
func (p *ledgerPeers) stranger(id peer.ID, reason error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, known := p.strangers[id]; !known && len(p.strangers) < maxStrangers {
		p.log.Warn("a peer is of another ledger", "peer", id, "err", reason)
		p.strangers[id] = reason
	}
}

// warning says that the peers met so far are of another ledger, if that hinders:
// when a validator of this ledger is among them, or nobody of this ledger is met.
func (p *ledgerPeers) warning() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	hinders := true
	for _, a := range p.met {
		hinders = hinders && a != familiar
	}
	for id, reason := range p.strangers {
		if hinders || slices.Contains(p.validators, id) {
			return fmt.Sprintf("%d peers are of another ledger, such as %s: %v; give this node and its peers the same genesis document", len(p.strangers), id, reason)
		}
	}
	return ""
}

func shuffle(ids []peer.ID) {
	rand.Shuffle(len(ids), func(i, j int) { ids[i], ids[j] = ids[j], ids[i] })
}
