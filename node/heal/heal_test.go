package heal

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/decube/decube/block"
	"github.com/decube/decube/protocols/exchange"
)

var discard = slog.New(slog.DiscardHandler)

func someBlocks(n int) []block.ID {
	ids := make([]block.ID, n)
	for i := range ids {
		ids[i] = block.New(block.Raw, []byte{byte(i), byte(i >> 8)}).ID()
	}
	return ids
}

func TestHealerTriesUntilSomebodyHasTheBlock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ids := someBlocks(3)
		start := time.Now()
		var tries []time.Duration
		h := newHealer(func(_ context.Context, asked []block.ID) error {
			tries = append(tries, time.Since(start))
			if slices.Contains(asked, ids[2]) && len(tries) < 4 {
				return &exchange.MissingError{Missing: ids[2:]}
			}
			return nil
		}, discard)
		for _, id := range ids {
			h.damaged(id)
			h.damaged(id)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- h.run(ctx) }()
		synctest.Wait()
		if got := h.waiting(); got != 1 {
			t.Errorf("%d blocks are waiting after the first attempt", got)
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		if h.waiting() != 0 {
			t.Error("a block is still waiting")
		}
		want := []time.Duration{0, 5 * time.Second, 15 * time.Second, 35 * time.Second}
		if !slices.Equal(tries, want) {
			t.Errorf("attempts after %v, want %v", tries, want)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestHealerIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var most int
		h := newHealer(func(_ context.Context, asked []block.ID) error {
			most = max(most, len(asked))
			return errors.New("no network")
		}, discard)
		for _, id := range someBlocks(mostDamaged + 10) {
			h.damaged(id)
		}
		if got := h.waiting(); got != mostDamaged {
			t.Errorf("%d blocks are waiting, at most %d may", got, mostDamaged)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := h.run(ctx); err != nil {
			t.Error(err)
		}
		if most > healTogether {
			t.Errorf("%d blocks were asked for at a time", most)
		}
	})
}
