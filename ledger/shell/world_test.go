package shell_test

import (
	"context"
	"testing"
	"time"

	"github.com/decube/decube/internal/lane"
	"github.com/decube/decube/internal/sig"
	"github.com/decube/decube/internal/smt"
	"github.com/decube/decube/ledger/body"
	"github.com/decube/decube/ledger/driver"
	"github.com/decube/decube/ledger/exec"
	"github.com/decube/decube/ledger/genesis"
	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/ledger/quorum"
	"github.com/decube/decube/ledger/shell"
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
	return newWorldOf(tb, validators)
}

// newWorldOf returns a ledger that begins with n validators.
func newWorldOf(tb testing.TB, n int) *world {
	tb.Helper()
	p := genesis.DefaultParams()
	p.Window, p.CheckpointInterval = interval, interval
	w := &world{t: tb, nonces: map[int]uint64{}, sigs: sig.NewVerifier(0)}
	var set []genesis.Validator
	for i := range n {
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
