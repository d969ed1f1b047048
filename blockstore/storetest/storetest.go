// Package storetest is the conformance suite of block stores: every
// implementation of the contract of package blockstore runs it.
package storetest

import (
	"context"
	"iter"
	"testing"

	"github.com/decube/decube/block"
	"github.com/decube/decube/blockstore"
)

// Store is what the suite tests. W is the implementation's type of writer.
type Store[W Writer] interface {
	Has(ctx context.Context, ids []block.ID) ([]bool, error)
	Size(ctx context.Context, id block.ID) (int, error)
	Get(ctx context.Context, id block.ID, buf []byte) (block.Block, error)
	GetUnverified(ctx context.Context, id block.ID, buf []byte) ([]byte, error)
	GetSummed(ctx context.Context, id block.ID, buf []byte) ([]byte, error)
	Put(ctx context.Context, blocks ...block.Block) error
	NewWriter(ctx context.Context) (W, error)
	SetPin(ctx context.Context, pin blockstore.Pin) error
	RemovePin(ctx context.Context, root block.ID) error
	Pin(ctx context.Context, root block.ID) (blockstore.Pin, error)
	Pins(ctx context.Context) iter.Seq2[blockstore.Pin, error]
	IDs(ctx context.Context) iter.Seq2[block.ID, error]
	GC(ctx context.Context, opts blockstore.GCOptions) (blockstore.GCResult, error)
	Stat(ctx context.Context) (blockstore.Stat, error)
	Quarantined(ctx context.Context) iter.Seq2[blockstore.Quarantined, error]
	Close() error
}

// Writer is a write session.
type Writer interface {
	Touch(ctx context.Context, ids []block.ID) ([]bool, error)
	Add(ctx context.Context, b block.Block, release func()) error
	Flush(ctx context.Context) (blockstore.WriteStats, error)
	Close() error
}

// Run tests the stores that open returns. Each call opens a new, empty store.
func Run[W Writer](t *testing.T, open func(t *testing.T) Store[W]) {
	t.Helper()
	for _, test := range []struct {
		name string
		run  func(t *testing.T, s Store[W])
	}{
		{"blocks of all sizes come back", testRoundTrip[W]},
		{"what is not there is not found", testNotFound[W]},
		{"a caller's buffer is used", testBuffer[W]},
		{"one digest, two codecs", testCodecs[W]},
		{"a writer's blocks appear with Flush", testFlush[W]},
		{"a writer counts what is new", testStats[W]},
		{"release is called once", testRelease[W]},
		{"touch tells what is held", testTouch[W]},
		{"concurrent puts", testConcurrentPuts[W]},
		{"pins", testPins[W]},
		{"IDs lists all", testIDs[W]},
		{"a collection keeps what is pinned", testGC[W]},
		{"a collection spares open sessions", testGCSessions[W]},
		{"a dry run changes nothing", testDryRun[W]},
		{"a collection tells what it removed", testRemoved[W]},
		{"a collection ends when marking fails", testMarkError[W]},
		{"ended contexts", testContext[W]},
		{"closed stores and writers", testClosed[W]},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := open(t)
			t.Cleanup(func() { _ = s.Close() }) // some tests close it themselves
			test.run(t, s)
		})
	}
}
