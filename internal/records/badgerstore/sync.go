package badgerstore

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"

	"github.com/decube/decube/internal/durable"
)

// releaseAfter is how many bytes are written before the pages of tables and logs are
// taken out of memory again. Compactions touch ten times as much and more.
const releaseAfter = 4 << 20

// Sync implements records.Store.
//
// Badger's own Sync covers the active log only, not one that was replaced a moment
// ago and is not a synced table yet; so every log in the directory is synced here,
// after the logs of values that they point to. A log that vanishes meanwhile became a
// table, which Badger syncs before it removes the log.
func (s *Store) Sync() error {
	s.syncing.Lock()
	defer s.syncing.Unlock()
	if err := s.syncFiles(); err != nil {
		return fmt.Errorf("sync the store: %w", err)
	}
	if s.written.Load() < releaseAfter {
		return nil
	}
	s.written.Store(0)
	// That pages stay in memory is no reason to fail.
	if err := s.release(); err != nil {
		s.opts.Log.Warn("store: memory is not released", "err", err)
	}
	return nil
}

func (s *Store) syncFiles() error {
	names, err := durable.OS.ReadDir(s.opts.Dir)
	if err != nil {
		return err
	}
	last := s.lastLog // of values; only the last one is written, and the names are sorted
	for _, name := range names {
		if strings.HasSuffix(name, ".vlog") && name >= s.lastLog {
			last = name
			if err := s.syncFile(name); err != nil {
				return err
			}
		}
	}
	s.lastLog = last
	for _, name := range names {
		if strings.HasSuffix(name, ".mem") {
			if err := s.syncFile(name); err != nil {
				return err
			}
		}
	}
	if slices.Equal(names, s.synced) {
		return nil
	}
	if err := durable.SyncDir(s.opts.Dir); err != nil {
		return err
	}
	s.synced = names
	return nil
}

func (s *Store) syncFile(name string) error {
	err := durable.SyncFile(filepath.Join(s.opts.Dir, name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// logger passes Badger's messages on. What Badger calls information is of interest
// to who debugs Badger.
type logger struct{ log *slog.Logger }

func (l logger) Errorf(format string, args ...any) {
	l.log.Error("store", "badger", text(format, args))
}

func (l logger) Warningf(format string, args ...any) {
	l.log.Warn("store", "badger", text(format, args))
}

func (l logger) Infof(format string, args ...any) {
	l.log.Debug("store", "badger", text(format, args))
}
func (l logger) Debugf(string, ...any) {}

func text(format string, args []any) string {
	return printable(fmt.Sprintf(format, args...))
}
