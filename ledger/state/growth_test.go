package state_test

import (
	"fmt"
	"math/big"
	"sort"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/decube/decube/internal/sig"
	"github.com/decube/decube/ledger/genesis"
	"github.com/decube/decube/ledger/state"
	"github.com/decube/decube/ledger/tx"
)

// growthModel is a token bucket of fractions, which fills at the rate of its last
// charge and is full at first.
type growthModel struct {
	level *big.Rat // nil for a full one
	at    int64
}

// left returns what is in the bucket.
func (m *growthModel) left(rate uint64, now int64) *big.Rat {
	burst := new(big.Rat).SetInt(new(big.Int).SetUint64(rate / 4))
	level := burst
	if m.level != nil {
		product := new(big.Int).Mul(big.NewInt(now-m.at), new(big.Int).SetUint64(rate))
		came := new(big.Rat).SetFrac(product, big.NewInt(86_400_000))
		level = new(big.Rat).Add(m.level, came)
		if level.Cmp(burst) > 0 {
			level = burst
		}
	}
	return level
}

// whole returns the whole bytes that are in the bucket.
func (m *growthModel) whole(rate uint64, now int64) uint64 {
	left := m.left(rate, now)
	return new(big.Int).Div(left.Num(), left.Denom()).Uint64()
}

// charge reports whether a bucket has so many bytes, and takes them out.
func (m *growthModel) charge(cost, rate uint64, now int64) bool {
	rest := new(big.Rat).Sub(m.left(rate, now), new(big.Rat).SetInt(new(big.Int).SetUint64(cost)))
	if rest.Sign() < 0 {
		return false
	}
	m.level, m.at = rest, now
	return true
}

// sizes returns the lengths of a state's keys and values, without the buckets'.
func sizes(tb rapid.TB, s state.State) map[string]int {
	tb.Helper()
	out := make(map[string]int)
	for e, err := range s.Map().All() {
		if err != nil {
			tb.Fatal(err)
		}
		if key := string(e.Key); key[0] < state.GrowthKey()[0] {
			out[key] = len(e.Value)
		}
	}
	return out
}

// blockCost is what a block of n validators costs beside its transactions.
func blockCost(n int) int { return 512 + 66*(n-(n-1)/3) }

// costs returns what a transaction costs that leads from one state to another, in a block
// of its own.
func costs(tb rapid.TB, before, after state.State, t *tx.Transaction) uint64 {
	tb.Helper()
	was, cost := sizes(tb, before), tx.EncodedSize(t)+20+blockCost(len(must(before.Validators())(tb)))
	for key, n := range sizes(tb, after) {
		if old, ok := was[key]; ok {
			cost += max(0, n-old)
		} else {
			cost += len(key) + n + 512
		}
	}
	return uint64(cost)
}

// try carries out a transaction in a block of its own.
func try(tb rapid.TB, s state.State, seq uint64, now int64, t *tx.Transaction) (state.State, tx.Code) {
	tb.Helper()
	b := s.Begin(seq, now)
	err := b.Apply(t)
	code, ok := tx.CodeOf(err)
	if !ok {
		tb.Fatal(err)
	}
	after, _, err := b.Finish()
	if err != nil {
		tb.Fatal(err)
	}
	return after, code
}

