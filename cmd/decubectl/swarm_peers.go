package main

import (
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/decube/decube/api"
	"github.com/decube/decube/api/client"
)

func newSwarmPeersCommand(e *env) *cobra.Command {
	return &cobra.Command{
		Use:     "peers",
		Short:   "List connected peers",
		Example: "  decubectl swarm peers\n  decubectl swarm peers --json | jq -r .id",
		Args:    noArgs,
		RunE:    runs(e, nil, asksEach((*client.Client).Peers, showPeers)),
	}
}

func showPeers(w io.Writer, peers []api.Peer) {
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
}

func newSwarmAddrsCommand(e *env) *cobra.Command {
	return &cobra.Command{
		Use:     "addrs",
		Short:   "List known addresses of peers, connected or not",
		Example: "  decubectl swarm addrs",
		Args:    noArgs,
		RunE:    runs(e, nil, asksEach((*client.Client).Addrs, showAddrs)),
	}
}

func showAddrs(w io.Writer, peers []api.PeerAddresses) {
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
}
