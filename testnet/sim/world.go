package sim

import (
	"math/rand/v2"

	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/ledger/quorum"
	"github.com/decube/decube/testnet/sim/adversary"
	"github.com/decube/decube/testnet/sim/kernel"
)

// world is one run: nodes, network, clients and faults, on one clock and one
// queue, with the oracle looking on.
type world struct {
	cfg       *Config
	scheduler kernel.Scheduler
	rnd       streams
	keys      keyring

	nodes   []*node
	hosts   [][]*node // by identity: the nodes that run its replica
	epochs  map[epochKey]*epoch
	first   chain
	clients []*client
	net     *kernel.Network[any]
	faults  *faults
	oracle  *oracle
	lines   trace
	stats   Stats
	settled bool
	probe   probe
}

// streams are sources of chance, one for each part, so that what one part draws
// does not change what the others see.
type streams struct{ net, disk, app, faults, clients, adversary *rand.Rand }

func newStreams(seed uint64) streams {
	stream := func(n uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, n)) }
	return streams{stream(1), stream(2), stream(3), stream(4), stream(5), stream(6)}
}

type epochKey struct {
	number  uint64
	start   pbft.Digest
	members members
}

func newWorld(cfg *Config) *world {
	w := &world{cfg: cfg, rnd: newStreams(cfg.Seed), epochs: map[epochKey]*epoch{}}
	w.lines.out = cfg.Trace
	w.keys = newHashKeys(cfg.Identities)
	if cfg.Ed25519 {
		w.keys = newEdKeys(cfg.Identities)
	}
	initial := members(1)<<cfg.Replicas - 1
	s := genesis(initial)
	w.first = chain{head: pbft.Header{State: s.root(), Next: initial.digest()}, after: s}
	w.oracle = newOracle(w)
	w.faults = newFaults(w)
	w.hosts = make([][]*node, cfg.Identities)
	for who := range identity(cfg.Identities) {
		w.addNode(who)
	}
	for _, who := range cfg.Twins {
		w.addNode(identity(who))
	}
	for _, f := range cfg.Faulty {
		w.hosts[f.Identity][0].strategy = adversary.New(f.Strategy)
	}
	w.net = newNetwork(w)
	for i := range cfg.Clients {
		w.clients = append(w.clients, newClient(w, i))
	}
	return w
}

func (w *world) addNode(who identity) {
	n := &node{w: w, id: len(w.nodes), who: who, host: kernel.NewHost(&w.scheduler), tickEvery: TickLength}
	n.disk = &disk{store: w.first, durable: w.first, provisioned: true}
	w.nodes = append(w.nodes, n)
	w.hosts[who] = append(w.hosts[who], n)
}

// epochAfter returns the epoch that follows the last ending in a chain.
func (w *world) epochAfter(c *chain) *epoch {
	number, start, m := uint64(1), w.first.head, w.first.after.current
	if len(c.endings) > 0 {
		last := &c.endings[len(c.endings)-1]
		start, m = last.decision.Header, last.next
		number = start.Epoch + 1
	}
	key := epochKey{number, start.Digest(), m}
	e := w.epochs[key]
	if e == nil {
		e = newEpoch(w, number, start, m)
		w.epochs[key] = e
	}
	return e
}

// after does something at a later time.
func (w *world) after(d Time, do func()) { w.scheduler.After(d, do) }

func (w *world) now() Time { return w.scheduler.Now() }

func (w *world) trace(node int, verb string, peer int, what any) {
	w.lines.add(line{w.now(), node, verb, peer, what})
}

// between draws a time.
func between(rnd *rand.Rand, low, high Time) Time { return kernel.Between(rnd, low, high) }

func (w *world) fsyncTime() Time { return between(w.rnd.disk, w.cfg.Fsync/4, w.cfg.Fsync) }

func (w *world) storeTime() Time { return between(w.rnd.disk, w.cfg.Store/4, w.cfg.Store) }

func (w *world) execTime() Time { return between(w.rnd.app, 0, Millisecond) }

// buildTime is how long a leader takes for a block.
func (w *world) buildTime(n *node) Time {
	if s, ok := n.strategy.(adversary.Slow); ok {
		return Time(s.Delay(n.place)) * TickLength
	}
	return w.execTime()
}

// somePeer returns a node of another identity.
func (w *world) somePeer(n *node) int {
	for {
		if p := w.nodes[w.rnd.net.IntN(len(w.nodes))]; p.who != n.who {
			return p.id
		}
	}
}

