package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/decube/decube/internal/version"
)

func newIDCommand(e *env) *cobra.Command {
	return &cobra.Command{
		Use:     "id",
		Short:   "Show who the node is and where it listens",
		Example: "  decubectl id\n  decubectl id --json | jq -r '.addresses[]'",
		Args:    noArgs,
		RunE:    runs(e, nil, runID),
	}
}

func runID(ctx context.Context, e *env) error {
	c, err := e.daemon(ctx)
	if err != nil {
		return err
	}
	id, err := c.Identity(ctx)
	if err != nil {
		return err
	}
	return e.print(id, func(w io.Writer) {
		printFields(w, "Peer ID", id.ID, "Network", id.Network, "Agent", id.Agent)
		for _, addr := range id.Addresses {
			printFields(w, "Address", addr)
		}
	})
}

func newStatusCommand(e *env) *cobra.Command {
	return &cobra.Command{
		Use:     "status",
		Short:   "Show the node's state in a few figures",
		Example: "  decubectl status\n  decubectl status --json | jq .peers",
		Args:    noArgs,
		RunE:    runs(e, nil, runStatus),
	}
}

func runStatus(ctx context.Context, e *env) error {
	c, err := e.daemon(ctx)
	if err != nil {
		return err
	}
	st, err := c.Status(ctx)
	if err != nil {
		return err
	}
	return e.print(st, func(w io.Writer) {
		up := time.Duration(st.UptimeSeconds * float64(time.Second)).Round(time.Second)
		printFields(w, "Peer ID", st.ID, "Network", st.Network, "Version", st.Version,
			"Up", fmt.Sprintf("%s, since %s", up, when(st.Started)), "Ready", st.Ready,
			"Peers", st.Peers, "Reachability", st.Reachability, "Snapshots", st.Snapshots,
			"Blocks", fmt.Sprintf("%s, %s", count(st.Blocks), size(st.Bytes)),
			"Sessions", st.Sessions, "Provided", count(st.Provided))
		for _, text := range st.Warnings {
			printFields(w, "Warning", text)
		}
	})
}

func newVersionCommand(e *env) *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Show what this program was built from",
		Example: "  decubectl version",
		Args:    noArgs,
		RunE:    runs(e, nil, runVersion),
	}
}

func runVersion(_ context.Context, e *env) error {
	v := version.Get()
	return e.print(v, func(w io.Writer) { fmt.Fprintln(w, "decubectl", v) })
}
