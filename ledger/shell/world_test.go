package shell_test

import (
	"context"
	"errors"
	"iter"
	"sync"
	"testing"
	"time"

	"github.com/decube/decube/internal/durable/faultfs"
	"github.com/decube/decube/internal/lane"
	"github.com/decube/decube/ledger/archive"
	"github.com/decube/decube/ledger/archive/memstore"
	"github.com/decube/decube/ledger/body"
	"github.com/decube/decube/ledger/driver"
	"github.com/decube/decube/ledger/exec"
	"github.com/decube/decube/ledger/genesis"
	"github.com/decube/decube/ledger/journal"
	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/ledger/quorum"
	"github.com/decube/decube/ledger/shell"
	"github.com/decube/decube/ledger/sig"
	"github.com/decube/decube/ledger/smt"
	"github.com/decube/decube/ledger/state"
	"github.com/decube/decube/ledger/tx"
)

const (
	created    = int64(1_800_000_000_000) // Unix milliseconds
	validators = 4
	interval   = 4 // of checkpoints, in blocks
)

func key(n int) sig.PrivateKey { return sig.FromSeed([sig.SeedSize]byte{byte(n + 1)}) }

// world is a ledger whose blocks are really signed, by validators that are always of one
// mind. What peers make of them is for the tests.
type world struct {
	t       testing.TB
	genesis *genesis.Genesis
	core    pbft.Config
	keys    []sig.PrivateKey // of the validators in office, by replica
	tip     *exec.Tip
	blocks  []block // that of sequence number s is at s-1
	nonces  map[int]uint64
	sigs    *sig.Verifier
}

// block is a committed block.
type block struct {
	decision *pbft.Decision
	content  *body.Content
	epoch    []sig.PrivateKey // who ordered it
}

func newWorld(tb testing.TB) *world {
	tb.Helper()
	p := genesis.DefaultParams()
	p.Window, p.CheckpointInterval = interval, interval
	w := &world{t: tb, nonces: map[int]uint64{}, sigs: sig.NewVerifier(0)}
	var set []genesis.Validator
	for i := range validators {
		w.keys = append(w.keys, key(i))
		set = append(set, genesis.Validator{Key: key(i).Public()})
	}
	var err error
	if w.genesis, err = genesis.New("test", time.UnixMilli(created), set, p); err != nil {
		tb.Fatal(err)
	}
	w.core = w.genesis.Config(pbft.Default())
	s, err := state.Init(smt.Map{}, w.genesis)
	if err != nil {
		tb.Fatal(err)
	}
	h := w.genesis.Header(s.Root())
	w.tip = &exec.Tip{Header: h, Digest: h.Digest(), State: s}
	return w
}

// sign returns an owner's next transaction.
func (w *world) sign(owner int, op tx.Op) *tx.Transaction {
	w.t.Helper()
	t, err := tx.Sign(key(owner), w.genesis.ID(), w.nonces[owner], op)
	if err != nil {
		w.t.Fatal(err)
	}
	w.nonces[owner]++
	return t
}

func put(text string) tx.Op { return tx.RecordPut{Key: "k", Value: []byte(text)} }

// make returns the next block, of transactions that all apply, with its certificate.
func (w *world) make(txs ...*tx.Transaction) (block, *exec.Block) {
	w.t.Helper()
	b, doubtful, err := exec.Build(w.tip, exec.Limits{Transactions: 1000, Bytes: 1 << 20}, txs, created+int64(w.tip.Header.Seq)*100)
	if err != nil || b == nil || len(doubtful) > 0 {
		w.t.Fatalf("built %v, %d are doubtful, %v", b, len(doubtful), err)
	}
	return block{w.decide(&b.Header), b.Body, w.keys}, b
}

// commit makes the next block the last one.
func (w *world) commit(txs ...*tx.Transaction) block {
	w.t.Helper()
	if len(txs) == 0 {
		txs = []*tx.Transaction{w.sign(20, put("value")), w.sign(21, put("another"))}
	}
	made, b := w.make(txs...)
	w.blocks = append(w.blocks, made)
	w.tip = &b.Tip
	if b.Next != nil {
		w.keys = nil
		for _, k := range b.Next {
			for i := range 30 {
				if key(i).Public() == k {
					w.keys = append(w.keys, key(i))
				}
			}
		}
	}
	return made
}

