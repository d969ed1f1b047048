package shell

import (
	"errors"
	"fmt"
	"iter"

	"github.com/decube/decube/ledger/archive"
	"github.com/decube/decube/ledger/codec"
	"github.com/decube/decube/ledger/genesis"
	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/ledger/receipt"
)

// What this peer serves to others, out of the archive. Whoever asks verifies what it
// gets. All of it is safe for concurrent use with all else.

// Head returns how far this peer is, as a [codec.Head].
func (s *Shell) Head() ([]byte, error) {
	head, _ := s.archive.Head()
	tip, err := s.archive.Decision(head)
	if err != nil {
		return nil, err
	}
	h := codec.Head{Tip: tip, Earliest: s.archive.Earliest()}
	if at, ok := s.archive.StateSeq(); ok && at > 0 {
		if h.Checkpoint, err = s.archive.Decision(at); err != nil {
			return nil, err
		}
		if h.End, err = s.endBefore(h.Checkpoint); err != nil {
			return nil, err
		}
	}
	return codec.AppendHead(nil, &h), nil
}

// endBefore returns the last block of the epoch before a checkpoint's, or nil.
func (s *Shell) endBefore(checkpoint *pbft.Decision) (*pbft.Decision, error) {
	if checkpoint == nil || checkpoint.Header.Epoch == 0 {
		return nil, nil // there is none
	}
	d, err := s.archive.EpochEnd(checkpoint.Header.Epoch - 1)
	if errors.Is(err, archive.ErrNotFound) {
		return nil, nil // the checkpoint ends its own epoch, and was installed here itself
	}
	return d, err
}

// Block returns a block as a [codec.Block]. The error wraps archive.ErrNotFound for one
// beyond the head and archive.ErrPruned for one that is no longer here.
func (s *Shell) Block(seq uint64) ([]byte, error) {
	d, err := s.archive.Decision(seq)
	if err != nil {
		return nil, err
	}
	body, err := s.archive.Body(seq)
	if err != nil {
		return nil, err
	}
	var next genesis.ValidatorSet
	if receipt.Leads(&d.Header) {
		hop, err := s.archive.Hop(seq)
		if err != nil {
			return nil, err
		}
		next = hop.Validators
	}
	return codec.AppendBlock(nil, &codec.Block{Decision: d, Body: body, Next: next}), nil
}

// chunkSize is about how large a part of the state is that is served at a time, in bytes.
const chunkSize = 1 << 20

// Chunk returns the part of the state at a checkpoint that begins with a path, of which
// bytes that are left out are zero. The errors are as Block's.
func (s *Shell) Chunk(seq uint64, start []byte) ([]byte, error) {
	m, err := s.archive.StateAt(seq)
	if err != nil {
		return nil, err
	}
	var path [32]byte
	if len(start) > len(path) {
		return nil, fmt.Errorf("%w: a path of %d bytes", archive.ErrNotFound, len(start))
	}
	copy(path[:], start)
	c, err := m.Chunk(path, chunkSize)
	if err != nil {
		return nil, err
	}
	return c.AppendBinary(nil)
}

// Hops yields the changes of the validators from a block on, as codec.AppendHop writes
// each. An error ends it.
func (s *Shell) Hops(from uint64) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		for hop, err := range s.archive.Hops(from) {
			if err != nil {
				yield(nil, err)
				return
			}
			if !yield(codec.AppendHop(nil, &hop), nil) {
				return
			}
		}
	}
}
