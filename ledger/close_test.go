package ledger

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/decube/decube/ledger/tx"
)

// Whoever asks while the ledger ends, or after that, gets an answer or an error.
func TestQuestionsWhileTheLedgerEnds(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	s := newSwarm(t, 1, 0, nil)
	s.stateEvery = 8
	m := s.all[0]
	m.start()
	var ids []tx.ID
	for i := range 60 {
		x, _, err := m.ledger.Do(ctx, tx.RecordPut{Key: fmt.Sprint(i), Value: []byte(strings.Repeat("x", 30_000))})
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, x.ID())
	}
	for range 3 {
		l := m.ledger
		stop := make(chan struct{})
		var asking sync.WaitGroup
		for range 4 {
			asking.Go(func() {
				for i := 0; ; i++ {
					select {
					case <-stop:
						return
					default:
					}
					for _, err := range l.ServeBlocks(ctx, 1, false) {
						_ = err // there may be one
					}
					_, _ = l.ServeHead(ctx)
					_, _ = l.Status(ctx)
					_, _ = l.Receipt(ctx, ids[i%len(ids)])
					_, _ = l.NextNonce(ctx, m.key.Public())
					_, _ = l.ServeChunk(ctx, 8, nil)
				}
			})
		}
		m.halt()
		for range 20 {
			_, _ = l.Receipt(ctx, ids[0])
		}
		close(stop)
		asking.Wait()
		m.start()
	}
}
