package intake_test

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/decube/decube/ledger/intake"
	"github.com/decube/decube/ledger/tx"
)

// patience is for how long a valid front may wait before the leader is given up.
const patience = 2 * time.Second

// A transaction that stays valid and is never proposed ages until the leader is given up:
// within patience for each transaction that came before it through the same origin, and
// whatever comes through the others, which the leader is in league with.
func TestCensorsAreFoundOut(t *testing.T) {
	victim := put(t, 1_000_000, 10)
	before := puts(t, 2_000_000, 3)
	rivals := universe(t)
	rapid.Check(t, func(t *rapid.T) {
		p := newPool(4, intake.Limits{Bytes: 4 * modelShare})
		k := rapid.IntRange(0, len(before)).Draw(t, "transactions before it")
		if rapid.Bool().Draw(t, "caught") {
			mustFit(t, p.Add(0, victim, 3))
		}
		for _, x := range append(slices.Clone(before[:k]), victim) {
			mustFit(t, p.Add(0, x, 0))
		}
		seq, nonce := uint64(0), uint64(0)
		var flights []intake.Block
		truth := func(x *tx.Transaction) error {
			if x == victim || slices.Contains(before, x) || x.Nonce%2 == 0 {
				return nil
			}
			return tx.Reject(tx.CodeNotFound, "junk")
		}
		deadline := time.Duration(k+1)*(patience+intake.Fresh/2) + intake.Fresh
		for now := 50 * ms; now <= deadline; now += 50 * ms {
			for range rapid.IntRange(0, 6).Draw(t, "pushed") {
				nonce++
				x := put(t, nonce, rapid.IntRange(0, 3000).Draw(t, "size"))
				if i := rapid.IntRange(0, 2*len(rivals)).Draw(t, "rival"); i < len(rivals) {
					x = rivals[i]
				}
				_ = p.Add(now, x, rapid.IntRange(1, 3).Draw(t, "origin"))
			}
			switch rapid.IntRange(0, 3).Draw(t, "leader") {
			case 0:
				seq++
				var ts []*tx.Transaction
				for _, x := range p.Next(20, all) {
					if x != victim && (!slices.Contains(before, x) || rapid.IntRange(0, 9).Draw(t, "let through") == 0) {
						ts = append(ts, x)
					}
				}
				flights = append(flights, block(byte(seq), ts...))
			case 1:
				flights = nil // the view's blocks are dead
			case 2:
				if len(flights) > 0 {
					p.Committed(now, seq, flights[0])
					flights = flights[1:]
				}
			}
			p.InFlight(now, flights)
			judge(p, now, seq, 8, truth)
			if p.Oldest(now) > patience {
				return
			}
		}
		t.Fatalf("the leader censors for %v and nobody minds: the oldest front waits for %v", deadline, p.Oldest(deadline))
	})
}

func mustFit(t *rapid.T, err error) {
	if code, ok := tx.CodeOf(err); !ok || code != tx.CodeOK && code != tx.CodeDuplicate {
		t.Fatal(err)
	}
}

// world is a swarm with an honest leader, replica 0, in which strangers, and a faulty
// validator, do what they can to have it given up.
type world struct {
	t      *rapid.T
	pools  []*intake.Pool
	now    time.Duration
	seq    uint64
	used   map[intake.Slot]bool
	holder map[string]*tx.Transaction
	mail   []letter
	blocks []flying
}

// letter is a transaction on its way to a replica.
type letter struct {
	t      *tx.Transaction
	origin int
	to     int
	at     time.Duration
}

type flying struct {
	intake.Block
	until time.Duration
}

// check is whether a transaction is valid on what was committed, and on some blocks.
func (w *world) check(x *tx.Transaction, above ...*tx.Transaction) error {
	if w.used[intake.SlotOf(x)] || slices.ContainsFunc(above, func(a *tx.Transaction) bool { return intake.SlotOf(a) == intake.SlotOf(x) }) {
		return tx.Reject(tx.CodeNonceUsed, "used")
	}
	if x.Nonce >= junkFrom {
		return tx.Reject(tx.CodeNonceTooFar, "junk")
	}
	n := name(x)
	if n == "" {
		return nil
	}
	holder := w.holder[n]
	if i := slices.IndexFunc(above, func(a *tx.Transaction) bool { return name(a) == n }); i >= 0 && holder == nil {
		holder = above[i]
	}
	if holder != nil && holder.Owner != x.Owner {
		return tx.Reject(tx.CodeNameTaken, "taken")
	}
	return nil
}

// junkFrom is the first nonce of transactions that are never valid.
const junkFrom = 1 << 20

func (w *world) post(x *tx.Transaction, origin, to int) {
	delay := time.Duration(rapid.IntRange(0, 3).Draw(w.t, "delay")) * 50 * ms
	w.mail = append(w.mail, letter{x, origin, to, w.now + delay})
}

// submit has strangers hand in transactions, the same slot or name at several validators
// at will. Replica 3 is faulty: it passes on what it likes to whom it likes.
func (w *world) submit(all []*tx.Transaction) {
	for range rapid.IntRange(0, 4).Draw(w.t, "submitted") {
		x, origin := all[rapid.IntRange(0, len(all)-1).Draw(w.t, "transaction")], rapid.IntRange(0, 3).Draw(w.t, "origin")
		for to := range w.pools {
			if origin != 3 || rapid.Bool().Draw(w.t, "passed on") {
				w.post(x, origin, to)
			}
		}
	}
}

