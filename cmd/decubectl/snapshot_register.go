package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/decube/decube/api"
	"github.com/decube/decube/api/client"
	"github.com/decube/decube/ledger/receipt"
	"github.com/decube/decube/ledger/sig"
	"github.com/decube/decube/ledger/tx"
	"github.com/decube/decube/snapshot"
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

// register registers a snapshot that the node keeps, as far as the flags ask for
// it. It returns nil where that is not at all. The error, which leaves the snapshot
// as it is, is one only where the flags insist.
func (a *app) register(ctx context.Context, x *access, res snapshot.Result, f *createFlags) (*registration, error) {
	if f.register == registerNo {
		return nil, nil //nolint:nilnil // there is nothing to say
	}
	reg, err := a.tryRegister(ctx, x, res, f)
	if err == nil {
		a.noteRegistered(reg)
		return reg, nil
	}
	auto := f.register == registerAuto
	if auto && f.retain == "" && (errors.Is(err, api.ErrNoLedger) || errors.Is(err, api.ErrNotFound)) {
		return nil, nil //nolint:nilnil // a swarm without a ledger: nothing is amiss
	}
	if reg == nil {
		reg = new(registration)
	}
	reg.Problem = err.Error()
	later := "decubectl ledger submit snapshot.register " + res.ID.String()
	if f.retain != "" {
		later += " --retain " + f.retain
	}
	switch {
	case !auto:
		return reg, fmt.Errorf("the snapshot is kept, but not registered: %w; %q registers it later", err, later)
	case x.daemon == nil:
		a.note("Not registered: only a daemon reaches the swarm's ledger. Where there is one, %q does it later.", later)
	default:
		a.warn("the snapshot is kept, but not registered in the ledger: %v; %q registers it later", err, later)
	}
	return reg, nil
}

func (a *app) noteRegistered(reg *registration) {
	switch {
	case !reg.Before:
		a.note("Registered in block %d of the ledger, final after %s.", reg.Block, took(reg.Seconds))
	case reg.Block > 0:
		a.note("Registered before, in block %d of the ledger.", reg.Block)
	default:
		a.note("Registered in the ledger before.")
	}
}

// tryRegister registers a snapshot, or says why not.
func (a *app) tryRegister(ctx context.Context, x *access, res snapshot.Result, f *createFlags) (*registration, error) {
	if x.daemon == nil {
		return nil, fmt.Errorf("%w: only a running daemon can reach the ledger", api.ErrUnreachable)
	}
	st, err := x.daemon.LedgerStatus(ctx)
	if err != nil {
		return nil, err
	}
	if st.Problem != "" && f.register == registerAuto {
		return nil, fmt.Errorf("nothing is committed: %s", st.Problem)
	}
	op := tx.SnapshotRegister{Root: res.ID.Bytes(), Size: uint64(max(res.Bytes, 0)), Label: f.Label, RetainUntil: f.retainUntil}
	if err := op.Validate(); err != nil {
		a.note("The label is not registered with the snapshot: %v.", err)
		op.Label = ""
	}
	var wait client.Wait
	if f.register == registerAuto {
		wait.Timeout = registerWait
	}
	if left := a.timeout * 9 / 10; left > 0 && (wait.Timeout == 0 || left < wait.Timeout) {
		wait.Timeout = left
	}
	done, err := x.daemon.SubmitOp(ctx, op, wait)
	if code, rejected := tx.CodeOf(err); err != nil && rejected && code == tx.CodeAlreadyRegistered {
		return registered(ctx, x.daemon, res), nil
	}
	if err != nil {
		return nil, err
	}
	reg := &registration{
		Registered: done.Committed, Transaction: done.ID.String(), Block: done.Block, Time: done.Time, Seconds: done.Seconds,
	}
	return reg, a.undecided(ctx, x.daemon, &done)
}

// registered returns the registration of a snapshot that the node made before, as
// far as the node can tell.
func registered(ctx context.Context, c *client.Client, res snapshot.Result) *registration {
	reg := &registration{Registered: true, Before: true}
	id, err := c.Identity(ctx)
	if err != nil {
		return reg
	}
	owner, err := sig.ParsePublicKey(id.ID)
	if err != nil {
		return reg
	}
	data, err := c.SnapshotReceipt(ctx, res.ID, owner)
	if err != nil {
		return reg
	}
	r, err := receipt.Decode(data)
	if err != nil {
		return reg
	}
	at := time.UnixMilli(r.Header.Time).UTC()
	reg.Transaction, reg.Block, reg.Time = r.Transaction.ID().String(), r.Header.Seq, &at
	return reg
}
