package blocksession

import (
	"context"

	"github.com/decube/decube/block"
	"github.com/decube/decube/blockstore"
)

// Stats counts what was given to a session so far, and what of it the store did
// not hold before.
type Stats = blockstore.WriteStats

// Writer is the write side of a session's store; *blockstore.Writer is one.
// Between its creation and Close nothing that was touched or added is collected.
type Writer interface {
	// Touch reports which blocks are held and keeps those until Close.
	Touch(ctx context.Context, ids []block.ID) ([]bool, error)
	// Add stores a block, not durably before Flush. It calls release exactly once
	// when the bytes are not needed any more, also when it fails.
	Add(ctx context.Context, b block.Block, release func()) error
	// Flush makes everything added so far durable.
	Flush(ctx context.Context) (Stats, error)
	// Close ends the session; what was not flushed may be lost.
	Close() error
}

// Store is what the serving end of a session needs.
type Store interface {
	// NewWriter opens the session's one writer.
	NewWriter(ctx context.Context) (Writer, error)
	// GetUnverified reads a block's bytes, into buf's capacity where they fit, and
	// leaves the verification to the client. With network set, a block that is not
	// held is fetched from the swarm first. It returns an error that wraps
	// block.ErrNotFound when the block cannot be had.
	GetUnverified(ctx context.Context, id block.ID, network bool, buf []byte) ([]byte, error)
	// Heal verifies the stored block and, where it is damaged, sets it aside and
	// fetches it again from the swarm. A sound block is success.
	Heal(ctx context.Context, id block.ID) error
}
