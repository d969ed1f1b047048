package pbft

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// cases is how many random cases the comparison with a dumb alternative takes.
const cases = 50_000

// tree is blocks at a few sequence numbers, several at each, on random parents.
type tree [8][]named

// named is a block with its digest, which is only worked out once.
type named struct {
	Header
	digest Digest
}

func newTree(rnd *rand.Rand) *tree {
	t := &tree{}
	genesis := Header{State: Digest{1}}
	t[0] = []named{{genesis, genesis.Digest()}}
	for seq := 1; seq < len(t); seq++ {
		for i := range 3 {
			on := &t[seq-1][rnd.IntN(len(t[seq-1]))]
			h := Header{Seq: uint64(seq), Parent: on.digest, State: Digest{2, byte(i)}}
			if rnd.IntN(10) == 0 {
				h.Next = Digest{7}
			}
			t[seq] = append(t[seq], named{h, h.Digest()})
		}
	}
	return t
}

// changes returns view changes with random bases and locks. In each view one block
// is certified at a sequence number, at most.
func (tr *tree) changes(rnd *rand.Rand) []*ViewChange {
	const views = 4
	var certified [len(tr)][views]int
	for seq := range certified {
		for view := range certified[seq] {
			certified[seq][view] = rnd.IntN(len(tr[seq]))
		}
	}
	committed := [len(tr)]int{} // one block at each
	for seq := 1; seq < len(tr); seq++ {
		committed[seq] = rnd.IntN(len(tr[seq]))
	}
	out := make([]*ViewChange, 1+rnd.IntN(5))
	for i := range out {
		seq := rnd.IntN(3)
		base := &tr[seq][committed[seq]]
		vc := &ViewChange{Base: Certificate{Subject: subject(Commit, 0, &base.Header, base.digest)}}
		vc.Locks = make([]Lock, 0, len(tr))
		for at := seq + 1; at < len(tr); at++ {
			if rnd.IntN(4) > 0 {
				view := rnd.IntN(views)
				h := tr[at][certified[at][view]]
				vc.Locks = append(vc.Locks, Lock{h.Header, Certificate{Subject: subject(Prepare, uint64(view), &h.Header, h.digest)}})
			}
		}
		out[i] = vc
	}
	return out
}

func TestQuickCarriedOver(t *testing.T) {
	trees := make([]*tree, 50)
	for i := range trees {
		trees[i] = newTree(rand.New(rand.NewPCG(2, uint64(i))))
	}
	quick(t, cases, func(t *testing.T, rnd *rand.Rand) {
		t.Helper()
		changes := trees[rnd.IntN(len(trees))].changes(rnd)
		got, want := carriedOver(changes), dumbCarriedOver(changes)
		if !slices.Equal(got, want) {
			t.Errorf("carriedOver(%v) = %v, want %v", changes, got, want)
		}
		slices.Reverse(changes)
		if reversed := carriedOver(changes); !slices.Equal(got, reversed) {
			t.Errorf("carriedOver depends on the order: %v, %v", got, reversed)
		}
	})
}

// dumbCarriedOver sorts all the locks there are by sequence number and view, and
// strikes out what is not wanted.
func dumbCarriedOver(changes []*ViewChange) []Header {
	var base Certificate
	var locks []Lock
	for i, c := range changes {
		if i == 0 || c.Base.Seq > base.Seq {
			base = c.Base
		}
		locks = append(locks, c.Locks...)
	}
	slices.SortStableFunc(locks, func(a, b Lock) int {
		return int(a.Cert.Seq)*100 - int(a.Cert.View) - int(b.Cert.Seq)*100 + int(b.Cert.View)
	})
	locks = slices.CompactFunc(locks, func(a, b Lock) bool { return a.Cert.Seq == b.Cert.Seq })
	locks = slices.DeleteFunc(locks, func(l Lock) bool { return l.Cert.Seq <= base.Seq })
	for i := range locks {
		last := i > 0 && locks[i-1].Header.Last()
		parent := base.Digest
		if i > 0 {
			parent = locks[i-1].Cert.Digest
		}
		if last || locks[i].Cert.Seq != base.Seq+uint64(i)+1 || locks[i].Header.Parent != parent {
			locks = locks[:i]
			break
		}
	}
	var out []Header
	for i := range locks {
		out = append(out, locks[i].Header)
	}
	return out
}

// model is PBFT in a few lines, without messages and time: what replicas have
// committed and locked, view by view. Replica 0 lies about it; the view changes
// that count are of a random quorum. It asks one question: is what was committed
// in one view carried over into all later ones?
type model struct {
	rnd       *rand.Rand
	base      [modelSize]Header
	locks     [modelSize]map[uint64]Lock
	committed map[uint64]Header
	serial    byte
}

