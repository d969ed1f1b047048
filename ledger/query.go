package ledger

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/decube/decube/ledger/archive"
	"github.com/decube/decube/ledger/body"
	"github.com/decube/decube/ledger/codec"
	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/ledger/quorum"
	"github.com/decube/decube/ledger/receipt"
	"github.com/decube/decube/ledger/sig"
	"github.com/decube/decube/ledger/state"
	"github.com/decube/decube/ledger/tx"
)

// nobody is an Observer that looks away.
type nobody struct{}

func (nobody) Committed(BlockInfo, time.Duration) {}
func (nobody) ViewChanged(uint64, string)         {}
func (nobody) Rejected(tx.Code)                   {}
func (nobody) Synced(int, time.Duration)          {}
func (nobody) Dropped(string)                     {}
func (nobody) Misbehaved(string, sig.PublicKey)   {}

// notify tells whoever waits for a committed block.
func (x *executor) notify(d *pbft.Decision, c *body.Content, latency time.Duration) {
	x.waiters.committed(d, c.IDs())
	x.desk.committed(c.IDs())
	x.observer.Committed(blockInfo(d, len(c.Encoded())), latency)
}

func blockInfo(d *pbft.Decision, bytes int) BlockInfo {
	info := BlockInfo{Header: d.Header, Digest: d.Cert.Digest, View: d.Cert.View, Bytes: bytes}
	for _, s := range d.Cert.Sigs {
		info.Signers = append(info.Signers, s.Replica)
	}
	return info
}

// find returns where a committed transaction is.
func (l *Ledger) find(id tx.ID) (Committed, error) {
	seq, index, err := l.archive.Find(id)
	if err != nil {
		if errors.Is(err, archive.ErrNotFound) {
			return Committed{}, fmt.Errorf("%w: transaction %v", ErrNotFound, id)
		}
		return Committed{}, err
	}
	d, err := l.archive.Decision(seq)
	if err != nil {
		return Committed{}, stored(seq, err)
	}
	return Committed{ID: id, Block: seq, Index: index, Time: time.UnixMilli(d.Header.Time).UTC()}, nil
}

// Block implements API.
func (l *Ledger) Block(_ context.Context, seq uint64) (*Block, error) {
	tip := l.tip.Load()
	if seq == 0 {
		seq = tip.header.Seq
	}
	if seq == 0 || seq > tip.header.Seq {
		return nil, fmt.Errorf("%w: block %d; the last one is %d", ErrNotFound, seq, tip.header.Seq)
	}
	return l.block(seq)
}

