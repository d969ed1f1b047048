package records

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// at returns an address of IPv4 as a holder.
func at(network, host int) Holder {
	return kindV4<<kindShift | Holder(network)<<8 | Holder(host)
}

// filled is a table in a test that has given each record a number.
type filled struct {
	*Table

	t    *testing.T
	last uint32
}

func fill(t *testing.T, l Limits) *filled {
	t.Helper()
	if err := l.Validate(); err != nil {
		t.Fatal(err)
	}
	return &filled{Table: NewTable(l), t: t}
}

// add puts n new records of other keys, and returns what became of the last one.
func (f *filled) add(by Holder, n int) (v Verdict) {
	for range n {
		f.last++
		v = f.Put(f.last, 1, by, false)
	}
	return v
}

func (f *filled) has(what string, by Holder, want int) {
	f.t.Helper()
	if got := f.crowd.count(by); got != want {
		f.t.Errorf("%s: %s holds %d records, want %d", what, by, got, want)
	}
}

var small = Limits{Records: 40, PerKey: 8, PerHolder: 4, PerAnswer: 6}

func TestWhoHoldsMostLosesFirst(t *testing.T) {
	f := fill(t, small)
	f.add(at(1, 1), 40)
	f.has("alone", at(1, 1), 40)
	f.add(at(2, 1), 10)
	f.has("the first", at(1, 1), 30)
	f.has("a quarter", at(2, 1), 10)
	if v := f.add(at(2, 1), 5); !v.Displaced {
		t.Error("nothing was lost")
	}
	f.has("a quarter at most", at(2, 1), 10)
	f.has("and of its own", at(1, 1), 30)

	// The oldest goes first: those are left that came last.
	for key := uint32(1); key <= 10; key++ {
		if _, ok := f.Find(key, 1); ok {
			t.Errorf("record %d is held", key)
		}
	}
	if _, ok := f.Find(11, 1); !ok {
		t.Error("record 11 is not held")
	}
	if all, _ := f.Len(); all != small.Records {
		t.Errorf("%d records", all)
	}
}

// Sixty-four names at one address have no more of the table than one, and whoever comes from
// another is held.
func TestManyNamesAtOneAddress(t *testing.T) {
	f := fill(t, small)
	for key := range uint32(1000) {
		f.Put(key, key%64, at(1, 1), false)
	}
	for i := 2; i <= 11; i++ {
		f.add(at(i, 1), 3)
		f.has("honest", at(i, 1), 3)
	}
	for key := range uint32(1000) {
		f.Put(1e6+key, key%64, at(1, 1), false)
	}
	f.has("attacker", at(1, 1), 10)
	for i := 2; i <= 11; i++ {
		f.has("honest, during the second wave", at(i, 1), 3)
	}
}

// What this peer says of itself is lost to nobody, and leaves others half.
func TestOwnRecordsStay(t *testing.T) {
	f := fill(t, small)
	f.Put(1e6, 7, Own, true)
	f.add(Own, 100)
	f.has("own", Own, 20)
	if _, ok := f.Find(1e6, 7); !ok {
		t.Error("that of a root was lost to those of blocks")
	}
	for i := range 50 {
		f.add(at(i, i), 50)
	}
	f.has("own, after all others", Own, 20)
	if all, own := f.Len(); all != 40 || own != 20 {
		t.Errorf("%d records, %d of them own", all, own)
	}

	f = fill(t, small)
	f.add(at(1, 1), 40)
	f.add(Own, 30)
	f.has("own, when all are in use", Own, 20)
	f.has("others'", at(1, 1), 20)
}

