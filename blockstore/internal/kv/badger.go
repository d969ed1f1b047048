package kv

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"

	"github.com/decube/decube/internal/durable"
)

// memTableSize is what Badger keeps of the newest changes in memory, at most
// three times over. It also bounds a transaction, at 15% of it.
const memTableSize = 8 << 20

// Badger is a DB in a directory of its own.
type Badger struct {
	db  *badger.DB
	dir string

	syncMu sync.Mutex
	synced []string // the names in dir that are known to be durable
}

var _ DB = (*Badger)(nil)

// Open opens or creates the database in dir. Only one process may have it open.
func Open(dir string, log *slog.Logger) (*Badger, error) {
	if err := durable.OS.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	if err := dropEmptyLogs(dir); err != nil {
		return nil, fmt.Errorf("open the index in %s: %w", dir, err)
	}
	db, err := badger.Open(tuned(dir, log))
	if err != nil {
		return nil, fmt.Errorf("open the index in %s: %w", dir, err)
	}
	if err := durable.SyncDir(dir); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return &Badger{db: db, dir: dir}, nil
}

// dropEmptyLogs removes logs without a byte. One is left by a process that is killed
// between making it and giving it its length, and Badger takes it for damage.
func dropEmptyLogs(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if ext := filepath.Ext(e.Name()); ext != ".mem" && ext != ".vlog" {
			continue
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		if info.Size() > 0 {
			continue
		}
		if err := os.Remove(filepath.Join(dir, e.Name())); err != nil {
			return err
		}
	}
	return nil
}

// tuned returns options for an index of small, incompressible entries in a
// daemon that must stay small. Values never go to the value log: it exists but
// stays empty. Nothing needs conflict detection: whoever reads in order to
// write holds the block store's own lock.
func tuned(dir string, log *slog.Logger) badger.Options {
	return badger.DefaultOptions(dir).
		WithLogger(logger{log}).
		WithMetricsEnabled(false).
		WithDetectConflicts(false).
		WithSyncWrites(false). // Sync does it, for many changes at once
		WithMemTableSize(memTableSize).
		WithNumMemtables(2).
		WithNumCompactors(2).
		WithNumLevelZeroTables(4).
		WithNumLevelZeroTablesStall(12).
		WithBaseTableSize(4 << 20).
		WithBaseLevelSize(16 << 20).
		WithValueThreshold(1 << 20).
		WithValueLogFileSize(16 << 20).
		WithCompression(options.None).
		WithBlockCacheSize(0).
		WithIndexCacheSize(0).
		WithNumGoroutines(2)
}

// Get implements DB.
func (b *Badger) Get(key []byte, fn func([]byte) error) error {
	return b.db.View(func(txn *badger.Txn) error {
		item, err := txn.Get(key)
		if errors.Is(err, badger.ErrKeyNotFound) {
			return ErrNotFound
		}
		if err != nil {
			return err
		}
		return item.Value(fn)
	})
}

// GetMany implements DB.
func (b *Badger) GetMany(keys [][]byte, fn func(int, []byte) error) error {
	return b.db.View(func(txn *badger.Txn) error {
		for i, key := range keys {
			item, err := txn.Get(key)
			if errors.Is(err, badger.ErrKeyNotFound) {
				continue
			}
			if err != nil {
				return err
			}
			if err := item.Value(func(val []byte) error { return fn(i, val) }); err != nil {
				return err
			}
		}
		return nil
	})
}

// Apply implements DB.
func (b *Badger) Apply(batch *Batch) error {
	if batch.Len() == 0 {
		return nil
	}
	for _, op := range batch.Ops {
		if len(op.Val) > MaxValue {
			return fmt.Errorf("%w: %d bytes, the limit is %d", ErrTooLarge, len(op.Val), MaxValue)
		}
	}
	txn := b.db.NewTransaction(true)
	defer func() { txn.Discard() }()
	for _, op := range batch.Ops {
		err := put(txn, op)
		if errors.Is(err, badger.ErrTxnTooBig) {
			if err := txn.Commit(); err != nil {
				return fmt.Errorf("write the index: %w", err)
			}
			txn = b.db.NewTransaction(true)
			err = put(txn, op)
		}
		if err != nil {
			return fmt.Errorf("write the index: %w", err)
		}
	}
	if err := txn.Commit(); err != nil {
		return fmt.Errorf("write the index: %w", err)
	}
	return nil
}

