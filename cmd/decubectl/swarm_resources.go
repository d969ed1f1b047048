package main

import (
	"cmp"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/decube/decube/api"
	"github.com/decube/decube/api/client"
)

func newSwarmResourcesCommand(e *env) *cobra.Command {
	return &cobra.Command{
		Use:     "resources",
		Short:   "Show the swarm's limits, what is used of them, and who holds most",
		Example: "  decubectl swarm resources",
		Args:    noArgs,
		RunE:    runs(e, nil, asks((*client.Client).Resources, showResources)),
	}
}

func showResources(w io.Writer, res *api.Resources) {
	fmt.Fprintf(w, "connections and protocols may hold %s of memory and %s connections, one address %s of them\n\n",
		size(res.Memory), count(int64(res.Conns)), count(int64(res.PerAddr)))
	shares := make([]row, len(res.Shares))
	for i, s := range res.Shares {
		shares[i] = row{s.Name, size(s.Memory), count(int64(s.Streams)), count(int64(s.PerPeer))}
	}
	printTable(w, row{"protocol", "memory", "streams", "of one peer"}, shares)
	fmt.Fprintln(w)
	if len(res.Holders) > 0 {
		holders := make([]row, len(res.Holders))
		for i, h := range res.Holders {
			holders[i] = row{cmp.Or(h.Network, "unknown"), count(int64(h.Peers)), count(int64(h.Conns)), count(int64(h.Streams))}
		}
		printTable(w, row{"who holds most", "peers", "connections", "streams"}, holders)
		fmt.Fprintln(w)
	}
	fmt.Fprintf(w, "%s of %s provider records are held, %s of them this peer's own, in %s of %s; %s have given way to others\n\n",
		count(int64(res.Records.Held)), count(int64(res.Records.Limit)), count(int64(res.Records.Own)),
		size(res.Records.Bytes), size(res.Records.BytesLimit), count(int64(res.Records.Displaced)))
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
	fmt.Fprintf(w, "received %s (%s/s), sent %s (%s/s) over streams\n\n",
		size(res.Bandwidth.InBytes), size(int64(res.Bandwidth.InRate)),
		size(res.Bandwidth.OutBytes), size(int64(res.Bandwidth.OutRate)))
	classes := make([]row, len(res.Bandwidth.Classes))
	for i, c := range res.Bandwidth.Classes {
		bound := "none"
		if c.Limit > 0 {
			bound = size(c.Limit) + "/s"
		}
		classes[i] = row{c.Direction, c.Class, bound, size(int64(c.Rate)) + "/s", size(c.Bytes)}
	}
	printTable(w, row{"direction", "class", "bound", "now", "bytes"}, classes)
	if res.Bandwidth.Bounded {
		fmt.Fprintln(w, "\nall that connections say counts, over QUIC with what is sent again")
	} else {
		fmt.Fprintln(w, "\nnothing is bounded: streams count, of peers that are known now")
	}
}
