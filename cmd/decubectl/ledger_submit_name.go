package main

import (
	"context"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/decube/decube/ledger/tx"
)

// submitClaimOptions are the inputs of ledger submit name.claim.
type submitClaimOptions struct{ submitOptions }

func newSubmitClaimCommand(e *env) *cobra.Command {
	o := new(submitClaimOptions)
	cmd := &cobra.Command{
		Use:   "name.claim NAME [TARGET]",
		Short: "Take a name that nobody holds, or give one's own another target",
		Long: `Takes a name that nobody holds, or gives one of the signer's another target. Without a
target, a name that is the signer's already keeps the one that it has.`,
		Example: "  decubectl ledger submit name.claim photos bafyrei...",
		Args:    wants(1, 2, "a name, and what it is to stand for"),
		RunE:    runs(e, o.parse, o.run),
	}
	o.bind(cmd)
	return cmd
}

func (o *submitClaimOptions) parse(args []string) error {
	op := tx.NameClaim{Name: args[0]}
	if len(args) == 2 {
		op.Target = args[1]
	}
	return o.set(op)
}

// submitTransferOptions are the inputs of ledger submit name.transfer.
type submitTransferOptions struct{ submitOptions }

func newSubmitTransferCommand(e *env) *cobra.Command {
	o := new(submitTransferOptions)
	cmd := &cobra.Command{
		Use:   "name.transfer NAME [PEERID]",
		Short: "Offer a name to somebody else",
		Long: `Offers a name of the signer's to a peer, which becomes its holder by name.accept, and
of the records under it. Until then the signer holds it. An offer takes the place of
the one before; without a peer, the offer is taken back.`,
		Example: "  decubectl ledger submit name.transfer photos 12D3KooW...\n  decubectl ledger submit name.transfer photos",
		Args:    wants(1, 2, "a name, and the peer ID of whom it is offered to"),
		RunE:    runs(e, o.parse, o.run),
	}
	o.bind(cmd)
	return cmd
}

func (o *submitTransferOptions) parse(args []string) (err error) {
	op := tx.NameTransfer{Name: args[0]}
	if len(args) == 2 {
		if op.To, err = parseKey(args[1]); err != nil {
			return err
		}
	}
	return o.set(op)
}

// submitAcceptOptions are the inputs of ledger submit name.accept.
type submitAcceptOptions struct {
	submitOptions

	accept  tx.NameAccept
	records number
}

func newSubmitAcceptCommand(e *env) *cobra.Command {
	o := new(submitAcceptOptions)
	cmd := &cobra.Command{
		Use:   "name.accept NAME",
		Short: "Accept a name that is offered",
		Long: `Makes the signer the holder of a name that its holder has offered to the signer. The
records under the name go with it, and count for the signer from then on: with more
than --records of them, it is not accepted.`,
		Example: "  decubectl ledger submit name.accept photos",
		Args:    wants(1, 1, "one name"),
		RunE:    runs(e, o.parse, o.run),
	}
	o.bind(cmd)
	cmd.Flags().Var(&o.records, "records", "`MOST` records under the name that are accepted with it; by default as many as there are now")
	return cmd
}

func (o *submitAcceptOptions) parse(args []string) error {
	o.accept = tx.NameAccept{Name: args[0], Records: o.records.value}
	return o.set(o.accept)
}

func (o *submitAcceptOptions) run(ctx context.Context, e *env) error {
	if !o.records.given {
		c, err := e.daemon(ctx)
		if err != nil {
			return err
		}
		n, err := c.Name(ctx, o.accept.Name)
		if err != nil {
			return fmt.Errorf("looking up the name %s: %w", o.accept.Name, err)
		}
		o.accept.Records = n.Records
		if err := o.set(o.accept); err != nil {
			return err
		}
	}
	return o.submitOptions.run(ctx, e)
}

// number is a flag's value of which it matters whether it was given, be it as 0.
type number struct {
	value uint64
	given bool
}

// String implements pflag.Value.
func (n *number) String() string { return strconv.FormatUint(n.value, 10) }

// Set implements pflag.Value.
func (n *number) Set(text string) (err error) {
	n.given = true
	n.value, err = strconv.ParseUint(text, 0, 64)
	return err
}

// Type implements pflag.Value.
func (*number) Type() string { return "uint64" }
