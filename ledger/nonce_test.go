package ledger

import (
	"context"
	"fmt"
	"iter"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/decube/decube/ledger/genesis"
	"github.com/decube/decube/ledger/tx"
)

// holdsBlocks takes transactions and shows its head, and gives no block while it is told
// so.
type holdsBlocks struct {
	Source

	holds *atomic.Bool
}

func (s holdsBlocks) Blocks(ctx context.Context, r Range) iter.Seq2[[]byte, error] {
	if s.holds.Load() {
		return func(yield func([]byte, error) bool) { yield(nil, errGone) }
	}
	return s.Source.Blocks(ctx, r)
}

// A peer that has lost its disk does not know how many nonces it has used: more than a
// window of them. What it signs is told no wrong reason, and committed once it has the
// blocks.
func TestNoncesOfAPeerThatIsBehind(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	s := newSwarm(t, 4, 1, nil)
	follower := s.all[4]
	s.startAll()
	if _, _, err := follower.put(ctx, "before"); err != nil {
		t.Fatal(err)
	}
	var own []*tx.Transaction
	for nonce := range uint64(signAttempts + 20) {
		x, err := tx.Sign(follower.key, s.genesis.ID(), nonce+1, tx.RecordPut{Key: fmt.Sprint(nonce), Value: []byte("v")})
		if err != nil {
			t.Fatal(err)
		}
		own = append(own, x)
	}
	for _, x := range own {
		if _, err := s.all[0].live().Submit(ctx, x); err != nil {
			t.Fatal(err)
		}
	}
	follower.lose()
	var holds atomic.Bool
	holds.Store(true)
	s.see(func(from, _ *member, honest Source) Source {
		if from == follower {
			return holdsBlocks{honest, &holds}
		}
		return honest
	})
	follower.start()
	attempt, done := context.WithTimeout(ctx, 3*time.Second)
	defer done()
	if _, _, err := follower.put(attempt, "too early"); err == nil {
		t.Error("it is committed")
	} else if code, _ := tx.CodeOf(err); code == tx.CodeNonceUsed {
		t.Errorf("its client is told of a nonce that is used: %v", err)
	}
	holds.Store(false)
	_, at, err := follower.put(ctx, "in the end")
	if err != nil {
		t.Fatal(err)
	}
	s.agree(ctx, at.Block, s.all...)
}

// An operation that is refused uses no nonce. Those after it do, in whatever number: who
// signs all the time does not get beyond the window for that.
func TestNoncesOfWhatIsRefusedAreUsedByOthers(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	const window = 8
	s := newSwarm(t, 1, 0, func(p *genesis.Params) { p.NonceWindow = window })
	m := s.all[0]
	m.start()
	for range 2 {
		if _, _, err := m.ledger.Do(ctx, tx.NameTransfer{Name: "nobody", To: m.key.Public()}); err == nil {
			t.Fatal("a name is transferred that nobody holds")
		}
		for i := range 2 * window {
			if _, _, err := m.put(ctx, fmt.Sprint(i)); err != nil {
				t.Fatalf("operation %d: %v", i, err)
			}
		}
		var all sync.WaitGroup // together more than the window has room for
		for i := range 4 * window {
			all.Go(func() { _, _, _ = m.put(ctx, fmt.Sprint("together", i)) })
		}
		all.Wait()
	}
}

// A nonce is given out again at once when its transaction will not be committed, and not
// before long when others may still have it ordered.
func TestNonceOfWhatHasExpired(t *testing.T) {
	for _, c := range []struct {
		err   error
		again bool
	}{
		{tx.Reject(tx.CodeNotFound, ""), true},
		{tx.Reject(tx.CodeQueueFull, ""), true},
		{tx.Reject(tx.CodeNonceUsed, ""), false},
		{tx.Reject(tx.CodeExpired, ""), false},
		{ErrUndecided, false},
	} {
		var n nonces
		now := time.Now()
		nonce := n.choose(7, now)
		n.unused(nonce, final(c.err))
		if got := n.choose(7, time.Now()); (got == nonce) != c.again {
			t.Errorf("%v: nonce %d after %d", c.err, got, nonce)
		}
	}
}
