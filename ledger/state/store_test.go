package state_test

import (
	"errors"
	"testing"

	"github.com/decube/decube/internal/sig"
	"github.com/decube/decube/internal/smt"
	"github.com/decube/decube/ledger/genesis"
	"github.com/decube/decube/ledger/state"
	"github.com/decube/decube/ledger/tx"
)

var errDisk = errors.New("no such sector")

// store keeps a map's nodes. It fails once, when left reads are done.
type store struct {
	nodes map[string][]byte
	left  int // negative for ever
}

func (s *store) Get(key []byte) ([]byte, error) {
	if s.left == 0 {
		s.left = -1
		return nil, errDisk
	}
	s.left--
	value, ok := s.nodes[string(key)]
	if !ok {
		return nil, errors.New("no such node")
	}
	return value, nil
}

func (s *store) Put(key, value []byte) error {
	s.nodes[string(key)] = append([]byte{}, value...)
	return nil
}

func (s *store) Stale(key []byte) error {
	delete(s.nodes, string(key))
	return nil
}

// flush stores a state and returns where.
func (s *store) flush(tb testing.TB, of state.State, version uint64) smt.RootRef {
	tb.Helper()
	return must(of.Map().Flush(version, s))(tb)
}

// A ledger that begins in a store goes on from there.
func TestStored(t *testing.T) {
	disk := &store{nodes: make(map[string][]byte), left: -1}
	s := must(state.Init(smt.Open(disk, smt.RootRef{}), document(t, 4)))(t)
	if want := genesisState(t, 4).Root(); s.Root() != want {
		t.Errorf("root %v in a store, %v in memory", s.Root(), want)
	}
	disk.flush(t, s, 0)
	w := newWorld(t, s)
	w.ok(5, tx.NameClaim{Name: "n", Target: "t"})
	ref := disk.flush(t, w.state, 1)

	again := must(state.Open(smt.Open(disk, ref)))(t)
	if n := found(again.Name("n"))(t); again.Root() != w.state.Root() || n.Target != "t" {
		t.Errorf("opened %v with %+v", again.Root(), n)
	}
}

// An error of the store is no verdict: the block is as it was, and the transaction
// applies when the store reads again.
func TestStoreFails(t *testing.T) {
	disk := &store{nodes: make(map[string][]byte), left: -1}
	s := must(state.Init(smt.Open(disk, smt.RootRef{}), document(t, 4)))(t)
	w := newWorld(t, s)
	w.ok(1, remove(0))
	w.ok(2, remove(0))
	w.ok(1, tx.NameClaim{Name: "n"})
	w.ok(2, tx.SnapshotRegister{Root: root(0)})
	w.ok(3, tx.NameClaim{Name: "o"})
	w.ok(3, tx.NameTransfer{Name: "o", To: keys[40]})
	for i := range 50 {
		w.ok(40, tx.RecordPut{Key: string(rune('A' + i)), Value: []byte("v")})
	}
	ref := disk.flush(t, w.state, 1)
	for _, one := range []*tx.Transaction{
		transaction(t, keys[1], 2, tx.NameTransfer{Name: "n", To: keys[40]}),
		transaction(t, keys[40], 50, tx.NameAccept{Name: "o"}),
		transaction(t, keys[1], 2, tx.RecordPut{Namespace: "n", Key: "k", Value: []byte("v")}),
		transaction(t, keys[1], 2, tx.SnapshotRegister{Root: root(0)}),
		transaction(t, keys[3], 2, remove(0)),
		transaction(t, keys[3], 2, renew(3, 1)),
	} {
		disk.left = -1
		want := executed(t, must(state.Open(smt.Open(disk, ref)))(t), one)
		failed := 0
		for reads := 0; ; reads++ {
			disk.left = -1
			s := must(state.Open(smt.Open(disk, ref)))(t)
			disk.left = reads
			b := s.Begin(100, created*1000)
			err := b.Apply(one)
			if err == nil {
				break
			}
			failed++
			if _, verdict := tx.CodeOf(err); verdict || !errors.Is(err, errDisk) {
				t.Fatalf("%s, after %d reads: %v", one.Summary(), reads, err)
			}
			disk.left = -1
			if err := b.Apply(one); err != nil {
				t.Fatalf("%s, again after %d reads: %v", one.Summary(), reads, err)
			}
			if after, _, err := b.Finish(); err != nil || after.Root() != want.Root() {
				t.Fatalf("%s, again after %d reads: root %v, want %v: %v", one.Summary(), reads, after.Root(), want.Root(), err)
			}
		}
		if failed == 0 {
			t.Errorf("%s: nothing was read", one.Summary())
		}
	}
}

