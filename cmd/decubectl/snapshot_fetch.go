package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/decube/decube/api"
	"github.com/decube/decube/api/client"
	"github.com/decube/decube/block"
)

// shortTimeout is a --timeout that may end a fetch before the daemon's own patience
// does.
const shortTimeout = time.Minute

// fetchOptions are the inputs of every command that fetches a snapshot.
type fetchOptions struct {
	api.FetchRequest

	stall time.Duration
}

func (o *fetchOptions) bind(cmd *cobra.Command) {
	cmd.Flags().DurationVar(&o.stall, "stall", 0, "give up when nothing comes for this long; 0 is the daemon's exchange.patience")
	cmd.Flags().StringArrayVar(&o.Providers, "provider", nil, "`MULTIADDR` of a peer to ask beside those the DHT knows; repeatable")
}

// check returns what is wrong with the flags.
func (o *fetchOptions) check() error {
	if o.stall < 0 {
		return usageError("--stall %v: want 0, or more", o.stall)
	}
	return nil
}

// snapshotFetchOptions are the inputs of snapshot fetch.
type snapshotFetchOptions struct {
	fetchOptions

	root  block.ID
	name  string // of the snapshot in the swarm, in place of root
	noPin bool
}

func newSnapshotFetchCommand(e *env) *cobra.Command {
	o := new(snapshotFetchOptions)
	cmd := &cobra.Command{
		Use:   "fetch CID|NAME",
		Short: "Make the node's copy of a snapshot complete, and keep it",
		Long: `Fetches what the node lacks of a snapshot from peers, and keeps the snapshot. Peers
are found by the CID alone. A fetch that was interrupted goes on where it was.
A snapshot that nobody has ends with exit code 14 and with what was tried.

In place of a CID it takes the exact name of a snapshot that a peer says it keeps, and
says whose and which that is. Anybody can give a snapshot any name: where it matters,
have its CID told by somebody you trust. A name of several snapshots is refused, with
their CIDs; one that nobody uses ends with exit code 15.`,
		Example: `  decubectl snapshot fetch bafyrei...
  decubectl snapshot fetch bafyrei... --timeout 30s --json
  decubectl snapshot fetch photos-2026-01`,
		Args: wants(1, 1, "one CID, or the name of a snapshot"),
		RunE: runs(e, o.parse, o.run),
	}
	o.bind(cmd)
	cmd.Flags().StringVar(&o.Label, "label", "", "name to keep the snapshot under")
	cmd.Flags().BoolVar(&o.noPin, "no-pin", false, "do not keep the snapshot: the next garbage collection may take it")
	return cmd
}

func (o *snapshotFetchOptions) parse(args []string) (err error) {
	o.Pin = !o.noPin
	if o.root, o.name, err = parseRootOrName(args[0]); err != nil {
		return err
	}
	return o.check()
}

func (o *snapshotFetchOptions) run(ctx context.Context, e *env) error {
	c, err := e.daemon(ctx)
	if err != nil {
		return err
	}
	root := o.root
	if o.name != "" {
		if root, err = findRoot(ctx, e, c, o.name); err != nil {
			return err
		}
	}
	res, err := o.fetch(ctx, e, c, root)
	if err != nil {
		return err
	}
	if err := e.print(res, func(w io.Writer) { fmt.Fprintln(w, res.CID) }); err != nil {
		return err
	}
	noteFetch(e, res)
	return nil
}

// findRoot returns the snapshot of the swarm that has a name, and says which it is.
func findRoot(ctx context.Context, e *env, c *client.Client, name string) (block.ID, error) {
	all, err := snapshotsOfSwarm(ctx, c)
	if err != nil {
		return block.ID{}, err
	}
	snap, err := resolveName(all, name)
	if err != nil {
		return block.ID{}, err
	}
	e.note("%s is %s, kept by %s.", quoted(name), snap.CID, keepers(snap.Peers))
	return snap.CID, nil
}

// fetch makes the daemon complete a snapshot, and shows how it goes.
func (o *fetchOptions) fetch(ctx context.Context, e *env, c *client.Client, root block.ID) (api.FetchResult, error) {
	req, stall := o.FetchRequest, o.stall
	// The daemon is to give up first, so that it can still say what it tried.
	if soon := patience(ctx); soon > 0 && (stall > soon || stall == 0 && e.timeout <= shortTimeout) {
		stall = soon
	}
	req.StallSeconds = stall.Seconds()
	m := e.meter("fetch")
	var last api.FetchProgress
	res, err := c.Fetch(ctx, root, req, func(p api.FetchProgress) {
		last = p
		m.fetch(p)
	})
	m.close()
	if err == nil {
		return res, nil
	}
	if !strings.Contains(err.Error(), root.String()) {
		err = fmt.Errorf("fetching snapshot %s: %w", root, err)
	}
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		err = fmt.Errorf("%w; after %s it was %s, with %s of %s from %s", err, e.timeout, last.Phase,
			size(last.Bytes), size(last.TotalBytes), plural(int64(len(last.Providers)), "provider"))
	}
	if errors.Is(err, api.ErrTimeout) {
		err = fmt.Errorf("%w; \"decubectl swarm peers\" shows who is connected, --provider names a peer to ask", err)
	}
	if ctx.Err() != nil && last.Blocks > 0 {
		e.note("What was fetched is kept until garbage is collected: run the same command again to go on from there.")
	}
	return res, err
}

func noteFetch(e *env, res api.FetchResult) {
	if res.FetchedBlocks == 0 {
		e.note("All %s were here already.", plural(res.Blocks, "block"))
		return
	}
	e.note("%s of %s fetched, %s in %.2f s, %s", count(res.FetchedBlocks), plural(res.Blocks, "block"),
		size(res.FetchedBytes), res.Seconds, rate(res.FetchedBytes, res.Seconds))
	for _, p := range res.Providers {
		e.note("  %s  %s from %s", p.ID, size(p.Bytes), plural(p.Blocks, "block"))
	}
}

// hintFetch adds what to do about a snapshot that is not here.
func hintFetch(err error, root block.ID) error {
	if isNotFound(err) {
		return fmt.Errorf("%w; \"decubectl snapshot fetch %s\" gets it from peers", err, root)
	}
	return err
}
