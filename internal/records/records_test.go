package records_test

import (
	"testing"

	"github.com/decube/decube/internal/records"
)

func TestWhatFitsIntoAWrite(t *testing.T) {
	one := records.Change{Key: make([]byte, 10), Value: make([]byte, 90)}
	l := records.Limits{Changes: 2, Bytes: 2 * one.Size()}
	if two := []records.Change{one, one}; !l.Fits(two) || !l.Fits(nil) {
		t.Error("what is as much as the limits say does not fit")
	}
	if three := []records.Change{one, {Key: []byte("k")}, {Key: []byte("l")}}; l.Fits(three) {
		t.Error("more changes fit than the limits say")
	}
	longer := one
	longer.Value = append(longer.Value, 0)
	if l.Fits([]records.Change{one, longer}) {
		t.Error("more bytes fit than the limits say")
	}
}
