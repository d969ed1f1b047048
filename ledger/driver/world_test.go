package driver_test

import (
	"slices"
	"testing"
	"time"

	"github.com/decube/decube/ledger/body"
	"github.com/decube/decube/ledger/codec"
	"github.com/decube/decube/ledger/driver"
	"github.com/decube/decube/ledger/exec"
	"github.com/decube/decube/ledger/follow"
	"github.com/decube/decube/ledger/genesis"
	"github.com/decube/decube/ledger/intake"
	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/ledger/sig"
	"github.com/decube/decube/ledger/smt"
	"github.com/decube/decube/ledger/state"
	"github.com/decube/decube/ledger/tx"
)

// created is when the ledgers here were made, in Unix milliseconds.
const created = int64(1_800_000_000_000)

func key(n int) sig.PrivateKey { return sig.FromSeed([sig.SeedSize]byte{byte(n + 1)}) }

// world is some drivers whose effects are carried out at once and in order, on a perfect
// network without delay, as far as a test does not say otherwise. It has no disk: what
// holds over crashes is for the simulator.
type world struct {
	t       *testing.T
	genesis *genesis.Genesis
	cfg     driver.Config
	sigs    *sig.Verifier
	nodes   []*node
	queue   []func()
	now     time.Duration
	// lost, if not nil, says which frames do not arrive.
	lost func(from, to int, f codec.Frame) bool
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
	judge   *pbft.Verifier
	chain   []*pbft.Decision
	bodies  []*body.Content // of chain
	view    *driver.View
	answers map[intake.Ticket]intake.Answer
	records []codec.LogRecord
	notices []driver.Notice
	sent    []driver.Send
	effects []driver.Effect // of the last step
	halted  error

	disowned bool // its log is marked as lost
}

// newWorld returns n validators of one ledger at its beginning.
func newWorld(t *testing.T, n int) *world {
	t.Helper()
	p := genesis.DefaultParams()
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
		Genesis: g, Core: g.Config(pbft.Default()), MaxBatch: 100, BatchTimeout: time.Millisecond, TransferAfter: 10_000,
	}
	for i := range n {
		w.add(i)
	}
	return w
}

func (w *world) add(i int) {
	w.t.Helper()
	w.nodes = append(w.nodes, w.start(len(w.nodes), i, driver.Recovered{Votes: true}))
	w.nodes[len(w.nodes)-1].begin()
}

// restart puts a driver that begins at the ledger's beginning in a node's place, with what
// its disk holds beside.
func (w *world) restart(at int, from driver.Recovered) *node {
	w.t.Helper()
	w.nodes[at].down = true
	w.nodes[at] = w.start(at, at, from)
	w.nodes[at].begin()
	return w.nodes[at]
}

// start makes a node.
func (w *world) start(at, i int, from driver.Recovered) *node {
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
	nd := &node{w: w, at: at, answers: map[intake.Ticket]intake.Answer{}}
	cfg := w.cfg
	cfg.Key, cfg.Seed[0] = key(i), byte(i)
	from.Head = head
	d, effects, err := driver.New(cfg, from, nd.instant())
	if err != nil {
		w.t.Fatal(err)
	}
	nd.driver, nd.effects = d, effects
	return nd
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
	at := int(a.Source[0] - '0')
	other := n.w.nodes[at]
	switch r := a.Request.(type) {
	case follow.Head:
		n.take(driver.Item{Ask: a.Ask, Blob: []byte{byte(at)}})
	case follow.Blocks:
		for i := int(r.From) - 1; i < min(len(other.chain), int(r.From)-1+r.Count); i++ {
			b := &codec.Block{Decision: other.chain[i], Body: other.bodies[i].Encoded()}
			n.take(driver.Item{Ask: a.Ask, Blob: codec.AppendBlock(nil, b)})
		}
	default:
		return // never answered
	}
	n.take(driver.Ended{Ask: a.Ask, Why: follow.Complete})
}