// commits makes so many blocks.
func (w *world) commits(n int) {
	w.t.Helper()
	for range n {
		w.commit()
	}
}

// admit has the validators add another: the epoch ends with a hop.
func (w *world) admit(n int) {
	w.t.Helper()
	var votes []*tx.Transaction
	for i := range 3 {
		votes = append(votes, w.sign(i, tx.ValidatorAdd{Key: key(n).Public()}))
	}
	w.commit(votes...)
}

// renew has a validator take its place anew: the epoch ends, and no hop comes of it.
func (w *world) renew(n int) tx.ID {
	w.t.Helper()
	t := w.sign(n, tx.ValidatorAdd{Key: key(n).Public(), Replaces: key(n).Public(), Salt: tx.Salt{1}})
	w.commit(t)
	return t.ID()
}

func (w *world) decide(h *pbft.Header) *pbft.Decision {
	return &pbft.Decision{Header: *h, Cert: w.certify(pbft.Commit, h)}
}

// certify returns what a quorum of those in office sign about a block.
func (w *world) certify(phase pbft.Phase, h *pbft.Header) pbft.Certificate {
	c := pbft.Certificate{Subject: pbft.Subject{Phase: phase, Epoch: h.Epoch, Seq: h.Seq, Digest: h.Digest(), State: h.State}}
	n := len(w.keys) - (len(w.keys)-1)/3
	for r, k := range w.keys[:n] {
		c.Sigs = append(c.Sigs, pbft.Signed{Replica: quorum.Replica(r), Sig: pbft.Signature(k.Sign(c.Statement(w.genesis.ID())))})
	}
	return c
}

// vote returns a validator's vote for the last block.
func (w *world) vote(r int) *pbft.Vote {
	h := &w.tip.Header
	v := &pbft.Vote{Subject: pbft.Subject{Phase: pbft.Prepare, Epoch: h.Epoch, Seq: h.Seq, Digest: h.Digest(), State: h.State}, Replica: quorum.Replica(r)}
	v.Sig = pbft.Signature(w.keys[r].Sign(v.Statement(w.genesis.ID())))
	return v
}

// peer is a Shell with its disk, and what it has said.
type peer struct {
	t     testing.TB
	w     *world
	fs    *faultfs.FS
	mem   *memstore.Store
	store archive.Store // over mem, unless a test puts another in its place
	real  bool          // lanes have goroutines
	self  int

	shell *shell.Shell
	r     driver.Recovered
	lanes map[string]*inline
	head  *driver.Head // as a driver would have it
	out   outside

	mu     sync.Mutex
	events []driver.Event
	poke   chan struct{}
}

// newPeer returns a peer that has never been open.
func (w *world) newPeer() *peer {
	w.t.Helper()
	p := &peer{t: w.t, w: w, fs: faultfs.New(1), mem: memstore.New(memstore.DefaultLimits), poke: make(chan struct{}, 1)}
	p.store = p.mem
	if err := p.fs.MkdirAll("peer", 0o700); err != nil {
		w.t.Fatal(err)
	}
	if err := journal.Create(journal.Options{FS: p.fs, Dir: "peer", SegmentSize: segmentSize, Segments: 2}); err != nil {
		w.t.Fatal(err)
	}
	return p
}

// peer returns one that is open.
func (w *world) peer() *peer {
	w.t.Helper()
	p := w.newPeer()
	p.open()
	return p
}

const segmentSize = 256 << 10

func (p *peer) open() {
	p.t.Helper()
	if err := p.tryOpen(); err != nil {
		p.t.Fatal(err)
	}
}

