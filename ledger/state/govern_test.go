package state_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/decube/decube/internal/sig"
	"github.com/decube/decube/ledger/genesis"
	"github.com/decube/decube/ledger/state"
	"github.com/decube/decube/ledger/tx"
)

// wantSet checks the validators, by the numbers of their keys.
func (w *world) wantSet(want ...int) {
	w.Helper()
	var set genesis.ValidatorSet
	for _, i := range want {
		set = append(set, keys[i])
	}
	if got := must(w.state.Validators())(w); !slices.Equal(got, set) {
		var numbers []int
		for _, key := range got {
			numbers = append(numbers, slices.Index(keys[:], key))
		}
		w.Fatalf("validators %v, want %v", numbers, want)
	}
	for i, key := range keys {
		if _, ok, err := w.state.Validator(key); err != nil || ok != slices.Contains(want, i) {
			w.Fatalf("validator %d: known %v, %v", i, ok, err)
		}
	}
}

// wantOpen checks the open votes, as "operation: voters".
func (w *world) wantOpen(want ...string) {
	w.Helper()
	var got []string
	for _, c := range must(w.state.Candidates())(w) {
		var voters []int
		for _, key := range c.Voters {
			voters = append(voters, slices.Index(keys[:], key))
		}
		got = append(got, fmt.Sprintf("%s: %v", describe(c.Change), voters))
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		w.Fatalf("open votes %q, want %q", got, want)
	}
}

func describe(op tx.Op) string {
	number := func(k sig.PublicKey) int { return slices.Index(keys[:], k) }
	switch c := op.(type) {
	case tx.ValidatorAdd:
		if c.Replaces.IsZero() {
			return fmt.Sprintf("add %d", number(c.Key))
		}
		return fmt.Sprintf("%d for %d", number(c.Key), number(c.Replaces))
	case tx.ValidatorRemove:
		return fmt.Sprintf("remove %d", number(c.Key))
	case tx.ParamsSet:
		return fmt.Sprintf("%s=%d", c.Name, c.Value)
	default:
		return op.Summary()
	}
}

func add(i int) tx.Op         { return tx.ValidatorAdd{Key: keys[i], Address: "/ip4/10.0.0.1"} }
func replace(i, by int) tx.Op { return tx.ValidatorAdd{Key: keys[by], Replaces: keys[i]} }
func remove(i int) tx.Op      { return tx.ValidatorRemove{Key: keys[i]} }

func TestAddValidator(t *testing.T) {
	w := newWorld(t, genesisState(t, 4))
	w.refused(9, add(10), tx.CodeNotValidator)
	w.refused(0, add(1), tx.CodeNotAllowed)
	w.ok(0, add(10))
	w.ok(0, add(10)) // again: one validator has one vote
	w.ok(1, add(10))
	w.ok(2, tx.ValidatorAdd{Key: keys[10], Address: "/another"}) // another change
	w.wantSet(0, 1, 2, 3)
	w.wantOpen("add 10: [0 1]", "add 10: [2]")
	set := w.ok(3, add(10))
	w.wantSet(0, 1, 2, 3, 10)
	w.wantOpen()
	if !slices.Equal(set, must(w.state.Validators())(t)) {
		t.Errorf("Finish says %v", set)
	}
	if v := found(w.state.Validator(keys[10]))(t); v.Since != w.seq || !slices.Equal(v.Addresses, []string{"/ip4/10.0.0.1"}) {
		t.Errorf("validator %+v", v)
	}
	w.refused(0, add(10), tx.CodeNotAllowed)
	w.ok(10, add(11))
	w.wantOpen("add 11: [10]")
}

func TestRemoveValidator(t *testing.T) {
	w := newWorld(t, genesisState(t, 5))
	w.refused(0, remove(10), tx.CodeNotValidator)
	w.ok(1, add(10))
	w.ok(1, add(11))
	w.ok(2, add(11))
	for _, voter := range []int{0, 2, 3} {
		w.ok(voter, remove(1))
	}
	w.wantOpen("remove 1: [0 2 3]", "add 10: [1]", "add 11: [1 2]")
	w.ok(4, remove(1)) // of 5, 4 are a quorum
	w.wantSet(0, 2, 3, 4)
	w.wantOpen("add 11: [2]") // the votes of who was removed are gone
	w.refused(1, add(10), tx.CodeNotValidator)
}