// checkChain verifies what another one has sent, of one epoch.
func (n *node) checkChain(action follow.Action) {
	switch a := action.(type) {
	case follow.CheckHead:
		out := follow.HeadChecked{Job: a.Job}
		if chain := n.w.nodes[a.Blob[0]].chain; len(chain) > 0 {
			out.Standing.Tip = chain[len(chain)-1]
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
	default:
		n.w.t.Fatalf("a %T", action)
	}
}

func (n *node) instant() driver.Instant {
	return driver.Instant{Mono: n.w.now, Wall: created + n.w.now.Milliseconds() + n.wall}
}

// take gives the driver an event later, behind what waits already.
func (n *node) take(e driver.Event) {
	n.w.queue = append(n.w.queue, func() {
		if !n.down && n.halted == nil {
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
		for _, n := range w.nodes {
			if !n.down && n.halted == nil && n.driver.Deadline() <= w.now {
				n.take(driver.Alarm{})
			}
		}
	}
}

func (n *node) perform(effects []driver.Effect) {
	n.effects = effects
	for _, e := range effects {
		n.do(e)
	}
}

// do carries one effect out.
func (n *node) do(e driver.Effect) {
	switch e := e.(type) {
	case driver.Append:
		n.records = append(n.records, e.Records...)
		n.durable(e.Mark)
	case driver.Renewed:
		n.durable(e.Mark)
	case driver.Disown:
		n.disowned = true
		n.durable(e.Mark)
	case driver.Store:
		n.chain, n.bodies = append(n.chain, e.Decision), append(n.bodies, e.Block.Body)
		n.take(driver.Kept{Seq: e.Decision.Header.Seq})
	case driver.SyncStore:
		n.take(driver.Stored{Seq: e.Seq})
	case driver.Load:
		n.take(driver.Loaded{Job: e.Job})
	case driver.Committee:
		if c, err := e.Set.Committee(); err == nil {
			start := pbft.Start{Epoch: e.Epoch, Committee: c, Header: e.Start}
			n.judge = pbft.NewVerifier(&n.w.cfg.Core, &start, e.Set.Checker(n.w.sigs))
		}
	case driver.CheckVotes:
		verified, errs := n.judge.Verify(e.Messages...)
		n.take(driver.VotesChecked{Job: e.Job, Verified: verified, Errs: errs})
	case driver.CheckTxs:
		n.take(driver.TxsChecked{Job: e.Job, Errs: n.checkTxs(&e)})
	case driver.Execute:
		n.take(n.execute(&e))
	case driver.Judge:
		r, err := exec.Judge(e.On.State, e.Txs, e.On.Header.Seq+1, max(e.Time, e.On.Header.Time))
		n.take(driver.Judged{Job: e.Job, Rejections: r, Err: err})
	case driver.Peek:
		nonce, err := e.On.State.NextNonce(e.Owner)
		n.take(driver.Peeked{Job: e.Job, Nonce: nonce, Err: err})
	case driver.Send:
		n.sent = append(n.sent, e)
		n.send(&e)
	case driver.Answer:
		n.answers[e.Ticket] = e.Answer
	case driver.Publish:
		n.view = e.View
	case driver.Note:
		n.notices = append(n.notices, e.What)
	case driver.Halt:
		n.halted = e.Why
	case driver.Ask:
		n.ask(&e)
	case driver.CheckChain:
		n.checkChain(e.Action)
	case driver.Keep, driver.Certify, driver.Prune, driver.Cut, driver.Stop, driver.Credit, driver.Install:
	default:
		n.w.t.Fatalf("an effect of type %T", e)
	}
}

func (n *node) durable(m driver.Mark) {
	if m == 0 {
		return
	}
	if e := (driver.Durable{Mark: m}); n.mute {
		n.held = append(n.held, e)
	} else {
		n.take(e)
	}
}

func (n *node) checkTxs(e *driver.CheckTxs) []error {
	errs := tx.VerifyAll(n.w.sigs, n.w.genesis.ID(), e.Txs)
	for i, t := range e.Txs {
		if errs[i] != nil || e.Fresh == nil || !e.Fresh[i] {
			continue
		}
		r, err := exec.Judge(e.On.State, []*tx.Transaction{t}, e.On.Header.Seq+1, max(e.Time, e.On.Header.Time))
		if err != nil {
			n.w.t.Fatal(err)
		}
		if r[0] != nil {
			errs[i] = r[0]
		}
	}
	return errs
}

func (n *node) execute(e *driver.Execute) driver.Executed {
	out := driver.Executed{Job: e.Job}
	switch t := e.Task.(type) {
	case driver.BuildBlock:
		out.Block, out.Doubtful, out.Err = exec.Build(e.Parent, t.Limits, t.Candidates, t.Time)
	case driver.CheckBlock:
		out.Verdict, out.Err = exec.Check(e.Parent, &t.Offer, t.Time)
		if v, ok := out.Verdict.(exec.Valid); ok {
			out.Block = v.Block
		}
	case driver.RedoBlock:
		out.Block, out.Err = exec.Redo(e.Parent, &t.Block.Decision().Header, t.Block.Content)
	}
	if out.Block != nil {
		p, err := out.Block.State.Params()
		if err != nil {
			n.w.t.Fatal(err)
		}
		out.Params = p
	}
	return out
}

// send delivers a frame, as bytes.
func (n *node) send(s *driver.Send) {
	for _, to := range s.To {
		at := slices.IndexFunc(n.w.nodes, func(o *node) bool { return key(o.at).Public() == to })
		if at < 0 || n.w.lost != nil && n.w.lost(n.at, at, s.Frame) {
			continue
		}
		f, err := driver.Read(s.Class, codec.AppendFrame(nil, s.Frame), codec.Limits{})
		if err != nil {
			n.w.t.Fatalf("node %d sends what cannot be read: %v", n.at, err)
		}
		n.w.nodes[at].take(driver.Arrived{From: key(n.at).Public(), Frame: f})
	}
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
