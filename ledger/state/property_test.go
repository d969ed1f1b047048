package state_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/decube/decube/internal/sig"
	"github.com/decube/decube/ledger/admission"
	"github.com/decube/decube/ledger/genesis"
	"github.com/decube/decube/ledger/state"
	"github.com/decube/decube/ledger/tx"
)

// What the properties are tested with: few of everything, so that it meets.
var (
	people   = keys[:6] // the first of them are the validators
	names    = []string{"a", "b"}
	namesOr  = []string{"", "a", "b"}
	records  = []string{"k", "l"}
	targets  = []string{"", "t"}
	settable = []string{
		"window", "nonce_window", "max_names_per_owner", "max_records_per_owner", "max_snapshots_per_owner",
		"max_names_per_owner", "colour",
	}
)

func drawGenesis(t *rapid.T) *genesis.Genesis {
	p := genesis.DefaultParams()
	p.Window, p.CheckpointInterval = 1, rapid.Uint64Range(1, 4).Draw(t, "checkpoint_interval")
	p.NonceWindow = rapid.Uint64Range(1, 20).Draw(t, "nonce_window")
	p.MaxNamesPerOwner, p.MaxRecordsPerOwner, p.MaxSnapshotsPerOwner = 1, 3, 1
	var validators []genesis.Validator
	for _, key := range people[:rapid.IntRange(1, 5).Draw(t, "validators")] {
		validators = append(validators, genesis.Validator{Key: key})
	}
	g, err := genesis.New("test", timeOf(created), validators, p)
	if err == nil && rapid.IntRange(0, 4).Draw(t, "a list") == 0 {
		listed := rapid.SliceOfNDistinct(rapid.SampledFrom(people), 1, 4, rapid.ID).Draw(t, "listed")
		g, err = g.WithAdmission(admission.Rules{Mode: admission.ModeList, Keys: listed})
	}
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func drawKey(t *rapid.T, label string) sig.PublicKey { return rapid.SampledFrom(people).Draw(t, label) }

func drawOp(t *rapid.T) tx.Op {
	aRoot := rapid.IntRange(0, 1).Draw(t, "root")
	switch rapid.IntRange(0, 13).Draw(t, "op") {
	case 0, 1:
		return tx.SnapshotRegister{
			Root: root(aRoot), Size: rapid.Uint64Range(1, 2).Draw(t, "size"), RetainUntil: created + rapid.Int64Range(-1, 3).Draw(t, "until"),
		}
	case 2:
		return tx.SnapshotRetire{Root: root(aRoot)}
	case 3:
		return tx.NameClaim{Name: rapid.SampledFrom(names).Draw(t, "name"), Target: rapid.SampledFrom(targets).Draw(t, "target")}
	case 4:
		op := tx.NameTransfer{Name: rapid.SampledFrom(names).Draw(t, "name")}
		if rapid.IntRange(0, 4).Draw(t, "to somebody") > 0 {
			op.To = drawKey(t, "to")
		}
		return op
	case 12, 13:
		return tx.NameAccept{Name: rapid.SampledFrom(names).Draw(t, "name"), Records: rapid.Uint64Range(0, 3).Draw(t, "most")}
	case 5, 6:
		return tx.RecordPut{
			Namespace: rapid.SampledFrom(namesOr).Draw(t, "namespace"), Key: rapid.SampledFrom(records).Draw(t, "key"),
			Value: rapid.SampledFrom([][]byte{nil, {1}, {2}, {3, 4}}).Draw(t, "value"),
		}
	case 7:
		return tx.ValidatorAdd{Key: drawKey(t, "key")}
	case 8:
		op := tx.ValidatorAdd{Key: drawKey(t, "key"), Replaces: drawKey(t, "replaces")}
		if op.Renews() {
			op.Salt[0] = rapid.Byte().Draw(t, "salt")
		}
		return op
	case 9, 10:
		return tx.ValidatorRemove{Key: drawKey(t, "key")}
	default:
		return tx.ParamsSet{Name: rapid.SampledFrom(settable).Draw(t, "parameter"), Value: rapid.Uint64Range(0, 3).Draw(t, "value")}
	}
}

// drawTransaction returns a transaction with a nonce that is mostly good.
func drawTransaction(t *rapid.T, next func(sig.PublicKey) uint64) *tx.Transaction {
	owner := drawKey(t, "owner")
	nonce := next(owner)
	switch rapid.IntRange(0, 9).Draw(t, "nonce") {
	case 0:
		nonce += rapid.Uint64Range(0, 22).Draw(t, "ahead")
	case 1:
		nonce -= min(nonce, rapid.Uint64Range(1, 3).Draw(t, "behind"))
	}
	got, err := tx.New([32]byte{}, owner, nonce, drawOp(t), sig.Signature{})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// The executor does what the model does, block after block.
func TestModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := drawGenesis(t)
		s, err := state.Genesis(g)
		if err != nil {
			t.Fatal(err)
		}
		m := newModel(g)
		now := int64(created) * 1000
		blocks := rapid.Uint64Range(1, 24).Draw(t, "blocks")
		for seq := uint64(1); seq <= blocks; seq++ {
			now += rapid.SampledFrom([]int64{0, 1, 999, 1000, 1500, 299_999, 600_000, 600_001}).Draw(t, "pause")
			b := s.Begin(seq, now)
			changed := false
			for range rapid.IntRange(0, 20).Draw(t, "transactions") {
				one := drawTransaction(t, m.next)
				err := b.Apply(one)
				if changed {
					if !errors.Is(err, state.ErrClosed) {
						t.Fatalf("after the end of the epoch: %v", err)
					}
					continue
				}
				var want tx.Code
				want, changed = m.apply(one, seq, now)
				if got, ok := tx.CodeOf(err); !ok || got != want {
					t.Fatalf("%s: %v, want %v", one.Summary(), err, want)
				}
			}
			var set genesis.ValidatorSet
			if s, set, err = b.Finish(); err != nil {
				t.Fatal(err)
			}
			if changed != (set != nil) || changed && !slices.Equal(set, m.set) {
				t.Fatalf("Finish says %v, want %v: %v", set, changed, m.set)
			}
			m.compare(t, s, now)
		}
	})
}

