package receipt

import (
	"fmt"
	"time"

	"github.com/decube/decube/ledger/genesis"
	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/ledger/quorum"
	"github.com/decube/decube/ledger/sig"
	"github.com/decube/decube/ledger/tx"
)

// Result is what a receipt proves.
type Result struct {
	Transaction *tx.Transaction
	Owner       sig.PublicKey // who asked
	Op          tx.Op         // what was done
	Network     string        // the ledger's name

	Block  uint64      // sequence number
	Digest pbft.Digest // the block's
	Epoch  uint64
	Time   time.Time // when, as a quorum of validators agreed; UTC

	Signers    []Signer // who vouches for the block, by replica
	Validators int      // of the epoch
	Quorum     int      // how many of them it takes
}

// Signer is a validator that signed the block's certificate.
type Signer struct {
	Replica quorum.Replica
	Key     sig.PublicKey
	Name    string // as the genesis calls the key, or empty
}

// Verify returns what a receipt proves to whoever trusts the genesis, or an error
// that wraps the sentinels of the part and the reason. The document must be valid.
// All signatures are verified together, at the end: what is refused for its form
// is refused cheaply.
func Verify(r *Receipt, g *genesis.Genesis, v *sig.Verifier) (Result, error) {
	c, err := NewChain(g, v)
	if err != nil {
		return Result{}, err
	}
	if r.Genesis != c.cluster {
		return Result{}, fmt.Errorf("%w: the receipt is of genesis %v, this is %v", ErrGenesis, r.Genesis, c.cluster)
	}
	t, err := r.included(c.cluster)
	if err != nil {
		return Result{}, err
	}
	var b batch
	e, err := c.walk(&b, r.Transitions)
	if err != nil {
		return Result{}, err
	}
	if err := e.committed(&b, ErrBlock, c.cluster, &r.Header, &r.Cert); err != nil {
		return Result{}, fmt.Errorf("%w: %w", ErrBlock, err)
	}
	b.add(sig.Item{Key: t.Owner, Message: t.Statement(), Signature: t.Signature}, func() error {
		return fmt.Errorf("%w: the signature is not that of %v", ErrTransaction, t.Owner)
	})
	if err := b.verify(v); err != nil {
		return Result{}, err
	}
	return result(r, g, &e, t), nil
}

// included checks that the transaction is for this ledger and in the block, and
// returns it.
func (r *Receipt) included(cluster pbft.Digest) (*tx.Transaction, error) {
	t, err := rebuilt(r.Transaction)
	if err != nil {
		return nil, err
	}
	if t.Network != cluster {
		return nil, fmt.Errorf("%w: the transaction is for network %x, this is %v", ErrGenesis, t.Network, cluster)
	}
	err = tx.VerifyInclusion(t.ID(), uint64(r.Index), uint64(r.Header.Count), r.Proof, r.Header.Body)
	if err != nil {
		return nil, fmt.Errorf("%w %v: %w", ErrInclusion, &r.Header, err)
	}
	return t, nil
}

func result(r *Receipt, g *genesis.Genesis, e *epoch, t *tx.Transaction) Result {
	out := Result{
		Transaction: t, Owner: t.Owner, Op: t.Op, Network: g.Network,
		Block: r.Header.Seq, Digest: r.Cert.Digest, Epoch: e.number, Time: time.UnixMilli(r.Header.Time).UTC(),
		Validators: e.committee.Size(), Quorum: e.committee.Quorum(),
	}
	for _, s := range r.Cert.Sigs {
		key := e.validators[s.Replica]
		out.Signers = append(out.Signers, Signer{Replica: s.Replica, Key: key, Name: g.Name(key)})
	}
	return out
}
