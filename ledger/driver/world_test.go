package driver_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/decube/decube/internal/sig"
	"github.com/decube/decube/internal/smt"
	"github.com/decube/decube/ledger/body"
	"github.com/decube/decube/ledger/codec"
	"github.com/decube/decube/ledger/driver"
	"github.com/decube/decube/ledger/exec"
	"github.com/decube/decube/ledger/follow"
	"github.com/decube/decube/ledger/genesis"
	"github.com/decube/decube/ledger/intake"
	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/ledger/state"
	"github.com/decube/decube/ledger/tx"
)

// created is when the ledgers here were made, in Unix milliseconds.
const created = int64(1_800_000_000_000)

func key(n int) sig.PrivateKey { return sig.FromSeed([sig.SeedSize]byte{byte(n + 1)}) }

// world is some drivers whose effects are carried out at once and in order, on a perfect
// network without delay, as far as a test does not say otherwise. Its disks lose nothing
// that was made durable; what holds over every other crash is for the simulator.
type world struct {
	t       *testing.T
	genesis *genesis.Genesis
	cfg     driver.Config
	sigs    *sig.Verifier
	nodes   []*node
	queue   []func()
	later   []appointment // ascending by time
	now     time.Duration
	// lost, if not nil, says which frames do not arrive, and latency how long the others
	// take.
	lost    func(from, to int, f codec.Frame) bool
	latency time.Duration
	states  bool // each block is a checkpoint whose state sources serve
	orders  bool // sources order what they are handed over
	// hold, if not nil, says which effects are not carried out until they are released.
	hold func(n *node, e driver.Effect) bool
}

// appointment is what happens at a time.
type appointment struct {
	at time.Duration
	do func()
}

// node is one driver with what it has said.
type node struct {
	w       *world
	at      int
	driver  *driver.Driver
	wall    int64 // what its clock is ahead, in milliseconds
	down    bool
	mute    bool // the log stands still: nothing becomes durable
	held    []driver.Event
	waiting []driver.Effect // that are held
	disk    disk
	judge   *pbft.Verifier
	chain   []*pbft.Decision
	bodies  []*body.Content // of chain
	streams []func(i int)   // told of each block
	view    *driver.View
	answers map[intake.Ticket]intake.Answer
	notices []driver.Notice
	sent    []driver.Send
	asked   []driver.Ask
	effects []driver.Effect // of the last step
	halted  error

	disowned bool // its log is marked as lost
}

// newWorld returns n validators of one ledger at its beginning.
func newWorld(t *testing.T, n int) *world {
	t.Helper()
	return newWorldOf(t, n, 0, nil)
}

// newWorldOf is newWorld with other peers beside the validators, and with what change
// makes of the configuration and of the parameters.
func newWorldOf(t *testing.T, n, followers int, change func(*driver.Config, *genesis.Params)) *world {
	t.Helper()
	p := genesis.DefaultParams()
	if change != nil {
		change(&driver.Config{}, &p)
	}
	var set []genesis.Validator
	for i := range n {
		set = append(set, genesis.Validator{Key: key(i).Public()})
	}
	g, err := genesis.New("test", time.UnixMilli(created), set, p)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, genesis: g, sigs: sig.NewVerifier(0)}
	w.cfg = driver.Config{
		Genesis: g, Core: g.Config(pbft.Default()), MaxBatch: 100, BatchTimeout: time.Millisecond, TransferAfter: 10_000, Fanout: 3,
	}
	if change != nil {
		change(&w.cfg, &p)
	}
	for i := range n + followers {
		w.add(i)
	}
	return w
}

func (w *world) add(i int) {
	w.t.Helper()
	w.nodes = append(w.nodes, w.start(len(w.nodes), driver.Recovered{Votes: true}))
	w.nodes[len(w.nodes)-1].begin()
}

// restart puts a driver that begins at the ledger's beginning in a node's place, with what
// its disk holds beside.
func (w *world) restart(at int, from driver.Recovered) *node {
	w.t.Helper()
	w.nodes[at].down = true
	w.nodes[at] = w.start(at, from)
	w.nodes[at].begin()
	return w.nodes[at]
}

// start makes a node with an empty archive.
func (w *world) start(at int, from driver.Recovered) *node {
	w.t.Helper()
	s, err := state.Init(smt.Map{}, w.genesis)
	if err != nil {
		w.t.Fatal(err)
	}
	h := w.genesis.Header(s.Root())
	head := &driver.Head{
		Tip: exec.Tip{Header: h, Digest: h.Digest(), State: s}, Next: w.genesis.Set(), Start: h, Params: w.genesis.Params,
		Decision: &pbft.Decision{Header: h, Cert: pbft.Certificate{Subject: pbft.Subject{Phase: pbft.Commit, Digest: h.Digest(), State: h.State}}},
	}
	nd := &node{w: w, at: at, answers: map[intake.Ticket]intake.Answer{}, disk: disk{heads: []*driver.Head{head}}}
	from.Head = head
	nd.start(from)
	return nd
}

