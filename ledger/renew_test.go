package ledger

import (
	"context"
	"os"
	"slices"
	"testing"

	"github.com/decube/decube/ledger/sig"
	"github.com/decube/decube/ledger/tx"
)

// renewals returns the committed renewals of a validator in order, with their blocks,
// as a member has them.
func (s *swarm) renewals(ctx context.Context, as *member, key sig.PublicKey) (ids []tx.ID, blocks []uint64) {
	s.t.Helper()
	for seq := uint64(1); seq <= as.live().tip.Load().header.Seq; seq++ {
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
	s.startAll()
	if _, _, err := s.all[0].put(ctx, "before"); err != nil {
		t.Fatal(err)
	}
	lost, key := s.all[3], s.all[3].key.Public()
	s.all[2].halt() // without it and the one that is lost, nothing commits
	lost.lose()
	lost.start()
	var first tx.ID
	s.until(ctx, "the others hold the first renewal", func() bool {
		made := lost.live().renewals.Load()
		if made == nil {
			return false
		}
		first = (*made)[0]
		return s.all[0].live().pool.get(first) != nil && s.all[1].live().pool.get(first) != nil
	})
	lost.lose()
	s.mu.Lock()
	s.cut = func(from, to sig.PublicKey) bool { return from == key || to == key }
	s.mu.Unlock()
	lost.start()
	s.until(ctx, "it has made another one, with the same nonce", func() bool { return lost.live().renewals.Load() != nil })
	s.all[2].start()
	s.until(ctx, "the first one is committed", func() bool {
		_, _, err := s.all[0].live().Transaction(ctx, first)
		return err == nil
	})
	s.mu.Lock()
	s.cut = nil
	s.mu.Unlock()

	s.until(ctx, "the validator votes again", func() bool {
		st, err := lost.live().Status(ctx)
		return err != nil || st.Role == RoleValidator
	})
	began := lost.live().epoch.Load().start.Seq
	ids, blocks := s.renewals(ctx, s.all[0], key)
	made := *lost.live().renewals.Load()
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
