package pool_test

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/decube/decube/ledger/pool"
	"github.com/decube/decube/ledger/tx"
)

// model is a pool that is a list: slow, and plain to see.
type model struct {
	t       *rapid.T
	p       *pool.Pool
	all     []*tx.Transaction // those that there are, told apart by nonces
	now     uint64
	waiting []entry
	done    []tx.ID // committed, in order
	blocks  map[byte][]tx.ID
}

type entry struct {
	t      *tx.Transaction
	origin int
	since  uint64
}

const (
	origins   = 3
	share     = 6
	committed = 8
)

func (m *model) find(id tx.ID) int {
	return slices.IndexFunc(m.waiting, func(e entry) bool { return e.t.ID() == id })
}

func (m *model) draw(label string) *tx.Transaction {
	return rapid.SampledFrom(m.all).Draw(m.t, label)
}

// some returns transactions without repetition.
func (m *model) some(label string) []tx.ID {
	ts := rapid.SliceOfNDistinct(rapid.SampledFrom(m.all), 0, 6, func(t *tx.Transaction) uint64 { return t.Nonce }).Draw(m.t, label)
	return ids(ts)
}

func (m *model) reserved(id tx.ID) bool {
	for _, block := range m.blocks {
		if slices.Contains(block, id) {
			return true
		}
	}
	return false
}

func (m *model) add(*rapid.T) {
	t, origin := m.draw("transaction"), rapid.IntRange(0, origins-1).Draw(m.t, "origin")
	m.now += rapid.Uint64Range(0, 3).Draw(m.t, "ticks")
	err := m.p.Add(t, origin, m.now)
	code, _ := tx.CodeOf(err)
	of := 0
	for _, e := range m.waiting {
		if e.origin == origin {
			of++
		}
	}
	at := slices.Index(m.done, t.ID())
	switch {
	case m.find(t.ID()) >= 0 || at >= 0 && at >= len(m.done)-committed:
		m.want(code, tx.CodeDuplicate)
	case code == tx.CodeDuplicate && at >= 0: // remembered for longer than it must be
	case of >= share:
		m.want(code, tx.CodeQueueFull)
	default:
		m.want(code, tx.CodeOK)
		m.waiting = append(m.waiting, entry{t, origin, m.now})
	}
}

func (m *model) want(got, want tx.Code) {
	if got != want {
		m.t.Fatalf("Add says %v, want %v", got, want)
	}
}

func (m *model) take(id tx.ID) {
	if i := m.find(id); i >= 0 {
		m.waiting = slices.Delete(m.waiting, i, i+1)
	}
}

func (m *model) remove(*rapid.T) {
	removed := m.some("committed")
	m.p.Remove(removed)
	for _, id := range removed {
		m.take(id)
		m.done = append(slices.DeleteFunc(m.done, func(d tx.ID) bool { return d == id }), id)
	}
}

func (m *model) drop(*rapid.T) {
	dropped := m.some("dropped")
	m.p.Drop(dropped)
	for _, id := range dropped {
		m.take(id)
	}
}

func (m *model) reserve(*rapid.T) {
	name, block := rapid.ByteRange(0, 3).Draw(m.t, "block"), m.some("reserved")
	m.p.Reserve([32]byte{name}, block)
	if _, ok := m.blocks[name]; !ok {
		m.blocks[name] = block
	}
}

func (m *model) release(*rapid.T) {
	name := rapid.ByteRange(0, 3).Draw(m.t, "block")
	m.p.Release([32]byte{name})
	delete(m.blocks, name)
}

func (m *model) expire(*rapid.T) {
	age := rapid.Uint64Range(0, 10).Draw(m.t, "age")
	got := ids(m.p.Expire(m.now, age))
	var want []tx.ID
	for _, e := range slices.Clone(m.waiting) {
		if m.now-e.since > age && !m.reserved(e.t.ID()) {
			want = append(want, e.t.ID())
			m.take(e.t.ID())
		}
	}
	if !slices.Equal(got, want) {
		m.t.Fatalf("expired are %v, want %v", got, want)
	}
}

