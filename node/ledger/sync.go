package ledger

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/netip"

	"github.com/decube/decube/ledger"
	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/ledger/tx"
	"github.com/decube/decube/protocols/statesync"
)

// Peers that follow the ledger ask each other over statesync, whose blobs are the
// ledger's, except that
//
//	head    = genesis ID (32 bytes) | head of the ledger
//	verdict = rejection code of package tx, or 255: not known in time
//
// so that peers of different ledgers notice, and a transaction that may still be
// committed is not mistaken for one that was.

// undecided is the verdict on a transaction whose fate was not known in time.
const undecided = 255

// errOtherLedger is returned for a peer whose genesis is another one.
var errOtherLedger = errors.New("the peer is of another ledger")

// blobs is what a ledger serves to other peers.
type blobs interface {
	ServeHead(ctx context.Context) ([]byte, error)
	ServeBlocks(ctx context.Context, from uint64, follow bool) iter.Seq2[[]byte, error]
	ServeChunk(ctx context.Context, seq uint64, start []byte) ([]byte, error)
	ServeHops(ctx context.Context, from uint64) iter.Seq2[[]byte, error]
	ServeSubmit(ctx context.Context, from netip.Addr, raw []byte) error
}

// servedLedger is what a peer serves of its ledger: a statesync.Source.
type servedLedger struct {
	genesis pbft.Digest
	ledger  func() (blobs, error) // called while statesync runs
}

// Head implements statesync.Source.
func (s servedLedger) Head(ctx context.Context) ([]byte, error) {
	l, err := s.ledger()
	if err != nil {
		return nil, err
	}
	head, err := l.ServeHead(ctx)
	if err != nil {
		return nil, served(err)
	}
	return append(s.genesis[:], head...), nil
}

// Blocks implements statesync.Source.
func (s servedLedger) Blocks(ctx context.Context, from uint64, follow bool) iter.Seq2[[]byte, error] {
	l, err := s.ledger()
	if err != nil {
		return failing(err)
	}
	return translated(l.ServeBlocks(ctx, from, follow), served)
}

// Chunk implements statesync.Source.
func (s servedLedger) Chunk(ctx context.Context, seq uint64, start []byte) ([]byte, error) {
	l, err := s.ledger()
	if err != nil {
		return nil, err
	}
	chunk, err := l.ServeChunk(ctx, seq, start)
	return chunk, served(err)
}

// Hops implements statesync.Source.
func (s servedLedger) Hops(ctx context.Context, from uint64) iter.Seq2[[]byte, error] {
	l, err := s.ledger()
	if err != nil {
		return failing(err)
	}
	return translated(l.ServeHops(ctx, from), served)
}

// Submit implements statesync.Source.
func (s servedLedger) Submit(ctx context.Context, from netip.Addr, raw []byte) (statesync.Verdict, error) {
	l, err := s.ledger()
	if err != nil {
		return statesync.Verdict{}, err
	}
	err = l.ServeSubmit(ctx, from, raw)
	var rejection *tx.Rejection
	switch {
	case err == nil:
		return statesync.Verdict{Code: byte(tx.CodeOK)}, nil
	case errors.As(err, &rejection):
		return statesync.Verdict{Code: byte(rejection.Code), Detail: rejection.Detail}, nil
	case errors.Is(err, ledger.ErrUndecided):
		return statesync.Verdict{Code: undecided}, nil
	default:
		return statesync.Verdict{}, served(err)
	}
}

// Bodies implements statesync.Source. Validators send each other bodies over their
// own streams; followers have no use for what is not committed.
func (s servedLedger) Bodies(context.Context, [32]byte, [][32]byte) iter.Seq2[[]byte, error] {
	return failing(fmt.Errorf("%w: proposals are for validators", statesync.ErrRefused))
}

// failing yields an error alone.
func failing(err error) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) { yield(nil, err) }
}

// served gives the ledger's errors the meaning they have for a client.
func served(err error) error {
	switch {
	case errors.Is(err, ledger.ErrNotFound):
		return fmt.Errorf("%w: %w", statesync.ErrNotFound, err)
	case errors.Is(err, ledger.ErrPruned):
		return fmt.Errorf("%w: %w", statesync.ErrPruned, err)
	}
	return err
}

// syncSource is another peer's ledger: a ledger.Source.
type syncSource struct {
	*statesync.Peer

	genesis pbft.Digest
}

// Head implements ledger.Source. The error is errOtherLedger for a peer whose
// genesis is another.
func (s syncSource) Head(ctx context.Context) ([]byte, error) {
	blob, err := s.Peer.Head(ctx)
	if err != nil {
		return nil, fetched(err)
	}
	var theirs pbft.Digest
	if len(blob) < len(theirs) {
		return nil, fmt.Errorf("%w: a head of %d bytes", statesync.ErrMalformed, len(blob))
	}
	copy(theirs[:], blob)
	if theirs != s.genesis {
		return nil, fmt.Errorf("%w: its genesis is %s, this one's %s; compare the genesis files", errOtherLedger, theirs, s.genesis)
	}
	return blob[len(theirs):], nil
}

// Blocks implements ledger.Source.
func (s syncSource) Blocks(ctx context.Context, r ledger.Range) iter.Seq2[[]byte, error] {
	if r.Count == 0 {
		return translated(s.Follow(ctx, r.From, r.Largest), fetched)
	}
	return translated(s.Peer.Blocks(ctx, r.From, r.Count, r.Largest), fetched)
}

// Chunk implements ledger.Source.
func (s syncSource) Chunk(ctx context.Context, seq uint64, start []byte) ([]byte, error) {
	chunk, err := s.Peer.Chunk(ctx, seq, start)
	return chunk, fetched(err)
}

// Hops implements ledger.Source.
func (s syncSource) Hops(ctx context.Context, from uint64) iter.Seq2[[]byte, error] {
	return translated(s.Peer.Hops(ctx, from), fetched)
}

// Submit implements ledger.Source. What the peer alone is to blame for is no
// rejection: another peer may do better.
func (s syncSource) Submit(ctx context.Context, raw []byte) error {
	verdict, err := s.Peer.Submit(ctx, raw)
	if err != nil {
		return fetched(err)
	}
	switch code := tx.Code(verdict.Code); code {
	case tx.CodeOK:
		return nil
	case undecided:
		return fmt.Errorf("%w: the peer took it", ledger.ErrUndecided)
	case tx.CodeQueueFull, tx.CodeUnavailable:
		return fmt.Errorf("the peer cannot take it: %s: %s", code, verdict.Detail)
	default:
		return tx.Reject(code, "%s", verdict.Detail)
	}
}

// fetched gives a peer's errors the meaning they have for the ledger.
func fetched(err error) error {
	switch {
	case errors.Is(err, statesync.ErrNotFound):
		return fmt.Errorf("%w: %w", ledger.ErrNotFound, err)
	case errors.Is(err, statesync.ErrPruned):
		return fmt.Errorf("%w: %w", ledger.ErrPruned, err)
	case errors.Is(err, statesync.ErrOversize):
		return fmt.Errorf("%w: %w", ledger.ErrOversize, err)
	case errors.Is(err, statesync.ErrMalformed):
		return fmt.Errorf("%w: %w", ledger.ErrBadSource, err)
	}
	return err
}

// translated yields the same items, with other errors.
func translated(items iter.Seq2[[]byte, error], translate func(error) error) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		for item, err := range items {
			if !yield(item, translate(err)) {
				return
			}
		}
	}
}
