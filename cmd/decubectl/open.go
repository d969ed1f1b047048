package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/decube/decube/api"
	"github.com/decube/decube/api/blocksession"
	"github.com/decube/decube/api/client"
	"github.com/decube/decube/api/local"
	"github.com/decube/decube/block"
	"github.com/decube/decube/blockstore"
	"github.com/decube/decube/internal/exitcode"
	"github.com/decube/decube/internal/repo"
	"github.com/decube/decube/snapshot"
	"github.com/decube/decube/snapshot/create"
)

// keeper is what a repo can do whether its daemon runs or not.
type keeper interface {
	Snapshots(ctx context.Context) ([]api.Snapshot, error)
	Snapshot(ctx context.Context, root block.ID) (api.Snapshot, error)
	Keep(ctx context.Context, root block.ID, req api.KeepRequest) (api.Snapshot, error)
	Forget(ctx context.Context, root block.ID) error
	Verify(ctx context.Context, root block.ID, req api.VerifyRequest, progress func(api.Progress)) (api.VerifyReport, error)
	RepoStat(ctx context.Context) (api.RepoStat, error)
	Fsck(ctx context.Context, req api.FsckRequest, progress func(api.Progress)) (api.FsckReport, error)
	GC(ctx context.Context, req api.GCRequest, progress func(api.Progress)) (api.GCResult, error)
}

// blocks is where a snapshot's blocks go to and come from. While it is open,
// nothing that was touched or added is collected.
type blocks interface {
	create.Sink
	snapshot.Source
	Close() error
}

// access is an open way to a repo.
type access struct {
	keeper

	daemon *client.Client // nil without a daemon
	repo   *local.Opened  // nil with one
}

// open reaches the repo's daemon or, when none runs, opens the repo itself and
// says so. With rebuild set, a store whose index is lost gets a new one then. The
// access must be closed.
func (e *env) open(ctx context.Context, rebuild bool) (*access, error) {
	c, err := e.reach(ctx)
	switch {
	case err == nil:
		return &access{keeper: c, daemon: c}, nil
	case !errors.Is(err, api.ErrUnreachable) || e.url != "":
		return nil, err
	}
	x, openErr := local.Open(ctx, e.repo, local.Opening{Read: true, Rebuild: rebuild})
	switch {
	case errors.Is(openErr, repo.ErrLocked):
		return nil, exitcode.With(fmt.Errorf("the daemon does not answer (%w), and the repository cannot be opened without it: %w", err, openErr), exitcode.Locked)
	case errors.Is(openErr, blockstore.ErrIndex):
		return nil, fmt.Errorf("opening the block store without a daemon: %w", openErr)
	case openErr != nil:
		return nil, openErr
	}
	if x.NoSpace != nil {
		e.warn("%v; it is open for reading only", x.NoSpace)
	}
	if rep := x.Rebuilt; rep != nil {
		e.note("Made a new index: %s, %s; %s damaged. The old one is in %s.", plural(rep.Blocks, "block"), size(rep.Bytes), count(rep.Damaged), rep.OldDir)
	}
	how := "directly, without the network"
	if x.ReadOnly {
		how = "for reading only, for it cannot be written, and without the network"
	}
	e.note("No daemon is running: working on %s %s.", e.repo, how)
	return &access{keeper: offline{x.Store}, repo: x}, nil
}

// close gives the repo back.
func (x *access) close() error {
	if x.daemon != nil {
		x.daemon.Close()
		return nil
	}
	return x.repo.Close()
}

// blocks opens a session. With network set, blocks that the node lacks come from
// its peers; without a daemon there are none.
func (x *access) blocks(ctx context.Context, network bool) (blocks, error) {
	if x.daemon != nil {
		return x.daemon.OpenSession(ctx, blocksession.Options{Network: network})
	}
	w, err := x.repo.Blocks.NewWriter(ctx)
	if err != nil {
		return nil, err
	}
	return direct{w, x.repo.Blocks}, nil
}

// direct is a session on an open store.
type direct struct {
	*blockstore.Writer

	store *blockstore.Store
}

func (d direct) Get(ctx context.Context, id block.ID, buf []byte) (block.Block, error) {
	return d.store.Get(ctx, id, buf)
}

// offline names the local operations as the client does.
type offline struct{ *local.Store }

func (o offline) Snapshots(ctx context.Context) ([]api.Snapshot, error) {
	var all []api.Snapshot
	for snap, err := range o.List(ctx) {
		if err != nil {
			return nil, err
		}
		all = append(all, snap)
	}
	return all, nil
}

func (o offline) Snapshot(ctx context.Context, root block.ID) (api.Snapshot, error) {
	return o.Get(ctx, root)
}

func (o offline) RepoStat(ctx context.Context) (api.RepoStat, error) { return o.Stat(ctx) }

// withRepo runs f with an open repo.
func (e *env) withRepo(ctx context.Context, f func(x *access) error) error {
	x, err := e.open(ctx, false)
	if err != nil {
		return err
	}
	return errors.Join(f(x), x.close())
}

// withBlocks runs f with an open repo and a session of its blocks; see access.blocks
// for network.
func (e *env) withBlocks(ctx context.Context, network bool, f func(x *access, b blocks) error) error {
	return e.withRepo(ctx, func(x *access) error {
		b, err := x.blocks(ctx, network)
		if err != nil {
			return err
		}
		return errors.Join(f(x, b), b.Close())
	})
}
