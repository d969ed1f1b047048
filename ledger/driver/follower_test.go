package driver_test

import (
	"errors"
	"testing"
	"time"

	"github.com/decube/decube/ledger/driver"
	"github.com/decube/decube/ledger/follow"
)

// A follower believes no source that it has handed a transaction in: what counts is a
// block. It asks others too, and says that it does not know when it has tried them.
func TestFollowerBelievesNoOK(t *testing.T) {
	w := newWorldOf(t, 4, 1, nil)
	follower := w.nodes[4]
	names := []string{"0", "1", "2", "3"}
	follower.sources(0, 1, 2, 3)
	w.run(100 * time.Millisecond)
	follower.submit(1, 10, 0, put(1))
	w.run(20 * time.Second)
	asked := map[string]bool{}
	for _, a := range follower.asked {
		if _, ok := a.Request.(follow.Submit); ok {
			asked[a.Source] = true
		}
	}
	if len(asked) != len(names) {
		t.Errorf("each source says OK, and %d of %d were asked: %v", len(asked), len(names), asked)
	}
	if a, ok := follower.answers[1]; ok {
		t.Errorf("the client is told %+v, and no block was seen", a)
	}
	w.run(follow.HandOverExpiry)
	if a, ok := follower.answers[1]; !ok || !errors.Is(a.Err, driver.ErrUndecided) {
		t.Errorf("in the end the client is told %+v, %t", a, ok)
	}
}
