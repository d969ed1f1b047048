package archive_test

import (
	"errors"
	"math"
	"testing"

	"github.com/decube/decube/ledger/archive"
)

// A full disk is an error, of Open and of what is written, and takes nothing away.
func TestNoSpace(t *testing.T) {
	o := archive.Options{Dir: t.TempDir()}
	a := open(t, o)
	mustAppend(t, a, newWorld(state(t, a)).blocks(t, 3)...)
	closed(t, a)

	full := o
	full.MinFree = math.MaxInt64
	if a, err := archive.Open(full); !errors.Is(err, archive.ErrNoSpace) {
		t.Fatalf("%v, %v", a, err)
	}
	a = open(t, o)
	defer closed(t, a)
	if seq, ok := a.Head(); !ok || seq != 2 {
		t.Errorf("the last block is %d, %t", seq, ok)
	}
}