// A key with ten thousand providers has as many as it may, and who comes from elsewhere is held
// and named.
func TestCrowdedKey(t *testing.T) {
	f := fill(t, Limits{Records: 4000, PerKey: 256, PerHolder: 4, PerAnswer: 64})
	const key = 1
	count := func() int { return len(slices.Collect(f.all(key))) }
	f.Put(key, 1e6, Own, true)
	for p := range uint32(10_000) {
		f.Put(key, p, at(1, int(p%200)), false)
	}
	if n := count(); n != 257 {
		t.Errorf("%d records of the key, want this peer's and 256", n)
	}
	f.Put(key, 1e6+1, at(2, 1), false)
	for p := range uint32(10_000) {
		f.Put(key, 20_000+p, at(1, int(p%200)), false)
	}
	honest, ok := f.Find(key, 1e6+1)
	if n := count(); n != 257 || !ok {
		t.Errorf("%d records of the key, the honest one is held: %v", n, ok)
	}
	own, ok := f.Find(key, 1e6)
	if !ok {
		t.Error("this peer's own record is lost")
	}
	named := f.Answer(key, 64)
	if len(named) != 64 || named[0] != own || !slices.Contains(named[:3], honest) {
		t.Errorf("%d are named; this peer's is %d, the honest one %d: %d", len(named), own, honest, named[:3])
	}
}

// When all networks have one record of a key, the oldest gives way to who has none.
func TestOldestOfEquals(t *testing.T) {
	f := fill(t, small)
	for i := range 9 {
		f.Put(1, uint32(i), at(20-i, 1), false)
	}
	var left []uint32
	for i := range f.all(1) {
		left = append(left, f.slots[i].provider)
	}
	if want := []uint32{8, 7, 6, 5, 4, 3, 2, 1}; !slices.Equal(left, want) {
		t.Errorf("the providers are %d, want %d", left, want)
	}
	f.Put(1, 1, at(19, 1), false) // announces again
	f.Put(1, 9, at(30, 1), false)
	if _, ok := f.Find(1, 2); ok {
		t.Error("the oldest is held")
	}
	if _, ok := f.Find(1, 1); !ok {
		t.Error("who has announced again is not held")
	}
	f.Put(1, 10, at(30, 1), false) // has one
	if _, ok := f.Find(1, 9); ok {
		t.Error("a second record of one network has cost another its only one")
	}
}

// Of one holder's records those of known keys go last.
func TestKnownKeysGoLast(t *testing.T) {
	f := fill(t, small)
	f.add(at(1, 1), 40)
	f.Know(1)
	f.Put(20, 5, Own, true) // makes the key known, and costs the second record its place
	f.add(at(1, 1), 37)
	f.has("the only one", at(1, 1), 39)
	for _, key := range []uint32{1, 20, 41, 77} {
		if _, ok := f.Find(key, 1); !ok {
			t.Errorf("record %d is lost", key)
		}
	}
	if _, ok := f.Find(40, 1); ok {
		t.Error("one of no known key is held that is older than others")
	}
	// A known key is no way to have more than others.
	for i := 2; i < 40; i++ {
		f.add(at(i, 1), 1)
	}
	f.has("the one that had all", at(1, 1), 1)
}

// Somebody who announces from another place again counts there, and loses first there.
func TestMovedRecords(t *testing.T) {
	f := fill(t, small)
	f.add(at(1, 1), 10)
	f.add(at(2, 1), 10)
	f.add(at(3, 1), 10)
	f.add(at(4, 1), 10)
	for key := uint32(1); key <= 10; key++ {
		f.Put(key, 1, at(2, 1), false)
	}
	f.has("the old place", at(1, 1), 0)
	f.has("the new place", at(2, 1), 20)
	f.add(at(1, 1), 20)
	f.has("the old place again", at(1, 1), 10)
	f.has("the new place, which has most", at(2, 1), 10)
}

func TestNoRoomToGrow(t *testing.T) {
	f := fill(t, small)
	f.SetRoom(8)
	f.add(at(1, 1), 20)
	f.has("in eight slots", at(1, 1), 8)
	f.SetRoom(4) // what is in use stays
	f.add(at(2, 1), 20)
	f.has("a quarter of eight", at(2, 1), 2)
	f.SetRoom(100)
	f.add(at(2, 1), 100)
	if all, _ := f.Len(); all != small.Records {
		t.Errorf("%d records", all)
	}
}

