package main

import (
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"
)

func (a *app) swarmCommand() *cobra.Command {
	return group("swarm", "See and change the node's connections",
		a.swarmPeers(), a.swarmConnect(), a.swarmDisconnect(), a.swarmAddrs(), a.swarmResources())
}

func (a *app) swarmPeers() *cobra.Command {
	return &cobra.Command{
		Use:     "peers",
		Short:   "List connected peers",
		Example: "  decubectl swarm peers\n  decubectl swarm peers --json | jq -r .id",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.daemon(cmd.Context())
			if err != nil {
				return err
			}
			peers, err := c.Peers(cmd.Context())
			if err != nil {
				return err
			}
			return printEach(a, peers, func(w io.Writer) {
				var rows []row
				for _, p := range peers {
					addr, latency := "-", "-"
					if len(p.Addresses) > 0 {
						addr = p.Addresses[0]
					}
					if p.LatencySeconds > 0 {
						latency = time.Duration(p.LatencySeconds * float64(time.Second)).Round(10 * time.Microsecond).String()
					}
					rows = append(rows, row{p.ID, p.Direction, latency, p.Streams, addr})
				}
				printTable(w, row{"peer", "direction", "latency", "streams", "address"}, rows)
			})
		},
	}
}

func (a *app) swarmConnect() *cobra.Command {
	return &cobra.Command{
		Use:     "connect MULTIADDR...",
		Short:   "Connect to peers",
		Example: "  decubectl swarm connect /ip4/192.0.2.7/tcp/4001/p2p/12D3KooW...",
		Args:    wants(1, -1, "a multiaddr that ends in /p2p/ID, or several"),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.daemon(cmd.Context())
			if err != nil {
				return err
			}
			for _, addr := range args {
				done, err := c.Connect(cmd.Context(), addr)
				if err != nil {
					return fmt.Errorf("connecting to %s: %w", addr, err)
				}
				if err := a.print(done, func(w io.Writer) {
					fmt.Fprintf(w, "connected to %s at %s in %.3f s\n", done.ID, done.Address, done.Seconds)
				}); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

func (a *app) swarmDisconnect() *cobra.Command {
	return &cobra.Command{
		Use:     "disconnect PEER...",
		Short:   "Close all connections to peers",
		Example: "  decubectl swarm disconnect 12D3KooW...",
		Args:    wants(1, -1, "a peer ID, or several"),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.daemon(cmd.Context())
			if err != nil {
				return err
			}
			for _, peer := range args {
				if err := c.Disconnect(cmd.Context(), peer); err != nil {
					return fmt.Errorf("disconnecting %s: %w", peer, err)
				}
				done := struct {
					ID string `json:"disconnected"`
				}{peer}
				if err := a.print(done, func(w io.Writer) { fmt.Fprintln(w, "disconnected", peer) }); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

func (a *app) swarmAddrs() *cobra.Command {
	return &cobra.Command{
		Use:     "addrs",
		Short:   "List known addresses of peers, connected or not",
		Example: "  decubectl swarm addrs",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.daemon(cmd.Context())
			if err != nil {
				return err
			}
			peers, err := c.Addrs(cmd.Context())
			if err != nil {
				return err
			}
			return printEach(a, peers, func(w io.Writer) {
				for _, p := range peers {
					state := ""
					if p.Connected {
						state = " (connected)"
					}
					fmt.Fprintf(w, "%s%s\n", p.ID, state)
					for _, addr := range p.Addresses {
						fmt.Fprintf(w, "  %s\n", addr)
					}
				}
			})
		},
	}
}

func (a *app) swarmResources() *cobra.Command {
	return &cobra.Command{
		Use:     "resources",
		Short:   "Show the swarm's limits and what is used of them",
		Example: "  decubectl swarm resources",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.daemon(cmd.Context())
			if err != nil {
				return err
			}
			res, err := c.Resources(cmd.Context())
			if err != nil {
				return err
			}
			return a.print(res, func(w io.Writer) {
				of := func(used, limit int) string { return fmt.Sprintf("%s of %s", count(int64(used)), count(int64(limit))) }
				var rows []row
				for _, s := range res.Scopes {
					rows = append(rows, row{
						s.Scope, size(s.Memory) + " of " + size(s.MemoryLimit),
						of(s.Streams, s.StreamsLimit), of(s.Conns, s.ConnsLimit), of(s.FDs, s.FDsLimit),
					})
				}
				printTable(w, row{"scope", "memory", "streams", "connections", "descriptors"}, rows)
				fmt.Fprintf(w, "\nconnections are trimmed from %d down to %d\n", res.ConnsHigh, res.ConnsLow)
				fmt.Fprintf(w, "received %s (%s/s), sent %s (%s/s)\n",
					size(res.Bandwidth.InBytes), size(int64(res.Bandwidth.InRate)),
					size(res.Bandwidth.OutBytes), size(int64(res.Bandwidth.OutRate)))
			})
		},
	}
}
