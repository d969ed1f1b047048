package main

import (
	"context"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/decube/decube/api"
)

// snapshotListOptions are the inputs of snapshot list: what is not empty must be equal.
type snapshotListOptions struct {
	label, host, tag string
	swarm            bool
}

func newSnapshotListCommand(e *env) *cobra.Command {
	o := new(snapshotListOptions)
	cmd := &cobra.Command{
		Use:     "list",
		Aliases: []string{"ls-roots"},
		Short:   "List the snapshots that are kept, here or in the whole swarm",
		Long: `Lists the snapshots that this node keeps or, with --swarm, those that any peer says it
keeps, the newest first: what they are called, and how many peers keep them; --json has
who these are. What a peer says is not proved: it may be wrong about all but the CID.`,
		Example: `  decubectl snapshot list
  decubectl snapshot list --label nightly --json | tail -1 | jq -r .cid
  decubectl snapshot list --swarm --tag stable`,
		Args: noArgs,
		RunE: runs(e, nil, o.run),
	}
	cmd.Flags().BoolVar(&o.swarm, "swarm", false, "list what peers keep too, as far as this node has heard")
	cmd.Flags().StringVar(&o.label, "label", "", "only snapshots of this name")
	cmd.Flags().StringVar(&o.host, "host", "", "only snapshots of this host; in a public swarm peers do not say of which they are")
	cmd.Flags().StringVar(&o.tag, "tag", "", "only snapshots with this tag")
	return cmd
}

func (o *snapshotListOptions) run(ctx context.Context, e *env) error {
	if o.swarm {
		return o.runSwarm(ctx, e)
	}
	return e.withRepo(ctx, func(x *access) error {
		all, err := x.Snapshots(ctx)
		if err != nil {
			return err
		}
		// A list may be short for a reason that is not the user's.
		if st, err := x.RepoStat(ctx); err == nil && st.Problem != "" {
			e.warn("%s", st.Problem)
		}
		all = chosen(all, o.chooses)
		return printEach(e, all, func(w io.Writer) { listSnapshots(w, all) })
	})
}

func (o *snapshotListOptions) runSwarm(ctx context.Context, e *env) error {
	c, err := e.daemon(ctx)
	if err != nil {
		return err
	}
	all, err := snapshotsOfSwarm(ctx, c)
	if err != nil {
		return err
	}
	if o.host != "" && !slices.ContainsFunc(all, func(s swarmSnapshot) bool { return len(s.Hosts) > 0 }) {
		e.note("No peer says which host a snapshot is of: --host finds nothing.")
	}
	all = chosen(all, o.choosesOfSwarm)
	return printEach(e, all, func(w io.Writer) { listSwarm(w, all) })
}

func (o *snapshotListOptions) chooses(s *api.Snapshot) bool {
	return (o.label == "" || s.Label == o.label) && (o.host == "" || s.Host == o.host) && (o.tag == "" || slices.Contains(s.Tags, o.tag))
}

func (o *snapshotListOptions) choosesOfSwarm(s *swarmSnapshot) bool {
	return (o.label == "" || slices.Contains(s.names(), o.label)) && (o.host == "" || slices.Contains(s.Hosts, o.host)) &&
		(o.tag == "" || slices.Contains(s.Tags, o.tag))
}

func listSnapshots(w io.Writer, all []api.Snapshot) {
	if len(all) == 0 {
		return
	}
	var rows []row
	for _, s := range all {
		note := s.Label
		if s.Partial {
			note = strings.TrimSpace(note + " (partial)")
		}
		rows = append(rows, row{s.CID, when(s.Created), count(s.Files), size(s.Bytes), s.Host, s.Source, note})
	}
	printTable(w, row{"cid", "created", "files", "size", "host", "source", "label"}, rows)
}