func TestLimitsAreChecked(t *testing.T) {
	if err := Default(1 << 18).Validate(); err != nil {
		t.Error(err)
	}
	for _, l := range []Limits{
		{},
		{Records: 7, PerKey: 1, PerHolder: 4, PerAnswer: 1},
		{Records: mostRecords + 1, PerKey: 1, PerHolder: 1, PerAnswer: 1},
		{Records: 8, PerHolder: 4, PerAnswer: 1},
		{Records: 8, PerKey: 1, PerAnswer: 1},
		{Records: 8, PerKey: 1, PerHolder: 4},
	} {
		if l.Validate() == nil {
			t.Errorf("%+v is valid", l)
		}
	}
}

// modelled is a record as the model has it.
type modelled struct {
	key, provider uint32
	by            Holder
	known         bool
	since         int // it is the newest of its holder and rank
}

// A table is compared with a list in which all is counted again each time, the newest last.
func TestTableKeepsItsRules(t *testing.T) {
	holders := []Holder{Own, at(1, 1), at(1, 2), at(2, 1), at(2, 2), at(3, 1), hashed(kindNamed, "relay")}
	rapid.Check(t, func(t *rapid.T) {
		l := Limits{
			Records: rapid.IntRange(4, 24).Draw(t, "records"), PerKey: rapid.IntRange(1, 5).Draw(t, "a key"),
			PerHolder: rapid.IntRange(1, 2).Draw(t, "a holder"), PerAnswer: 3,
		}
		table := NewTable(l)
		var model []modelled
		for now := range rapid.IntRange(1, 200).Draw(t, "steps") {
			r := modelled{
				key: rapid.Uint32Range(0, 9).Draw(t, "key"), provider: rapid.Uint32Range(0, 9).Draw(t, "provider"),
				by: rapid.SampledFrom(holders).Draw(t, "by"), known: rapid.IntRange(0, 9).Draw(t, "known") == 0, since: now,
			}
			if r.by == Own {
				r.provider = 100 // as nobody else has this peer's ID
			}
			if rapid.IntRange(0, 9).Draw(t, "what") == 0 {
				if at, ok := table.Find(r.key, r.provider); ok {
					table.Remove(at)
				}
				model = slices.DeleteFunc(model, r.same)
			} else {
				model = step(t, table, l, model, r)
			}
			compare(t, table, l, model)
		}
	})
}

func (r modelled) same(o modelled) bool { return r.key == o.key && r.provider == o.provider }

// of counts the records that a function holds for.
func of(model []modelled, f func(modelled) bool) (n int) {
	for _, r := range model {
		if f(r) {
			n++
		}
	}
	return n
}

// step puts a record into both, and fails unless the table had reason for what it did.
func step(t *rapid.T, table *Table, l Limits, model []modelled, r modelled) []modelled {
	var lost []modelled
	before := map[int32]modelled{}
	for _, m := range model {
		at, _ := table.Find(m.key, m.provider)
		before[at] = m
	}
	v := table.Put(r.key, r.provider, r.by, r.known)
	if v.Displaced {
		lost = append(lost, before[v.Slot])
	}
	for _, m := range model {
		r.known = r.known || m.key == r.key && m.known
	}
	held := slices.ContainsFunc(model, r.same)
	if v.New == held && v.Slot != none {
		t.Fatalf("%+v is new: %v, and was held: %v", r, v.New, held)
	}
	sameKey := func(m modelled) bool { return m.key == r.key && m.by != Own }
	by := func(h Holder) int { return of(model, func(m modelled) bool { return m.by == h }) }
	full := len(model) == l.Records
	if !held {
		crowded := r.by != Own && of(model, sameKey) >= l.PerKey
		tooMany := r.by == Own && by(Own) >= l.Records/2
		if (crowded || tooMany || full) != v.Displaced && v.Slot != none {
			t.Fatalf("%+v: lost %+v; crowded %v, too many %v, full %v", r, lost, crowded, tooMany, full)
		}
		for _, m := range lost {
			why := table.reason(l, model, r, m, crowded, tooMany)
			if why != "" {
				t.Fatalf("%+v was lost to %+v: %s\n%+v", m, r, why, model)
			}
		}
		if v.Slot == none && by(Own) != len(model) {
			t.Fatalf("%+v is not held, and others are", r)
		}
		if v.Slot == none {
			return model
		}
	}
	for _, m := range lost {
		model = slices.DeleteFunc(slices.Clone(model), m.same)
	}
	model = append(slices.DeleteFunc(slices.Clone(model), r.same), r)
	if r.by == Own && r.known {
		for i := range model {
			if !model[i].known && model[i].key == r.key {
				model[i].known, model[i].since = true, r.since
			}
		}
	}
	return model
}

