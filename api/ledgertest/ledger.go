// Package ledgertest is a ledger in memory, for tests of what stands above one.
//
// Its committee's signatures are real, so that its receipts verify under its
// genesis, but there is no consensus: a transaction that is taken is a block of
// its own at once. Nonces, names and registrations are looked after, so that the
// usual rejections come up; other operations are taken without a look at the state.
package ledgertest

import (
	"context"
	"fmt"
	"iter"
	"sync"
	"testing"
	"time"

	"github.com/decube/decube/internal/sig"
	"github.com/decube/decube/ledger"
	"github.com/decube/decube/ledger/genesis"
	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/ledger/quorum"
	"github.com/decube/decube/ledger/receipt"
	"github.com/decube/decube/ledger/state"
	"github.com/decube/decube/ledger/tx"
)

// Validators is the size of the committee. The node is none of them.
const Validators = 4

// interval is the time between two blocks, by their own clocks.
const interval = 250 * time.Millisecond

// Ledger is a ledger in memory. It implements [ledger.API] and may be used
// concurrently.
type Ledger struct {
	// Genesis is the document that made it. It must not be changed.
	Genesis *genesis.Genesis
	// Key is the node's: what [Ledger.Do] signs with.
	Key sig.PrivateKey

	committee [Validators]sig.PrivateKey
	verifier  *sig.Verifier

	mu      sync.Mutex
	changed chan struct{} // closed at every change, and made anew
	problem string
	pruned  uint64
	blocks  []*ledger.Block // that of sequence number s is at s-1
	at      map[tx.ID]ledger.Committed
	nonces  map[sig.PublicKey]uint64
	names   map[string]ledger.NameInfo
	roots   map[string][]*tx.Transaction // first registrations of each owner in order, by root
	terms   map[held]tx.SnapshotRegister // as they are now
}

// held is a snapshot that somebody has registered.
type held struct {
	root  string
	owner sig.PublicKey
}

var _ ledger.API = (*Ledger)(nil)

// New returns an empty ledger. Ledgers of the same network name are the same.
func New(tb testing.TB, network string) *Ledger {
	tb.Helper()
	l := &Ledger{
		Key:      Key('n'),
		verifier: sig.NewVerifier(0),
		changed:  make(chan struct{}),
		at:       map[tx.ID]ledger.Committed{},
		nonces:   map[sig.PublicKey]uint64{},
		names:    map[string]ledger.NameInfo{},
		roots:    map[string][]*tx.Transaction{},
		terms:    map[held]tx.SnapshotRegister{},
	}
	var first []genesis.Validator
	for i, name := range [Validators]string{"alpha", "beta", "gamma", "delta"} {
		l.committee[i] = Key(byte(i))
		first = append(first, genesis.Validator{Key: l.committee[i].Public(), Name: name})
	}
	var err error
	l.Genesis, err = genesis.New(network, time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), first, genesis.DefaultParams())
	if err != nil {
		tb.Fatal(err)
	}
	return l
}

// Key returns one of a fixed set of keys. Those below Validators are the
// committee's, 'n' is the node's.
func Key(n byte) sig.PrivateKey {
	return sig.FromSeed([sig.SeedSize]byte{'t', n})
}

// Stall keeps anything from being committed, for a reason that the status gives;
// an empty one lets the ledger go on.
func (l *Ledger) Stall(problem string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.problem = problem
	l.wake()
}

// Prune forgets blocks up to a sequence number.
func (l *Ledger) Prune(seq uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.pruned = seq
}

// wake lets those that wait for a change look again. l.mu is held.
func (l *Ledger) wake() {
	close(l.changed)
	l.changed = make(chan struct{})
}

// Submit implements [ledger.API].
func (l *Ledger) Submit(ctx context.Context, t *tx.Transaction) (ledger.Committed, error) {
	if err := t.Verify(l.verifier, [32]byte(l.Genesis.ID())); err != nil {
		return ledger.Committed{}, err
	}
	for {
		l.mu.Lock()
		if l.problem == "" {
			defer l.mu.Unlock()
			return l.commit(t)
		}
		changed := l.changed
		l.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return ledger.Committed{}, fmt.Errorf("transaction %s: %w", t.ID(), ledger.ErrUndecided)
		}
	}
}

// Do implements [ledger.API].
func (l *Ledger) Do(ctx context.Context, op tx.Op) (*tx.Transaction, ledger.Committed, error) {
	nonce, err := l.NextNonce(ctx, l.Key.Public())
	if err != nil {
		return nil, ledger.Committed{}, err
	}
	t, err := tx.Sign(l.Key, [32]byte(l.Genesis.ID()), nonce, op)
	if err != nil {
		return nil, ledger.Committed{}, err
	}
	at, err := l.Submit(ctx, t)
	return t, at, err
}