// The ledger grows exactly as fast as a bucket of fractions lets it, whose charges are
// counted by walking through all entries of a ledger that may grow without a bound.
func TestGrowthModel(t *testing.T) {
	rates := []uint64{0, genesis.MinGrowth, genesis.MinGrowth + 7, 2 * genesis.MinGrowth, genesis.MaxGrowth}
	rapid.Check(t, func(t *rapid.T) {
		rate := rapid.SampledFrom(rates).Draw(t, "rate")
		bounded, free := document(t, 1, func(p *genesis.Params) { p.GrowthBytesPerDay = rate }), document(t, 1)
		free.Params.GrowthBytesPerDay = 0
		s, err := state.Genesis(bounded)
		if err != nil {
			t.Fatal(err)
		}
		twin, err := state.Genesis(free)
		if err != nil {
			t.Fatal(err)
		}
		var common, votes growthModel
		now := int64(created) * 1000
		transactions := rapid.Uint64Range(1, 60).Draw(t, "transactions")
		for seq := uint64(1); seq <= transactions; seq++ {
			now += rapid.SampledFrom([]int64{0, 0, 1, 999, 100_000, 1_000_000, 21_600_000, 90_000_000}).Draw(t, "pause")
			owner := rapid.SampledFrom(keys[:3]).Draw(t, "owner")
			nonce := must(twin.NextNonce(owner))(t)
			var op tx.Op = tx.RecordPut{
				Key:   rapid.SampledFrom(records).Draw(t, "key"),
				Value: make([]byte, rapid.SampledFrom([]int{0, 1, 30_000, tx.MaxValue}).Draw(t, "size")),
			}
			switch rapid.IntRange(0, 9).Draw(t, "kind") {
			case 0:
				op = tx.ParamsSet{Name: "growth_bytes_per_day", Value: rapid.SampledFrom(rates).Draw(t, "new rate")}
			case 1, 2:
				nonce += rapid.Uint64Range(0, 1023).Draw(t, "ahead")
			}
			one := transaction(t, owner, nonce, op)
			set, sets := op.(tx.ParamsSet)
			free, want := try(t, twin, seq, now, one)
			if sets && owner == keys[0] {
				// The twin stays without a bound, and learns of the nonce only.
				free, want = try(t, twin, seq, now, transaction(t, owner, nonce, tx.ParamsSet{Name: "nonce_window", Value: 1024 + seq}))
				switch {
				case set.Value == rate:
					want = tx.CodeNotAllowed
				case rate > 0:
					votes.charge(uint64(tx.EncodedSize(one)), rate, now)
				}
			}
			if want == tx.CodeOK && rate > 0 && !sets && !common.charge(costs(t, twin, free, one), rate, now) {
				want = tx.CodeGrowth
			}
			var got tx.Code
			if s, got = try(t, s, seq, now, one); got != want {
				t.Fatalf("%s with %d bytes a day: %v, want %v", one.Summary(), rate, got, want)
			}
			if got == tx.CodeOK {
				twin = free
			}
			if got == tx.CodeOK && sets {
				rate = set.Value
			}
			left, bounded, err := s.Growth(now)
			if err != nil || bounded != (rate > 0) || bounded && left != common.whole(rate, now) {
				t.Fatalf("%d bytes left of %d a day, %v, %v; want %d", left, rate, bounded, err, common.whole(max(rate, 1), now))
			}
		}
	})
}

// fill adds records until the ledger has no room for another.
func (w *world) fill(owner int) (added uint64) {
	w.Helper()
	for i := 0; ; i++ {
		before := w.state
		op := tx.RecordPut{Key: fmt.Sprint("fill", owner, i), Value: make([]byte, tx.MaxValue)}
		nonce := must(before.NextNonce(keys[owner]))(w)
		_, err := w.do(owner, op)
		if code, ok := tx.CodeOf(err); !ok || code != tx.CodeOK && code != tx.CodeGrowth {
			w.Fatal(err)
		} else if code == tx.CodeGrowth {
			if !strings.Contains(err.Error(), "there is room in about") {
				w.Errorf("it does not say when to try again: %v", err)
			}
			return added
		}
		added += costs(w, before, w.state, transaction(w, keys[owner], nonce, op))
	}
}

// Nobody, whoever leads, adds more than a quarter of a day's bytes at once, and than
// the parameter in a day beyond that. Votes go through all the same.
func TestGrowthIsBounded(t *testing.T) {
	w := newWorld(t, genesisState(t, 4, func(p *genesis.Params) { p.GrowthBytesPerDay = 64 << 20 }))
	added := w.fill(5)
	if added > 16<<20 || added < 16<<20-200_000 {
		t.Errorf("%d bytes at once", added)
	}
	w.refused(6, tx.RecordPut{Key: "k", Value: make([]byte, tx.MaxValue)}, tx.CodeGrowth)
	for i := range 4 {
		w.ok(i, add(10)) // of validators, at the third of whom it takes effect
		if must(w.state.Validators())(t).Digest() != document(t, 4).Set().Digest() {
			break
		}
	}
	w.wantSet(0, 1, 2, 3, 10)
	// In a day, in small steps and with deletions, which give nothing back.
	for hour := range 24 {
		w.now += 3600
		w.ok(5, tx.RecordPut{Key: fmt.Sprint("fill", 5, hour)})
		added += w.fill(6 + hour)
	}
	if added > (64+16)<<20 {
		t.Errorf("%d bytes in a day", added)
	}
	if left, bounded, err := w.state.Growth(w.now*1000 + 999); left > 200_000 || !bounded || err != nil {
		t.Errorf("%d bytes are left, %v, %v", left, bounded, err)
	}
	if left, _, err := w.state.Growth((w.now + 6*3600) * 1000); left != 16<<20 || err != nil {
		t.Errorf("%d bytes after a quarter of a day, %v", left, err)
	}
}

