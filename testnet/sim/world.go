package sim

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/decube/decube/internal/sig"
	"github.com/decube/decube/ledger/genesis"
	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/testnet/sim/kernel"
)

// world is one run: nodes, network, clients and faults, on one queue of events, with the
// oracle looking on.
type world struct {
	cfg       *Config
	scheduler kernel.Scheduler
	rnd       streams
	genesis   *genesis.Genesis
	core      pbft.Config // of the genesis
	verifier  *memo

	nodes   []*node
	byKey   map[sig.PublicKey]*node
	clients []*client
	tickets tickets
	wires   *wires
	twins   *twins
	faults  *faults
	oracle  *oracle
	lines   trace
	stats   Stats
	settled bool
	probe   probe
}

// streams are sources of chance, one for each part, so that what one part draws does not
// change what the others see.
type streams struct{ net, work, disk, faults, clients, adversary, nodes *rand.Rand }

func newStreams(seed uint64) streams {
	s := func(name string) *rand.Rand { return kernel.Stream(seed, name) }
	return streams{s("net"), s("work"), s("disk"), s("faults"), s("clients"), s("adversary"), s("nodes")}
}

// created is when every simulated ledger was made.
func created() time.Time { return time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC) }

func newWorld(cfg *Config) (*world, error) {
	w := &world{cfg: cfg, rnd: newStreams(cfg.Seed), verifier: newMemo(), byKey: map[sig.PublicKey]*node{}}
	w.lines.out = cfg.Trace
	var first []genesis.Validator
	for i := range cfg.Validators {
		first = append(first, genesis.Validator{Key: w.keyOf("node", i).Public()})
	}
	g, err := genesis.New("simulated", created(), first, cfg.Params)
	if err != nil {
		return nil, err
	}
	w.genesis, w.core = g, g.Config(cfg.Core)
	w.oracle = newOracle(w)
	w.tickets = tickets{open: map[ticketAt]waiting{}}
	all := cfg.Validators + cfg.Candidates + cfg.Followers
	for i := range all + len(cfg.Twins) {
		n, err := newNode(w, i, i < cfg.Validators+cfg.Candidates || i >= all)
		if err != nil {
			return nil, err
		}
		w.nodes = append(w.nodes, n)
		if i < all {
			w.byKey[n.key.Public()] = n
		}
	}
	w.twins = newTwins(w)
	w.wires = newWires(w)
	w.faults = newFaults(w)
	for i := range cfg.Clients {
		w.clients = append(w.clients, newClient(w, i))
	}
	return w, nil
}

// keyOf returns the key of one of a kind.
func (w *world) keyOf(kind string, i int) signer {
	return w.verifier.signer(sha256.Sum256(binary.BigEndian.AppendUint64([]byte("decube simulation "+kind+" "), uint64(i))))
}

// keyAt returns the key of a node: those behind all others have the keys of twins.
func (w *world) keyAt(id int) signer {
	if all := w.cfg.Validators + w.cfg.Candidates + w.cfg.Followers; id >= all {
		id = w.cfg.Twins[id-all]
	}
	return w.keyOf("node", id)
}

// wall returns what a clock shows, in Unix milliseconds: all begin a second after the ledger
// was made.
func (w *world) wall(t Time) int64 {
	return w.genesis.Created.UnixMilli() + 1000 + int64(t/Millisecond)
}

// after does something at a later time.
func (w *world) after(d Time, do func()) { w.scheduler.After(d, do) }

func (w *world) now() Time { return w.scheduler.Now() }

func (w *world) trace(node int, verb string, peer int, what any) {
	w.lines.add(line{w.now(), node, verb, peer, what})
}

func (w *world) name(i int) string { return fmt.Sprintf("n%d", i) }

// named returns the node of a name.
func (w *world) named(name string) *node {
	for i, n := range w.nodes {
		if w.name(i) == name {
			return n
		}
	}
	return nil
}

// loadOver reports whether clients have stopped asking for new things.
func (w *world) loadOver() bool { return w.now() > w.cfg.GST+w.cfg.Load }
