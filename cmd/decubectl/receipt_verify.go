package main

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/decube/decube/block"
	"github.com/decube/decube/internal/sig"
	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/ledger/receipt"
	"github.com/decube/decube/ledger/tx"
)

// receiptVerifyOptions are the inputs of receipt verify.
type receiptVerifyOptions struct {
	file    string // with the receipt, - for standard input
	genesis string // file with the genesis document
	set     pbft.Digest
	want    expected

	// What parse makes set and want of; empty is not given.
	trusted, cid, owner string
}

func newReceiptVerifyCommand(e *env) *cobra.Command {
	o := new(receiptVerifyOptions)
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
		RunE: runs(e, o.parse, o.run),
	}
	cmd.Flags().StringVar(&o.genesis, "genesis", "", "the ledger's genesis document, a `FILE`")
	cmd.Flags().StringVar(&o.trusted, "trust", "", "begin with the validator `SET` of this digest instead of the genesis's own")
	cmd.Flags().StringVar(&o.cid, "cid", "", "require that it is the registration of the snapshot with this `CID`")
	cmd.Flags().StringVar(&o.owner, "owner", "", "require that the peer with this ID, the `KEY`, signed it")
	return cmd
}

func (o *receiptVerifyOptions) parse(args []string) (err error) {
	o.file = args[0]
	if o.genesis == "" {
		return usageError("a receipt is verified against the ledger's genesis document: name it with --genesis FILE")
	}
	if o.want, err = parseExpected(o.cid, o.owner); err != nil {
		return err
	}
	if o.trusted != "" {
		o.set, err = parseSet(o.trusted)
	}
	return err
}

// parseSet reads the digest of a validator set, in hexadecimal.
func parseSet(text string) (pbft.Digest, error) {
	b, err := hex.DecodeString(text)
	if err != nil || len(b) != len(pbft.Digest{}) {
		return pbft.Digest{}, usageError("%q is not the digest of a validator set: 64 hexadecimal digits", text)
	}
	return pbft.Digest(b), nil
}

func (o *receiptVerifyOptions) run(ctx context.Context, e *env) error {
	g, err := readGenesis(o.genesis)
	if err != nil {
		return err
	}
	trust := receipt.FromGenesis(g)
	if o.trusted != "" {
		if trust, err = receipt.FromSet(g, o.set, nil); err != nil {
			return err
		}
	}
	data, err := readInput(ctx, e, o.file, receipt.MaxSize)
	if err != nil {
		return fmt.Errorf("reading the receipt: %w", err)
	}
	p, err := prove(data, trust)
	if err != nil {
		return fmt.Errorf("%s proves nothing: %w", o.file, err)
	}
	if err := o.want.check(&p); err != nil {
		return fmt.Errorf("%s is a valid receipt, but %w", o.file, err)
	}
	return e.print(p, func(w io.Writer) { p.show(w) })
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
