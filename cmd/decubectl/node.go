package main

import (
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/decube/decube/internal/version"
)

func (a *app) idCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "id",
		Short:   "Show who the node is and where it listens",
		Example: "  decubectl id\n  decubectl id --json | jq -r '.addresses[]'",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.daemon(cmd.Context())
			if err != nil {
				return err
			}
			id, err := c.Identity(cmd.Context())
			if err != nil {
				return err
			}
			return a.print(id, func(w io.Writer) {
				printFields(w, "Peer ID", id.ID, "Network", id.Network, "Agent", id.Agent)
				for _, addr := range id.Addresses {
					printFields(w, "Address", addr)
				}
			})
		},
	}
}

func (a *app) statusCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "status",
		Short:   "Show the node's state in a few figures",
		Example: "  decubectl status\n  decubectl status --json | jq .peers",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.daemon(cmd.Context())
			if err != nil {
				return err
			}
			st, err := c.Status(cmd.Context())
			if err != nil {
				return err
			}
			return a.print(st, func(w io.Writer) {
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
		},
	}
}

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Show what this program was built from",
		Example: "  decubectl version",
		Args:    noArgs,
		RunE: func(*cobra.Command, []string) error {
			v := version.Get()
			return a.print(v, func(w io.Writer) { fmt.Fprintln(w, "decubectl", v) })
		},
	}
}
