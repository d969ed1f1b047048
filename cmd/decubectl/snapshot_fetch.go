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
	"github.com/decube/decube/internal/block"
)

// defaultStall is how long a fetch goes on without progress.
const defaultStall = time.Minute

// fetchFlags say how a snapshot is fetched.
type fetchFlags struct {
	stall     time.Duration
	providers []string
}

func (f *fetchFlags) register(cmd *cobra.Command) {
	cmd.Flags().DurationVar(&f.stall, "stall", defaultStall, "give up after this long without progress")
	cmd.Flags().StringArrayVar(&f.providers, "provider", nil, "`MULTIADDR` of a peer to ask beside those the DHT knows; repeatable")
}

func (a *app) snapshotFetch() *cobra.Command {
	var f fetchFlags
	var label string
	var noPin bool
	cmd := &cobra.Command{
		Use:   "fetch CID",
		Short: "Make the node's copy of a snapshot complete, and keep it",
		Long: `Fetches what the node lacks of a snapshot from peers, and keeps the snapshot. Peers
are found by the CID alone. A fetch that was interrupted goes on where it was.
A snapshot that nobody has ends with exit code 14 and with what was tried.`,
		Example: "  decubectl snapshot fetch bafyrei...\n  decubectl snapshot fetch bafyrei... --timeout 30s --json",
		Args:    wants(1, 1, "one CID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			root, err := parseRoot(args[0])
			if err != nil {
				return err
			}
			c, err := a.daemon(cmd.Context())
			if err != nil {
				return err
			}
			res, err := a.fetch(cmd.Context(), c, root, api.FetchRequest{Pin: !noPin, Label: label}, f)
			if err != nil {
				return err
			}
			if err := a.print(res, func(w io.Writer) { fmt.Fprintln(w, res.CID) }); err != nil {
				return err
			}
			a.noteFetch(res)
			return nil
		},
	}
	f.register(cmd)
	cmd.Flags().StringVar(&label, "label", "", "name to keep the snapshot under")
	cmd.Flags().BoolVar(&noPin, "no-pin", false, "do not keep the snapshot: the next garbage collection may take it")
	return cmd
}

// fetch makes the daemon complete a snapshot, and shows how it goes.
func (a *app) fetch(ctx context.Context, c *client.Client, root block.ID, req api.FetchRequest, f fetchFlags) (api.FetchResult, error) {
	stall := f.stall
	if a.timeout > 0 {
		stall = min(stall, a.timeout*9/10) // so that the daemon can still say what it tried
	}
	req.StallSeconds, req.Providers = stall.Seconds(), f.providers
	m := a.meter("fetch")
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
		err = fmt.Errorf("%w; after %s it was %s, with %s of %s from %s", err, a.timeout, last.Phase,
			size(last.Bytes), size(last.TotalBytes), plural(int64(len(last.Providers)), "provider"))
	}
	if errors.Is(err, api.ErrTimeout) {
		err = fmt.Errorf("%w; \"decubectl swarm peers\" shows who is connected, --provider names a peer to ask", err)
	}
	if ctx.Err() != nil && last.Blocks > 0 {
		a.note("What was fetched is kept until garbage is collected: run the same command again to go on from there.")
	}
	return res, err
}

func (a *app) noteFetch(res api.FetchResult) {
	if res.FetchedBlocks == 0 {
		a.note("All %s were here already.", plural(res.Blocks, "block"))
		return
	}
	a.note("%s of %s fetched, %s in %.2f s, %s", count(res.FetchedBlocks), plural(res.Blocks, "block"),
		size(res.FetchedBytes), res.Seconds, rate(res.FetchedBytes, res.Seconds))
	for _, p := range res.Providers {
		a.note("  %s  %s from %s", p.ID, size(p.Bytes), plural(p.Blocks, "block"))
	}
}

// hintFetch adds what to do about a snapshot that is not here.
func hintFetch(err error, root block.ID) error {
	if isNotFound(err) {
		return fmt.Errorf("%w; \"decubectl snapshot fetch %s\" gets it from peers", err, root)
	}
	return err
}