func (w *world) deliver() {
	w.mail = slices.DeleteFunc(w.mail, func(l letter) bool {
		if l.at > w.now {
			return false
		}
		_ = w.pools[l.to].Add(w.now, l.t, l.origin)
		return true
	})
}

func (w *world) inFlight() []intake.Block {
	blocks := make([]intake.Block, len(w.blocks))
	for i := range w.blocks {
		blocks[i] = w.blocks[i].Block
	}
	return blocks
}

// lead proposes what applies on top of what is in flight, and drops what does not even
// apply on top of what is committed.
func (w *world) lead() {
	var above []*tx.Transaction
	for _, b := range w.blocks {
		above = append(above, b.Transactions...)
	}
	var ts []*tx.Transaction
	for _, x := range w.pools[0].Next(30, all) {
		switch {
		case w.check(x, append(above, ts...)...) == nil:
			ts = append(ts, x)
		case w.check(x) != nil:
			w.pools[0].Drop(w.now, []tx.ID{x.ID()})
		}
	}
	if len(ts) == 0 {
		return
	}
	w.seq++
	until := w.now + time.Duration(rapid.IntRange(1, 4).Draw(w.t, "time to commit"))*50*ms
	w.blocks = append(w.blocks, flying{intake.Block{Digest: [32]byte{byte(w.seq), byte(w.seq >> 8)}, Transactions: ts}, until})
}

func (w *world) commit() {
	for len(w.blocks) > 0 && w.blocks[0].until <= w.now {
		b := w.blocks[0]
		w.blocks = w.blocks[1:]
		for _, x := range b.Transactions {
			w.used[intake.SlotOf(x)] = true
			if n := name(x); n != "" && w.holder[n] == nil {
				w.holder[n] = x
			}
		}
		for _, p := range w.pools {
			p.Committed(w.now, w.seq, b.Block)
		}
	}
}

// An honest leader is never given up, whatever strangers hand in where, and whatever a
// faulty validator passes on to whom: junk, one nonce or one name at several validators,
// transactions that the leader never had. Replicas send to everybody what is overdue.
func TestHonestLeadersAreTrusted(t *testing.T) {
	transactions := universe(t)
	for i := range uint64(20) {
		transactions = append(transactions, put(t, junkFrom+i, 10), put(t, 100+i, 10))
	}
	rapid.Check(t, func(t *rapid.T) {
		w := &world{t: t, used: map[intake.Slot]bool{}, holder: map[string]*tx.Transaction{}}
		for range 4 {
			w.pools = append(w.pools, newPool(4, intake.Limits{}))
		}
		for step := range rapid.IntRange(1, 80).Draw(t, "steps") {
			w.now += 50 * ms
			if step%3 == 0 {
				w.submit(transactions)
			}
			w.deliver()
			if step%40 == 39 {
				w.blocks = nil // a view is given up for another reason
			}
			w.commit()
			w.lead()
			for i, p := range w.pools {
				p.InFlight(w.now, w.inFlight())
				judge(p, w.now, w.seq, 16, func(x *tx.Transaction) error { return w.check(x) })
				if oldest := p.Oldest(w.now); oldest > patience/2 {
					t.Fatalf("replica %d suspects an honest leader: %v", i, oldest)
				}
				if step%4 == 0 {
					for _, x := range p.Overdue(w.now, 200*ms, i, 8) {
						w.post(x, i, 0)
					}
				}
			}
		}
	})
}

// Hostile origins fill their own shares and nothing else, whatever they repeat.
func TestHostileOriginsKeepToTheirShares(t *testing.T) {
	rivals := universe(t)
	rapid.Check(t, func(t *rapid.T) {
		p := newPool(4, intake.Limits{Bytes: 4 * modelShare})
		var flights []intake.Block
		for i := range rapid.IntRange(1, 200).Draw(t, "pushed") {
			x := put(t, uint64(i), rapid.SampledFrom([]int{0, 100, 60_000}).Draw(t, "size"))
			if j := rapid.IntRange(0, 2*len(rivals)).Draw(t, "rival"); j < len(rivals) {
				x = rivals[j]
			}
			for range rapid.IntRange(1, 3).Draw(t, "times") {
				_ = p.Add(0, x, rapid.IntRange(1, 3).Draw(t, "origin"))
			}
			if i%10 == 9 {
				flights = append(flights, block(byte(i), p.Next(5, all)...))
				p.InFlight(0, flights)
			}
			s, sum := p.Stats(), 0
			for origin, bytes := range s.Origins {
				if sum += bytes; bytes > modelShare {
					t.Fatalf("origin %d has %d bytes, more than its share of %d", origin, bytes, modelShare)
				}
			}
			if sum != s.Bytes {
				t.Fatalf("%d bytes in all, %d by origin", s.Bytes, sum)
			}
		}
		mustFit(t, p.Add(0, put(t, 1_000_000, tx.MaxValue), 0))
	})
}
