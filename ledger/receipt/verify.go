package receipt

import (
	"fmt"
	"time"

	"github.com/decube/decube/internal/sig"
	"github.com/decube/decube/ledger/genesis"
	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/ledger/quorum"
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

	Set        pbft.Digest // of the validators that order the block
	Signers    []Signer    // who vouches for the block, by replica
	Validators int         // of the set
	Quorum     int         // how many of them it takes

	Trusted pbft.Digest // the set that was believed without proof
	Hops    int         // from that set to the one that orders the block
}

// Signer is a validator that signed the block's certificate.
type Signer struct {
	Replica quorum.Replica
	Key     sig.PublicKey
	Name    string // as the genesis calls the key, or empty
}

// Verify returns what a receipt proves to whoever trusts a set of validators, or an
// error that wraps the sentinels of the part and the reason. All signatures are
// verified together, at the end: what is refused for its form is refused cheaply.
func Verify(r *Receipt, trust Trust, v sig.Checker) (Result, error) {
	a, hops, err := trust.anchor(r)
	if err != nil {
		return Result{}, err
	}
	cluster := trust.genesis.ID()
	if r.Genesis != cluster {
		return Result{}, fmt.Errorf("%w: the receipt is of genesis %v, this is %v", ErrGenesis, r.Genesis, cluster)
	}
	t, err := r.included(cluster)
	if err != nil {
		return Result{}, err
	}
	if err := direct(hops, r.Header.Committee); err != nil {
		return Result{}, err
	}
	var b batch
	if a, err = a.walk(&b, cluster, hops); err != nil {
		return Result{}, err
	}
	if err := a.committed(&b, ErrBlock, cluster, &r.Header, &r.Cert); err != nil {
		return Result{}, fmt.Errorf("%w: %w", ErrBlock, err)
	}
	b.add(sig.Item{Key: t.Owner, Message: t.Statement(), Signature: t.Signature}, func() error {
		return fmt.Errorf("%w: the signature is not that of %v", ErrTransaction, t.Owner)
	})
	if err := b.verify(v); err != nil {
		return Result{}, err
	}
	out := result(r, trust.genesis, &a, t)
	out.Trusted, out.Hops = trust.set, len(hops)
	return out, nil
}

// direct returns an error if hops lead through a set twice: whoever trusts a set needs
// none that lead back to it. It bounds the way by the sets that there have been.
func direct(hops []Hop, last pbft.Digest) error {
	seen := make(map[pbft.Digest]bool, len(hops)+1)
	for i := range hops {
		set := hops[i].Header.Committee
		if seen[set] || set == last {
			return fmt.Errorf("%w: hops lead back to set %s", ErrHop, set.Short())
		}
		seen[set] = true
	}
	return nil
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

func result(r *Receipt, g *genesis.Genesis, a *anchor, t *tx.Transaction) Result {
	out := Result{
		Transaction: t, Owner: t.Owner, Op: t.Op, Network: g.Network,
		Block: r.Header.Seq, Digest: r.Cert.Digest, Epoch: r.Header.Epoch, Time: time.UnixMilli(r.Header.Time).UTC(),
		Set: a.set, Validators: a.committee.Size(), Quorum: a.committee.Quorum(),
	}
	for _, s := range r.Cert.Sigs {
		key := a.validators[s.Replica]
		out.Signers = append(out.Signers, Signer{Replica: s.Replica, Key: key, Name: g.Name(key)})
	}
	return out
}
