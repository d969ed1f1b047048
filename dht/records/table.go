package records

import "fmt"

// Limits bound the records that are held.
type Limits struct {
	// Records is the most records; this peer's own are at most half of them.
	Records int
	// PerKey is the most records of one key, beside this peer's own.
	PerKey int
	// PerHolder is the part of all records, one of so many, that one address has at most once
	// all are in use.
	PerHolder int
	// PerAnswer is the most providers that are named to who asks for those of a key.
	PerAnswer int
}

// Default returns the limits of a peer that holds at most so many records.
func Default(records int) Limits {
	return Limits{Records: records, PerKey: 256, PerHolder: 4, PerAnswer: 64}
}

// mostRecords is what positions and hashes are made for.
const mostRecords = 1 << 24

// Validate returns an error for limits with which nothing, or no bounded number, is held.
func (l Limits) Validate() error {
	for name, n := range map[string]int{"a key": l.PerKey, "a holder": l.PerHolder, "an answer": l.PerAnswer} {
		if n < 1 {
			return fmt.Errorf("records: %d for %s, want at least 1", n, name)
		}
	}
	if l.Records < 2*l.PerHolder || l.Records > mostRecords {
		return fmt.Errorf("records: %d records, want %d to %d", l.Records, 2*l.PerHolder, mostRecords)
	}
	return nil
}

// none is the position of nothing.
const none int32 = -1

// Verdict is what becomes of a record.
type Verdict struct {
	// Slot is where it is to lie, none when it is not held.
	Slot int32
	// New is set unless the record was held before.
	New bool
	// Displaced is set when another lay there, which is not held any more.
	Displaced bool
}

// Table decides which records are held. It knows of a record its slot, hashes of its key and its
// provider, and who holds it: 24 bytes, and 32 more for each holder. Hashes have a secret of
// this process in them, so that nobody can make two that are the same. Where those of two keys are
// by chance, they share their bounds, and the later of one provider takes the place of the
// earlier. It is pure, and not safe for concurrent use.
type Table struct {
	limits Limits
	room   int // slots that there may be at this time

	slots   []slot
	used    int
	free    int32   // the first of the slots without a record, the others follow by chain
	buckets []int32 // by a key's hash: its newest record, the others follow by chain

	crowd crowd
}

// slot is one record.
type slot struct {
	key, provider uint32
	chain         int32  // the next older one in the bucket
	older, newer  int32  // of the same holder and rank
	owner         uint32 // the holder's number times two, and one more when its key is known
}

// vacant is the owner of a slot without a record.
const vacant = ^uint32(0)

func (s slot) holder() int32 { return int32(s.owner >> 1) }
func (s slot) rank() int     { return int(s.owner & 1) }

// NewTable returns a table without records, and with room for as many as its valid limits allow.
func NewTable(l Limits) *Table {
	t := &Table{limits: l, room: l.Records, free: none, crowd: newCrowd()}
	n := 1
	for n < l.Records {
		n *= 2
	}
	t.buckets = make([]int32, n)
	for i := range t.buckets {
		t.buckets[i] = none
	}
	return t
}

// SetRoom says how many slots there may be at this time, at most Limits.Records. Those that are
// in use stay.
func (t *Table) SetRoom(slots int) { t.room = max(len(t.slots), min(slots, t.limits.Records)) }

// Len returns the number of records, and how many of them are this peer's own.
func (t *Table) Len() (all, own int) { return t.used, int(t.crowd.holders[ownNumber].count) }

// Slots returns how many slots are or were in use.
func (t *Table) Slots() int { return len(t.slots) }

// full reports whether a further record needs the slot of another.
func (t *Table) full() bool { return t.free == none && len(t.slots) >= t.room }

func (t *Table) bucket(key uint32) *int32 { return &t.buckets[key&uint32(len(t.buckets)-1)] }

// all yields the slots of a key's records, the newest first.
func (t *Table) all(key uint32) func(func(int32) bool) {
	return func(yield func(int32) bool) {
		for i := *t.bucket(key); i != none; i = t.slots[i].chain {
			if t.slots[i].key == key && !yield(i) {
				return
			}
		}
	}
}

// Put has a record held, by what the package comment says. Known says that its key is; if
// another record of the key says so, it is as well.
func (t *Table) Put(key, provider uint32, by Holder, known bool) Verdict {
	at, others := none, 0
	for i := range t.all(key) {
		known = known || t.slots[i].rank() == 1
		switch {
		case t.slots[i].provider == provider:
			at = i
		case t.slots[i].holder() != ownNumber:
			others++
		}
	}
	v := Verdict{Slot: at}
	if at != none && (by == Own) == (t.slots[at].holder() == ownNumber) {
		t.unlink(at)
	} else {
		lost, ok := t.makeRoom(key, by, others)
		if !ok {
			return Verdict{Slot: none}
		}
		if v.Displaced = lost != none; v.Displaced {
			t.Remove(lost)
		}
		v.Slot, v.New = t.take(), true
		t.slots[v.Slot] = slot{key: key, provider: provider}
	}
	t.link(v.Slot, by, known)
	return v
}

// share is the most records of one holder once all are in use.
func (t *Table) share() int { return max(1, t.room/t.limits.PerHolder) }

// makeRoom chooses the record that a new one takes the place of, none when there is room. It
// reports whether the new one is to be held.
func (t *Table) makeRoom(key uint32, by Holder, others int) (lost int32, ok bool) {
	switch {
	case by == Own && int(t.crowd.holders[ownNumber].count) >= t.limits.Records/2:
		lost = t.crowd.oldest(ownNumber)
	case by != Own && others >= t.limits.PerKey:
		lost = t.crowded(key, by)
	case !t.full():
		return none, true
	default:
		lost = t.crowd.loser(by, t.share())
	}
	return lost, lost != none
}

