package badgerstore_test

import (
	"errors"
	"math"
	"testing"

	"github.com/decube/decube/internal/records"
	"github.com/decube/decube/internal/records/badgerstore"
)

// A full disk is an error, of Open and of what is written, and takes nothing away.
func TestNoSpace(t *testing.T) {
	o := badgerstore.Options{Dir: t.TempDir()}
	s := open(t, o)
	if err := s.Write(1, []records.Change{{Key: []byte("key"), Value: []byte("value")}}); err != nil {
		t.Fatal(err)
	}
	badgerstore.SetMinFree(s, math.MaxInt64)
	if err := s.Write(2, []records.Change{{Key: []byte("key")}}); !errors.Is(err, records.ErrNoSpace) {
		t.Errorf("a write: %v", err)
	}
	if _, err := s.Reclaim(); !errors.Is(err, records.ErrNoSpace) {
		t.Errorf("reclaiming: %v", err)
	}
	closed(t, s)

	full := o
	full.MinFree = math.MaxInt64
	if s, err := badgerstore.Open(full); !errors.Is(err, records.ErrNoSpace) {
		t.Fatalf("%v, %v", s, err)
	}
	s = open(t, o)
	defer closed(t, s)
	if value, version, err := s.Get([]byte("key"), math.MaxUint64); string(value) != "value" || version != 1 || err != nil {
		t.Errorf("%q of version %d, %v", value, version, err)
	}
}
