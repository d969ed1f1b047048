package receipt

import (
	"fmt"

	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/ledger/tx"
)

// Receipt proves that a transaction is in a committed block of a ledger. It may
// say anything; what it proves is for [Verify] to find out. It must not change
// while it is in use.
type Receipt struct {
	Genesis     pbft.Digest // ID of the ledger's genesis
	Transaction *tx.Transaction
	Index       uint32   // the transaction's place in the block
	Proof       tx.Proof // of that
	Header      pbft.Header
	Cert        pbft.Certificate
	Hops        []Hop // from the genesis's validators to those who order the block, in order
}

// New returns the receipt for the i-th transaction of a committed block, whose
// body has the IDs given. It returns ErrInclusion when that is another
// transaction; whether the rest holds is for [Verify]. Nothing is copied.
func New(genesisID pbft.Digest, hops []Hop, d *pbft.Decision, ids []tx.ID, i int, t *tx.Transaction) (*Receipt, error) {
	proof, err := tx.ProveInclusion(ids, i)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInclusion, err)
	}
	if ids[i] != t.ID() {
		return nil, fmt.Errorf("%w: at %d of %v is %v, not %v", ErrInclusion, i, &d.Header, ids[i], t.ID())
	}
	return &Receipt{
		Genesis:     genesisID,
		Transaction: t,
		Index:       uint32(i),
		Proof:       proof,
		Header:      d.Header,
		Cert:        d.Cert,
		Hops:        hops,
	}, nil
}

// rebuilt returns the transaction that the fields make, which are what people read
// and what a program goes by. It is another than the one given when somebody has
// changed a field.
func rebuilt(t *tx.Transaction) (*tx.Transaction, error) {
	if t == nil {
		return nil, fmt.Errorf("%w: no transaction", ErrMalformed)
	}
	got, err := tx.New(t.Network, t.Owner, t.Nonce, t.Op, t.Signature)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrTransaction, err)
	}
	return got, nil
}