func (p *peer) tryOpen() error {
	p.lanes, p.events = map[string]*inline{}, nil
	s, r, err := shell.Open(p.t.Context(), shell.Options{
		Genesis: p.w.genesis, Core: p.w.core, Self: key(p.self).Public(), FS: p.fs, Dir: "peer", Store: p.store,
		SegmentSize: segmentSize, Segments: 2, Votes: true, Sigs: p.w.sigs, Ballots: p.w.sigs, Workers: 2,
		Lanes: p.lane, Deliver: p.deliver, Outside: &p.out,
	})
	p.shell, p.r, p.head = s, r, r.Head
	return err
}

// lane implements shell.NewLane.
func (p *peer) lane(name string, o lane.Options[shell.Job], work lane.Work[shell.Job, []driver.Event], deliver func([]lane.Completion[[]driver.Event])) shell.Lane {
	if p.real {
		return lane.New(o, work, deliver)
	}
	l := &inline{queue: lane.NewQueue[shell.Job, []driver.Event](o), work: work, deliver: deliver}
	p.lanes[name] = l
	return l
}

func (p *peer) deliver(events []driver.Event) {
	p.mu.Lock()
	p.events = append(p.events, events...)
	p.mu.Unlock()
	select {
	case p.poke <- struct{}{}:
	default:
	}
}

// do carries effects out and returns what came of them.
func (p *peer) do(effects ...driver.Effect) []driver.Event {
	p.t.Helper()
	p.shell.Do(effects)
	return p.settle()
}