const (
	modelSize   = 4
	modelQuorum = 3
	modelWindow = 4
)

func TestQuickCarriesOverWhatIsCommitted(t *testing.T) {
	decided := 0
	quick(t, 3000, func(t *testing.T, rnd *rand.Rand) {
		t.Helper()
		m := &model{rnd: rnd, committed: map[uint64]Header{0: {State: Digest{1}}}}
		for r := range m.base {
			m.base[r], m.locks[r] = m.committed[0], map[uint64]Lock{}
		}
		m.view(0, m.committed[0], nil)
		for view := uint64(1); view < 6; view++ {
			changes := m.changes()
			base := m.committed[baseOf(changes).Seq]
			chain := carriedOver(changes)
			for seq := base.Seq + 1; m.committed[seq].Seq == seq; seq++ {
				at := int(seq - base.Seq - 1)
				if at >= len(chain) || chain[at] != m.committed[seq] {
					t.Fatalf("view %d loses %v: carries over %v", view, m.committed[seq], chain)
				}
			}
			m.view(view, base, chain)
		}
		decided += len(m.committed) - 1
	})
	if decided < 3000 {
		t.Errorf("only %d blocks were committed: the model is too timid", decided)
	}
}

// changes returns the view changes of a quorum. The liar shows what it likes of
// its locks, and an old base.
func (m *model) changes() []*ViewChange {
	var out []*ViewChange
	for _, r := range m.rnd.Perm(modelSize)[:modelQuorum] {
		base := m.base[r]
		if r == 0 {
			base = m.committed[m.rnd.Uint64N(base.Seq+1)]
		}
		vc := &ViewChange{Base: Certificate{Subject: subject(Commit, 0, &base, base.Digest())}}
		for seq := base.Seq + 1; seq <= base.Seq+modelWindow; seq++ {
			if l, ok := m.locks[r][seq]; ok && (r != 0 || m.rnd.IntN(2) == 0) {
				vc.Locks = append(vc.Locks, l)
			}
		}
		out = append(out, vc)
	}
	return out
}

// view runs one view: a chain is carried over and made longer, replicas vote for
// some of it, hold certificates for some of that, and commit some of that.
func (m *model) view(view uint64, base Header, chain []Header) {
	tip := base
	if len(chain) > 0 {
		tip = chain[len(chain)-1]
	}
	for range m.rnd.IntN(modelWindow) {
		m.serial++
		tip = Header{Seq: tip.Seq + 1, Parent: tip.Digest(), State: Digest{byte(view), m.serial}}
		chain = append(chain, tip)
	}
	// What was committed before the view is taken by certificate, or not at all.
	var votes [modelSize]int
	for r := range votes {
		if m.base[r].Seq < base.Seq && m.rnd.IntN(2) == 0 {
			m.advance(r, base)
		}
		if m.base[r].Seq >= base.Seq {
			votes[r] = m.rnd.IntN(len(chain) + 1)
		}
		if r == 0 {
			votes[r] = len(chain)
		}
	}
	voted := func(r, at int) bool {
		above := chain[at].Seq - m.base[r].Seq
		return at < votes[r] && (r == 0 || (chain[at].Seq > m.base[r].Seq && above <= modelWindow))
	}
	var commits [modelSize]int // how far each has sent COMMIT
	told := [modelSize]bool{true, true, true, true}
	for at := range chain {
		prepares := 0
		for r := range votes {
			if voted(r, at) {
				prepares++
			}
		}
		lock := Lock{chain[at], Certificate{Subject: subject(Prepare, view, &chain[at], chain[at].Digest())}}
		for r := range votes {
			if prepares >= modelQuorum && voted(r, at) && m.rnd.IntN(4) > 0 {
				m.locks[r][chain[at].Seq] = lock
			} else if r != 0 && chain[at].Seq > m.base[r].Seq {
				told[r] = false
			}
			if told[r] && prepares >= modelQuorum && voted(r, at) {
				commits[r] = at + 1
			}
		}
	}
	for at := range chain {
		count := 0
		for r := range commits {
			if commits[r] > at && voted(r, at) {
				count++
			}
		}
		if count >= modelQuorum {
			m.committed[chain[at].Seq] = chain[at]
		}
	}
	for r := range votes {
		for seq := m.base[r].Seq + 1; m.committed[seq].Seq == seq && m.rnd.IntN(3) > 0; seq++ {
			m.advance(r, m.committed[seq])
		}
	}
}

// advance moves a replica's base.
func (m *model) advance(r int, to Header) {
	m.base[r] = to
	for seq := range m.locks[r] {
		if seq <= to.Seq {
			delete(m.locks[r], seq)
		}
	}
}
