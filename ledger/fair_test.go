package ledger

import (
	"sync"
	"testing"

	"github.com/decube/decube/ledger/sig"
)

// Who sends without end fills a share of his own, and waits; others' frames are next all
// the same. What one sender sends stays in order.
func TestSendersHaveTurns(t *testing.T) {
	const most = 10
	q := newFairQueue(most)
	loud, quiet, large := sig.PublicKey{1}, sig.PublicKey{2}, sig.PublicKey{3}
	stop := make(chan struct{})
	var sending sync.WaitGroup
	sent := make(chan struct{}, 1000)
	sending.Go(func() {
		for i := range 1000 {
			q.put(arrival{from: loud, size: i % 2}, stop, nil)
			sent <- struct{}{}
		}
	})
	for range 2 * most { // of one byte each second one
		<-sent
	}
	for q.tryPut(arrival{from: loud, size: 1}) == nil {
		t.Log("the last byte of the share")
	}
	q.put(arrival{from: quiet, size: 1}, nil, nil)
	q.put(arrival{from: quiet, size: 2}, nil, nil)
	q.put(arrival{from: large, size: 100 * most}, nil, nil)
	var got []arrival
	for _, a := range q.take(nil, 6) {
		if a.from != loud {
			got = append(got, a)
		}
	}
	if len(got) != 3 || got[0].from != quiet || got[0].size != 1 || got[2].from != quiet || got[2].size != 2 {
		t.Errorf("of six frames, those of others are %+v", got)
	}
	select {
	case <-q.ready:
	default:
		t.Error("nobody is told of what is left")
	}
	close(stop)
	sending.Wait()
	q.take(nil, 1000)
	if len(q.from) != 0 {
		t.Errorf("%d senders are remembered that have sent nothing", len(q.from))
	}
}
