package ledger

import (
	"context"
	"testing"

	"github.com/decube/decube/internal/sig"
	"github.com/decube/decube/ledger/tx"
)

// A validator that has missed the end of an epoch, votes for its last checkpoint
// included, is needed in the next one, where no block can be made without it.
func TestStragglerIsHelpedOverTheEndOfAnEpoch(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	s := newSwarm(t, 4, 0, nil)
	s.startAll()
	first, straggler, gone := s.all[0], s.all[2], s.all[3]
	if _, _, err := first.put(ctx, "before"); err != nil {
		t.Fatal(err)
	}
	away := straggler.key.Public()
	s.mu.Lock()
	s.cut = func(from, to sig.PublicKey) bool { return from == away || to == away }
	s.mu.Unlock()

	own := first.key.Public()
	if _, _, err := first.live().Do(ctx, tx.ValidatorAdd{Key: own, Replaces: own}); err != nil {
		t.Fatal(err)
	}
	for _, m := range without(s.all, straggler) {
		s.until(ctx, "the others vote in the next epoch", func() bool {
			c := m.live().view.Load().Core
			return c != nil && c.Epoch == 1
		})
	}
	gone.halt()
	s.mu.Lock()
	s.cut = nil
	s.mu.Unlock()
	if _, _, err := first.put(ctx, "with the straggler's vote"); err != nil {
		t.Fatal(err)
	}
}