// executed returns the state after a block of one transaction.
func executed(tb testing.TB, s state.State, one *tx.Transaction) state.State {
	tb.Helper()
	b := s.Begin(100, created*1000)
	if err := b.Apply(one); err != nil {
		tb.Fatal(err)
	}
	after, _, err := b.Finish()
	return must(after, err)(tb)
}

// The queries say when they could not look.
func TestQueriesFail(t *testing.T) {
	disk := &store{nodes: make(map[string][]byte), left: -1}
	s := must(state.Init(smt.Open(disk, smt.RootRef{}), document(t, 4)))(t)
	ref := disk.flush(t, s, 0)
	for name, query := range map[string]func(state.State) error{
		"Open":         func(s state.State) error { _, err := state.Open(s.Map()); return err },
		"Validators":   func(s state.State) error { _, err := s.Validators(); return err },
		"Validator":    func(s state.State) error { _, _, err := s.Validator(keys[0]); return err },
		"Params":       func(s state.State) error { _, err := s.Params(); return err },
		"Admission":    func(s state.State) error { _, err := s.Admission(); return err },
		"Growth":       func(s state.State) error { _, _, err := s.Growth(0); return err },
		"Param":        func(s state.State) error { _, _, err := s.Param("window"); return err },
		"Account":      func(s state.State) error { _, err := s.Account(keys[0]); return err },
		"Known":        func(s state.State) error { _, _, err := s.Known(keys[0]); return err },
		"NextNonce":    func(s state.State) error { _, err := s.NextNonce(keys[0]); return err },
		"Snapshot":     func(s state.State) error { _, _, err := s.Snapshot(root(0)); return err },
		"Registration": func(s state.State) error { _, _, err := s.Registration(root(0), keys[0]); return err },
		"Name":         func(s state.State) error { _, _, err := s.Name("n"); return err },
		"Record":       func(s state.State) error { _, _, err := s.Record("", "k", keys[0]); return err },
		"Candidates":   func(s state.State) error { _, err := s.Candidates(); return err },
		"Standing":     func(s state.State) error { _, err := s.Standing(remove(1)); return err },
		"Prove":        func(s state.State) error { _, _, err := s.Prove(state.ParamsKey()); return err },
	} {
		disk.left = -1
		s := must(state.Open(smt.Open(disk, ref)))(t)
		s.Map().Shed(0)
		disk.left = 0
		if err := query(s); !errors.Is(err, errDisk) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A committee is no larger than committees can be, and one that is takes no votes
// for another member.
func TestLargestSet(t *testing.T) {
	validators := make([]genesis.Validator, 256)
	for i := range validators {
		validators[i].Key = sig.FromSeed([sig.SeedSize]byte{byte(i), 1}).Public()
	}
	g := must(genesis.New("test", timeOf(created), validators, genesis.DefaultParams()))(t)
	newcomer := sig.FromSeed([sig.SeedSize]byte{0, 2}).Public()
	w := newWorld(t, must(state.Genesis(g))(t))
	w.refused(0, tx.ValidatorAdd{Key: newcomer}, tx.CodeLimitExceeded)
	w.ok(0, tx.ValidatorAdd{Key: newcomer, Replaces: keys[1]})
	quorum := (256+255/3)/2 + 1
	for i := 1; i <= quorum; i++ {
		voter := validators[i].Key
		b := w.state.Begin(100, created*1000)
		if err := b.Apply(transaction(t, voter, 0, tx.ValidatorAdd{Key: newcomer, Replaces: keys[2]})); err != nil {
			t.Fatal(err)
		}
		after, set, err := b.Finish()
		if w.state = must(after, err)(t); (set != nil) != (i == quorum) {
			t.Fatalf("the set changes with vote %d of %d: %v", i, quorum, set != nil)
		}
	}
	if set := must(w.state.Validators())(t); len(set) != 256 || set[2] != newcomer {
		t.Errorf("%d validators", len(set))
	}
	w.wantOpen()
}
