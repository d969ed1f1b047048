package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/decube/decube/api"
	"github.com/decube/decube/api/client"
	"github.com/decube/decube/internal/repo"
	"github.com/decube/decube/internal/sig"
	"github.com/decube/decube/ledger/receipt"
	"github.com/decube/decube/ledger/tx"
	"github.com/decube/decube/snapshot/create"
)

// Whether snapshot create registers the snapshot in the ledger.
const (
	registerAuto = "auto" // where there is a ledger that commits
	registerYes  = "yes"
	registerNo   = "no"
)

// registerWait is how long a snapshot's registration is waited for where it is no
// condition.
const registerWait = 10 * time.Second

// registration is what became of a snapshot in the ledger.
type registration struct {
	Registered  bool       `json:"registered"`
	Before      bool       `json:"before,omitempty"` // it was registered already
	Transaction string     `json:"transaction,omitempty"`
	Block       uint64     `json:"block,omitempty"`
	Time        *time.Time `json:"time,omitempty"`
	Seconds     float64    `json:"seconds,omitempty"` // until it was final
	Problem     string     `json:"problem,omitempty"` // why it is not registered
}

// registerOptions are the inputs of snapshot create about the ledger.
type registerOptions struct {
	mode        string // registerAuto, registerYes or registerNo
	retain      string
	retainUntil int64 // of retain, Unix seconds
}

func (o *registerOptions) bind(cmd *cobra.Command) {
	cmd.Flags().StringVar(&o.mode, "register", registerAuto, "register the snapshot in the swarm's ledger: auto, yes or no")
	cmd.Flags().StringVar(&o.retain, "retain", "", retainUsage+"; for the registration")
}

func (o *registerOptions) parse(now time.Time) error {
	switch o.mode {
	case registerAuto, registerYes, registerNo:
	default:
		return usageError("--register: %q, want auto, yes or no", o.mode)
	}
	if o.mode == registerNo && o.retain != "" {
		return usageError("--retain is a promise that is registered, and --register=no asks for no registration")
	}
	var err error
	if o.retainUntil, err = parseRetention(o.retain, now); err != nil {
		return usageError("--retain: %w", err)
	}
	return nil
}

// register registers a snapshot that the node keeps, as far as the flags ask for
// it. It returns nil where that is not at all. The error, which leaves the snapshot
// as it is, is one only where the flags insist.
func (o *registerOptions) register(ctx context.Context, e *env, x *access, res create.Result, label string) (*registration, error) {
	if o.mode == registerNo {
		return nil, nil // there is nothing to say
	}
	reg, err := o.try(ctx, e, x, res, label)
	if err == nil {
		noteRegistered(e, reg)
		return reg, nil
	}
	auto := o.mode == registerAuto
	if auto && o.retain == "" && hasNoLedger(e, x, err) {
		return nil, nil // nothing is amiss
	}
	if reg == nil {
		reg = new(registration)
	}
	reg.Problem = err.Error()
	later := "decubectl ledger submit snapshot.register " + res.ID.String()
	if o.retain != "" {
		later += " --retain " + o.retain
	}
	switch {
	case !auto:
		return reg, fmt.Errorf("the snapshot is kept, but not registered: %w; %q registers it later", err, later)
	case x.daemon == nil:
		e.note("Not registered: only a daemon reaches the ledger. %q does it once one runs.", later)
	default:
		e.warn("the snapshot is kept, but not registered in the ledger: %v; %q registers it later", err, later)
	}
	return reg, nil
}

// hasNoLedger reports whether a registration failed because the swarm has no ledger,
// or its daemon is older than that.
func hasNoLedger(e *env, x *access, err error) bool {
	if x.daemon == nil {
		_, err := os.Stat(repo.Dir(e.repo).Genesis())
		return errors.Is(err, fs.ErrNotExist)
	}
	return errors.Is(err, api.ErrNoLedger) || errors.Is(err, api.ErrNotFound)
}

func noteRegistered(e *env, reg *registration) {
	switch {
	case !reg.Before:
		e.note("Registered in block %d of the ledger, final after %s.", reg.Block, took(reg.Seconds))
	case reg.Block > 0:
		e.note("Registered before, in block %d of the ledger.", reg.Block)
	default:
		e.note("Registered in the ledger before.")
	}
}

// try registers a snapshot, or says why not.
func (o *registerOptions) try(ctx context.Context, e *env, x *access, res create.Result, label string) (*registration, error) {
	if x.daemon == nil {
		return nil, fmt.Errorf("%w: only a running daemon can reach the ledger", api.ErrUnreachable)
	}
	st, err := x.daemon.LedgerStatus(ctx)
	if err != nil {
		return nil, err
	}
	if st.Stuck && o.mode == registerAuto {
		return nil, errors.New(st.Problem)
	}
	op := tx.SnapshotRegister{Root: res.ID.Bytes(), Size: uint64(max(res.Bytes, 0)), Label: label, RetainUntil: o.retainUntil}
	if err := op.Validate(); err != nil {
		e.note("The label is not registered with the snapshot: %v.", err)
		op.Label = ""
	}
	reg, err := o.submit(ctx, x.daemon, op)
	code, _ := tx.CodeOf(err)
	if code != tx.CodeAlreadyRegistered && code != tx.CodeNotAllowed {
		return reg, err
	}
	old, before := registered(ctx, x.daemon, res)
	switch {
	case code == tx.CodeAlreadyRegistered:
		return before, nil
	case old == nil:
		return reg, err
	case old.RetainUntil >= op.RetainUntil:
		return before, nil
	}
	// To promise more, one states again what was stated first.
	op.Size, op.Label = old.Size, old.Label
	return o.submit(ctx, x.daemon, op)
}

// submit submits a registration and waits as long as the flags ask for.
func (o *registerOptions) submit(ctx context.Context, c *client.Client, op tx.SnapshotRegister) (*registration, error) {
	var wait client.Wait
	if o.mode == registerAuto {
		wait.Timeout = registerWait
	}
	if left := patience(ctx); left > 0 && (wait.Timeout == 0 || left < wait.Timeout) {
		wait.Timeout = left
	}
	req, err := requestFor(ctx, c, sig.PrivateKey{}, op)
	if err != nil {
		return nil, err
	}
	done, err := handIn(ctx, c, req, wait)
	if err != nil {
		return nil, err
	}
	reg := &registration{
		Registered: done.Committed, Transaction: done.ID.String(), Block: done.Block, Time: done.Time, Seconds: done.Seconds,
	}
	return reg, undecided(ctx, c, &done)
}

// registered returns the first registration of a snapshot that the node itself
// made, as far as the node can tell. What it does not tell is zero, or nil.
func registered(ctx context.Context, c *client.Client, res create.Result) (*tx.SnapshotRegister, *registration) {
	reg := &registration{Registered: true, Before: true}
	id, err := c.Identity(ctx)
	if err != nil {
		return nil, reg
	}
	owner, err := sig.ParsePublicKey(id.ID)
	if err != nil {
		return nil, reg
	}
	data, err := c.SnapshotReceipt(ctx, res.ID, owner)
	if err != nil {
		return nil, reg
	}
	r, err := receipt.Decode(data)
	if err != nil {
		return nil, reg
	}
	at := time.UnixMilli(r.Header.Time).UTC()
	reg.Transaction, reg.Block, reg.Time = r.Transaction.ID().String(), r.Header.Seq, &at
	if op, ok := r.Transaction.Op.(tx.SnapshotRegister); ok {
		return &op, reg
	}
	return nil, reg
}
