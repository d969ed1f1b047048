package state_test

import (
	"errors"
	"testing"
	"time"

	"github.com/ipfs/go-cid"
	mh "github.com/multiformats/go-multihash"
	"pgregory.net/rapid"

	"github.com/decube/decube/internal/sig"
	"github.com/decube/decube/internal/smt"
	"github.com/decube/decube/ledger/genesis"
	"github.com/decube/decube/ledger/state"
	"github.com/decube/decube/ledger/tx"
)

// created is when the ledgers of the tests begin, in Unix seconds.
const created = 1_800_000_000

// keys are those of the tests: making one takes a while.
var keys = func() (k [64]sig.PublicKey) {
	for i := range k {
		k[i] = sig.FromSeed([sig.SeedSize]byte{byte(i), 1}).Public()
	}
	return k
}()

// root returns the i-th snapshot root of the tests.
func root(i int) tx.CID {
	digest, err := mh.Sum([]byte{byte(i), byte(i >> 8)}, mh.SHA2_256, -1)
	if err != nil {
		panic(err)
	}
	return cid.NewCidV1(cid.DagCBOR, digest).Bytes()
}

// document returns a genesis document of n validators, keys[0] to keys[n-1].
func document(tb rapid.TB, n int, adjust ...func(*genesis.Params)) *genesis.Genesis {
	tb.Helper()
	params := genesis.DefaultParams()
	for _, f := range adjust {
		f(&params)
	}
	validators := make([]genesis.Validator, n)
	for i := range validators {
		validators[i] = genesis.Validator{Key: keys[i], Addresses: []string{"/dns4/validator"}}
	}
	g, err := genesis.New("test", timeOf(created), validators, params)
	if err != nil {
		tb.Fatal(err)
	}
	return g
}

func genesisState(tb rapid.TB, n int, adjust ...func(*genesis.Params)) state.State {
	tb.Helper()
	return must(state.Genesis(document(tb, n, adjust...)))(tb)
}

// must returns a function that returns v unless there was an error.
func must[T any](v T, err error) func(rapid.TB) T {
	return func(tb rapid.TB) T {
		tb.Helper()
		if err != nil {
			tb.Fatal(err)
		}
		return v
	}
}

// found is must for what is looked up and has to be there.
func found[T any](v T, ok bool, err error) func(rapid.TB) T {
	if err == nil && !ok {
		err = errors.New("not found")
	}
	return must(v, err)
}

// transaction returns an owner's, without a signature: the executor does not look at it.
func transaction(tb rapid.TB, owner sig.PublicKey, nonce uint64, op tx.Op) *tx.Transaction {
	tb.Helper()
	return must(tx.New([32]byte{}, owner, nonce, op, sig.Signature{}))(tb)
}

// world is a ledger that takes one transaction per block.
type world struct {
	testing.TB
	state state.State
	seq   uint64
	now   int64 // Unix seconds
}

func newWorld(tb testing.TB, s state.State) *world {
	tb.Helper()
	return &world{TB: tb, state: s, now: created}
}

// do carries out an operation with the owner's next nonce, in a block of its own.
func (w *world) do(owner int, op tx.Op) (genesis.ValidatorSet, error) {
	w.Helper()
	nonce := must(w.state.NextNonce(keys[owner]))(w)
	w.seq++
	b := w.state.Begin(w.seq, w.now*1000+999)
	if err := b.Apply(transaction(w, keys[owner], nonce, op)); err != nil {
		if after, _, err := b.Finish(); err != nil || after.Root() != w.state.Root() {
			w.Errorf("a rejected transaction changed the state: %v", err)
		}
		return nil, err
	}
	after, set, err := b.Finish()
	if err != nil {
		w.Fatal(err)
	}
	w.state = after
	return set, nil
}

// ok is do for what has to succeed.
func (w *world) ok(owner int, op tx.Op) genesis.ValidatorSet {
	w.Helper()
	set, err := w.do(owner, op)
	if err != nil {
		w.Fatalf("%d: %s: %v", owner, op.Summary(), err)
	}
	return set
}

// refused is do for what has to be rejected.
func (w *world) refused(owner int, op tx.Op, want tx.Code) {
	w.Helper()
	_, err := w.do(owner, op)
	if code, ok := tx.CodeOf(err); !ok || code != want {
		w.Errorf("%d: %s: got %v, want %v", owner, op.Summary(), err, want)
	}
}

func TestGenesis(t *testing.T) {
	g := document(t, 4)
	s := must(state.Genesis(g))(t)
	set := must(s.Validators())(t)
	if set.Digest() != g.Set().Digest() {
		t.Errorf("validators %v, want %v", set, g.Set())
	}
	if p := must(s.Params())(t); p != g.Params {
		t.Errorf("params %+v, want %+v", p, g.Params)
	}
	v := found(s.Validator(keys[3]))(t)
	if v.Since != 0 || len(v.Addresses) != 1 || v.Addresses[0] != "/dns4/validator" {
		t.Errorf("validator %+v", v)
	}
	if _, ok, err := s.Validator(keys[4]); ok || err != nil {
		t.Errorf("a stranger is a validator: %v", err)
	}
	opened := must(state.Open(s.Map()))(t)
	if opened.Root() != s.Root() {
		t.Error("opened state has another root")
	}
	if _, err := state.Open(smt.Map{}); !errors.Is(err, state.ErrMalformed) {
		t.Errorf("Open of an empty map: %v", err)
	}
	if _, err := state.Init(s.Map(), g); err == nil {
		t.Error("Init takes a map that is not empty")
	}
	if _, err := state.Genesis(&genesis.Genesis{}); !errors.Is(err, genesis.ErrInvalid) {
		t.Errorf("Genesis of no document: %v", err)
	}
}

func TestProve(t *testing.T) {
	w := newWorld(t, genesisState(t, 1))
	w.ok(5, tx.NameClaim{Name: "photos", Target: "here"})
	value, proof, err := w.state.Prove(state.NameKey("photos"))
	if err != nil {
		t.Fatal(err)
	}
	if err := smt.Verify(w.state.Root(), state.NameKey("photos"), value, proof); err != nil {
		t.Error(err)
	}
	name := must(state.ParseName(value))(t)
	if name.Holder != keys[5] || name.Target != "here" || name.Seq != 1 || name.Time != created*1000+999 {
		t.Errorf("name %+v", name)
	}
	value, proof, err = w.state.Prove(state.NameKey("videos"))
	if err != nil || value != nil {
		t.Fatal(value, err)
	}
	if err := smt.VerifyAbsent(w.state.Root(), state.NameKey("videos"), proof); err != nil {
		t.Error(err)
	}
}

func timeOf(unix int64) time.Time { return time.Unix(unix, 0) }
