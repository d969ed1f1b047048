// Package badgerstore is a store of records on disk: a Badger database in managed
// mode, tuned for entries that are written once, most of them digests, in a daemon
// that must stay small.
//
// A version of a record is one of Badger's. A Write is one transaction. What a
// crash leaves of the logs is up to Badger, which replays each up to the first entry
// that is damaged; Sync makes durable those that there are. Values of more than 4 KiB,
// such as the bodies of all but small blocks, go to Badger's value log and are written
// once; all else lies in its tree, which writes it again whenever it compacts.
//
// What is damaged on the disk is records.ErrCorrupt, whether Badger finds it by a checksum
// or panics over it, unless that happens in a goroutine of its own while it compacts or
// writes tables: the process ends then.
//
// All methods may be called concurrently.
package badgerstore

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"
	"github.com/dgraph-io/ristretto/v2/z"

	"github.com/decube/decube/internal/durable"
	"github.com/decube/decube/internal/records"
)

const (
	// defaultMemTable is Options.MemTable if nothing is said.
	defaultMemTable = 8 << 20
	// indexCache bounds the tables' indices and filters in memory.
	indexCache = 8 << 20
	// valueThreshold is the size from which values go to the value log. With 80 KiB
	// bodies were compacted again and again: after 600,000 transactions that was a fifth
	// of all processor time, and its buffers most of the memory.
	valueThreshold = 4 << 10
)

// Options say where a store is.
type Options struct {
	// Dir is the store's own directory. It is made when it is missing.
	Dir string
	// MemTable is how many bytes Badger holds of the newest changes in memory, at most three
	// times over. It also bounds a write, at 15% of it. 0 means 8 MiB.
	MemTable int64
	// MinFree is how many bytes of the disk must stay free. 0 means 128 MiB.
	MinFree int64
	// Log may be nil.
	Log *slog.Logger
}

// Store is an open store. See records.Store for its methods.
type Store struct {
	opts  Options
	db    *badger.DB
	users users

	// dropping is held for writing while Badger drops keys: it refuses other writes
	// then, which would be lost.
	dropping sync.RWMutex

	written atomic.Int64 // bytes since pages were released

	syncing sync.Mutex
	synced  []string // the names in Dir that are known to be durable
	lastLog string   // the log of values that was the last one then
}

