package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/decube/decube/api"
	"github.com/decube/decube/internal/block"
	"github.com/decube/decube/internal/config"
	"github.com/decube/decube/ledger/sig"
	"github.com/decube/decube/ledger/tx"
)

// operation returns the command that submits one kind of operation, which parse
// makes of the arguments.
func (a *app) operation(cmd *cobra.Command, parse func(cmd *cobra.Command, args []string) (tx.Op, error)) *cobra.Command {
	f := new(submitFlags)
	f.register(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		op, err := parse(cmd, args)
		if _, rejected := tx.CodeOf(err); err != nil && rejected {
			return rejectedUsage(err)
		}
		if err != nil {
			return err
		}
		return a.submit(cmd, f, op)
	}
	return cmd
}

func (a *app) submitRegister() *cobra.Command {
	var label, retain, length string
	cmd := a.operation(&cobra.Command{
		Use:   "snapshot.register CID",
		Short: "Register a snapshot, so that nobody can deny or redate it",
		Long: `Registers a snapshot under the signer's name, and promises to retain it for as long
as --retain says. "decubectl receipt get" then returns the proof of it.

What is proved is the registration: who asked for it, when, and for which root. That
the signer, or anybody, has the snapshot's blocks, or that they can be fetched, is not
looked at and not proved; nor is the size.`,
		Example: `  decubectl ledger submit snapshot.register bafyrei...
  decubectl ledger submit snapshot.register bafyrei... --label nightly --retain 90d`,
		Args: wants(1, 1, "one CID"),
	}, func(cmd *cobra.Command, args []string) (tx.Op, error) {
		root, err := parseRoot(args[0])
		if err != nil {
			return nil, err
		}
		op := tx.SnapshotRegister{Root: root.Bytes(), Label: label}
		if op.RetainUntil, err = parseRetention(retain, time.Now()); err != nil {
			return nil, usageError("--retain: %w", err)
		}
		if length == "" {
			op.Size, err = a.sizeOf(cmd, root)
			return op, err
		}
		n, err := config.ParseSize(length)
		if err != nil || n < 0 {
			return nil, usageError("--size: %q is no size such as 1073741824 or 1GiB", length)
		}
		op.Size = uint64(n)
		return op, nil
	})
	cmd.Flags().StringVar(&label, "label", "", "name to register the snapshot under")
	cmd.Flags().StringVar(&retain, "retain", "", retainUsage)
	cmd.Flags().StringVar(&length, "size", "", "`BYTES` of the snapshot's files, such as 1GiB; by default what the node knows of it")
	return cmd
}

// sizeOf returns the size of a snapshot as far as the node knows it, else 0.
func (a *app) sizeOf(cmd *cobra.Command, root block.ID) (uint64, error) {
	c, err := a.daemon(cmd.Context())
	if err != nil {
		return 0, err
	}
	snap, err := c.Snapshot(cmd.Context(), root)
	if errors.Is(err, api.ErrNotFound) {
		return 0, nil
	}
	return uint64(max(snap.Bytes, 0)), err
}

const retainUsage = "promise to retain it for so `LONG`, such as 90d, 2w, 1y or 36h, or until a date such as 2030-12-31"

// parseRetention returns until when something is to be retained, in Unix seconds;
// an empty text promises nothing and is 0.
func parseRetention(text string, now time.Time) (int64, error) {
	if text == "" {
		return 0, nil
	}
	until, err := retention(text, now)
	if err != nil {
		return 0, err
	}
	if left := until.Sub(now); left <= 0 || left > maxRetention {
		return 0, fmt.Errorf("%q ends at %s, want a time to come within 100 years", text, until.Format(time.DateOnly))
	}
	return until.Unix(), nil
}

