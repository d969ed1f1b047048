package shell_test

import (
	"errors"
	"iter"
	"sync"

	"github.com/decube/decube/internal/records/memstore"
	"github.com/decube/decube/ledger/archive"
)

var errDisk = errors.New("no such sector")

// failing is a store whose writes and syncs fail while err is set.
type failing struct {
	archive.Store

	err error
}

func (f *failing) Write(version uint64, changes []archive.Change) error {
	if f.err != nil {
		return f.err
	}
	return f.Store.Write(version, changes)
}

func (f *failing) Sync() error {
	if f.err != nil {
		return f.err
	}
	return f.Store.Sync()
}

// locked is a store in memory for many goroutines.
type locked struct {
	mu  sync.Mutex
	mem *memstore.Store
}

func (l *locked) Get(key []byte, upTo uint64) ([]byte, uint64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.mem.Get(key, upTo)
}

func (l *locked) Scan(r archive.Range) iter.Seq2[archive.Item, error] {
	return func(yield func(archive.Item, error) bool) {
		l.mu.Lock()
		snapshot := l.mem.Clone()
		l.mu.Unlock()
		snapshot.Scan(r)(yield)
	}
}

func (l *locked) Limits() archive.Limits { return l.mem.Limits() }

func (l *locked) Write(version uint64, changes []archive.Change) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.mem.Write(version, changes)
}

func (l *locked) Discard(upTo uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mem.Discard(upTo)
}

func (l *locked) Drop(prefix []byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.mem.Drop(prefix)
}
func (l *locked) Reclaim() (bool, error) { return false, nil }

func (l *locked) Sync() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.mem.Sync()
}

func (l *locked) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.mem.Close()
}
