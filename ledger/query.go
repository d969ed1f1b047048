package ledger

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/decube/decube/internal/sig"
	"github.com/decube/decube/ledger/archive"
	"github.com/decube/decube/ledger/codec"
	"github.com/decube/decube/ledger/driver"
	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/ledger/receipt"
	"github.com/decube/decube/ledger/state"
	"github.com/decube/decube/ledger/tx"
)

func blockInfo(d *pbft.Decision, bytes int) BlockInfo {
	info := BlockInfo{Header: d.Header, Digest: d.Cert.Digest, View: d.Cert.View, Bytes: bytes}
	for _, s := range d.Cert.Sigs {
		info.Signers = append(info.Signers, s.Replica)
	}
	return info
}

// find returns where a committed transaction is.
func (l *Ledger) find(id tx.ID) (Committed, error) {
	seq, index, err := l.shell.Archive().Find(id)
	if err != nil {
		if errors.Is(err, archive.ErrNotFound) {
			return Committed{}, fmt.Errorf("%w: transaction %v", ErrNotFound, id)
		}
		return Committed{}, err
	}
	d, err := l.shell.Archive().Decision(seq)
	if err != nil {
		return Committed{}, l.stored(seq, err)
	}
	return Committed{ID: id, Block: seq, Index: index, Time: time.UnixMilli(d.Header.Time).UTC()}, nil
}

// Block implements API.
func (l *Ledger) Block(_ context.Context, seq uint64) (*Block, error) {
	tip := l.head()
	if seq == 0 {
		seq = tip.Header.Seq
	}
	if seq == 0 || seq > tip.Header.Seq {
		return nil, fmt.Errorf("%w: block %d; the last one is %d", ErrNotFound, seq, tip.Header.Seq)
	}
	return l.block(seq)
}

func (l *Ledger) block(seq uint64) (*Block, error) {
	d, err := l.shell.Archive().Decision(seq)
	if err != nil {
		return nil, l.stored(seq, err)
	}
	encoded, err := l.shell.Archive().Body(seq)
	if errors.Is(err, archive.ErrPruned) {
		return nil, fmt.Errorf("%w: of block %d it has the header and the IDs of transactions; blocks from %d on are whole", ErrPruned, seq, l.shell.Archive().Earliest())
	}
	if err != nil {
		return nil, l.stored(seq, err)
	}
	batch, err := tx.DecodeBatch(encoded)
	if err != nil {
		return nil, fmt.Errorf("block %d: %w", seq, err)
	}
	return &Block{BlockInfo: blockInfo(d, len(encoded)), Cert: d.Cert, Transactions: batch}, nil
}

// Transaction implements API.
func (l *Ledger) Transaction(_ context.Context, id tx.ID) (*tx.Transaction, Committed, error) {
	at, err := l.find(id)
	if err != nil {
		return nil, at, err
	}
	b, err := l.block(at.Block)
	if err != nil {
		return nil, at, err
	}
	if at.Index >= len(b.Transactions) {
		return nil, at, fmt.Errorf("%w: transaction %d of block %d", archive.ErrCorrupt, at.Index, at.Block)
	}
	return b.Transactions[at.Index], at, nil
}

// Registration implements API.
func (l *Ledger) Registration(ctx context.Context, root tx.CID, owner sig.PublicKey) (*tx.Transaction, Committed, error) {
	origin, ok, err := l.origin(root, owner)
	if err != nil {
		return nil, Committed{}, err
	}
	if !ok {
		return nil, Committed{}, fmt.Errorf("%w: snapshot %v is not registered", ErrNotFound, root)
	}
	return l.Transaction(ctx, origin.Tx)
}

func (l *Ledger) origin(root tx.CID, owner sig.PublicKey) (state.Origin, bool, error) {
	s := l.head().State
	if owner.IsZero() {
		snap, ok, err := s.Snapshot(root)
		return snap.Origin, ok, err
	}
	r, ok, err := s.Registration(root, owner)
	return r.Origin, ok, err
}

// Name implements API.
func (l *Ledger) Name(_ context.Context, name string) (NameInfo, error) {
	tip := l.head()
	n, ok, err := tip.State.Name(name)
	if err != nil {
		return NameInfo{}, err
	}
	if !ok {
		return NameInfo{}, fmt.Errorf("%w: nobody holds the name %q", ErrNotFound, name)
	}
	_, proof, err := tip.State.Prove(state.NameKey(name))
	if err != nil {
		return NameInfo{}, err
	}
	encoded, err := proof.AppendBinary(nil)
	return NameInfo{
		Name: name, Owner: n.Holder, Target: n.Target, Offered: n.Offered, Records: n.Records, Proof: encoded, Block: tip.Header.Seq,
	}, err
}

// Standing implements API.
func (l *Ledger) Standing(_ context.Context, change tx.Op) (state.Standing, error) {
	return l.head().State.Standing(change)
}

// Candidates implements API.
func (l *Ledger) Candidates(context.Context) ([]state.Candidate, error) {
	return l.head().State.Candidates()
}

// NextNonce implements API.
func (l *Ledger) NextNonce(_ context.Context, owner sig.PublicKey) (uint64, error) {
	return l.head().State.NextNonce(owner)
}

// Receipt implements API.
func (l *Ledger) Receipt(_ context.Context, id tx.ID) ([]byte, error) {
	at, err := l.find(id)
	if err != nil {
		return nil, err
	}
	d, err := l.shell.Archive().Decision(at.Block)
	if err != nil {
		return nil, l.stored(at.Block, err)
	}
	b, err := l.block(at.Block)
	if err != nil {
		return nil, err
	}
	hops, err := l.shell.Archive().Path(l.genesis.Set().Digest(), at.Block)
	if err != nil {
		return nil, l.stored(at.Block, err)
	}
	r, err := receipt.New(l.genesis.ID(), hops, d, b.Transactions.IDs(), at.Index, b.Transactions[at.Index])
	if err != nil {
		return nil, err
	}
	return r.Encode()
}

// Watch implements API.
func (l *Ledger) Watch(ctx context.Context, from uint64) iter.Seq2[*Block, error] {
	if from == 0 {
		from = l.head().Header.Seq + 1
	}
	return func(yield func(*Block, error) bool) {
		for blob, err := range l.ServeBlocks(ctx, from, true) {
			if err != nil {
				yield(nil, err)
				return
			}
			x, err := codec.DecodeBlock(blob, codec.Limits{})
			if err != nil {
				yield(nil, err)
				return
			}
			batch, err := tx.DecodeBatch(x.Body)
			if !yield(&Block{BlockInfo: blockInfo(x.Decision, len(x.Body)), Cert: x.Decision.Cert, Transactions: batch}, err) || err != nil {
				return
			}
		}
	}
}

// head returns the last block that is shown.
func (l *Ledger) head() *driver.Head { return l.view.Load().Head }
