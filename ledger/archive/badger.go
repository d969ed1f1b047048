package archive

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"

	"github.com/decube/decube/internal/durable"
)

const (
	// memTableSize is what Badger keeps of the newest changes in memory, at most three
	// times over. It also bounds a transaction, at 15% of it.
	memTableSize = 8 << 20
	// indexCache bounds the tables' indices and filters in memory.
	indexCache = 8 << 20
	// valueThreshold is the size from which values go to the value log. State records
	// are smaller, so that they never do.
	valueThreshold = 80 << 10
	// partSize is the largest part of a body in bytes.
	partSize = 512 << 10
)

// tuned returns options for entries that are written once, most of them digests, in
// a daemon that must stay small.
func tuned(o *Options) badger.Options {
	opts := badger.DefaultOptions(o.Dir).
		WithLogger(logger{o.Log}).
		WithMetricsEnabled(false).
		WithDetectConflicts(false).
		WithSyncWrites(false). // Sync does it, for many blocks at once
		WithMemTableSize(memTableSize).
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
	if o.InMemory {
		opts = opts.WithDir("").WithValueDir("").WithInMemory(true).WithValueThreshold(partSize + 1)
	}
	return opts
}

// Sync makes durable what was appended and put before. After an error nothing more
// can be appended: the archive must be opened again.
//
// Badger's own Sync covers the active log only, not one that was replaced a moment
// ago and is not a synced table yet; so every log in the directory is synced here,
// after the logs of values that they point to. A log that vanishes meanwhile became a
// table, which Badger syncs before it removes the log.
func (a *Archive) Sync() error {
	head := a.chain.Load().head
	if a.opts.InMemory {
		return a.broken()
	}
	a.syncMu.Lock()
	defer a.syncMu.Unlock()
	if err := a.broken(); err != nil {
		return err
	}
	if err := a.syncFiles(); err != nil {
		return a.fail(fmt.Errorf("sync the archive: %w", err))
	}
	if head != nil {
		a.durable.Store(head.Header.Seq + 1)
	}
	return nil
}

func (a *Archive) syncFiles() error {
	names, err := durable.OS.ReadDir(a.opts.Dir)
	if err != nil {
		return err
	}
	last := a.lastLog // of values; only the last one is written, and the names are sorted
	for _, name := range names {
		if strings.HasSuffix(name, ".vlog") && name >= a.lastLog {
			last = name
			if err := a.syncFile(name); err != nil {
				return err
			}
		}
	}
	a.lastLog = last
	for _, name := range names {
		if strings.HasSuffix(name, ".mem") {
			if err := a.syncFile(name); err != nil {
				return err
			}
		}
	}
	if slices.Equal(names, a.synced) {
		return nil
	}
	if err := durable.SyncDir(a.opts.Dir); err != nil {
		return err
	}
	a.synced = names
	return nil
}

func (a *Archive) syncFile(name string) error {
	err := durable.SyncFile(filepath.Join(a.opts.Dir, name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// logger passes Badger's messages on. What Badger calls information is of interest
// to who debugs Badger.
type logger struct{ log *slog.Logger }

func (l logger) Errorf(format string, args ...any) {
	l.log.Error("archive", "badger", text(format, args))
}

func (l logger) Warningf(format string, args ...any) {
	l.log.Warn("archive", "badger", text(format, args))
}

func (l logger) Infof(format string, args ...any) {
	l.log.Debug("archive", "badger", text(format, args))
}
func (l logger) Debugf(string, ...any) {}

func text(format string, args []any) string {
	return strings.TrimSpace(fmt.Sprintf(format, args...))
}