// commit makes a block of a transaction, or says why not. l.mu is held.
func (l *Ledger) commit(t *tx.Transaction) (ledger.Committed, error) {
	if at, ok := l.at[t.ID()]; ok {
		return at, nil
	}
	if next := l.nonces[t.Owner]; t.Nonce < next {
		return ledger.Committed{}, tx.Reject(tx.CodeNonceUsed, "nonce %d, the next is %d", t.Nonce, next)
	}
	if err := l.apply(t); err != nil {
		return ledger.Committed{}, err
	}
	l.nonces[t.Owner] = t.Nonce + 1
	b := l.block(t)
	l.blocks = append(l.blocks, b)
	at := ledger.Committed{ID: t.ID(), Block: b.Header.Seq, Time: time.UnixMilli(b.Header.Time)}
	l.at[t.ID()] = at
	l.wake()
	return at, nil
}

// apply carries out what of an operation others can look up. l.mu is held.
func (l *Ledger) apply(t *tx.Transaction) error {
	switch op := t.Op.(type) {
	case tx.SnapshotRegister:
		return l.register(t, op)
	case tx.NameClaim:
		n, taken := l.names[op.Name]
		if taken && n.Owner != t.Owner {
			return tx.Reject(tx.CodeNameTaken, "%s is held by %s", op.Name, n.Owner)
		}
		if op.Target == "" {
			op.Target = n.Target
		}
		l.names[op.Name] = ledger.NameInfo{
			Name: op.Name, Owner: t.Owner, Target: op.Target, Proof: []byte("proof"), Block: uint64(len(l.blocks)) + 1,
		}
	case tx.NameTransfer:
		n, ok := l.names[op.Name]
		if !ok || n.Owner != t.Owner {
			return tx.Reject(tx.CodeNotOwner, "%s is held by %s", op.Name, n.Owner)
		}
		n.Offered = op.To
		l.names[op.Name] = n
	case tx.NameAccept:
		n := l.names[op.Name]
		if n.Offered != t.Owner {
			return tx.Reject(tx.CodeNotAllowed, "%s is held by %s, who does not offer it to %s", op.Name, n.Owner, t.Owner)
		}
		n.Owner, n.Offered = t.Owner, sig.PublicKey{}
		l.names[op.Name] = n
	}
	return nil
}

// register registers a snapshot, or extends the promise to retain it. l.mu is held.
func (l *Ledger) register(t *tx.Transaction, op tx.SnapshotRegister) error {
	root := string(op.Root)
	key := held{root, t.Owner}
	old, known := l.terms[key]
	switch {
	case !known:
		l.roots[root] = append(l.roots[root], t)
	case op.RetainUntil < old.RetainUntil:
		return tx.Reject(tx.CodeNotAllowed, "the promise cannot be shortened")
	case op.RetainUntil == old.RetainUntil:
		return tx.Reject(tx.CodeAlreadyRegistered, "%s by %s", op.Root, t.Owner)
	case op.Size != old.Size || op.Label != old.Label:
		return tx.Reject(tx.CodeNotAllowed, "it was registered with another size or label")
	}
	l.terms[key] = op
	return nil
}

// block returns the next block, of one transaction, signed by a quorum. l.mu is
// held.
func (l *Ledger) block(t *tx.Transaction) *ledger.Block {
	body := tx.Batch{t}
	h := pbft.Header{
		Seq: uint64(len(l.blocks)) + 1, Time: l.Genesis.Created.Add(time.Duration(len(l.blocks)+1) * interval).UnixMilli(),
		Count: 1, Body: tx.Root(body.IDs()), State: pbft.Digest{1}, Committee: l.Genesis.Set().Digest(),
	}
	genesisHeader := l.Genesis.Header(pbft.Digest{})
	h.Parent = genesisHeader.Digest()
	if n := len(l.blocks); n > 0 {
		h.Parent = l.blocks[n-1].Digest
	}
	cert := pbft.Certificate{Subject: pbft.Subject{Phase: pbft.Commit, Seq: h.Seq, Digest: h.Digest(), State: h.State}}
	statement := cert.Statement(l.Genesis.ID())
	b := &ledger.Block{BlockInfo: ledger.BlockInfo{Header: h, Digest: h.Digest(), Bytes: body.Size()}, Transactions: body}
	for r := 1; r < Validators; r++ {
		replica := quorum.Replica(r)
		cert.Sigs = append(cert.Sigs, pbft.Signed{Replica: replica, Sig: pbft.Signature(l.committee[r].Sign(statement))})
		b.Signers = append(b.Signers, replica)
	}
	b.Cert = cert
	return b
}