// start makes a node's driver, which begins with what was found on its disk.
func (n *node) start(from driver.Recovered) {
	n.w.t.Helper()
	cfg := n.w.cfg
	cfg.Key, cfg.Seed[0], cfg.Seed[1] = key(n.at), byte(n.at), byte(n.disk.lives)
	n.disk.lives++
	d, effects, err := driver.New(cfg, from, n.instant())
	if err != nil {
		n.w.t.Fatal(err)
	}
	n.driver, n.effects, n.down = d, effects, false
}

// begin carries out what a driver asked for when it was made.
func (n *node) begin() { n.perform(n.effects) }

// sources has a node ask others.
func (n *node) sources(of ...int) {
	names := make([]string, len(of))
	for i, at := range of {
		names[i] = string(rune('0' + at))
	}
	n.take(driver.Sources{Names: names})
}

// ask answers a question at once, out of what the other one has stored.
func (n *node) ask(a *driver.Ask) {
	n.asked = append(n.asked, *a)
	at := int(a.Source[0] - '0')
	other := n.w.nodes[at]
	switch r := a.Request.(type) {
	case follow.Head:
		n.take(driver.Item{Ask: a.Ask, Blob: []byte{byte(at)}})
	case follow.Blocks:
		for i, left := int(r.From)-1, r.Bytes; i < min(len(other.chain), int(r.From)-1+r.Count); i++ {
			b := other.block(i)
			n.take(driver.Item{Ask: a.Ask, Blob: b})
			if left -= len(b); left <= 0 {
				n.take(driver.Ended{Ask: a.Ask, Why: follow.Full})
				return
			}
		}
	case follow.Stream: // it goes on, whatever credit there is
		for i := int(r.From) - 1; i < len(other.chain); i++ {
			n.take(driver.Item{Ask: a.Ask, Blob: other.block(i)})
		}
		other.streams = append(other.streams, func(i int) { n.take(driver.Item{Ask: a.Ask, Blob: other.block(i)}) })
		return
	case follow.Submit: // a source says OK, and does nothing unless it is said to
		if n.w.orders {
			t, err := tx.Decode(r.Raw)
			if err != nil {
				n.w.t.Fatal(err)
			}
			other.take(driver.Submitted{Ticket: intake.Ticket(a.Ask) << 32, Tx: t, From: intake.Local()})
		}
	default:
		return // never answered
	}
	n.take(driver.Ended{Ask: a.Ask, Why: follow.Complete})
}

// block returns a block as a source sends it.
func (n *node) block(i int) []byte {
	return codec.AppendBlock(nil, &codec.Block{Decision: n.chain[i], Body: n.bodies[i].Encoded()})
}

// checkChain verifies what another one has sent, of one epoch.
func (n *node) checkChain(action follow.Action) {
	switch a := action.(type) {
	case follow.CheckHead:
		out := follow.HeadChecked{Job: a.Job}
		if chain := n.w.nodes[a.Blob[0]].chain; len(chain) > 0 {
			out.Standing.Tip = chain[len(chain)-1]
			if n.w.states {
				out.Standing.Checkpoint = out.Standing.Tip
			}
		}
		n.take(driver.ChainChecked{Event: out})
	case follow.CheckBlocks:
		out := follow.BlocksChecked{Job: a.Job}
		for _, blob := range a.Blobs {
			b, err := codec.DecodeBlock(blob, codec.Limits{})
			if err != nil {
				n.w.t.Fatal(err)
			}
			verified, errs := n.judge.Verify(b.Decision)
			c, err := body.Decode(b.Body)
			if err != nil || errs[0] != nil {
				n.w.t.Fatal(err, errs[0])
			}
			out.Blocks = append(out.Blocks, &driver.Fetched{Verified: verified[0], Content: c})
		}
		n.take(driver.ChainChecked{Event: out})
	case follow.Build: // nothing of the state is missing
		n.take(driver.ChainChecked{Event: follow.Building{Job: a.Job}})
	default:
		n.w.t.Fatalf("a %T", action)
	}
}

func (n *node) instant() driver.Instant {
	return driver.Instant{Mono: n.w.now, Wall: created + n.w.now.Milliseconds() + n.wall}
}

// take gives the driver an event later, behind what waits already.
func (n *node) take(e driver.Event) {
	d := n.driver
	n.w.queue = append(n.w.queue, func() {
		if !n.down && n.halted == nil && n.driver == d { // what a process began ends with it
			n.perform(n.driver.Step(n.instant(), e))
		}
	})
}