// A vote for what is so already takes the vote on the subject back.
func TestTakeBack(t *testing.T) {
	w := newWorld(t, genesisState(t, 4))
	w.ok(0, add(10))
	w.ok(0, remove(10))
	w.wantOpen()
	w.refused(0, remove(10), tx.CodeNotValidator)
	w.ok(0, remove(1))
	w.refused(0, tx.ValidatorAdd{Key: keys[1], Replaces: keys[2]}, tx.CodeNotAllowed)
	w.wantOpen("remove 1: [0]")
	w.ok(0, add(1))
	w.wantOpen()
	w.ok(0, tx.ParamsSet{Name: "nonce_window", Value: 7})
	w.ok(0, tx.ParamsSet{Name: "nonce_window", Value: 1024})
	w.wantOpen()
	w.refused(0, tx.ParamsSet{Name: "nonce_window", Value: 1024}, tx.CodeNotAllowed)
}

func TestLeave(t *testing.T) {
	for _, c := range []struct {
		n     int
		alone bool
	}{{2, true}, {3, true}, {4, false}, {5, true}, {6, true}, {7, false}, {8, true}, {10, false}} {
		w := newWorld(t, genesisState(t, c.n))
		set := w.ok(0, remove(0))
		if alone := set != nil; alone != c.alone {
			t.Errorf("one of %d leaves alone: %v", c.n, alone)
		}
		if !c.alone {
			w.wantOpen("remove 0: [0]")
		}
	}
	w := newWorld(t, genesisState(t, 1))
	w.refused(0, remove(0), tx.CodeNotAllowed)

	// What was put to the vote when the set was of 4 is decided by the others.
	w = newWorld(t, genesisState(t, 4))
	w.ok(3, remove(3))
	w.ok(0, remove(3))
	w.ok(1, remove(3))
	w.wantSet(0, 1, 2)
}

func renew(i int, salt byte) tx.Op {
	return tx.ValidatorAdd{Key: keys[i], Replaces: keys[i], Salt: tx.Salt{salt}}
}

// Another key in a validator's place is put to the vote, whoever asks for it: who has
// stolen a key cannot hand its place on.
func TestReplaceKey(t *testing.T) {
	w := newWorld(t, genesisState(t, 4))
	w.refused(0, replace(0, 1), tx.CodeNotAllowed)
	w.refused(0, replace(10, 11), tx.CodeNotValidator)
	w.ok(1, add(20))
	w.ok(0, remove(1))
	w.ok(0, replace(1, 10))
	w.ok(2, add(21))

	if set := w.ok(1, replace(1, 11)); set != nil {
		t.Fatal("a validator replaces its own key alone")
	}
	w.wantSet(0, 1, 2, 3)
	w.ok(2, replace(1, 11))
	w.ok(3, replace(1, 11))
	since := w.seq
	w.wantSet(0, 11, 2, 3) // in the same place
	// Nothing that the old key voted for or that was voted about it is left.
	w.wantOpen("add 21: [2]")
	w.refused(1, add(30), tx.CodeNotValidator)
	v := found(w.state.Validator(keys[11]))(t)
	if v.Since != since || v.Renewals.Left(w.now*1000) != state.MaxRenewals {
		t.Errorf("validator %+v", v)
	}
}

// A validator takes its own place anew: nothing changes but the epoch.
func TestRenew(t *testing.T) {
	w := newWorld(t, genesisState(t, 4))
	w.refused(0, replace(1, 1), tx.CodeNotAllowed)
	w.refused(0, replace(10, 10), tx.CodeNotValidator)
	w.refused(10, replace(10, 10), tx.CodeNotValidator)
	w.ok(1, add(20))
	w.ok(0, remove(1))
	set := w.ok(1, renew(1, 1))
	if !slices.Equal(set, keys[:4]) {
		t.Errorf("the set of the next epoch is %v", set)
	}
	w.wantSet(0, 1, 2, 3)
	w.wantOpen("add 20: [1]", "remove 1: [0]")
	if v := found(w.state.Validator(keys[1]))(t); v.Since != w.seq || !slices.Equal(v.Addresses, []string{"/dns4/validator"}) {
		t.Errorf("validator %+v", v)
	}
	w.ok(1, tx.ValidatorAdd{Key: keys[1], Replaces: keys[1], Address: "/dns4/elsewhere"})
	if v := found(w.state.Validator(keys[1]))(t); !slices.Equal(v.Addresses, []string{"/dns4/elsewhere"}) {
		t.Errorf("validator %+v", v)
	}
}

