package smt_test

import (
	"errors"
	"maps"
	"slices"
	"sync"
	"testing"

	"github.com/decube/decube/internal/smt"
)

var errMissing = errors.New("no such key in the store")

// store is a caller's store in memory: a Reader, and batches that are committed
// whole. It complains of keys that are put twice.
type store struct {
	mu    sync.Mutex
	data  map[string][]byte
	stale map[uint64][]string // by the version that made them stale
	refs  map[uint64]smt.RootRef
	reads int
}

func newStore() *store {
	return &store{data: map[string][]byte{}, stale: map[uint64][]string{}, refs: map[uint64]smt.RootRef{}}
}

func (s *store) Get(key []byte) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reads++
	v, ok := s.data[string(key)]
	if !ok {
		return nil, errMissing
	}
	return slices.Clone(v), nil
}

// batch is what one flush gave.
type batch struct {
	put   map[string][]byte
	stale []string
}

func (b *batch) Put(key, value []byte) error {
	if _, ok := b.put[string(key)]; ok {
		return errors.New("put twice in one flush")
	}
	b.put[string(key)] = value
	return nil
}

func (b *batch) Stale(key []byte) error {
	b.stale = append(b.stale, string(key))
	return nil
}

func newBatch() *batch { return &batch{put: map[string][]byte{}} }

// flush flushes m and commits.
func (s *store) flush(tb testing.TB, m smt.Map, version uint64) smt.RootRef {
	tb.Helper()
	b := newBatch()
	ref, err := m.Flush(version, b)
	if err != nil {
		tb.Fatalf("flush version %d: %v", version, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for k := range b.put {
		if _, ok := s.data[k]; ok {
			tb.Fatalf("version %d puts %x again", version, k)
		}
	}
	for _, k := range b.stale {
		if _, ok := s.data[k]; !ok {
			tb.Fatalf("version %d calls %x stale, which is not in the store", version, k)
		}
	}
	maps.Copy(s.data, b.put)
	s.stale[version] = b.stale
	s.refs[version] = ref
	return ref
}

// prune makes the versions before the given one unreadable.
func (s *store) prune(tb testing.TB, version uint64) {
	tb.Helper()
	for v, keys := range s.stale {
		if v > version {
			continue
		}
		for _, k := range keys {
			if _, ok := s.data[k]; !ok {
				tb.Fatalf("%x was called stale twice", k)
			}
			delete(s.data, k)
		}
		delete(s.stale, v)
	}
	for v := range s.refs {
		if v < version {
			delete(s.refs, v)
		}
	}
}

// must takes a result and an error, and then a test to fail for the error.
func must[T any](v T, err error) func(testing.TB) T {
	return func(tb testing.TB) T {
		tb.Helper()
		if err != nil {
			tb.Fatal(err)
		}
		return v
	}
}