// settle runs the lanes, which wait for it, and returns what they have said since.
func (p *peer) settle() []driver.Event {
	for busy := true; busy; {
		busy = false
		for _, name := range []string{"log", "store", "sync", "exec", "judge", "votes", "bodies", "txs", "chain"} {
			busy = p.lanes[name].run() || busy
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	events := p.events
	p.events = nil
	return events
}

// one carries an effect out that has one answer.
func one[E driver.Event](p *peer, e driver.Effect) E {
	p.t.Helper()
	events := p.do(e)
	if len(events) == 1 {
		if e, ok := events[0].(E); ok {
			return e
		}
	}
	p.t.Fatalf("%T is answered by %+v", e, events)
	panic("unreachable")
}

// redo carries a block out on the head, as a driver would have it done.
func (p *peer) redo(b block) *exec.Block {
	p.t.Helper()
	done, err := exec.Redo(&p.head.Tip, &b.decision.Header, b.content)
	if err != nil {
		p.t.Fatal(err)
	}
	p.head = &driver.Head{Tip: done.Tip, Decision: b.decision}
	return done
}

// take stores the world's next blocks up to a sequence number.
func (p *peer) take(upTo uint64) {
	p.t.Helper()
	var effects []driver.Effect
	for p.head.Header.Seq < upTo {
		b := p.w.blocks[p.head.Header.Seq]
		done := p.redo(b)
		stateless := done.Next == nil && b.decision.Header.Seq%interval != 0
		effects = append(effects, driver.Store{Decision: b.decision, Block: done, Stateless: stateless})
	}
	got := p.do(effects...)
	if n := len(effects); n > 0 && (len(got) == 0 || got[len(got)-1] != driver.Event(driver.Kept{Seq: upTo})) {
		p.t.Fatalf("stored up to block %d: %+v", upTo, got)
	}
}

// sync makes what is stored durable.
func (p *peer) sync(seq uint64) {
	p.t.Helper()
	if got := one[driver.Stored](p, driver.SyncStore{Seq: seq}); got.Seq != seq {
		p.t.Fatalf("stored: %+v", got)
	}
}

// certify makes what is stored up to a checkpoint durable and certified.
func (p *peer) certify(seq uint64) {
	p.t.Helper()
	p.sync(seq)
	b := p.w.blocks[seq-1]
	in := *p.w
	in.keys = b.epoch
	cert := in.certify(pbft.Checkpoint, &b.decision.Header)
	if got := p.do(driver.Certify{Cert: &cert}); len(got) > 0 {
		p.t.Fatalf("certified: %+v", got)
	}
}

func (p *peer) close() {
	p.t.Helper()
	if err := p.shell.Close(); err != nil {
		p.t.Fatal(err)
	}
}

// crash loses power: what was not synced is gone.
func (p *peer) crash() {
	p.fs = p.fs.Image(faultfs.Model{}, faultfs.Oldest)
	p.mem.Crash(0)
}

// reopen opens what was closed.
func (p *peer) reopen() {
	p.t.Helper()
	p.close()
	p.mem.Crash(0)
	p.open()
}

// inline is a lane that runs when it is told, in the caller's goroutine.
type inline struct {
	queue   *lane.Queue[shell.Job, []driver.Event]
	work    lane.Work[shell.Job, []driver.Event]
	deliver func([]lane.Completion[[]driver.Event])
	batches int
}

func (l *inline) Submit(number uint64, job shell.Job) error { return l.queue.Submit(number, job) }

func (l *inline) Cancel(number uint64) bool {
	waiting, _ := l.queue.Cancel(number)
	return waiting
}
func (l *inline) Load() lane.Load { return l.queue.Load() }
func (l *inline) Close()          { l.queue.Close() }

func (l *inline) run() (busy bool) {
	for b := l.queue.Start(); b != nil; b = l.queue.Start() {
		busy, l.batches = true, l.batches+1
		err := l.work(context.Background(), b.Jobs, b.Results)
		l.deliver(l.queue.Finish(b, err))
	}
	return busy
}

// outside notes what it is told.
type outside struct {
	sets    [][]sig.PublicKey
	sent    []sent
	full    bool
	notices []driver.Notice
	others  []driver.Effect
}

type sent struct {
	to    sig.PublicKey
	class driver.Class
	frame []byte
}

func (o *outside) SetValidators(keys []sig.PublicKey) { o.sets = append(o.sets, keys) }

func (o *outside) Send(to sig.PublicKey, class driver.Class, frame []byte) bool {
	if !o.full {
		o.sent = append(o.sent, sent{to, class, frame})
	}
	return !o.full
}
func (o *outside) Ask(e driver.Ask)        { o.others = append(o.others, e) }
func (o *outside) Stop(e driver.Stop)      { o.others = append(o.others, e) }
func (o *outside) Credit(e driver.Credit)  { o.others = append(o.others, e) }
func (o *outside) Answer(e driver.Answer)  { o.others = append(o.others, e) }
func (o *outside) Publish(v *driver.View)  { o.others = append(o.others, driver.Publish{View: v}) }
func (o *outside) Note(what driver.Notice) { o.notices = append(o.notices, what) }
func (o *outside) Halt(why error)          { o.others = append(o.others, driver.Halt{Why: why}) }

var errDisk = errors.New("no such sector")

// failing is a store whose writes and syncs fail while err is set.
type failing struct {
	archive.Store

	err error
}

func (f *failing) Write(version uint64, changes []archive.Change) error {
	if f.err != nil {
		return f.err
	}
	return f.Store.Write(version, changes)
}

func (f *failing) Sync() error {
	if f.err != nil {
		return f.err
	}
	return f.Store.Sync()
}

// locked is a store in memory for many goroutines.
type locked struct {
	mu  sync.Mutex
	mem *memstore.Store
}

func (l *locked) Get(key []byte, upTo uint64) ([]byte, uint64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.mem.Get(key, upTo)
}

func (l *locked) Scan(r archive.Range) iter.Seq2[archive.Item, error] {
	return func(yield func(archive.Item, error) bool) {
		l.mu.Lock()
		snapshot := l.mem.Clone()
		l.mu.Unlock()
		snapshot.Scan(r)(yield)
	}
}

func (l *locked) Limits() archive.Limits { return l.mem.Limits() }

func (l *locked) Write(version uint64, changes []archive.Change) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.mem.Write(version, changes)
}

func (l *locked) Discard(upTo uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mem.Discard(upTo)
}

func (l *locked) Drop(prefix []byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.mem.Drop(prefix)
}
func (l *locked) Reclaim() (bool, error) { return false, nil }

func (l *locked) Sync() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.mem.Sync()
}

func (l *locked) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.mem.Close()
}