func retention(text string, now time.Time) (time.Time, error) {
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		if until, err := time.Parse(layout, text); err == nil {
			return until, nil
		}
	}
	if d, err := time.ParseDuration(text); err == nil {
		return now.Add(d), nil
	}
	for unit, days := range map[string]int{"d": 1, "w": 7, "y": 365} { // at most one fits
		if digits, ok := strings.CutSuffix(text, unit); ok {
			if n, err := strconv.ParseUint(digits, 10, 16); err == nil {
				return now.AddDate(0, 0, int(n)*days), nil
			}
		}
	}
	return time.Time{}, fmt.Errorf("%q is neither a length such as 90d, 2w, 1y or 36h nor a date such as 2030-12-31", text)
}

func (a *app) submitRetire() *cobra.Command {
	return a.operation(&cobra.Command{
		Use:     "snapshot.retire CID",
		Short:   "Take the registration of a snapshot back",
		Long:    "Takes the signer's registration of a snapshot back, once what it promised to retain is\nover. That it was registered stays provable.",
		Example: "  decubectl ledger submit snapshot.retire bafyrei...",
		Args:    wants(1, 1, "one CID"),
	}, func(cmd *cobra.Command, args []string) (tx.Op, error) {
		root, err := parseRoot(args[0])
		return tx.SnapshotRetire{Root: root.Bytes()}, err
	})
}

func (a *app) submitClaim() *cobra.Command {
	return a.operation(&cobra.Command{
		Use:   "name.claim NAME [TARGET]",
		Short: "Take a name that nobody holds, or give one's own another target",
		Long: `Takes a name that nobody holds, or gives one of the signer's another target. Without a
target, a name that is the signer's already keeps the one that it has.`,
		Example: "  decubectl ledger submit name.claim photos bafyrei...",
		Args:    wants(1, 2, "a name, and what it is to stand for"),
	}, func(_ *cobra.Command, args []string) (tx.Op, error) {
		op := tx.NameClaim{Name: args[0]}
		if len(args) == 2 {
			op.Target = args[1]
		}
		return op, nil
	})
}

func (a *app) submitTransfer() *cobra.Command {
	return a.operation(&cobra.Command{
		Use:   "name.transfer NAME [PEERID]",
		Short: "Offer a name to somebody else",
		Long: `Offers a name of the signer's to a peer, which becomes its holder by name.accept, and
of the records under it. Until then the signer holds it. An offer takes the place of
the one before; without a peer, the offer is taken back.`,
		Example: "  decubectl ledger submit name.transfer photos 12D3KooW...\n  decubectl ledger submit name.transfer photos",
		Args:    wants(1, 2, "a name, and the peer ID of whom it is offered to"),
	}, func(cmd *cobra.Command, args []string) (tx.Op, error) {
		op := tx.NameTransfer{Name: args[0]}
		if len(args) == 1 {
			return op, nil
		}
		var err error
		op.To, err = parseKey(args[1])
		return op, err
	})
}

func (a *app) submitAccept() *cobra.Command {
	var most uint64
	cmd := a.operation(&cobra.Command{
		Use:   "name.accept NAME",
		Short: "Accept a name that is offered",
		Long: `Makes the signer the holder of a name that its holder has offered to the signer. The
records under the name go with it, and count for the signer from then on: with more
than --records of them, it is not accepted.`,
		Example: "  decubectl ledger submit name.accept photos",
		Args:    wants(1, 1, "one name"),
	}, func(cmd *cobra.Command, args []string) (tx.Op, error) {
		op := tx.NameAccept{Name: args[0], Records: most}
		if err := op.Validate(); err != nil || cmd.Flags().Changed("records") {
			return op, err
		}
		c, err := a.daemon(cmd.Context())
		if err != nil {
			return nil, err
		}
		n, err := c.Name(cmd.Context(), op.Name)
		if err != nil {
			return nil, fmt.Errorf("looking up the name %s: %w", op.Name, err)
		}
		op.Records = n.Records
		return op, nil
	})
	cmd.Flags().Uint64Var(&most, "records", 0, "`MOST` records under the name that are accepted with it; by default as many as there are now")
	return cmd
}