func put(txn *badger.Txn, op Op) error {
	if op.Val == nil {
		return txn.Delete(op.Key)
	}
	return txn.SetEntry(badger.NewEntry(op.Key, op.Val))
}

// Sync implements DB. Badger's own Sync covers the active log only, not one that
// was replaced a moment ago and is not a synced table yet; so every log in the
// directory is synced here. A log that vanishes meanwhile became a table, which
// Badger syncs before it removes the log. Names are synced when they changed.
func (b *Badger) Sync() error {
	b.syncMu.Lock()
	defer b.syncMu.Unlock()
	names, err := durable.OS.ReadDir(b.dir)
	if err != nil {
		return fmt.Errorf("sync the index: %w", err)
	}
	for _, name := range names {
		if !strings.HasSuffix(name, ".mem") {
			continue
		}
		err := durable.SyncFile(filepath.Join(b.dir, name))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("sync the index: %w", err)
		}
	}
	if slices.Equal(names, b.synced) {
		return nil
	}
	if err := durable.SyncDir(b.dir); err != nil {
		return fmt.Errorf("sync the index: %w", err)
	}
	b.synced = names
	return nil
}

// Scan implements DB.
func (b *Badger) Scan(ctx context.Context, r Range, fn func(key, val []byte) error) error {
	return b.db.View(func(txn *badger.Txn) error {
		opts := badger.DefaultIteratorOptions
		opts.Prefix = bytes.Clone(r.Prefix)
		opts.PrefetchValues = false // values lie beside their keys
		it := txn.NewIterator(opts)
		defer it.Close()
		from := opts.Prefix
		if len(r.From) > 0 {
			from = bytes.Clone(r.From)
		}
		n := 0
		for it.Seek(from); it.Valid(); it.Next() {
			if n++; n%256 == 0 && ctx.Err() != nil {
				return ctx.Err()
			}
			item := it.Item()
			call := func(val []byte) error { return fn(item.Key(), val) }
			var err error
			if r.KeysOnly {
				err = call(nil)
			} else {
				err = item.Value(call)
			}
			if err != nil {
				return err
			}
		}
		return ctx.Err()
	})
}

// Size implements DB.
func (b *Badger) Size() (int64, error) {
	entries, err := os.ReadDir(b.dir)
	if err != nil {
		return 0, fmt.Errorf("size of the index: %w", err)
	}
	var total int64
	for _, e := range entries {
		n, err := durable.DiskUsage(filepath.Join(b.dir, e.Name()))
		if err != nil && !errors.Is(err, fs.ErrNotExist) { // compaction removes files
			return 0, fmt.Errorf("size of the index: %w", err)
		}
		total += n
	}
	return total, nil
}

// Close implements DB.
func (b *Badger) Close() error {
	if err := b.db.Close(); err != nil {
		return fmt.Errorf("close the index in %s: %w", b.dir, err)
	}
	return durable.SyncDir(b.dir)
}

// logger passes Badger's messages on. What Badger calls information is of
// interest to who debugs Badger.
type logger struct{ log *slog.Logger }

func (l logger) Errorf(format string, args ...any) {
	l.log.Error("index", "badger", text(format, args))
}

func (l logger) Warningf(format string, args ...any) {
	l.log.Warn("index", "badger", text(format, args))
}

func (l logger) Infof(format string, args ...any) { l.log.Debug("index", "badger", text(format, args)) }
func (l logger) Debugf(string, ...any)            {}

func text(format string, args []any) string {
	return strings.TrimSpace(fmt.Sprintf(format, args...))
}
