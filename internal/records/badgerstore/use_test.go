package badgerstore_test

import (
	"errors"
	"testing"

	"github.com/decube/decube/internal/records"
	"github.com/decube/decube/internal/records/badgerstore"
)

// What is read while the store is closed ends with an error, and not with the process.
func TestCloseWaitsForReaders(t *testing.T) {
	s := open(t, badgerstore.Options{Dir: t.TempDir()})
	changes := []records.Change{{Key: []byte("a"), Value: []byte("1")}, {Key: []byte("b"), Value: []byte("2")}}
	if err := s.Write(1, changes); err != nil {
		t.Fatal(err)
	}
	over := make(chan error, 1)
	var errs []error
	for _, err := range s.Scan(records.Range{}) {
		if errs = append(errs, err); len(errs) > 1 {
			continue
		}
		go func() { over <- s.Close() }()
		for err == nil { // until Close has begun
			_, _, err = s.Get([]byte("a"), 1)
		}
		if !errors.Is(err, records.ErrClosed) {
			t.Errorf("reading while it is closed: %v", err)
		}
		select {
		case err := <-over:
			t.Errorf("closed while somebody reads: %v", err)
		default:
		}
	}
	if len(errs) != 2 || errs[0] != nil || !errors.Is(errs[1], records.ErrClosed) {
		t.Errorf("scanned while it is closed: %v", errs)
	}
	if err := <-over; err != nil {
		t.Error(err)
	}
	for _, err := range s.Scan(records.Range{}) {
		if !errors.Is(err, records.ErrClosed) {
			t.Errorf("scanned after it was closed: %v", err)
		}
	}
	if err := s.Write(2, changes); !errors.Is(err, records.ErrClosed) {
		t.Errorf("written after it was closed: %v", err)
	}
}