// check compares all that can be asked.
func (m *model) check(t *rapid.T) {
	if m.p.Len() != len(m.waiting) {
		t.Fatalf("%d wait, want %d", m.p.Len(), len(m.waiting))
	}
	oldest := uint64(0)
	if len(m.waiting) > 0 {
		oldest = m.now - m.waiting[0].since
	}
	if got := m.p.Oldest(m.now); got != oldest {
		t.Fatalf("the oldest waits for %d, want %d", got, oldest)
	}
	var overdue []*tx.Transaction
	want := make([][]*tx.Transaction, origins)
	reserved := 0
	for _, e := range m.waiting {
		if m.now-e.since >= 4 {
			overdue = append(overdue, e.t)
		}
		if m.reserved(e.t.ID()) {
			reserved++
		} else {
			want[e.origin] = append(want[e.origin], e.t)
		}
	}
	if got := m.p.Overdue(m.now, 4, all); !slices.Equal(got, overdue) {
		t.Fatalf("overdue are %d, want %d", nonces(got), nonces(overdue))
	}
	got := make([][]*tx.Transaction, origins)
	for _, x := range m.p.Next(all, all, nil) {
		e := m.waiting[m.find(x.ID())]
		got[e.origin] = append(got[e.origin], x)
	}
	for origin := range want {
		if !slices.Equal(got[origin], want[origin]) {
			t.Fatalf("of origin %d Next has %d, want %d", origin, nonces(got[origin]), nonces(want[origin]))
		}
	}
	s, bytes := m.p.Stats(), 0
	for _, e := range m.waiting {
		bytes += tx.EncodedSize(e.t)
	}
	if s.Reserved != reserved || s.Bytes != bytes {
		t.Fatalf("stats %+v, want %d reserved and %d bytes", s, reserved, bytes)
	}
}

func TestModel(t *testing.T) {
	transactions := puts(t, 0, 40)
	rapid.Check(t, func(t *rapid.T) {
		m := &model{
			t: t, p: newPool(origins, pool.Limits{Transactions: origins * share, Committed: committed}),
			all: transactions, blocks: map[byte][]tx.ID{},
		}
		t.Repeat(map[string]func(*rapid.T){
			"add": m.add, "remove": m.remove, "drop": m.drop, "reserve": m.reserve,
			"release": m.release, "expire": m.expire, "": m.check,
		})
	})
}

// Whatever is asked for, a block keeps its limits, and each origin's order.
func TestBlocksKeepLimits(t *testing.T) {
	sizes := []int{0, 100, 3000, 20_000, tx.MaxValue}
	rapid.Check(t, func(t *rapid.T) {
		p := newPool(origins, pool.Limits{})
		origin := map[uint64]int{}
		for i := range rapid.IntRange(0, 60).Draw(t, "transactions") {
			at := rapid.IntRange(0, origins-1).Draw(t, "origin")
			x, err := tx.New([32]byte{'n'}, owner, uint64(i), tx.RecordPut{Key: "k", Value: make([]byte, rapid.SampledFrom(sizes).Draw(t, "size"))}, [64]byte{})
			if err == nil {
				err = p.Add(x, at, 0)
			}
			if err != nil {
				t.Fatal(err)
			}
			origin[x.Nonce] = at
		}
		for range 3 {
			maxTx, maxBytes := rapid.IntRange(0, 80).Draw(t, "most"), rapid.IntRange(0, 300_000).Draw(t, "bytes")
			ts := p.Next(maxTx, maxBytes, nil)
			last, bytes := map[int]uint64{}, 0
			for _, x := range ts {
				if before, ok := last[origin[x.Nonce]]; ok && x.Nonce <= before {
					t.Fatalf("%d after %d", x.Nonce, before)
				}
				last[origin[x.Nonce]] = x.Nonce
				bytes += tx.EncodedSize(x)
			}
			if len(ts) > maxTx || bytes > maxBytes {
				t.Fatalf("%d transactions of %d bytes, at most %d of %d", len(ts), bytes, maxTx, maxBytes)
			}
		}
	})
}