// run lets a time pass.
func (w *world) run(d time.Duration) {
	w.t.Helper()
	end := w.now + d
	for steps := 0; ; steps++ {
		if steps > 5_000_000 {
			w.t.Fatal("the world does not come to rest")
		}
		if len(w.queue) > 0 {
			next := w.queue[0]
			w.queue = w.queue[1:]
			next()
			continue
		}
		at := end
		if len(w.later) > 0 {
			at = min(at, w.later[0].at)
		}
		for _, n := range w.nodes {
			if !n.down && n.halted == nil {
				at = min(at, n.driver.Deadline())
			}
		}
		if at >= end {
			w.now = end
			return
		}
		w.now = max(w.now, at)
		for len(w.later) > 0 && w.later[0].at <= w.now {
			w.queue = append(w.queue, w.later[0].do)
			w.later = w.later[1:]
		}
		for _, n := range w.nodes {
			if !n.down && n.halted == nil && n.driver.Deadline() <= w.now {
				n.take(driver.Alarm{})
			}
		}
	}
}

// send delivers a frame, as bytes.
func (n *node) send(s *driver.Send) {
	for _, to := range s.To {
		at := slices.IndexFunc(n.w.nodes, func(o *node) bool { return key(o.at).Public() == to })
		if at < 0 || n.w.lost != nil && n.w.lost(n.at, at, s.Frame) {
			continue
		}
		from, arrive := n.at, n.w.nodes[at]
		n.w.after(n.w.latency, func() { arrive.hears(from, s.Class, s.Frame) })
	}
}

// hears gives a node a frame of a validator, as bytes. It must be one that can be read.
func (n *node) hears(from int, class driver.Class, frame codec.Frame) {
	f, err := driver.Read(class, codec.AppendFrame(nil, frame), codec.LimitsOf(&n.w.genesis.Params, len(n.w.genesis.Validators)))
	if err != nil {
		n.w.t.Fatalf("node %d sends what cannot be read: %v", from, err)
	}
	n.take(driver.Arrived{From: key(from).Public(), Frame: f})
}

// after does something later: at once, for no time at all.
func (w *world) after(d time.Duration, do func()) {
	if d == 0 {
		do()
		return
	}
	at, _ := slices.BinarySearchFunc(w.later, w.now+d, func(a appointment, t time.Duration) int {
		if a.at <= t {
			return -1 // behind what is due at the same time
		}
		return 1
	})
	w.later = slices.Insert(w.later, at, appointment{w.now + d, do})
}

// until lets time pass until something holds, at most for some time.
func (w *world) until(what string, most time.Duration, holds func() bool) {
	w.t.Helper()
	for end := w.now + most; !holds(); w.run(time.Millisecond) {
		if w.now >= end {
			w.t.Fatalf("after %v it is not so that %s\n%s", most, what, w)
		}
	}
}

// String returns how all nodes are.
func (w *world) String() string {
	var b strings.Builder
	for _, n := range w.nodes {
		fmt.Fprintf(&b, "node %d: block %d, %+v, %d wait, down %t, halted %q %v\n",
			n.at, n.view.Head.Header.Seq, n.view.Core, n.view.Waiting, n.down, n.view.Halted, n.halted)
	}
	return b.String()
}

// leader returns the node that leads a view of an epoch whose validators are the
// genesis's.
func (w *world) leader(epoch, view uint64) *node {
	set := w.genesis.Set()
	at := set[(epoch+view)%uint64(len(set))]
	return w.nodes[slices.IndexFunc(w.nodes, func(n *node) bool { return key(n.at).Public() == at })]
}

// others returns the nodes that are not among some.
func (w *world) others(these ...*node) []*node {
	return slices.DeleteFunc(slices.Clone(w.nodes), func(n *node) bool { return slices.Contains(these, n) })
}

// voting fails unless nodes vote.
func (w *world) voting(nodes ...*node) {
	w.t.Helper()
	for _, n := range nodes {
		if n.halted != nil || n.view.Halted != "" || n.view.Core == nil || n.view.Recovering {
			w.t.Errorf("node %d does not vote:\n%s", n.at, w)
		}
	}
}

// committed fails unless a node has told that a transaction is committed, and returns in
// which block.
func (n *node) committed(ticket intake.Ticket) uint64 {
	n.w.t.Helper()
	a, ok := n.answers[ticket]
	if !ok || a.Err != nil || a.Block == 0 {
		n.w.t.Fatalf("transaction %d at node %d: %+v, %t\n%s", ticket, n.at, a, ok, n.w)
	}
	return a.Block
}

// submit hands a transaction in.
func (n *node) submit(ticket intake.Ticket, owner int, nonce uint64, op tx.Op) *tx.Transaction {
	n.w.t.Helper()
	t, err := tx.Sign(key(owner), n.w.genesis.ID(), nonce, op)
	if err != nil {
		n.w.t.Fatal(err)
	}
	n.take(driver.Submitted{Ticket: ticket, Tx: t, From: intake.Local()})
	return t
}

// put is an operation that always applies.
func put(i int) tx.Op { return tx.RecordPut{Key: "k", Value: []byte{byte(i)}} }

// agree fails unless all chains are one.
func (w *world) agree() {
	w.t.Helper()
	for _, n := range w.nodes {
		for i, d := range n.chain {
			if other := w.nodes[0].chain; i < len(other) && other[i].Cert.Digest != d.Cert.Digest {
				w.t.Fatalf("node %d has %v, node 0 %v", n.at, d, other[i])
			}
		}
	}
}