// placeOf returns the place that an adversary acts from, nil for honest nodes.
func (w *world) placeOf(n *node) *adversary.Replica {
	if n.strategy == nil {
		return nil
	}
	return &adversary.Replica{
		Cluster: w.cfg.Core.Cluster, Epoch: n.epoch.number, Committee: n.epoch.verifier.Committee, Self: n.self,
		Start: n.epoch.start, Rand: w.rnd.adversary,
		Sign:   func(statement []byte) pbft.Signature { return w.keys.sign(n.who, statement) },
		Window: w.cfg.Core.Window, Patience: int(w.cfg.Core.PreprepareTimeout),
	}
}

// transmit sends a core's message to those it is for.
func (n *node) transmit(p adversary.Packet) {
	if v, ok := p.Message.(*pbft.NewView); ok {
		p.Message = n.epoch.strip(v)
	}
	n.w.oracle.sent(n, p.Message)
	c := consensus{message: p.Message, replica: n.self}
	if m, ok := p.Message.(*pbft.Proposal); ok {
		if x, have := n.bodies.get(m.Header.Body); have {
			c.body = x
		}
	}
	if p.All {
		n.w.trace(n.id, "says", nobody, p.Message)
	}
	for r, who := range n.epoch.order {
		to := quorum.Replica(r)
		if who == n.who || (!p.All && to != p.To) {
			continue
		}
		mine := c
		if p.Withhold != nil && p.Withhold(to) {
			mine.body = nil
		}
		for _, host := range n.w.hosts[who] {
			if !p.All {
				n.w.trace(n.id, "tells", host.id, p.Message)
			}
			n.w.send(n.id, host.id, mine)
		}
	}
}

// consensus is a core's message on the network, with the body of the block that it
// proposes.
type consensus struct {
	message pbft.Message
	replica quorum.Replica
	body    body
}

// requests are clients' transactions, from a client or passed on.
type requests struct{ txs []tx }

// receive takes what the network brings.
func (n *node) receive(from int, payload any) {
	if !n.host.Up() || n.epoch == nil {
		return
	}
	switch p := payload.(type) {
	case consensus:
		n.hear(from, &p)
	case requests:
		n.take(p.txs)
	case wantBody:
		if x, ok := n.findBody(p.digest); ok {
			n.w.send(n.id, from, haveBody{x})
		}
	case haveBody:
		n.bodies.add(p.body)
		n.examine()
	case wantChain:
		n.serve(from, p)
	case haveChain:
		n.fetched(p)
	case tip:
		if p.seq > n.disk.store.head.Seq || p.epoch > n.epoch.number {
			n.catchUp()
		}
	}
}

// hear takes a message for the core.
func (n *node) hear(from int, c *consensus) {
	if c.body != nil {
		n.bodies.add(c.body)
		if len(n.checks) > 0 {
			n.examine()
		}
	}
	if n.place != nil {
		n.place.Hear(c.message)
	}
	n.w.trace(n.id, "hears from", from, c.message)
	if l, ok := n.strategy.(adversary.Listener); ok && n.place != nil && n.core != nil && !n.host.Paused() {
		for _, p := range l.Listen(n.place, c.message) {
			n.transmit(p)
		}
	}
	it := item{message: c.message, from: from}
	if n.core == nil {
		n.otherEpoch(&it)
		return
	}
	n.post(it)
}

// take takes up requests.
func (n *node) take(txs []tx) {
	added := false
	for i := range txs {
		if n.pool.add(&txs[i], n.ticks, &n.disk.store.after) {
			added = true
			n.w.oracle.accepted(n, txs[i].request())
		}
	}
	if added {
		n.propose()
	}
}

// forward passes the longest waiting requests on to everybody.
func (n *node) forward() {
	var txs []tx
	for i := range n.pool.waiting[:min(len(n.pool.waiting), maxForward)] {
		txs = append(txs, n.pool.waiting[i].tx)
	}
	for _, who := range n.epoch.order {
		for _, host := range n.w.hosts[who] {
			if host != n && who != n.who {
				n.w.send(n.id, host.id, requests{txs})
			}
		}
	}
}

// maxForward is how many requests are passed on at once.
const maxForward = 16

// findBody looks for a body among those in flight and in the store's last blocks.
func (n *node) findBody(d pbft.Digest) (body, bool) {
	if x, ok := n.bodies.get(d); ok {
		return x, true
	}
	blocks := n.disk.store.blocks
	for i := len(blocks) - 1; i >= max(0, len(blocks)-maxBodies); i-- {
		if blocks[i].decision.Header.Body == d {
			return blocks[i].body, true
		}
	}
	return nil, false
}