// A validator ends three epochs in a row and then one per 10 minutes, so that it
// cannot censor or stall by renewing without end. Each has its own count.
func TestRenewalsAreCounted(t *testing.T) {
	w := newWorld(t, genesisState(t, 4))
	for i := range byte(3) {
		w.ok(1, renew(1, i))
	}
	first := w.now
	w.refused(1, renew(1, 3), tx.CodeRenewals)
	w.ok(2, renew(2, 0))
	if set, err := w.do(1, renew(1, 4)); set != nil || err == nil {
		t.Errorf("a renewal too many ends the epoch: %v, %v", set, err)
	}
	w.now = first + 599
	w.refused(1, renew(1, 5), tx.CodeRenewals)
	w.now = first + 600
	w.ok(1, renew(1, 6))
	w.refused(1, renew(1, 7), tx.CodeRenewals)
	w.now = first + 1200 + 300 // what is more than 10 minutes is not lost
	w.ok(1, renew(1, 8))
	w.now = first + 1800
	w.ok(1, renew(1, 9))
	w.refused(1, renew(1, 10), tx.CodeRenewals)
	w.now += 100 * 600 // and no more than three are saved up
	for i := range byte(3) {
		w.ok(1, renew(1, i))
	}
	w.refused(1, renew(1, 3), tx.CodeRenewals)
	// Block time does not run backwards, but may stand still, or be any number.
	for _, now := range []int64{-1 << 62, 1 << 62} {
		v := found(w.state.Validator(keys[1]))(t)
		if left := v.Renewals.Left(now); left != 0 && now < 0 || left != 3 && now > 0 {
			t.Errorf("%d renewals left at %d", left, now)
		}
	}
}

func TestParams(t *testing.T) {
	w := newWorld(t, genesisState(t, 4))
	set := func(name string, value uint64) tx.Op { return tx.ParamsSet{Name: name, Value: value} }
	w.refused(9, set("nonce_window", 7), tx.CodeNotValidator)
	w.refused(0, set("window", 7), tx.CodeNotAllowed)
	w.refused(0, set("checkpoint_interval", 7), tx.CodeNotAllowed)
	w.refused(0, set("colour", 7), tx.CodeNotFound)
	w.refused(0, set("nonce_window", 0), tx.CodeInvalid)
	w.refused(0, set("nonce_window", 1<<16+1), tx.CodeInvalid)
	w.refused(0, set("growth_bytes_per_day", 1), tx.CodeInvalid)
	w.ok(0, set("growth_bytes_per_day", 0))
	w.ok(0, set("growth_bytes_per_day", genesis.DefaultParams().GrowthBytesPerDay)) // takes the vote back
	w.ok(0, set("max_names_per_owner", 1))
	w.ok(1, set("max_names_per_owner", 2))
	w.ok(2, set("max_names_per_owner", 1))
	w.ok(9, tx.NameClaim{Name: "a"})
	w.ok(9, tx.NameClaim{Name: "b"})
	w.wantOpen("max_names_per_owner=1: [0 2]", "max_names_per_owner=2: [1]")
	if next := w.ok(3, set("max_names_per_owner", 1)); next != nil {
		t.Error("a parameter ends the epoch")
	}
	w.wantOpen("max_names_per_owner=2: [1]")
	v, ok, err := w.state.Param("max_names_per_owner")
	if v != 1 || !ok || err != nil {
		t.Errorf("max_names_per_owner: %d, %v, %v", v, ok, err)
	}
	if _, ok, err := w.state.Param("colour"); ok || err != nil {
		t.Errorf("colour: %v, %v", ok, err)
	}
	// What is there stays, and can be used.
	w.refused(9, tx.NameClaim{Name: "c"}, tx.CodeLimitExceeded)
	w.ok(9, tx.NameClaim{Name: "b", Target: "t"})
	w.ok(9, tx.NameTransfer{Name: "b", To: keys[8]})
	w.ok(8, tx.NameAccept{Name: "b"})
}

// The parameters are those of the genesis document, by the same names.
func TestParamNames(t *testing.T) {
	g := document(t, 1, func(p *genesis.Params) {
		*p = genesis.Params{
			Window: 11, CheckpointInterval: 101, MaxBlockTransactions: 1001, MaxBlockBytes: 200_001,
			NonceWindow: 102, MaxSnapshotsPerOwner: 103, MaxNamesPerOwner: 104, MaxRecordsPerOwner: 105,
			GrowthBytesPerDay: 5 << 20,
		}
	})
	s := must(state.Genesis(g))(t)
	text := string(must(g.Marshal())(t))
	for i, name := range []string{
		"window", "checkpoint_interval", "max_block_transactions", "max_block_bytes",
		"nonce_window", "max_snapshots_per_owner", "max_names_per_owner", "max_records_per_owner",
		"growth_bytes_per_day",
	} {
		v, ok, err := s.Param(name)
		if !ok || err != nil || v != []uint64{11, 101, 1001, 200_001, 102, 103, 104, 105, 5 << 20}[i] {
			t.Errorf("%s: %d, %v, %v", name, v, ok, err)
		}
		if want := fmt.Sprintf("%q: %d", name, v); !strings.Contains(text, want) {
			t.Errorf("the document has no %s:\n%s", want, text)
		}
	}
}

