package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/decube/decube/api"
	"github.com/decube/decube/api/client"
)

func newSwarmResourcesCommand(e *env) *cobra.Command {
	return &cobra.Command{
		Use:     "resources",
		Short:   "Show the swarm's limits and what is used of them",
		Example: "  decubectl swarm resources",
		Args:    noArgs,
		RunE:    runs(e, nil, asks((*client.Client).Resources, showResources)),
	}
}

func showResources(w io.Writer, res *api.Resources) {
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
}