// crowded chooses who loses a record of a key that has as many as it may: of the network with
// most the address with most, of which the oldest. Of equals it is who has the oldest.
func (t *Table) crowded(key uint32, by Holder) int32 {
	networks, addresses := map[Holder]int{}, map[Holder]int{}
	most := 0
	for i := range t.all(key) {
		if h := t.holder(i); h != Own {
			networks[h.Network()]++
			addresses[h]++
			most = max(most, networks[h.Network()])
		}
	}
	network, mine := by.Network(), networks[by.Network()]
	if yields(most, mine) {
		at := t.oldest(key, func(h Holder) bool { return networks[h.Network()] == most })
		network, mine = t.holder(at).Network(), 0
	} else {
		mine = addresses[by]
	}
	most = 0
	for h, n := range addresses {
		if h.Network() == network {
			most = max(most, n)
		}
	}
	if yields(most, mine) {
		return t.oldest(key, func(h Holder) bool { return h.Network() == network && addresses[h] == most })
	}
	return t.oldest(key, func(h Holder) bool { return h == by })
}

// oldest returns the oldest of a key's records whose holder is one of those, none if there is none.
func (t *Table) oldest(key uint32, of func(Holder) bool) int32 {
	found := none
	for i := range t.all(key) {
		if h := t.holder(i); h != Own && of(h) {
			found = i
		}
	}
	return found
}

// yields reports whether who has most loses a record to who has fewer: if that would still hold
// less, or holds nothing.
func yields(most, fewer int) bool { return most > fewer+1 || fewer == 0 }

func (t *Table) holder(at int32) Holder { return t.crowd.holders[t.slots[at].holder()].id }

// Know says that a key is known: its records are the last that their holders lose.
func (t *Table) Know(key uint32) {
	for i := range t.all(key) {
		if t.slots[i].rank() == 0 {
			t.crowd.leave(t.slots, i)
			t.slots[i].owner |= 1
			t.crowd.join(t.slots, i)
		}
	}
}

// Find returns the slot of a record.
func (t *Table) Find(key, provider uint32) (at int32, ok bool) {
	for i := range t.all(key) {
		if t.slots[i].provider == provider {
			return i, true
		}
	}
	return none, false
}

// Remove ends a record.
func (t *Table) Remove(at int32) {
	t.unlink(at)
	t.slots[at] = slot{chain: t.free, owner: vacant}
	t.free = at
	t.used--
}

// Trim ends the last slot if it is the one whose record was removed last.
func (t *Table) Trim() {
	if last := int32(len(t.slots) - 1); t.free == last && last >= 0 {
		t.free = t.slots[last].chain
		t.slots = t.slots[:last]
	}
}

// take returns a slot without a record.
func (t *Table) take() int32 {
	t.used++
	at := t.free
	if at == none {
		t.slots = append(t.slots, slot{})
		return int32(len(t.slots) - 1)
	}
	t.free = t.slots[at].chain
	return at
}

// link makes a slot the newest of its key and its holder. What is known here of a key is known of
// all its records.
func (t *Table) link(at int32, by Holder, known bool) {
	s, bucket := &t.slots[at], t.bucket(t.slots[at].key)
	s.chain, *bucket = *bucket, at
	s.owner = uint32(t.crowd.enter(by)) << 1
	if known {
		s.owner |= 1
	}
	t.crowd.join(t.slots, at)
	if known && by == Own {
		t.Know(s.key)
	}
}

func (t *Table) unlink(at int32) {
	number := t.slots[at].holder()
	t.crowd.leave(t.slots, at)
	t.crowd.exit(number)
	link := t.bucket(t.slots[at].key)
	for *link != at {
		link = &t.slots[*link].chain
	}
	*link = t.slots[at].chain
}

// Answer returns where at most so many of a key's records lie: this peer's own, then one of each
// network before a second of any, the newest first.
func (t *Table) Answer(key uint32, most int) []int32 {
	var rounds [][]int32
	seen := map[Holder]int{}
	for i := range t.all(key) {
		round := 0
		if h := t.holder(i); h != Own {
			seen[h.Network()]++
			round = seen[h.Network()]
		}
		for len(rounds) <= round {
			rounds = append(rounds, nil)
		}
		rounds[round] = append(rounds[round], i)
	}
	var out []int32
	for _, round := range rounds {
		out = append(out, round[:min(len(round), most-len(out))]...)
	}
	return out
}

// Restore enters a record that was held before, in its slot, as the newest. It returns the slot
// of an older one of the same key and provider, none if there is no such.
func (t *Table) Restore(at int32, key, provider uint32, by Holder, known bool) (lost int32) {
	lost = none
	for i := range t.all(key) {
		known = known || t.slots[i].rank() == 1
		if t.slots[i].provider == provider {
			lost = i
		}
	}
	if lost != none {
		t.Remove(lost)
	}
	t.slots[at] = slot{key: key, provider: provider}
	t.used++
	t.link(at, by, known)
	return lost
}

// Lay makes so many slots without records, for those that are restored. Settle ends it.
func (t *Table) Lay(slots int) {
	t.slots = make([]slot, slots)
	for i := range t.slots {
		t.slots[i].owner = vacant
	}
}

// Settle finds the slots that have no record once all are restored.
func (t *Table) Settle() {
	t.free = none
	for i := len(t.slots) - 1; i >= 0; i-- {
		if t.slots[i].owner == vacant {
			t.slots[i].chain, t.free = t.free, int32(i)
		}
	}
}

// holds reports whether a slot has a record.
func (t *Table) holds(at int32) bool { return t.slots[at].owner != vacant }

// known reports whether the key of a record is.
func (t *Table) known(at int32) bool { return t.slots[at].rank() == 1 }
