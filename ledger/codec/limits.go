package codec

import (
	"cmp"

	"github.com/decube/decube/ledger/genesis"
	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/ledger/quorum"
	"github.com/decube/decube/ledger/tx"
)

// Limits bound what decoding accepts, before it allocates. A field of 0 stands for
// the most that any ledger has.
type Limits struct {
	// BlockBytes is the most bytes of a block's transactions, encoded.
	BlockBytes int
	// Replicas is the most replicas of a committee.
	Replicas int
	// Window is the most blocks in flight.
	Window int
}

// LimitsOf returns the limits of a ledger with these parameters and a committee of
// at most n replicas, 0 if that is not known.
func LimitsOf(p *genesis.Params, n int) Limits {
	return Limits{BlockBytes: int(p.MaxBlockBytes), Replicas: n, Window: int(p.Window)}
}

// Frame returns the most bytes that a frame may have.
func (l Limits) Frame() int { return l.blockBytes() + genesis.FrameRoom }

func (l Limits) blockBytes() int { return cmp.Or(l.BlockBytes, tx.MaxBatchSize) }

func (l Limits) replicas() int { return cmp.Or(l.Replicas, quorum.MaxReplicas) }

func (l Limits) window() int { return cmp.Or(l.Window, pbft.MaxWindow) }
