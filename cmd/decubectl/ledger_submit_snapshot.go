package main

import (
	"context"
	"errors"
	"time"

	"github.com/spf13/cobra"

	"github.com/decube/decube/api"
	"github.com/decube/decube/block"
	"github.com/decube/decube/internal/config"
	"github.com/decube/decube/ledger/tx"
)

// submitRegisterOptions are the inputs of ledger submit snapshot.register.
type submitRegisterOptions struct {
	submitOptions

	root          block.ID
	register      tx.SnapshotRegister // what parse makes of the rest
	label, retain string
	length        string // in bytes, or empty for what the node knows
}

func newSubmitRegisterCommand(e *env) *cobra.Command {
	o := new(submitRegisterOptions)
	cmd := &cobra.Command{
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
		RunE: runs(e, o.parse, o.run),
	}
	o.bind(cmd)
	cmd.Flags().StringVar(&o.label, "label", "", "name to register the snapshot under")
	cmd.Flags().StringVar(&o.retain, "retain", "", retainUsage)
	cmd.Flags().StringVar(&o.length, "size", "", "`BYTES` of the snapshot's files, such as 1GiB; by default what the node knows of it")
	return cmd
}

func (o *submitRegisterOptions) parse(args []string) (err error) {
	if o.root, err = parseRoot(args[0]); err != nil {
		return err
	}
	o.register = tx.SnapshotRegister{Root: o.root.Bytes(), Label: o.label}
	if o.register.RetainUntil, err = parseRetention(o.retain, time.Now()); err != nil {
		return usageError("--retain: %w", err)
	}
	if o.length != "" {
		n, err := config.ParseSize(o.length)
		if err != nil || n < 0 {
			return usageError("--size: %q is no size such as 1073741824 or 1GiB", o.length)
		}
		o.register.Size = uint64(n)
	}
	return o.set(o.register)
}

func (o *submitRegisterOptions) run(ctx context.Context, e *env) error {
	if o.length == "" {
		var err error
		if o.register.Size, err = sizeOf(ctx, e, o.root); err != nil {
			return err
		}
		if err := o.set(o.register); err != nil {
			return err
		}
	}
	return o.submitOptions.run(ctx, e)
}

// sizeOf returns the size of a snapshot as far as the node knows it, else 0.
func sizeOf(ctx context.Context, e *env, root block.ID) (uint64, error) {
	c, err := e.daemon(ctx)
	if err != nil {
		return 0, err
	}
	snap, err := c.Snapshot(ctx, root)
	if errors.Is(err, api.ErrNotFound) {
		return 0, nil
	}
	return uint64(max(snap.Bytes, 0)), err
}

// submitRetireOptions are the inputs of ledger submit snapshot.retire.
type submitRetireOptions struct{ submitOptions }

func newSubmitRetireCommand(e *env) *cobra.Command {
	o := new(submitRetireOptions)
	cmd := &cobra.Command{
		Use:     "snapshot.retire CID",
		Short:   "Take the registration of a snapshot back",
		Long:    "Takes the signer's registration of a snapshot back, once what it promised to retain is\nover. That it was registered stays provable.",
		Example: "  decubectl ledger submit snapshot.retire bafyrei...",
		Args:    wants(1, 1, "one CID"),
		RunE:    runs(e, o.parse, o.run),
	}
	o.bind(cmd)
	return cmd
}

func (o *submitRetireOptions) parse(args []string) error {
	root, err := parseRoot(args[0])
	if err != nil {
		return err
	}
	return o.set(tx.SnapshotRetire{Root: root.Bytes()})
}
