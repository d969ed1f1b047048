package ledger

import (
	"context"
	"os"
	"slices"
	"sync"
	"testing"

	"github.com/decube/decube/internal/sig"
	"github.com/decube/decube/ledger/tx"
)

// renewals returns the committed renewals of a validator in order, with their blocks,
// as a member has them.
func (s *swarm) renewals(ctx context.Context, as *member, key sig.PublicKey) (ids []tx.ID, blocks []uint64) {
	s.t.Helper()
	for seq := uint64(1); seq <= as.live().head().Header.Seq; seq++ {
		b, err := as.live().Block(ctx, seq)
		if err != nil {
			s.t.Fatal(err)
		}
		for _, t := range b.Transactions {
			if op, ok := t.Op.(tx.ValidatorAdd); ok && op.Renews() && op.Key == key {
				ids, blocks = append(ids, t.ID()), append(blocks, seq)
			}
		}
	}
	return ids, blocks
}

// askers notes which renewals of their own places members send.
type askers struct {
	mu  sync.Mutex
	ids map[*member][]tx.ID
}

// askers has renewals noted from now on.
func (s *swarm) askers() *askers {
	a := &askers{ids: map[*member][]tx.ID{}}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tap = func(from *member, class Class, frame []byte) {
		if class == Bulk {
			a.note(from, frame)
		}
	}
	return a
}

func (a *askers) note(from *member, frame []byte) {
	for _, t := range transactionsIn(frame) {
		op, ok := t.Op.(tx.ValidatorAdd)
		if !ok || !op.Renews() || op.Key != from.key.Public() {
			continue
		}
		a.mu.Lock()
		if !slices.Contains(a.ids[from], t.ID()) {
			a.ids[from] = append(a.ids[from], t.ID())
		}
		a.mu.Unlock()
	}
}

// of returns a member's renewals in the order in which they were first sent.
func (a *askers) of(m *member) []tx.ID {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.ids[m])
}

// forget forgets what was sent so far.
func (a *askers) forget() {
	a.mu.Lock()
	defer a.mu.Unlock()
	clear(a.ids)
}

// lose stops a member and takes its disk away.
func (m *member) lose() {
	m.swarm.t.Helper()
	m.halt()
	if err := os.RemoveAll(m.dir); err != nil {
		m.swarm.t.Fatal(err)
	}
}

// A validator loses its disk twice in a row, and the renewal that it made after the
// first loss is committed after the second one. It does not vote in the epoch that
// this renewal begins: it may have voted there before, for all it knows.
func TestSecondLossNeedsARenewalOfItsOwn(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	s := newSwarm(t, 4, 0, nil)
	asked := s.askers()
	s.startAll()
	if _, _, err := s.all[0].put(ctx, "before"); err != nil {
		t.Fatal(err)
	}
	lost, key := s.all[3], s.all[3].key.Public()
	s.all[2].halt() // without it and the one that is lost, nothing commits
	lost.lose()
	lost.start()
	s.until(ctx, "the others hold the first renewal, and nothing else", func() bool {
		for _, m := range s.all[:2] {
			if st, err := m.live().Status(ctx); err != nil || st.Waiting != 1 {
				return false
			}
		}
		return len(asked.of(lost)) == 1
	})
	first := asked.of(lost)[0]
	lost.lose()
	asked.forget()
	s.setCut(func(from, to sig.PublicKey) bool { return from == key || to == key })
	lost.start()
	s.until(ctx, "it has made another one", func() bool { return len(asked.of(lost)) > 0 })
	s.all[2].start()
	s.until(ctx, "the first one is committed", func() bool {
		_, _, err := s.all[0].live().Transaction(ctx, first)
		return err == nil
	})
	s.setCut(nil)
	s.until(ctx, "the validator votes again", func() bool {
		// What is shown of the chain may be a moment behind what consensus is in.
		v := lost.live().view.Load()
		return v.Core != nil && !v.Recovering && v.Core.Epoch == v.Head.Epoch
	})
	began := lost.live().head().Start.Seq
	ids, blocks := s.renewals(ctx, s.all[0], key)
	made := asked.of(lost)
	i := slices.IndexFunc(ids, func(id tx.ID) bool { return slices.Contains(made, id) })
	switch {
	case slices.Contains(made, first):
		t.Fatal("the second renewal is the first one")
	case i < 0 || blocks[i] > began:
		t.Fatalf("it votes after block %d; its renewals %v are in blocks %v, those since the second loss are %v", began, ids, blocks, made)
	}
	if _, _, err := lost.put(ctx, "after"); err != nil {
		t.Fatal(err)
	}
}