// What is left can be used to the last byte, and not beyond.
func TestGrowthToTheLastByte(t *testing.T) {
	w := newWorld(t, genesisState(t, 1, func(p *genesis.Params) { p.GrowthBytesPerDay = genesis.MinGrowth }))
	w.fill(5)
	nonce := must(w.state.NextNonce(keys[5]))(t)
	put := func(n int) *tx.Transaction {
		return transaction(t, keys[5], nonce, tx.RecordPut{Key: "last", Value: make([]byte, n)})
	}
	entry := len(state.RecordKey("", "last", keys[5])) + len(state.Encode(state.Record{})) + 512
	cost := func(n int) uint64 { return uint64(tx.EncodedSize(put(n)) + 20 + blockCost(1) + entry + n) }
	room := func(now int64) uint64 {
		left, bounded, err := w.state.Growth(now)
		if err != nil || !bounded {
			t.Fatal(bounded, err)
		}
		return left
	}
	now := w.now*1000 + 999
	n := sort.Search(tx.MaxValue, func(n int) bool { return cost(n) >= room(now) })
	for room(now) < cost(n) { // a record of one byte more costs two
		now++
	}
	if _, code := try(t, w.state, 100, now, put(n+1)); code != tx.CodeGrowth {
		t.Errorf("a byte too many: %v", code)
	}
	var code tx.Code
	if w.state, code = try(t, w.state, 100, now, put(n)); code != tx.CodeOK || room(now) != 0 {
		t.Errorf("all that is left: %v, and %d bytes are left", code, room(now))
	}
}

// Blocks grow the archive by themselves: what they have besides transactions is charged,
// once to each block.
func TestBlocksAreCharged(t *testing.T) {
	for _, n := range []int{1, 4, 31} {
		s := genesisState(t, n)
		left := func(s state.State) int {
			l, bounded, err := s.Growth(0)
			if err != nil || !bounded {
				t.Fatal(bounded, err)
			}
			return int(l)
		}
		run := func(s state.State, blocks, each int) (after state.State, cost int) {
			nonce := must(s.NextNonce(keys[5]))(t)
			before := left(s)
			for seq := range blocks {
				b := s.Begin(uint64(seq)+1, 0)
				for range each {
					if err := b.Apply(transaction(t, keys[5], nonce, tx.RecordPut{Key: "k", Value: []byte("value")})); err != nil {
						t.Fatal(err)
					}
					nonce++
				}
				var err error
				if s, _, err = b.Finish(); err != nil {
					t.Fatal(err)
				}
			}
			return s, before - left(s)
		}
		s, _ = run(s, 1, 1) // the entries are there
		_, together := run(s, 1, 50)
		_, apart := run(s, 50, 1)
		if want := 49 * blockCost(n); apart-together != want {
			t.Errorf("%d validators: 50 blocks of one cost %d, one of 50 costs %d: %d more, want %d", n, apart, together, apart-together, want)
		}
	}
}

// A validator's votes are bounded too, each one's apart.
func TestVotesGrowTheLedgerByLittle(t *testing.T) {
	s := genesisState(t, 4)
	nonce, added := uint64(0), uint64(0)
	vote := func(b *state.Block, voter sig.PublicKey, nonce uint64) (uint64, error) {
		one := transaction(t, voter, nonce, tx.ParamsSet{Name: "nonce_window", Value: 2000 + nonce%2})
		return uint64(tx.EncodedSize(one)), b.Apply(one)
	}
	for full := false; !full; {
		b := s.Begin(1, 0)
		for range 900 {
			size, err := vote(b, keys[0], nonce)
			if code, _ := tx.CodeOf(err); code == tx.CodeGrowth {
				full = true
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			nonce, added = nonce+1, added+size
		}
		after, _, err := b.Finish()
		s = must(after, err)(t)
		if added > state.GovernanceBytesPerDay/4 {
			t.Fatalf("%d bytes of votes at once", added)
		}
	}
	b := s.Begin(2, 0)
	if _, err := vote(b, keys[1], 0); err != nil {
		t.Errorf("another validator: %v", err)
	}
	if err := b.Apply(transaction(t, keys[0], nonce, tx.RecordPut{Key: "k", Value: []byte("v")})); err != nil {
		t.Errorf("something else of the same validator: %v", err)
	}
	b = s.Begin(3, 60_000)
	if _, err := vote(b, keys[0], nonce); err != nil {
		t.Errorf("a minute later: %v", err)
	}
}

// The bucket of a validator goes with it.
func TestVotersBucketGoes(t *testing.T) {
	has := func(w *world, i int) bool {
		_, ok, err := w.state.Map().Get(state.VoterGrowthKey(keys[i]))
		if err != nil {
			w.Fatal(err)
		}
		return ok
	}
	w := newWorld(t, genesisState(t, 6))
	w.ok(0, add(20))
	w.ok(5, add(20))
	w.ok(5, remove(5)) // leaves
	w.ok(1, remove(0))
	w.ok(2, remove(0))
	w.ok(3, remove(0))
	w.ok(4, remove(0))
	w.wantSet(1, 2, 3, 4)
	for i := range 6 {
		if has(w, i) != (i >= 1 && i <= 4) {
			t.Errorf("validator %d has a bucket: %v", i, has(w, i))
		}
	}
}
