package exchange

import "testing"

func TestHedge(t *testing.T) {
	l := DefaultLimits()
	h := newHedge(l, 1000)
	least := int64(l.MinProgress)
	came := int64(1000)
	for i, step := range []struct {
		more int64
		want bool
	}{
		{0, true},
		{1, true},
		{least - 2, true}, // nothing that counts
		{least, false},
		{least, false},
		{least, false},
		{least, true}, // four looks
		{least, false},
		{0, true},
		{least, false},
		{least, false},
		{least, false},
		{least, false},
		{least, false},
		{least, false},
		{least, true}, // eight in all
	} {
		came += step.more
		if got := h.another(came); got != step.want {
			t.Errorf("look %d: %v", i, got)
		}
	}
}
