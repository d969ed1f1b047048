package exec

import (
	"errors"
	"fmt"

	"github.com/decube/decube/ledger/body"
	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/ledger/state"
	"github.com/decube/decube/ledger/tx"
)

// BodyHead is the most bytes that the number of transactions takes in a body beside the
// transactions themselves.
const BodyHead = 2

// Limits are a leader's own for a block that it builds, beside those of the ledger's
// parameters, which bind everybody.
type Limits struct {
	Transactions int
	Bytes        int // of the body, encoded
}

// LimitsOn returns the limits for a block on top of a parent: the parameters', and a
// leader's own where they are narrower. The error is the state reader's.
func LimitsOn(parent *Tip, most Limits) (Limits, error) {
	p, err := parent.State.Params()
	if err != nil {
		return Limits{}, fmt.Errorf("reading the limits of block %d: %w", parent.Header.Seq+1, err)
	}
	return Limits{
		Transactions: min(most.Transactions, int(min(p.MaxBlockTransactions, tx.MaxBatch))),
		Bytes:        min(most.Bytes, int(min(p.MaxBlockBytes, tx.MaxBatchSize))),
	}, nil
}

// Build makes the next block from candidates, in their order, at an instant in Unix
// milliseconds by the leader's clock. Those that do not apply are left out and returned
// as doubtful: what they stand on may be in flight, so that it is for Judge to say on
// the last committed state whether they ever will. Those for which the block has no
// room are left out and are not doubtful. The block is nil when no candidate applies;
// otherwise Check finds it valid on any copy of the parent. The error is the state
// reader's.
func Build(parent *Tip, l Limits, candidates []*tx.Transaction, now int64) (built *Block, doubtful []*tx.Transaction, err error) {
	// Time does not run backwards along a chain, whatever a leader's clock does.
	at := max(now, parent.Header.Time)
	seq := parent.Header.Seq + 1
	applying := parent.State.Begin(seq, at)
	batch, doubtful, err := choose(applying, l, candidates)
	if err != nil {
		return nil, nil, fmt.Errorf("building block %d: %w", seq, err)
	}
	if len(batch) == 0 {
		return nil, doubtful, nil
	}
	after, next, err := applying.Finish()
	if err != nil {
		return nil, nil, fmt.Errorf("building block %d: %w", seq, err)
	}
	content, err := body.FromBatch(batch)
	if err != nil {
		return nil, nil, fmt.Errorf("building block %d: %w", seq, err)
	}
	h := pbft.Header{
		Epoch: parent.Epoch(), Seq: seq, Parent: parent.Digest, Time: at, Count: uint32(len(batch)),
		Body: content.Root(), State: after.Root(), Committee: parent.Header.Following(), Next: digestOf(next),
	}
	return &Block{Tip: Tip{Header: h, Digest: h.Digest(), State: after}, Body: content, Next: next}, doubtful, nil
}

// tooMuch is how many candidates a ledger that grows as fast as it may has no room for
// before no more are tried: they wait, and would be tried again and again.
const tooMuch = 64

// choose applies candidates until the block is full or ends its epoch, and returns those
// that apply and those that do not. A candidate for which there is no room may be
// followed by a smaller one for which there is.
func choose(applying *state.Block, l Limits, candidates []*tx.Transaction) (batch tx.Batch, doubtful []*tx.Transaction, err error) {
	batch = make(tx.Batch, 0, min(len(candidates), max(0, l.Transactions)))
	left, grown := l.Bytes-BodyHead, 0
	for _, t := range candidates {
		if len(batch) >= l.Transactions || grown >= tooMuch {
			break
		}
		if tx.EncodedSize(t) > left {
			continue
		}
		switch err := applying.Apply(t); {
		case err == nil:
			left -= tx.EncodedSize(t)
			batch = append(batch, t)
		case errors.Is(err, state.ErrClosed):
			return batch, doubtful, nil
		case noRoom(err):
		case isRefusal(err):
			doubtful = append(doubtful, t)
			if code, _ := tx.CodeOf(err); code == tx.CodeGrowth {
				grown++
			}
		default:
			return nil, nil, err
		}
	}
	return batch, doubtful, nil
}