// Who votes is told how many votes there are, and how many it takes.
func TestStanding(t *testing.T) {
	w := newWorld(t, genesisState(t, 4))
	set := tx.ParamsSet{Name: "nonce_window", Value: 7}
	for _, change := range []tx.Op{add(10), set, remove(3), replace(2, 11), tx.ParamsSet{Name: "nonce_window", Value: 1024}} {
		n := must(w.state.Validators())(t)
		quorum := (len(n)+(len(n)-1)/3)/2 + 1
		for votes := range quorum {
			want := state.Standing{Votes: votes, Needed: quorum}
			if got := must(w.state.Standing(change))(t); got != want || got.Missing() != quorum-votes {
				t.Errorf("%s: %+v, want %+v", describe(change), got, want)
			}
			w.ok(slices.Index(keys[:], n[votes]), change)
		}
		// The quorum may be another one now.
		if got := must(w.state.Standing(change))(t); !got.InEffect || got.Votes != 0 || got.Missing() != 0 {
			t.Errorf("%s: %+v after the last vote", describe(change), got)
		}
	}
	w.ok(0, renew(0, 1))
	if got := must(w.state.Standing(renew(0, 1)))(t); !got.InEffect {
		t.Errorf("a renewal: %+v", got)
	}
	for _, op := range []tx.Op{tx.NameClaim{Name: "n"}, tx.ParamsSet{Name: "colour", Value: 1}, replace(30, 31), add(40)} {
		if got := must(w.state.Standing(op))(t); got.InEffect || got.Votes != 0 {
			t.Errorf("%s: %+v", op.Summary(), got)
		}
	}
}

func TestVotesAreBounded(t *testing.T) {
	w := newWorld(t, genesisState(t, 4))
	for i := range state.MaxVotes {
		w.ok(0, add(10+i))
	}
	w.refused(0, add(40), tx.CodeLimitExceeded)
	w.ok(0, tx.ValidatorAdd{Key: keys[10], Address: "another"})
	w.ok(0, remove(11))
	w.ok(0, add(40))
}

// After a change of the set the block takes nothing more, whatever it is.
func TestBlockEndsWithChangeOfSet(t *testing.T) {
	s := genesisState(t, 1)
	b := s.Begin(1, 0)
	if err := b.Apply(transaction(t, keys[0], 0, add(1))); err != nil {
		t.Fatal(err)
	}
	if err := b.Apply(transaction(t, keys[5], 0, tx.NameClaim{Name: "n"})); !errors.Is(err, state.ErrClosed) {
		t.Errorf("after a change of the set: %v", err)
	}
	after, set, err := b.Finish()
	if err != nil || len(set) != 2 {
		t.Fatal(set, err)
	}
	b = after.Begin(2, 0)
	if err := b.Apply(transaction(t, keys[5], 0, tx.NameClaim{Name: "n"})); err != nil {
		t.Error(err)
	}
	if _, set, err := b.Finish(); set != nil || err != nil {
		t.Error(set, err)
	}
}

// No vote leads to validators whose NEW-VIEW does not fit a message: neither one
// validator more, nor smaller blocks. A vote that has become impossible is void.
func TestCommitteesFitTheirMessages(t *testing.T) {
	wide := func(p *genesis.Params) { p.Window, p.MaxBlockBytes = 64, 128<<10 }
	p := genesis.DefaultParams()
	wide(&p)
	most := 1
	for p.Fit(most+1) == nil {
		most++
	}
	w := newWorld(t, genesisState(t, most, wide))
	set := func(value uint64) tx.Op { return tx.ParamsSet{Name: "max_block_bytes", Value: value} }
	w.refused(0, add(most), tx.CodeLimitExceeded)
	for i := range most {
		if v, _, err := w.state.Param("max_block_bytes"); err != nil || v == 1<<20 {
			break
		}
		w.ok(i, set(1<<20))
	}
	w.ok(0, set(128<<10))
	for i := range most {
		if next := w.ok(i, add(most)); next != nil {
			break
		}
	}
	if got := must(w.state.Validators())(t); len(got) != most+1 {
		t.Fatalf("%d validators, want %d", len(got), most+1)
	}
	w.wantOpen()
	w.refused(0, set(128<<10), tx.CodeLimitExceeded)
}
