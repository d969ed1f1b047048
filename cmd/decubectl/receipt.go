package main

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/decube/decube/internal/sig"
	"github.com/decube/decube/ledger/receipt"
	"github.com/decube/decube/ledger/tx"
)

func newReceiptCommand(e *env) *cobra.Command {
	return group("receipt", "Get and verify proofs of what the ledger holds", newReceiptGetCommand(e), newReceiptVerifyCommand(e))
}

// proved is what a receipt proves, as it is printed with --json.
type proved struct {
	Verified    bool          `json:"verified"` // always true: what is not is an error
	File        string        `json:"file,omitempty"`
	Genesis     string        `json:"genesis"`
	Network     string        `json:"network"`
	Transaction tx.ID         `json:"transaction"`
	Owner       sig.PublicKey `json:"owner"`
	Nonce       uint64        `json:"nonce"`
	Operation   tx.Op         `json:"operation"`
	Summary     string        `json:"summary"`
	Time        time.Time     `json:"time"`
	Block       uint64        `json:"block"`
	Index       int           `json:"index"`
	Digest      string        `json:"digest"`
	Epoch       uint64        `json:"epoch"`
	Set         string        `json:"validator_set"`
	Trusted     string        `json:"trusted_set"`
	Hops        int           `json:"hops"` // from the one to the other
	Signers     []signer      `json:"signers"`
	Validators  int           `json:"validators"`
	Quorum      int           `json:"quorum"`
}

type signer struct {
	Replica int           `json:"replica"`
	Key     sig.PublicKey `json:"key"`
	Name    string        `json:"name,omitempty"`
}

// prove returns what the file of a receipt proves to whoever trusts a validator set.
func prove(data []byte, trust receipt.Trust) (proved, error) {
	r, err := receipt.Decode(data)
	if err != nil {
		return proved{}, err
	}
	res, err := receipt.Verify(r, trust, sig.NewVerifier(0))
	if errors.Is(err, receipt.ErrGenesis) {
		err = fmt.Errorf("%w; it needs the genesis document of its own ledger", err)
	}
	if err != nil {
		return proved{}, err
	}
	p := proved{
		Verified: true, Genesis: r.Genesis.String(), Network: res.Network,
		Transaction: res.Transaction.ID(), Owner: res.Owner, Nonce: res.Transaction.Nonce,
		Operation: res.Op, Summary: res.Op.Summary(), Time: res.Time,
		Block: res.Block, Index: int(r.Index), Digest: res.Digest.String(), Epoch: res.Epoch,
		Set: res.Set.String(), Trusted: res.Trusted.String(), Hops: res.Hops,
		Signers: make([]signer, len(res.Signers)), Validators: res.Validators, Quorum: res.Quorum,
	}
	for i, s := range res.Signers {
		p.Signers[i] = signer{int(s.Replica), s.Key, s.Name}
	}
	return p, nil
}

// headline says in a sentence what is proved.
func (p *proved) headline() string {
	return fmt.Sprintf("%s: in block %d of %s, at %s", p.Summary, p.Block, p.Network, when(p.Time))
}

// trusting says what is believed without proof, and how far that is from the block.
func (p *proved) trusting() string {
	switch p.Hops {
	case 0:
		return "that set"
	case 1:
		return "set " + p.Trusted + ", which handed over to it"
	default:
		return fmt.Sprintf("set %s, from which %d hand-overs lead to it", p.Trusted, p.Hops)
	}
}

func (p *proved) show(w io.Writer) {
	printFields(w, "What", p.Summary, "Who", p.Owner,
		"When", p.Time.Format(time.RFC3339Nano),
		"Where", fmt.Sprintf("block %d of the ledger %s, transaction %d", p.Block, p.Network, p.Index),
		"Transaction", p.Transaction, "Block digest", p.Digest, "Genesis ID", p.Genesis,
		"Validator set", p.Set, "Trusting", p.trusting(),
		"Vouched for", fmt.Sprintf("by %d of %s of epoch %d; it takes %d",
			len(p.Signers), plural(int64(p.Validators), "validator"), p.Epoch, p.Quorum))
	for _, s := range p.Signers {
		fmt.Fprintln(w, strings.TrimRight(fmt.Sprintf("  %3d  %s  %s", s.Replica, s.Key, s.Name), " "))
	}
}