// compare checks all that a state answers.
func (m *model) compare(t *rapid.T, s state.State, now int64) {
	if set, err := s.Validators(); err != nil || !slices.Equal(set, m.set) {
		t.Fatalf("validators %v, want %v: %v", set, m.set, err)
	}
	for name, want := range m.params {
		if v, ok, err := s.Param(name); v != want || !ok || err != nil {
			t.Fatalf("%s is %d, want %d: %v", name, v, want, err)
		}
	}
	m.compareVotes(t, s)
	for _, key := range people {
		v, ok, err := s.Validator(key)
		if err != nil || ok != m.isMember(key) || v.Since != m.since[key] {
			t.Fatalf("validator %v: %+v, %v, %v", key, v, ok, err)
		}
		if ok && v.Renewals.Left(now) != uint64(m.renewals(key, now)) {
			t.Fatalf("validator %v: %d renewals left, want %d", key, v.Renewals.Left(now), m.renewals(key, now))
		}
		m.compareAccount(t, s, key)
	}
	for _, name := range names {
		n, ok, err := s.Name(name)
		want, wantOK := m.names[name]
		if err != nil || ok != wantOK || n.Holder != want.holder || n.Target != want.target || n.Offered != want.offer || n.Records != m.countIn(name) {
			t.Fatalf("name %s: %+v, %v, want %+v: %v", name, n, ok, want, err)
		}
	}
	m.compareSnapshots(t, s)
}

func (m *model) compareAccount(t *rapid.T, s state.State, owner sig.PublicKey) {
	a, err := s.Account(owner)
	if err != nil {
		t.Fatal(err)
	}
	held := m.countHeld(func(h modelHold) bool { return h.owner == owner })
	if a.Nonces.Next() != m.next(owner) || a.Snapshots != held || a.Names != m.countNames(owner) || a.Records != m.countRecords(owner) {
		t.Fatalf("account %+v, want %d, %d, %d, %d", a, m.next(owner), held, m.countNames(owner), m.countRecords(owner))
	}
	since, ok, err := s.Known(owner)
	if want, met := m.met[owner]; err != nil || ok != met || since != want || a.Created != want {
		t.Fatalf("known since %d, %v, %v, want %d, %v", since, ok, err, want, met)
	}
	for n := range a.Nonces.Next() + 30 {
		if a.Nonces.Used(n) != m.used[owner][n] {
			t.Fatalf("nonce %d used: %v, want %v", n, a.Nonces.Used(n), m.used[owner][n])
		}
	}
	for _, namespace := range namesOr {
		for _, key := range records {
			at := modelRecord{namespace, owner, key}
			if namespace != "" {
				at.owner = sig.PublicKey{}
			}
			r, ok, err := s.Record(namespace, key, owner)
			want, wantOK := m.records[at]
			if err != nil || ok != wantOK || string(r.Value) != string(want) {
				t.Fatalf("record %v: %q, %v, want %q: %v", at, r.Value, ok, want, err)
			}
		}
	}
}

func (m *model) compareSnapshots(t *rapid.T, s state.State) {
	for i := range 2 {
		name := string(root(i))
		all := m.countHeld(func(h modelHold) bool { return h.root == name })
		snapshot, ok, err := s.Snapshot(root(i))
		if err != nil || ok != (all > 0) || snapshot.Registrations() != all || snapshot.First != m.first[name] {
			t.Fatalf("snapshot %d: %+v, want %d: %v", i, snapshot, all, err)
		}
		for _, owner := range people {
			r, ok, err := s.Registration(root(i), owner)
			want, wantOK := m.held[modelHold{name, owner}]
			if err != nil || ok != wantOK || r.Size != want.Size || r.RetainUntil != want.RetainUntil {
				t.Fatalf("registration %d: %+v, %v, want %+v: %v", i, r, ok, want, err)
			}
		}
	}
}