func (l *Ledger) block(seq uint64) (*Block, error) {
	d, err := l.archive.Decision(seq)
	if err != nil {
		return nil, stored(seq, err)
	}
	encoded, err := l.archive.Body(seq)
	if errors.Is(err, archive.ErrPruned) {
		return nil, fmt.Errorf("%w: of block %d it has the header and the IDs of transactions; blocks from %d on are whole", ErrPruned, seq, l.archive.Earliest())
	}
	if err != nil {
		return nil, stored(seq, err)
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
	s := l.tip.Load().state
	if owner.IsZero() {
		snap, ok, err := s.Snapshot(root)
		return snap.Origin, ok, err
	}
	r, ok, err := s.Registration(root, owner)
	return r.Origin, ok, err
}

// Name implements API.
func (l *Ledger) Name(_ context.Context, name string) (NameInfo, error) {
	tip := l.tip.Load()
	n, ok, err := tip.state.Name(name)
	if err != nil {
		return NameInfo{}, err
	}
	if !ok {
		return NameInfo{}, fmt.Errorf("%w: nobody holds the name %q", ErrNotFound, name)
	}
	_, proof, err := tip.state.Prove(state.NameKey(name))
	if err != nil {
		return NameInfo{}, err
	}
	encoded, err := proof.AppendBinary(nil)
	return NameInfo{
		Name: name, Owner: n.Holder, Target: n.Target, Offered: n.Offered, Records: n.Records, Proof: encoded, Block: tip.header.Seq,
	}, err
}

// Standing implements API.
func (l *Ledger) Standing(_ context.Context, change tx.Op) (state.Standing, error) {
	return l.tip.Load().state.Standing(change)
}

// NextNonce implements API.
func (l *Ledger) NextNonce(_ context.Context, owner sig.PublicKey) (uint64, error) {
	return l.tip.Load().state.NextNonce(owner)
}

// Receipt implements API.
func (l *Ledger) Receipt(_ context.Context, id tx.ID) ([]byte, error) {
	at, err := l.find(id)
	if err != nil {
		return nil, err
	}
	d, err := l.archive.Decision(at.Block)
	if err != nil {
		return nil, stored(at.Block, err)
	}
	b, err := l.block(at.Block)
	if err != nil {
		return nil, err
	}
	hops, err := l.archive.Path(l.genesis.Set().Digest(), at.Block)
	if err != nil {
		return nil, stored(at.Block, err)
	}
	r, err := receipt.New(l.network, hops, d, b.Transactions.IDs(), at.Index, b.Transactions[at.Index])
	if err != nil {
		return nil, err
	}
	return r.Encode()
}

// Watch implements API.
func (l *Ledger) Watch(ctx context.Context, from uint64) iter.Seq2[*Block, error] {
	if from == 0 {
		from = l.tip.Load().header.Seq + 1
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

// Status implements API.
func (l *Ledger) Status(context.Context) (Status, error) {
	tip := l.tip.Load()
	committee, err := tip.next.Committee()
	if err != nil {
		return Status{}, err
	}
	s := Status{
		Network: l.genesis.Network, Genesis: l.network, Role: RoleFollower, Epoch: tip.epoch,
		Committed: tip.header.Seq, Block: tip.digest, State: tip.header.State, Time: time.UnixMilli(tip.header.Time).UTC(),
		Waiting: l.pool.len(),
		Quorum:  committee.Quorum(), Faulty: committee.Faulty(),
	}
	s.Oldest, _ = l.pool.oldest()
	if stable, err := l.archive.Stable(); err == nil && stable != nil {
		s.Stable = stable.Seq
	}
	if c := l.status.Load(); c != nil {
		s.Role, s.View, s.Changing, s.Leader, s.Stable = RoleValidator, c.view, c.changing, c.leader, max(s.Stable, c.stable)
		if c.recovering {
			s.Role = RoleRecovering
		}
	}
	if why := l.halted.Load(); why != nil {
		s.Role, s.Halted = RoleHalted, *why
	}
	s.Validators = l.validatorStatus(tip)
	s.Problem = l.problem(&s)
	s.Fork = l.forkStatus()
	s.Evidence, err = l.evidence()
	return s, err
}

func (l *Ledger) validatorStatus(tip *head) []ValidatorStatus {
	out := make([]ValidatorStatus, len(tip.next))
	for i, key := range tip.next {
		h := l.heard.of(key)
		v := ValidatorStatus{Replica: quorum.Replica(i), Key: key, Name: l.genesis.Name(key), Self: key == l.self, Committed: h.committed}
		if v.Self {
			v.Committed, v.Heard = tip.header.Seq, time.Now()
		} else if !h.gone {
			v.Heard = h.at
		}
		out[i] = v
	}
	return out
}

// meeting is how long validators have after a start to hear from each other before
// that is a problem.
const meeting = 5 * time.Second

// problem says why nothing commits, as far as this validator can tell.
func (l *Ledger) problem(s *Status) string {
	if s.Role == RoleFollower || s.Role == RoleHalted || time.Since(l.clock.started) < meeting {
		return ""
	}
	reachable := 0
	for _, v := range s.Validators {
		if v.Self || time.Since(v.Heard) < silence {
			reachable++
		}
	}
	if reachable < s.Quorum {
		return fmt.Sprintf("%d of %d validators are in reach, this one included, and %d are needed: nothing commits until others are back",
			reachable, len(s.Validators), s.Quorum)
	}
	if s.Role == RoleRecovering {
		return "this validator has lost its log: it votes again from the next epoch on, which it has asked for"
	}
	return ""
}

func (l *Ledger) evidence() ([]string, error) {
	all, err := l.archive.Evidence()
	if err != nil {
		return nil, err
	}
	var out []string
	for i := range all {
		out = append(out, all[i].String())
	}
	return out, nil
}