func (a *app) submitRecord() *cobra.Command {
	var namespace string
	cmd := a.operation(&cobra.Command{
		Use:   "record.put KEY VALUE|-|@FILE",
		Short: "Write a record of up to 64 KiB",
		Long: `Writes a record among the signer's own or, with --namespace, under a name that the
signer holds, in place of the one with the same key. The value is the argument, what
standard input has (-) or what a file has (@FILE). An empty one takes a record back.`,
		Example: `  decubectl ledger submit record.put contact ops@example.com
  decubectl ledger submit record.put --namespace photos policy @policy.json`,
		Args: wants(2, 2, "a key and a value"),
	}, func(cmd *cobra.Command, args []string) (tx.Op, error) {
		op := tx.RecordPut{Namespace: namespace, Key: args[0], Value: []byte(args[1])}
		file, ok := strings.CutPrefix(args[1], "@")
		if args[1] == "-" {
			file, ok = "-", true
		}
		if !ok {
			return op, nil
		}
		var err error
		if op.Value, err = a.readInput(cmd.Context(), file, tx.MaxValue); err != nil {
			return nil, fmt.Errorf("reading the record's value: %w", err)
		}
		return op, nil
	})
	cmd.Flags().StringVar(&namespace, "namespace", "", "`NAME` to write the record under")
	return cmd
}

func (a *app) submitAddValidator() *cobra.Command {
	var address, replaces string
	cmd := a.operation(&cobra.Command{
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
	}, func(cmd *cobra.Command, args []string) (tx.Op, error) {
		key, err := parseKey(args[0])
		if err != nil {
			return nil, err
		}
		op := tx.ValidatorAdd{Key: key, Address: address}
		if replaces != "" {
			op.Replaces, err = parseKey(replaces)
		}
		return op, err
	})
	cmd.Flags().StringVar(&address, "address", "", "`MULTIADDR` at which the new validator is reached")
	cmd.Flags().StringVar(&replaces, "replaces", "", "peer ID, the `KEY` of the validator that leaves for it")
	return cmd
}

func (a *app) submitRemoveValidator() *cobra.Command {
	return a.operation(&cobra.Command{
		Use:   "validator.remove KEY",
		Short: "Vote for removing a validator",
		Long: `Votes for removing a validator. A validator signs this; the vote that makes a quorum
for the same change carries it out. What is printed says whether this one did, or how
many are missing. Votes do not expire. A validator may leave without the others' votes
where the committee withstands as many faults without it.`,
		Example: "  decubectl ledger submit validator.remove 12D3KooW...",
		Args:    wants(1, 1, "one peer ID"),
	}, func(cmd *cobra.Command, args []string) (tx.Op, error) {
		key, err := parseKey(args[0])
		return tx.ValidatorRemove{Key: key}, err
	})
}

func (a *app) submitParam() *cobra.Command {
	return a.operation(&cobra.Command{
		Use:   "params.set NAME VALUE",
		Short: "Vote for another value of a parameter",
		Long: `Votes for another value of one of the ledger's parameters. A validator signs this; the
vote that makes a quorum for the same value carries it out. What is printed says
whether this one did, or how many are missing. Votes do not expire.`,
		Example: "  decubectl ledger submit params.set max_names_per_owner 2000",
		Args:    wants(2, 2, "a parameter and its value"),
	}, func(cmd *cobra.Command, args []string) (tx.Op, error) {
		v, err := strconv.ParseUint(args[1], 10, 64)
		if err != nil {
			return nil, usageError("%q is no value of a parameter: want a whole number", args[1])
		}
		return tx.ParamsSet{Name: args[0], Value: v}, nil
	})
}

// parseKey reads an argument that names somebody by peer ID.
func parseKey(arg string) (sig.PublicKey, error) {
	key, err := sig.ParsePublicKey(arg)
	if err != nil {
		return sig.PublicKey{}, usageError("%w; \"decubectl id\" prints a node's", err)
	}
	return key, nil
}