// Open opens or creates the store in a directory. Only one process may have it open.
// The error is records.ErrNoSpace when the disk is full, and records.ErrCorrupt, with the
// name of a file, when that is damaged.
func Open(o Options) (*Store, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if err := durable.OS.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("open the store: %w", err)
	}
	if err := o.room(); err != nil {
		return nil, fmt.Errorf("open the store: %w", err)
	}
	if err := o.inspect(); err != nil {
		return nil, fmt.Errorf("open the store: %w", err)
	}
	s := &Store{opts: o}
	err := o.guarded("open the store", func() (err error) {
		s.db, err = badger.OpenManaged(tuned(&o))
		if err != nil && strings.Contains(err.Error(), z.NewFile.Error()) { // Badger wraps nothing
			if err = o.removeEmpty(); err == nil {
				s.db, err = badger.OpenManaged(tuned(&o))
			}
		}
		if err != nil {
			return fmt.Errorf("open the store: %s", printable(err.Error()))
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return s, nil
}

// removeEmpty removes logs of values that have nothing in them, not even their length: the
// power failed when such a one was made. Badger, which does not open them, has had its lock
// on the directory when it said so. If one was not empty once, reading shows what it lacks.
func (o *Options) removeEmpty() error {
	logs, err := filepath.Glob(filepath.Join(o.Dir, "*.vlog"))
	if err != nil {
		return err
	}
	for _, name := range logs {
		info, err := os.Stat(name)
		if err != nil {
			return err
		}
		if info.Size() == 0 {
			if err := os.Remove(name); err != nil {
				return err
			}
		}
	}
	return nil
}

// tuned returns Badger's options.
func tuned(o *Options) badger.Options {
	opts := badger.DefaultOptions(o.Dir).
		WithLogger(logger{o.Log}).
		WithMetricsEnabled(false).
		WithDetectConflicts(false).
		WithSyncWrites(false). // Sync does it, for many writes at once
		WithMemTableSize(cmp.Or(o.MemTable, defaultMemTable)).
		WithNumMemtables(2).
		WithNumCompactors(2).
		WithNumLevelZeroTables(4).
		WithNumLevelZeroTablesStall(12).
		WithBaseTableSize(4 << 20).
		WithBaseLevelSize(32 << 20).
		WithValueThreshold(valueThreshold).
		WithValueLogFileSize(64 << 20).
		WithVerifyValueChecksum(true).
		WithChecksumVerificationMode(options.OnBlockRead).
		WithCompression(options.None).
		WithBlockCacheSize(0).
		WithIndexCacheSize(indexCache).
		WithNumGoroutines(2)
	// A table is built in memory, up to ten at a time in buffers of twice its size: those
	// of deep levels must not be larger than the others.
	opts.TableSizeMultiplier = 1
	return opts
}

// Limits implements records.Store. Badger adds an entry of its own to each write.
func (s *Store) Limits() records.Limits {
	return records.Limits{Changes: int(s.db.MaxBatchCount()) - 2, Bytes: int(s.db.MaxBatchSize()) - 64}
}

// Get implements records.Store.
func (s *Store) Get(key []byte, upTo uint64) (value []byte, version uint64, err error) {
	if err := s.users.enter(); err != nil {
		return nil, 0, err
	}
	defer s.users.leave()
	err = s.opts.guarded("read the store", func() error {
		txn := s.db.NewTransactionAt(upTo, false)
		defer txn.Discard()
		item, err := txn.Get(key)
		if err != nil {
			return s.reading(err)
		}
		value, err = s.valueOf(item)
		version = item.Version()
		return err
	})
	return value, version, err
}

// Write implements records.Store.
func (s *Store) Write(version uint64, changes []records.Change) error {
	if !s.Limits().Fits(changes) {
		return fmt.Errorf("write the store: %w: %d changes", records.ErrTooLarge, len(changes))
	}
	if err := s.users.enter(); err != nil {
		return fmt.Errorf("write the store: %w", err)
	}
	defer s.users.leave()
	if err := s.opts.room(); err != nil {
		return fmt.Errorf("write the store: %w", err)
	}
	s.dropping.RLock()
	defer s.dropping.RUnlock()
	size := 0
	err := s.opts.guarded("write the store", func() error {
		txn := s.db.NewTransactionAt(version, true)
		defer txn.Discard()
		for i := range changes {
			size += changes[i].Size()
			var err error
			if c := &changes[i]; c.Delete {
				err = txn.Delete(c.Key)
			} else {
				err = txn.SetEntry(badger.NewEntry(c.Key, c.Value))
			}
			if err != nil {
				return fmt.Errorf("write the store: %w", err)
			}
		}
		if err := txn.CommitAt(version, nil); err != nil {
			return fmt.Errorf("write the store: %w", err)
		}
		return nil
	})
	if err == nil {
		s.written.Add(int64(size))
	}
	return err
}

// Discard implements records.Store. Badger drops versions as it compacts.
func (s *Store) Discard(upTo uint64) { s.db.SetDiscardTs(upTo) }

// Drop implements records.Store. It ends compactions, writes all tables that are in
// memory, and begins again: for whole generations only.
func (s *Store) Drop(prefix []byte) error {
	s.dropping.Lock()
	defer s.dropping.Unlock()
	// Tables in memory become synced ones, but not the values that they point to.
	if err := s.Sync(); err != nil {
		return err
	}
	return s.opts.guarded("drop keys of the store", func() error {
		if err := s.db.DropPrefix(slices.Clone(prefix)); err != nil {
			return fmt.Errorf("drop keys %x of the store: %w", prefix, err)
		}
		return nil
	})
}

// reclaimFrom is the part of a log of values that must be of no use any more before
// the rest of it is written again.
const reclaimFrom = 0.5

// Reclaim implements records.Store. It writes what is left of one log of values, of
// at most 64 MiB, to another, and removes the log.
func (s *Store) Reclaim() (more bool, err error) {
	if err := s.opts.room(); err != nil {
		return false, fmt.Errorf("reclaim room of the store: %w", err)
	}
	s.dropping.RLock()
	defer s.dropping.RUnlock()
	err = s.opts.guarded("reclaim room of the store", func() error { return s.db.RunValueLogGC(reclaimFrom) })
	if errors.Is(err, badger.ErrNoRewrite) || errors.Is(err, badger.ErrRejected) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("reclaim room of the store: %w", err)
	}
	return true, nil
}

// Close implements records.Store.
func (s *Store) Close() error {
	if err := s.users.close(); err != nil {
		return fmt.Errorf("close the store in %s: %w", s.opts.Dir, errors.Join(err, s.Sync()))
	}
	if err := errors.Join(s.Sync(), s.opts.guarded("close the store", s.db.Close)); err != nil {
		return fmt.Errorf("close the store in %s: %w", s.opts.Dir, err)
	}
	return durable.SyncDir(s.opts.Dir)
}
