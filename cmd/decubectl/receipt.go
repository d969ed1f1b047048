package main

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/decube/decube/api/client"
	"github.com/decube/decube/internal/block"
	"github.com/decube/decube/ledger/genesis"
	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/ledger/receipt"
	"github.com/decube/decube/ledger/sig"
	"github.com/decube/decube/ledger/tx"
)

func (a *app) receiptCommand() *cobra.Command {
	return group("receipt", "Get and verify proofs of what the ledger holds", a.receiptGet(), a.receiptVerify())
}

func (a *app) receiptGet() *cobra.Command {
	var output, owner string
	var force bool
	cmd := &cobra.Command{
		Use:   "get CID|TRANSACTION",
		Short: "Get the receipt of a registration or of a transaction",
		Long: `Gets the receipt of a snapshot's registration, by CID, or of any committed
transaction, by its ID. The receipt is a file that proves, without any node, who had
what ordered and when: see "decubectl receipt verify". It is verified before it is
written, against the genesis that the node has.`,
		Example: `  decubectl receipt get bafyrei... -o photos.receipt
  decubectl receipt get 5f1d... | decubectl receipt verify - --genesis genesis.json`,
		Args: wants(1, 1, "one CID or transaction ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			get, err := a.receiptSource(args[0], owner)
			if err != nil {
				return err
			}
			c, err := a.daemon(cmd.Context())
			if err != nil {
				return err
			}
			data, err := get(cmd.Context(), c)
			if err != nil {
				return err
			}
			g, err := c.Genesis(cmd.Context())
			if err != nil {
				return err
			}
			p, err := prove(data, receipt.FromGenesis(g))
			if err != nil {
				return fmt.Errorf("the node's receipt for %s: %w", args[0], err)
			}
			if err := writeOutput(a, output, data, force); err != nil {
				return fmt.Errorf("writing the receipt: %w", err)
			}
			a.note("%s. Verified against the node's genesis %s.", p.headline(), p.Genesis)
			if output == "-" {
				return nil
			}
			p.File = output
			return a.print(p, func(w io.Writer) { fmt.Fprintln(w, output) })
		},
	}
	cmd.Flags().StringVarP(&output, "output", "o", "-", "write the receipt to a `FILE`, or - for standard output")
	cmd.Flags().StringVar(&owner, "owner", "", "peer ID, the `KEY` of who registered the snapshot; by default the first who did")
	cmd.Flags().BoolVar(&force, "force", false, "write over a file that is there")
	return cmd
}

// receiptSource returns how to get the receipt that an argument names.
func (a *app) receiptSource(arg, owner string) (func(ctx context.Context, c *client.Client) ([]byte, error), error) {
	if isHash(arg) {
		id, err := parseTx(arg)
		if err == nil && owner != "" {
			err = usageError("--owner chooses among the registrations of a snapshot, and %s is a transaction", arg)
		}
		return func(ctx context.Context, c *client.Client) ([]byte, error) { return c.Receipt(ctx, id) }, err
	}
	root, err := parseRoot(arg)
	if err != nil {
		return nil, err
	}
	var key sig.PublicKey
	if owner != "" {
		if key, err = parseKey(owner); err != nil {
			return nil, err
		}
	}
	return func(ctx context.Context, c *client.Client) ([]byte, error) { return c.SnapshotReceipt(ctx, root, key) }, nil
}

func (a *app) receiptVerify() *cobra.Command {
	var genesisFile, cid, owner, trusted string
	cmd := &cobra.Command{
		Use:   "verify FILE|- --genesis FILE",
		Short: "Verify a receipt, without a node and without a network",
		Long: `Verifies a receipt with nothing but the ledger's genesis document, and prints what it
proves: who had what ordered, when, and which validators vouch for it. Whoever trusts
the document need trust nobody else: the receipt has each change of the validators
since. What it shows holds as long as of none of those validator sets two thirds of the
keys, and one more, have been given away, then or since. Exit code 1 and the reason say
that the receipt proves nothing.

Who fears for keys that are no longer in use, or wants to have less to verify, names a
later set with --trust: the one that a receipt verified before has shown as "Validator
set", or that somebody else whom one trusts has. Nothing older is believed then, and the
receipt must be of that set or lead through it.

With --cid the receipt must be of that snapshot's registration, with --owner of
something that this peer signed.`,
		Example: `  decubectl receipt verify photos.receipt --genesis genesis.json
  decubectl receipt verify photos.receipt --genesis genesis.json --cid bafyrei... --json
  decubectl receipt verify photos.receipt --genesis genesis.json --trust 9e107d9d...`,
		Args: wants(1, 1, "one file, or - for standard input"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if genesisFile == "" {
				return usageError("a receipt is verified against the ledger's genesis document: name it with --genesis FILE")
			}
			want, err := parseExpected(cid, owner)
			if err != nil {
				return err
			}
			g, err := readGenesis(genesisFile)
			if err != nil {
				return err
			}
			trust, err := parseTrust(g, trusted)
			if err != nil {
				return err
			}
			data, err := readInput(cmd.Context(), a, args[0], receipt.MaxSize)
			if err != nil {
				return fmt.Errorf("reading the receipt: %w", err)
			}
			p, err := prove(data, trust)
			if err != nil {
				return fmt.Errorf("%s proves nothing: %w", args[0], err)
			}
			if err := want.check(&p); err != nil {
				return fmt.Errorf("%s is a valid receipt, but %w", args[0], err)
			}
			return a.print(p, func(w io.Writer) { p.show(w) })
		},
	}
	cmd.Flags().StringVar(&genesisFile, "genesis", "", "the ledger's genesis document, a `FILE`")
	cmd.Flags().StringVar(&trusted, "trust", "", "begin with the validator `SET` of this digest instead of the genesis's own")
	cmd.Flags().StringVar(&cid, "cid", "", "require that it is the registration of the snapshot with this `CID`")
	cmd.Flags().StringVar(&owner, "owner", "", "require that the peer with this ID, the `KEY`, signed it")
	return cmd
}

// parseTrust returns the trust in a validator set, given by its digest in hexadecimal,
// or in that of the genesis if none is given.
func parseTrust(g *genesis.Genesis, set string) (receipt.Trust, error) {
	if set == "" {
		return receipt.FromGenesis(g), nil
	}
	b, err := hex.DecodeString(set)
	if err != nil || len(b) != len(pbft.Digest{}) {
		return receipt.Trust{}, usageError("%q is not the digest of a validator set: 64 hexadecimal digits", set)
	}
	return receipt.FromSet(g, pbft.Digest(b), nil)
}

// expected is what a receipt must be about; zero fields do not matter.
type expected struct {
	root  block.ID
	owner sig.PublicKey
}

func parseExpected(cid, owner string) (want expected, err error) {
	if cid != "" {
		if want.root, err = parseRoot(cid); err != nil {
			return want, err
		}
	}
	if owner != "" {
		want.owner, err = parseKey(owner)
	}
	return want, err
}

// check returns how a receipt is about something else.
func (want expected) check(p *proved) error {
	op, registers := p.Operation.(tx.SnapshotRegister)
	switch {
	case !want.root.IsZero() && !registers:
		return fmt.Errorf("it registers no snapshot: %s", p.Summary)
	case !want.root.IsZero() && !bytes.Equal(op.Root, want.root.Bytes()):
		return fmt.Errorf("it registers snapshot %s, not %s", op.Root, want.root)
	case !want.owner.IsZero() && p.Owner != want.owner:
		return fmt.Errorf("%s signed it, not %s", p.Owner, want.owner)
	}
	return nil
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
