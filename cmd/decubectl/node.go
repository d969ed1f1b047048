package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/decube/decube/api"
	"github.com/decube/decube/api/client"
	"github.com/decube/decube/internal/version"
)

func newIDCommand(e *env) *cobra.Command {
	return &cobra.Command{
		Use:     "id",
		Short:   "Show who the node is and where it listens",
		Example: "  decubectl id\n  decubectl id --json | jq -r '.addresses[]'",
		Args:    noArgs,
		RunE:    runs(e, nil, asks((*client.Client).Identity, showIdentity)),
	}
}

func showIdentity(w io.Writer, id *api.Identity) {
	printFields(w, "Peer ID", id.ID, "Network", id.Network, "Agent", id.Agent)
	for _, addr := range id.Addresses {
		printFields(w, "Address", addr)
	}
}

func newStatusCommand(e *env) *cobra.Command {
	return &cobra.Command{
		Use:     "status",
		Short:   "Show the node's state in a few figures",
		Example: "  decubectl status\n  decubectl status --json | jq .peers",
		Args:    noArgs,
		RunE:    runs(e, nil, asks((*client.Client).Status, showStatus)),
	}
}

func showStatus(w io.Writer, st *api.Status) {
	up := time.Duration(st.UptimeSeconds * float64(time.Second)).Round(time.Second)
	printFields(w, "Peer ID", st.ID, "Network", st.Network, "Version", st.Version,
		"Up", fmt.Sprintf("%s, since %s", up, when(st.Started)), "Ready", st.Ready,
		"Peers", st.Peers, "Reachability", st.Reachability, "Snapshots", st.Snapshots,
		"Blocks", fmt.Sprintf("%s, %s", count(st.Blocks), size(st.Bytes)),
		"Sessions", st.Sessions, "Provided", count(st.Provided))
	for _, text := range st.Warnings {
		printFields(w, "Warning", text)
	}
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
