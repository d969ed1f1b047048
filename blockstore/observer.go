package blockstore

import (
	"time"

	"github.com/decube/decube/block"
)

// Observer is told what a store does. Its methods are called from many
// goroutines, must return soon and must not call the store.
type Observer interface {
	// Flushed is called after a commit: blocks of so many bytes became durable.
	Flushed(blocks int, bytes int64, took time.Duration)
	// Read is called after a block of so many bytes was read.
	Read(bytes int)
	// Corrupted is called for each block put into quarantine.
	Corrupted(id block.ID, err error)
	// Refused is called when a write was refused for want of space or quota.
	Refused(err error)
	// Collected is called after a garbage collection.
	Collected(res GCResult)
}

type nopObserver struct{}

func (nopObserver) Flushed(int, int64, time.Duration) {}
func (nopObserver) Read(int)                          {}
func (nopObserver) Corrupted(block.ID, error)         {}
func (nopObserver) Refused(error)                     {}
func (nopObserver) Collected(GCResult)                {}

// Progress is a report about long work.
type Progress struct {
	Stage string // what is being done, in a word or two
	Done  int64
	Total int64 // 0 when not known
}

// report calls fn if there is one.
func report(fn func(Progress), p Progress) {
	if fn != nil {
		fn(p)
	}
}
