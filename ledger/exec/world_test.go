package exec_test

import (
	"errors"
	"time"

	"pgregory.net/rapid"

	"github.com/decube/decube/internal/sig"
	"github.com/decube/decube/internal/smt"
	"github.com/decube/decube/ledger/exec"
	"github.com/decube/decube/ledger/genesis"
	"github.com/decube/decube/ledger/state"
	"github.com/decube/decube/ledger/tx"
)

// created is when the ledgers here were made, in Unix milliseconds.
const created = int64(1_800_000_000_000)

var keys = func() (out []sig.PublicKey) {
	for i := range 12 {
		out = append(out, sig.FromSeed([sig.SeedSize]byte{byte(i + 1)}).Public())
	}
	return out
}()

// roomy are limits that bind nobody.
var roomy = exec.Limits{Transactions: 1 << 20, Bytes: 1 << 30}

// document returns the genesis of a ledger whose validators are the first n keys.
func document(tb rapid.TB, n int, adjust func(*genesis.Params)) *genesis.Genesis {
	tb.Helper()
	p := genesis.DefaultParams()
	if adjust != nil {
		adjust(&p)
	}
	var set []genesis.Validator
	for _, key := range keys[:n] {
		set = append(set, genesis.Validator{Key: key})
	}
	g, err := genesis.New("test", time.UnixMilli(created), set, p)
	if err != nil {
		tb.Fatal(err)
	}
	return g
}

// tipOf returns the genesis block in a map that descends from an empty one.
func tipOf(tb rapid.TB, g *genesis.Genesis, empty smt.Map) *exec.Tip {
	tb.Helper()
	s, err := state.Init(empty, g)
	if err != nil {
		tb.Fatal(err)
	}
	h := g.Header(s.Root())
	return &exec.Tip{Header: h, Digest: h.Digest(), State: s}
}

// genesisTip returns the genesis block of a ledger of four.
func genesisTip(tb rapid.TB) *exec.Tip {
	tb.Helper()
	return tipOf(tb, document(tb, 4, nil), smt.Map{})
}

// by returns an owner's transaction. Nobody here looks at signatures.
func by(tb rapid.TB, owner int, nonce uint64, op tx.Op) *tx.Transaction {
	tb.Helper()
	t, err := tx.New([32]byte{'n'}, keys[owner], nonce, op, sig.Signature{})
	if err != nil {
		tb.Fatal(err)
	}
	return t
}

// record returns a transaction that writes a record of so many bytes.
func record(tb rapid.TB, owner int, nonce uint64, size int) *tx.Transaction {
	tb.Helper()
	return by(tb, owner, nonce, tx.RecordPut{Key: "k", Value: make([]byte, size)})
}

// built returns the next block, of transactions that all apply.
func built(tb rapid.TB, parent *exec.Tip, now int64, txs ...*tx.Transaction) *exec.Block {
	tb.Helper()
	b, doubtful, err := exec.Build(parent, roomy, txs, now)
	if err != nil || b == nil || len(doubtful) > 0 {
		tb.Fatalf("built %v, %d are doubtful, %v", b, len(doubtful), err)
	}
	return b
}

var errDisk = errors.New("no such sector")

// disk keeps a map's nodes. It fails once, when left reads are done.
type disk struct {
	nodes map[string][]byte
	left  int // negative for ever
}

func (d *disk) Get(key []byte) ([]byte, error) {
	if d.left == 0 {
		d.left = -1
		return nil, errDisk
	}
	d.left--
	value, ok := d.nodes[string(key)]
	if !ok {
		return nil, errors.New("no such node")
	}
	return value, nil
}

func (d *disk) Put(key, value []byte) error {
	d.nodes[string(key)] = append([]byte{}, value...)
	return nil
}

func (d *disk) Stale(key []byte) error {
	delete(d.nodes, string(key))
	return nil
}
