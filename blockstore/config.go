package blockstore

import (
	"fmt"
	"log/slog"

	"github.com/decube/decube/block"
	"github.com/decube/decube/blockstore/internal/kv"
	"github.com/decube/decube/internal/durable"
)

// Config is what an operator may choose. The zero value is not valid; begin with
// Default.
type Config struct {
	// Quota is the most that the store may occupy on the disk, in bytes, index
	// included. 0 means no limit.
	Quota int64
	// MinFree is how much of the disk must stay free, in bytes: blocks are not
	// written when less would be left, and the index is not changed below half of
	// it. It is the headroom in which Badger reorganises the index: Badger writes
	// through memory maps, and a full disk would kill the process. Up to half of it,
	// 64 MiB at most, is set aside in a file, for the store to be opened and
	// collected when others have used up the rest.
	MinFree int64
	// PackSize is the size at which a pack file is complete, in bytes.
	PackSize int64
	// FlushEvery is how many bytes a writer takes before it makes them durable
	// on its own. It bounds what a crash can lose and the memory for what is pending.
	FlushEvery int64
}

const (
	leastFree = 64 << 20
	leastPack = 4 << 20
	mostPack  = 64 << 30
)

// Default returns the configuration that suits most machines.
func Default() Config {
	return Config{
		MinFree:    512 << 20,
		PackSize:   1 << 30,
		FlushEvery: 256 << 20,
	}
}

// Validate reports the first value that is out of range.
func (c Config) Validate() error {
	switch {
	case c.Quota < 0:
		return fmt.Errorf("quota: %d bytes, want 0 (none) or more", c.Quota)
	case c.MinFree < leastFree:
		return fmt.Errorf("min_free: %s, want at least %s", size(c.MinFree), size(leastFree))
	case c.PackSize < leastPack || c.PackSize > mostPack || c.PackSize%durable.Align != 0:
		return fmt.Errorf("pack_size: %d bytes, want a multiple of %d from %s to %s", c.PackSize, durable.Align, size(leastPack), size(mostPack))
	case c.FlushEvery < block.MaxSize:
		return fmt.Errorf("flush_every: %s, want at least %s", size(c.FlushEvery), size(block.MaxSize))
	}
	return nil
}

// Options are what a store may be given when it is opened, and does not need. The zero
// value is of use.
type Options struct {
	// Log is told what an operator should know; nil for nobody.
	Log *slog.Logger
	// Observer is told what happens; nil for nobody.
	Observer Observer
	// ReadOnly makes Open change nothing below the store's directory, which need not
	// be writable. Blocks and pins can be read; what would change them returns
	// ErrReadOnly. The index is copied to where temporary files go, because what a
	// crash has left of it cannot be read without being put in order.
	ReadOnly bool

	// Tests may have another disk and another index.
	fs     durable.FS
	openDB func(dir string, log *slog.Logger) (kv.DB, error)
}

func (o Options) withDefaults() Options {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Observer == nil {
		o.Observer = nopObserver{}
	}
	if o.fs == nil {
		o.fs = durable.OS
	}
	if o.openDB == nil {
		o.openDB = func(dir string, log *slog.Logger) (kv.DB, error) { return kv.Open(dir, log) }
	}
	return o
}
