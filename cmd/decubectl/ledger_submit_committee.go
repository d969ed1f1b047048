package main

import (
	"strconv"

	"github.com/spf13/cobra"

	"github.com/decube/decube/ledger/tx"
)

// submitAddValidatorOptions are the inputs of ledger submit validator.add.
type submitAddValidatorOptions struct {
	submitOptions

	address, replaces string
}

func newSubmitAddValidatorCommand(e *env) *cobra.Command {
	o := new(submitAddValidatorOptions)
	cmd := &cobra.Command{
		Use:   "validator.add KEY",
		Short: "Vote for a new validator",
		Long: `Votes for making a peer a validator, beside the others or in place of one of them, be
it the signer itself. A validator signs this; the vote that makes a quorum for the
same change carries it out. What is printed says whether this one did, or how many are
missing. Votes do not expire.

The address is a part of the change: votes for the same key with different addresses,
or with and without one, do not add up. Agree on the words, or leave the address out.
The node does not sign one that is no multiaddr, or another peer's.

A validator that names its own key for KEY and --replaces takes its place anew, for
which nobody else votes: the committee stays, its epoch ends, and --address is where
it is reached from then on. It can do so three times in a row, and once more for each
10 minutes that pass.`,
		Example: `  decubectl ledger submit validator.add 12D3KooW... --address /dns4/v5.example/tcp/4001
  decubectl ledger submit validator.add 12D3KooW... --replaces 12D3KooX...`,
		Args: wants(1, 1, "one peer ID"),
		RunE: runs(e, o.parse, o.run),
	}
	o.bind(cmd)
	cmd.Flags().StringVar(&o.address, "address", "", "`MULTIADDR` at which the new validator is reached")
	cmd.Flags().StringVar(&o.replaces, "replaces", "", "peer ID, the `KEY` of the validator that leaves for it")
	return cmd
}

func (o *submitAddValidatorOptions) parse(args []string) error {
	key, err := parseKey(args[0])
	if err != nil {
		return err
	}
	op := tx.ValidatorAdd{Key: key, Address: o.address}
	if o.replaces != "" {
		if op.Replaces, err = parseKey(o.replaces); err != nil {
			return err
		}
	}
	return o.set(op)
}

// submitRemoveValidatorOptions are the inputs of ledger submit validator.remove.
type submitRemoveValidatorOptions struct{ submitOptions }

func newSubmitRemoveValidatorCommand(e *env) *cobra.Command {
	o := new(submitRemoveValidatorOptions)
	cmd := &cobra.Command{
		Use:   "validator.remove KEY",
		Short: "Vote for removing a validator",
		Long: `Votes for removing a validator. A validator signs this; the vote that makes a quorum
for the same change carries it out. What is printed says whether this one did, or how
many are missing. Votes do not expire. A validator may leave without the others' votes
where the committee withstands as many faults without it.`,
		Example: "  decubectl ledger submit validator.remove 12D3KooW...",
		Args:    wants(1, 1, "one peer ID"),
		RunE:    runs(e, o.parse, o.run),
	}
	o.bind(cmd)
	return cmd
}

func (o *submitRemoveValidatorOptions) parse(args []string) error {
	key, err := parseKey(args[0])
	if err != nil {
		return err
	}
	return o.set(tx.ValidatorRemove{Key: key})
}

// submitParamOptions are the inputs of ledger submit params.set.
type submitParamOptions struct{ submitOptions }

func newSubmitParamCommand(e *env) *cobra.Command {
	o := new(submitParamOptions)
	cmd := &cobra.Command{
		Use:   "params.set NAME VALUE",
		Short: "Vote for another value of a parameter",
		Long: `Votes for another value of one of the ledger's parameters. A validator signs this; the
vote that makes a quorum for the same value carries it out. What is printed says
whether this one did, or how many are missing. Votes do not expire.`,
		Example: "  decubectl ledger submit params.set max_names_per_owner 2000",
		Args:    wants(2, 2, "a parameter and its value"),
		RunE:    runs(e, o.parse, o.run),
	}
	o.bind(cmd)
	return cmd
}

func (o *submitParamOptions) parse(args []string) error {
	v, err := strconv.ParseUint(args[1], 10, 64)
	if err != nil {
		return usageError("%q is no value of a parameter: want a whole number", args[1])
	}
	return o.set(tx.ParamsSet{Name: args[0], Value: v})
}