// reason says what is wrong with that m was lost to r, nothing if nothing is.
func (t *Table) reason(l Limits, model []modelled, r, m modelled, crowded, tooMany bool) string {
	by := func(h Holder) int { return of(model, func(o modelled) bool { return o.by == h }) }
	most := 0
	for _, o := range model {
		if o.by != Own {
			most = max(most, by(o.by))
		}
	}
	switch {
	case tooMany && m.by != Own, !tooMany && m.by == Own && r.by != Own:
		return "it is not of whom it should be"
	case crowded && m.key != r.key:
		return "it is of another key"
	case crowded:
		return crowdedReason(model, r, m)
	case tooMany, r.by == Own && most == 0:
		if m.by != Own {
			return "it is not own"
		}
	case r.by == Own:
		if by(m.by) != most {
			return "others have more"
		}
	case by(r.by) >= max(1, l.Records/l.PerHolder):
		if m.by != r.by {
			return "who came has a share already"
		}
	case yields(most, by(r.by)):
		if by(m.by) != most {
			return "others have more"
		}
	case m.by != r.by:
		return "it has no more than who came"
	}
	for _, o := range model {
		if o.by == m.by && o.known == m.known && o.since < m.since {
			return "it is not the oldest of its holder"
		}
	}
	if m.known && of(model, func(o modelled) bool { return o.by == m.by && !o.known }) > 0 {
		return "its key is known, and not all are"
	}
	return ""
}

func crowdedReason(model []modelled, r, m modelled) string {
	count := func(f func(Holder) bool) int {
		return of(model, func(o modelled) bool { return o.key == r.key && o.by != Own && f(o.by) })
	}
	in := func(n Holder) int { return count(func(h Holder) bool { return h.Network() == n }) }
	on := func(a Holder) int { return count(func(h Holder) bool { return h == a }) }
	network, address := 0, 0
	for _, o := range model {
		if o.key == r.key && o.by != Own {
			network = max(network, in(o.by.Network()))
			if o.by.Network() == m.by.Network() {
				address = max(address, on(o.by))
			}
		}
	}
	mine, other := in(r.by.Network()), m.by.Network() != r.by.Network()
	switch {
	case other && !yields(network, mine), other && in(m.by.Network()) != network:
		return "its network has no more than that of who came"
	case !other && yields(network, mine) && mine != network:
		return "another network has more"
	case other && on(m.by) != address:
		return "another address of its network has more"
	}
	return ""
}

// compare fails unless a table has the records of a model, and its lists are whole.
func compare(t *rapid.T, table *Table, l Limits, model []modelled) {
	all, own := table.Len()
	if all != len(model) || own != of(model, func(m modelled) bool { return m.by == Own }) || all > l.Records || own > l.Records/2 {
		t.Fatalf("%d records, %d own; the model has %d", all, own, len(model))
	}
	for _, m := range model {
		at, ok := table.Find(m.key, m.provider)
		if !ok || table.holder(at) != m.by || (table.slots[at].rank() == 1) != m.known {
			t.Fatalf("%+v is not as in the table: %v %+v", m, ok, table.slots[max(at, 0)])
		}
	}
	listed := 0
	for number, h := range table.crowd.holders {
		if n, ok := table.crowd.numbers[h.id]; !ok || n != int32(number) {
			continue // not given
		}
		n := 0
		for rank := range 2 {
			for at := h.oldest[rank]; at != none; at = table.slots[at].newer {
				n++
			}
		}
		if n != int(h.count) {
			t.Fatalf("%s has %d records in lists, and %d", h.id, n, h.count)
		}
		listed += n
		if i := h.at; i > 0 && table.crowd.more(i, (i-1)/2) {
			t.Fatalf("the heap is none at %d", i)
		}
	}
	if listed != all {
		t.Fatalf("%d records in lists, and %d", listed, all)
	}
}