// Status implements [ledger.API].
func (l *Ledger) Status(context.Context) (ledger.Status, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	st := ledger.Status{
		Network: l.Genesis.Network, Genesis: l.Genesis.ID(), Role: ledger.RoleFollower, Leader: l.committee[0].Public(),
		Committed: uint64(len(l.blocks)), Time: l.Genesis.Created, Quorum: 3, Faulty: 1, Problem: l.problem, Stuck: l.problem != "",
	}
	if n := len(l.blocks); n > 0 {
		last := l.blocks[n-1]
		st.Block, st.State, st.Time = last.Digest, last.Header.State, time.UnixMilli(last.Header.Time)
	}
	for i := range l.Genesis.Validators {
		v := &l.Genesis.Validators[i]
		st.Validators = append(st.Validators, ledger.ValidatorStatus{
			Replica: quorum.Replica(i),
			Key:     v.Key, Name: v.Name, Committed: st.Committed,
		})
	}
	return st, nil
}

// Block implements [ledger.API].
func (l *Ledger) Block(_ context.Context, seq uint64) (*ledger.Block, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if seq == 0 {
		seq = uint64(len(l.blocks))
	}
	switch {
	case seq == 0 || seq > uint64(len(l.blocks)):
		return nil, ledger.ErrNotFound
	case seq <= l.pruned:
		return nil, ledger.ErrPruned
	}
	return l.blocks[seq-1], nil
}

// Transaction implements [ledger.API].
func (l *Ledger) Transaction(_ context.Context, id tx.ID) (*tx.Transaction, ledger.Committed, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	at, ok := l.at[id]
	if !ok {
		return nil, ledger.Committed{}, ledger.ErrNotFound
	}
	return l.blocks[at.Block-1].Transactions[at.Index], at, nil
}

// Registration implements [ledger.API].
func (l *Ledger) Registration(_ context.Context, root tx.CID, owner sig.PublicKey) (*tx.Transaction, ledger.Committed, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, t := range l.roots[string(root)] {
		if owner.IsZero() || t.Owner == owner {
			return t, l.at[t.ID()], nil
		}
	}
	return nil, ledger.Committed{}, ledger.ErrNotFound
}

// Name implements [ledger.API].
func (l *Ledger) Name(_ context.Context, name string) (ledger.NameInfo, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n, ok := l.names[name]
	if !ok {
		return ledger.NameInfo{}, ledger.ErrNotFound
	}
	return n, nil
}

// Standing implements [ledger.API]. Everybody's vote counts, a change takes effect with
// the third, and votes stay.
func (l *Ledger) Standing(_ context.Context, change tx.Op) (state.Standing, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	votes := 0
	for _, b := range l.blocks {
		for _, t := range b.Transactions {
			if t.Op.Type().Governs() && t.Op == change {
				votes++
			}
		}
	}
	return state.Standing{InEffect: votes >= 3, Votes: votes % 3, Needed: 3}, nil
}

// Candidates implements [ledger.API].
func (l *Ledger) Candidates(ctx context.Context) (open []state.Candidate, _ error) {
	l.mu.Lock()
	voters := map[tx.Op][]sig.PublicKey{}
	var changes []tx.Op
	for _, b := range l.blocks {
		for _, t := range b.Transactions {
			if !t.Op.Type().Governs() {
				continue
			}
			if voters[t.Op] == nil {
				changes = append(changes, t.Op)
			}
			voters[t.Op] = append(voters[t.Op], t.Owner)
		}
	}
	l.mu.Unlock()
	for _, change := range changes {
		if st, err := l.Standing(ctx, change); err == nil && !st.InEffect {
			open = append(open, state.Candidate{Change: change, Voters: voters[change]})
		}
	}
	return open, nil
}

// Receipt implements [ledger.API].
func (l *Ledger) Receipt(_ context.Context, id tx.ID) ([]byte, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	at, ok := l.at[id]
	if !ok {
		return nil, ledger.ErrNotFound
	}
	b := l.blocks[at.Block-1]
	d := &pbft.Decision{Header: b.Header, Cert: b.Cert}
	r, err := receipt.New(l.Genesis.ID(), nil, d, b.Transactions.IDs(), at.Index, b.Transactions[at.Index])
	if err != nil {
		return nil, err
	}
	return r.Encode()
}

// NextNonce implements [ledger.API].
func (l *Ledger) NextNonce(_ context.Context, owner sig.PublicKey) (uint64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.nonces[owner], nil
}

// Watch implements [ledger.API].
func (l *Ledger) Watch(ctx context.Context, from uint64) iter.Seq2[*ledger.Block, error] {
	return func(yield func(*ledger.Block, error) bool) {
		l.mu.Lock()
		next := from
		if from == 0 {
			next = uint64(len(l.blocks)) + 1
		}
		l.mu.Unlock()
		for {
			l.mu.Lock()
			var b *ledger.Block
			if next <= uint64(len(l.blocks)) {
				b = l.blocks[next-1]
			}
			pruned, changed := next <= l.pruned, l.changed
			l.mu.Unlock()
			switch {
			case pruned:
				yield(nil, ledger.ErrPruned)
				return
			case b != nil:
				if !yield(b, nil) {
					return
				}
				next++
				continue
			}
			select {
			case <-changed:
			case <-ctx.Done():
				return
			}
		}
	}
}
