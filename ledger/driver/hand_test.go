package driver_test

import (
	"testing"
	"time"
)

// Who is about to vote takes what it was handed in meanwhile for its own.
func TestClientsOfAValidatorThatStarts(t *testing.T) {
	w := newWorld(t, 4)
	w.run(100 * time.Millisecond) // they listen still
	if w.nodes[2].view.Core != nil {
		t.Fatal("a validator votes before it has listened")
	}
	w.nodes[2].submit(1, 10, 0, put(1))
	w.run(1500 * time.Millisecond)
	if a, ok := w.nodes[2].answers[1]; !ok || a.Block != 1 {
		t.Errorf("%+v, %v", a, ok)
	}
}