func (m *model) compareVotes(t *rapid.T, s state.State) {
	candidates, err := s.Candidates()
	if err != nil {
		t.Fatal(err)
	}
	var got, want []string
	for _, c := range candidates {
		for _, voter := range c.Voters {
			got = append(got, fmt.Sprintf("%s: %s", voter, describe(c.Change)))
		}
	}
	for voter := range maps.Keys(m.votes) {
		for _, change := range m.votes[voter] {
			want = append(want, fmt.Sprintf("%s: %s", voter, describe(change)))
		}
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Fatalf("open votes %q, want %q", got, want)
	}
}

// drawRun returns transactions, some of which apply one after the other on s.
func drawRun(t *rapid.T, s state.State) tx.Batch {
	offered := make(map[sig.PublicKey]uint64)
	next := func(owner sig.PublicKey) uint64 {
		if _, ok := offered[owner]; !ok {
			n, err := s.NextNonce(owner)
			if err != nil {
				t.Fatal(err)
			}
			offered[owner] = n
		}
		offered[owner]++
		return offered[owner] - 1
	}
	var run tx.Batch
	for range rapid.IntRange(0, 40).Draw(t, "transactions") {
		run = append(run, drawTransaction(t, next))
	}
	return run
}

// execute carries out transactions in blocks of the sizes that split returns, and
// returns the state and the code of each.
func execute(t *rapid.T, s state.State, run tx.Batch, split func() int) (state.State, []tx.Code) {
	codes := make([]tx.Code, len(run))
	for i := 0; i < len(run); {
		b := s.Begin(7, created*1000)
		for range split() {
			if i == len(run) {
				break
			}
			err := b.Apply(run[i])
			if errors.Is(err, state.ErrClosed) {
				break
			}
			code, ok := tx.CodeOf(err)
			if !ok {
				t.Fatal(err)
			}
			codes[i] = code
			i++
		}
		var err error
		if s, _, err = b.Finish(); err != nil {
			t.Fatal(err)
		}
	}
	return s, codes
}

// entries returns a state's keys and values, without the buckets'.
func entries(t *rapid.T, s state.State) map[string]string {
	out := make(map[string]string)
	for e, err := range s.Map().All() {
		if err != nil {
			t.Fatal(err)
		}
		if key := string(e.Key); key[0] < state.GrowthKey()[0] {
			out[key] = string(e.Value)
		}
	}
	return out
}

// Where blocks begin and end makes no difference to what transactions do, but for what
// the blocks themselves cost, and the same ones make the same root.
func TestSplitsMakeNoDifference(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, err := state.Genesis(drawGenesis(t))
		if err != nil {
			t.Fatal(err)
		}
		run := drawRun(t, s)
		one, codes := execute(t, s, run, func() int { return 1 })
		all, allCodes := execute(t, s, run, func() int { return len(run) })
		again, _ := execute(t, s, run, func() int { return len(run) })
		some, someCodes := execute(t, s, run, func() int { return rapid.IntRange(1, 5).Draw(t, "size") })
		if again.Root() != all.Root() {
			t.Fatalf("roots %x, %x", all.Root(), again.Root())
		}
		if want := entries(t, all); !maps.Equal(entries(t, one), want) || !maps.Equal(entries(t, some), want) {
			t.Fatalf("entries %x, %x, %x", entries(t, one), want, entries(t, some))
		}
		if !slices.Equal(codes, allCodes) || !slices.Equal(codes, someCodes) {
			t.Fatalf("codes %v, %v, %v", codes, allCodes, someCodes)
		}
	})
}

// Blocks on top of one state, and on top of one another before either is decided,
// do not disturb one another.
func TestBranches(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, err := state.Genesis(drawGenesis(t))
		if err != nil {
			t.Fatal(err)
		}
		whole := func() int { return 100 }
		s, _ = execute(t, s, drawRun(t, s), whole)
		before := s.Root()
		left, right := drawRun(t, s), drawRun(t, s)
		wantLeft, _ := execute(t, s, left, whole)
		wantRight, _ := execute(t, s, right, whole)

		a, b := s.Begin(7, created*1000), s.Begin(7, created*1000)
		for i := range max(len(left), len(right)) {
			if i < len(left) {
				_ = a.Apply(left[i]) // whether it applies is compared below
			}
			if i < len(right) {
				_ = b.Apply(right[i]) // likewise
			}
		}
		gotLeft, leftSet, err := a.Finish()
		if err != nil {
			t.Fatal(err)
		}
		gotRight, rightSet, err := b.Finish()
		if err != nil {
			t.Fatal(err)
		}
		if leftSet == nil && gotLeft.Root() != wantLeft.Root() || rightSet == nil && gotRight.Root() != wantRight.Root() {
			t.Fatal("one branch changes another")
		}
		if s.Root() != before {
			t.Fatal("a branch changes its parent")
		}
	})
}
